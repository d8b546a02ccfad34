"""durability: what a correct replica signs after a restart agrees with what it signed before."""

from __future__ import annotations

from diembft.twins.runs.oracles.facts import Facts, SentTimeout, SentVote
from diembft.twins.runs.oracles.terms import Finding, Terms, Verdict

NAME = "durability"
HELD = Finding(NAME, Verdict.HELD)
UNDECIDED = Finding(NAME, Verdict.UNDECIDED, "no correct replica was restarted")


def judge(facts: Facts, terms: Terms) -> Finding:
    """Restart by restart, everything before against everything after."""
    restarted = [node for node in terms.cast.correct if node in facts.restarts]
    if not restarted:
        return UNDECIDED
    for node in restarted:
        votes = [vote for vote in facts.votes if vote.node == node]
        timeouts = [timeout for timeout in facts.timeouts if timeout.node == node]
        for sent in facts.restarts[node]:
            finding = _contradiction(
                terms.cast.names[node],
                [vote for vote in votes if vote.order < sent],
                [timeout for timeout in timeouts if timeout.order < sent],
                [vote for vote in votes if vote.order >= sent],
                [timeout for timeout in timeouts if timeout.order >= sent],
            )
            if finding is not None:
                return finding
    return HELD


def _contradiction(
    name: str,
    votes: list[SentVote],
    timeouts: list[SentTimeout],
    new_votes: list[SentVote],
    new_timeouts: list[SentTimeout],
) -> Finding | None:
    """A vote in a round that was voted or timed out in, or below it; a timeout that forgets a vote."""
    before_it: list[SentVote | SentTimeout] = [*votes, *timeouts]
    for vote in new_votes:
        if any(before.round == vote.round and before.content == vote.content for before in votes):
            continue
        for earlier in before_it:
            if earlier.round >= vote.round:
                what = "voted" if isinstance(earlier, SentVote) else "timed out"
                return _violated(
                    f"{name} voted in round {vote.round} after a restart, having {what} in round {earlier.round}",
                    vote.round,
                    name,
                    earlier,
                    vote,
                )
    for timeout in new_timeouts:
        for vote in votes:
            if timeout.round < vote.round:
                detail = f"timed out in round {timeout.round} after a restart, having voted in round {vote.round}"
            elif timeout.high_round < vote.parent_round:
                detail = (
                    f"timed out in round {timeout.round} after a restart with a QC of round {timeout.high_round}, "
                    f"having voted for a block on one of round {vote.parent_round}"
                )
            else:
                continue
            return _violated(f"{name} {detail}", timeout.round, name, vote, timeout)
    return None


def _violated(
    detail: str, round_: int, name: str, before: SentVote | SentTimeout, after: SentVote | SentTimeout
) -> Finding:
    return Finding(NAME, Verdict.VIOLATED, detail, round_, (name,), (), (before.message, after.message))
