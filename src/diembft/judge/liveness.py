"""Liveness of scripted rounds: after gst, blocks of correct leaders are committed by all, soon and alone.

`liveness_bound`: judged for each round that the script promises (`Promise.rounds`), if it is entered: within a bound
from the first correct node's entry its one block is committed by every correct node. `liveness_commit`: after gst
every correct node commits something; judged only if liveness_bound is judged for some round.
"""

from __future__ import annotations

from typing import NamedTuple

from diembft.judge.facts import BlockExecuted, Entered, Roster
from diembft.judge.verdict import Finding, Verdict, violation

LIVENESS_BOUND = "liveness_bound"
LIVENESS_COMMIT = "liveness_commit"
NOT_ENTERED = Finding(LIVENESS_BOUND, Verdict.UNDECIDED, "no synchronous round with correct leaders was entered")
NOT_JUDGED = Finding(LIVENESS_COMMIT, Verdict.UNDECIDED, "no synchronous round with correct leaders was judged")
BOUND_CUT_SHORT = Finding(LIVENESS_BOUND, Verdict.UNDECIDED, "a node failed, and the run ended there")
COMMIT_CUT_SHORT = Finding(LIVENESS_COMMIT, Verdict.UNDECIDED, BOUND_CUT_SHORT.detail)
BOUND_HELD = Finding(LIVENESS_BOUND, Verdict.HELD)
COMMIT_HELD = Finding(LIVENESS_COMMIT, Verdict.HELD)

NEVER = -1
"""As the time of a commit: before all that happens."""


class Promise(NamedTuple):
    """What a script promises."""

    nodes: tuple[str, ...]
    """Correct nodes that stay up after gst; none if nothing is promised."""
    rounds: tuple[int, ...]
    """Rounds whose blocks must be committed in time, if they are entered."""
    gst: int
    """Rounds up to this one are disturbed, none after it is."""
    bound: int
    """How long a block may take to be committed by all, in the unit of `Entered.at`."""
    bounds: int
    """The same in delay bounds."""


class Liveness:
    """Both, of one run."""

    def __init__(self, roster: Roster, promise: Promise) -> None:
        self._roster = roster
        self._promise = promise
        self._commits: dict[str, dict[int, BlockExecuted]] = {node: {} for node in promise.nodes}
        """Of each judged node: its first commit of each round."""
        self._last_at: dict[str, float] = {}
        self._entries: dict[int, float] = {}
        """When the first correct node was in each round or in a later one."""
        self._reached = 0

    def entered(self, entry: Entered) -> None:
        """A node is in a round."""
        if entry.round > self._reached and self._roster.correct(entry.node):
            for passed in range(self._reached + 1, entry.round + 1):
                self._entries[passed] = entry.at
            self._reached = entry.round

    def committed(self, commit: BlockExecuted) -> None:
        """A node delivers a block."""
        by_round = self._commits.get(commit.node)
        if by_round is not None:
            by_round.setdefault(commit.round, commit)
            self._last_at[commit.node] = max(commit.at, self._last_at.get(commit.node, 0))

    def findings(self, end: float) -> tuple[Finding, Finding]:
        """liveness_commit and liveness_bound, of a run that ended at this time."""
        bound = self._bound(end)
        return self._commit(bound), bound

    def _bound(self, end: float) -> Finding:
        promise = self._promise
        decided = False
        for round_ in promise.rounds:
            entry = self._entries.get(round_)
            if entry is None:
                break
            deadline = entry + promise.bound
            found: dict[bytes, str] = {}
            late: list[str] = []
            for node, by_round in self._commits.items():
                own = by_round.get(round_)
                if own is not None:
                    found.setdefault(own.block, node)
                if own is None or own.at > deadline:
                    late.append(node)
            if len(found) > 1:
                detail = f"two blocks of round {round_} are committed"
                return violation(LIVENESS_BOUND, detail, round_, tuple(found.values()))
            if late:
                if end < deadline and not any(max(self._commits[node], default=0) > round_ for node in late):
                    continue  # it ended too early to tell
                bound = f"within {promise.bounds} delay bounds of the first entry into it"
                detail = f"the block of round {round_} is not committed {bound} by {', '.join(late)}"
                return violation(LIVENESS_BOUND, detail, round_, tuple(late))
            decided = True
        return BOUND_HELD if decided else NOT_ENTERED

    def _commit(self, bound: Finding) -> Finding:
        """Counted from the first correct node's entry into the first round that nothing disturbs."""
        if bound.verdict is Verdict.UNDECIDED:
            return NOT_JUDGED
        first = self._promise.gst + 1
        began = self._entries[first]
        idle = [node for node in self._promise.nodes if self._last_at.get(node, NEVER) < began]
        if not idle:
            return COMMIT_HELD
        detail = f"after round {first} began, the first synchronous one, {', '.join(idle)} committed nothing"
        return violation(LIVENESS_COMMIT, detail, first, tuple(idle))
