"""monotonicity: what must not decrease.

voted_round, locked_round and the number of committed blocks never decrease, also across a restart; current_round never
decreases while a node runs, and after a restart is at least voted_round.
"""

from __future__ import annotations

from diembft.judge.facts import Numbers, Roster
from diembft.judge.verdict import Report, violation

NAME = "monotonicity"


class Monotonicity:
    """Remembers the highest numbers of each node."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report
        self._locks: dict[str, tuple[int, int]] = {}
        """The highest (voted_round, locked_round)."""
        self._rounds: dict[str, int] = {}
        """The current round of each node that runs; none between a restart and the first state after it."""
        self._heights: dict[str, int] = {}

    @property
    def decided(self) -> bool:
        """Whether a correct node told its numbers."""
        return bool(self._locks)

    def numbers(self, numbers: Numbers) -> None:
        """A node tells its numbers, those that it made durable or all."""
        node = numbers.node
        if not self._roster.correct(node):
            return
        self._lock(node, numbers.voted_round, numbers.locked_round)
        if numbers.round is None:
            return
        height = self._heights.get(node, 0)
        if numbers.height < height:
            self._decreases(node, "the number of committed blocks", height, numbers.height)
        self._heights[node] = max(height, numbers.height)
        round_ = self._rounds.get(node)
        if round_ is None:
            at_least = self._locks[node][0]
            if numbers.round < at_least:
                detail = f"{node} starts in round {numbers.round}, below its last signature in round {at_least}"
                self._report.violated(violation(NAME, detail, numbers.round, (node,)))
        elif numbers.round < round_:
            self._decreases(node, "current_round", round_, numbers.round)
        self._rounds[node] = numbers.round

    def restarted(self, node: str) -> None:
        """A node runs again after a crash."""
        self._rounds.pop(node, None)

    def _lock(self, node: str, voted_round: int, locked_round: int | None) -> None:
        highest_vote, highest_lock = self._locks.get(node, (0, 0))
        locked = highest_lock if locked_round is None else locked_round
        if voted_round < highest_vote:
            self._decreases(node, "voted_round", highest_vote, voted_round)
        if locked < highest_lock:
            self._decreases(node, "locked_round", highest_lock, locked)
        self._locks[node] = (max(voted_round, highest_vote), max(locked, highest_lock))

    def _decreases(self, node: str, what: str, before: int, after: int) -> None:
        detail = f"{what} of {node} decreases from {before} to {after}"
        self._report.violated(violation(NAME, detail, None, (node,)))
