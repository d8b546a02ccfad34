"""honest_vote_once: a correct replica signs one vote in a round at most, and none after its timeout of the round."""

from __future__ import annotations

from diembft.twins.runs.oracles.facts import Facts, SentTimeout, SentVote
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict

NAME = "honest_vote_once"
HELD = Finding(NAME, Verdict.HELD)


def judge(facts: Facts, terms: Terms) -> Finding:
    """Votes are equal if what their signatures cover is; the same vote sent again is one vote."""
    correct = terms.cast.correct
    first_votes: dict[tuple[int, int], SentVote] = {}
    timeouts: dict[tuple[int, int], SentTimeout] = {}
    for timeout in facts.timeouts:
        timeouts.setdefault((timeout.node, timeout.round), timeout)
    for vote in facts.votes:
        if vote.node not in correct:
            continue
        key = (vote.node, vote.round)
        first = first_votes.setdefault(key, vote)
        name = terms.cast.names[vote.node]
        if first.content != vote.content:
            return Finding(
                NAME,
                Verdict.VIOLATED,
                f"{name} voted twice in round {vote.round}",
                vote.round,
                (name,),
                (),
                (first.message, vote.message),
            )
        given_up = timeouts.get(key)
        if first is vote and given_up is not None and given_up.order < vote.order:
            return Finding(
                NAME,
                Verdict.VIOLATED,
                f"{name} voted in round {vote.round} after its timeout of it",
                vote.round,
                (name,),
                (),
                (given_up.message, vote.message),
            )
    return HELD
