"""accountability: where agreement is violated, the signatures show f + 1 culprits.

A culprit signed two votes in a round; or a vote of round v for a block with parent round p, and a timeout of a round
>= v whose high_qc is older than p. Not judged with planted bugs, which make correct replicas do so.
"""

from __future__ import annotations

from typing import Any

from diembft.twins.runs.oracles import agreement
from diembft.twins.runs.oracles.facts import Facts, SentTimeout, SentVote
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict

NAME = "accountability"
NO_RULE = Finding(NAME, Verdict.UNDECIDED, "not judged for this protocol")
BUGS = Finding(NAME, Verdict.UNDECIDED, "not judged with planted bugs")
UNDECIDED = Finding(NAME, Verdict.UNDECIDED, "agreement was not violated")


def judge(facts: Facts, terms: Terms) -> Finding:
    """Signers are replicas: what a node and its twin sign is signed by one."""
    if not terms.protocol.accountable:
        return NO_RULE
    if terms.bugs:
        return BUGS
    broken = agreement.judge(facts, terms)
    if broken.verdict is not Verdict.VIOLATED:
        return UNDECIDED
    culprits = culprits_of(facts, terms)
    names = ", ".join(terms.cast.names_of(sorted(culprits))) or "nobody"
    signed = tuple([message for pair in culprits.values() for message in pair])
    verdict = Verdict.HELD if len(culprits) > terms.cast.f else Verdict.VIOLATED
    return Finding(
        NAME,
        verdict,
        f"the signatures convict {names}, which is {'' if verdict is Verdict.HELD else 'not '}f + 1",
        broken.round,
        terms.cast.names_of(sorted(culprits)),
        (),
        signed,
    )


def culprits_of(facts: Facts, terms: Terms) -> dict[int, tuple[Any, Any]]:
    """The replicas that signed what no correct one signs, each with two messages that show it."""
    identity = terms.cast.identity
    votes: dict[int, list[SentVote]] = {}
    timeouts: dict[int, list[SentTimeout]] = {}
    for vote in facts.votes:
        votes.setdefault(identity[vote.node], []).append(vote)
    for timeout in facts.timeouts:
        timeouts.setdefault(identity[timeout.node], []).append(timeout)
    culprits: dict[int, tuple[Any, Any]] = {}
    for replica, own in votes.items():
        by_round: dict[int, SentVote] = {}
        for vote in own:
            other = by_round.setdefault(vote.round, vote)
            if other.content != vote.content:
                culprits.setdefault(replica, (other.message, vote.message))
            for timeout in timeouts.get(replica, ()):
                if timeout.round >= vote.round and timeout.high_round < vote.parent_round:
                    culprits.setdefault(replica, (vote.message, timeout.message))
    return culprits
