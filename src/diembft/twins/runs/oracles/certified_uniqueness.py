"""certified_uniqueness: while a block of a round is certified, no other has f + 1 votes of correct replicas."""

from __future__ import annotations

from typing import Any

from diembft.twins.runs.oracles.facts import Facts, SentVote
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict, listed, names

NAME = "certified_uniqueness"
HELD = Finding(NAME, Verdict.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """Round by round; a second block that is certified itself counts all the more."""
    certified: dict[int, dict[bytes, Any]] = {}
    certificate = facts.reading.certificate
    for qc in facts.qcs:
        says = certificate(qc)
        if says.block is not None:
            certified.setdefault(says.round, {}).setdefault(says.block, qc)
    correct = terms.cast.correct
    votes: dict[int, dict[bytes, dict[int, SentVote]]] = {}
    for vote in facts.votes:
        if vote.node in correct:
            votes.setdefault(vote.round, {}).setdefault(vote.block, {}).setdefault(vote.node, vote)
    for round_, blocks in certified.items():
        if len(blocks) > 1:
            first, second = list(blocks.values())[:2]
            return Finding(
                NAME,
                Verdict.VIOLATED,
                f"two blocks of round {round_} are certified",
                round_,
                names(terms, {facts.qcs[first], facts.qcs[second]}),
                (first, second),
            )
        for block, voters in votes.get(round_, {}).items():
            if block not in blocks and len(voters) > terms.cast.f:
                qc = next(iter(blocks.values()))
                return Finding(
                    NAME,
                    Verdict.VIOLATED,
                    f"a block of round {round_} is certified, and {listed(names(terms, voters))} voted for another",
                    round_,
                    names(terms, voters),
                    (qc,),
                    tuple([vote.message for vote in voters.values()]),
                )
    return HELD
