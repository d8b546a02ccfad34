"""durability: what a correct node signs after a restart agrees with what it signed before it.

Only a node that ran again is judged, and only by what it had signed before its last restart. The rules are functions of
that, whoever remembers it: the judge of a run, or an exploration.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from diembft.judge.facts import Roster, TimedOut, Voted
from diembft.judge.verdict import Finding, Report, Verdict, violation
from diembft.judge.votes import Objection, SignedTimeout, SignedVote, to_timeout, to_vote

NAME = "durability"
UNDECIDED = Finding(NAME, Verdict.UNDECIDED, "no correct replica was restarted")

V = TypeVar("V", bound=SignedVote)
T = TypeVar("T", bound=SignedTimeout)


def forgotten_by_vote(
    node: str, vote: SignedVote, votes: Collection[V], timeouts: Collection[T]
) -> tuple[str, V | T] | None:
    """What a vote contradicts of the votes and timeouts before the restart, and the sentence that says so: one in a
    round that was voted or timed out in, or below it, but for a vote that is sent again."""
    round_, content = vote.round, vote.content
    if any(earlier.round == round_ and earlier.content == content for earlier in votes):
        return None
    what = f"{node} voted in round {round_} after a restart"
    for earlier in votes:
        if to_vote(round_, content, earlier.round, earlier.content, 0) is not None:
            return f"{what}, having voted in round {earlier.round}", earlier
    for timeout in timeouts:
        if to_vote(round_, content, 0, None, timeout.round) is not None:
            return f"{what}, having timed out in round {timeout.round}", timeout
    return None


def forgotten_by_timeout(
    node: str, timeout: SignedTimeout, votes: Collection[V], timeouts: Collection[SignedTimeout]
) -> tuple[str, V] | None:
    """The same of a timeout that forgets a vote, or the certificate below it, but for a timeout that is sent again."""
    round_, high_round = timeout.round, timeout.high_round
    if any(earlier.round == round_ and earlier.high_round == high_round for earlier in timeouts):
        return None
    what = f"{node} timed out in round {round_} after a restart"
    for vote in votes:
        objection = to_timeout(round_, high_round, vote.round, vote.parent_round)
        if objection is Objection.BELOW:
            return f"{what}, having voted in round {vote.round}", vote
        if objection is not None:
            return (
                f"{what} with a QC of round {high_round}, having voted for a block on one of round {vote.parent_round}",
                vote,
            )
    return None


class Durability:
    """Everything before the last restart of a node against everything after it."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report
        self._votes: dict[str, list[Voted]] = {}
        self._timeouts: dict[str, list[TimedOut]] = {}
        self._before: dict[str, tuple[int, int]] = {}
        """Of each node that was restarted: how many votes and timeouts it had signed by then."""

    @property
    def decided(self) -> bool:
        """Whether a correct node was restarted."""
        return any(self._roster.correct(node) for node in self._before)

    def restarted(self, node: str) -> None:
        """A node runs again after a crash."""
        self._before[node] = (len(self._votes.get(node, ())), len(self._timeouts.get(node, ())))

    def voted(self, vote: Voted) -> None:
        """A node votes."""
        node = vote.node
        votes = self._votes.setdefault(node, [])
        if node in self._before and self._roster.correct(node):
            voted, timed_out = self._before[node]
            self._tell(vote, forgotten_by_vote(node, vote, votes[:voted], self._timeouts.get(node, [])[:timed_out]))
        votes.append(vote)

    def timed_out(self, timeout: TimedOut) -> None:
        """A node gives a round up."""
        node = timeout.node
        timeouts = self._timeouts.setdefault(node, [])
        if node in self._before and self._roster.correct(node):
            voted, timed_out = self._before[node]
            votes = self._votes.get(node, [])[:voted]
            self._tell(timeout, forgotten_by_timeout(node, timeout, votes, timeouts[:timed_out]))
        timeouts.append(timeout)

    def _tell(self, after: Voted | TimedOut, forgotten: tuple[str, Voted | TimedOut] | None) -> None:
        if forgotten is not None:
            detail, before = forgotten
            signed = (before.message, after.message)
            self._report.violated(violation(NAME, detail, after.round, (after.node,), (), signed))
