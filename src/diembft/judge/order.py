"""commit_order: a correct node commits each block once, right after its parent, and tells the right height."""

from __future__ import annotations

from diembft.judge.facts import BlockExecuted, Roster
from diembft.judge.verdict import Report, violation

NAME = "commit_order"


def follows(parent: bytes, parent_round: int, last: bytes | None) -> bool:
    """Whether a block may be committed after this one; after none if it extends genesis, whose round is 0."""
    return parent_round == 0 if last is None else parent == last


class CommitOrder:
    """Remembers what each node delivered."""

    def __init__(self, roster: Roster, report: Report) -> None:
        self._roster = roster
        self._report = report
        self._last: dict[str, BlockExecuted] = {}
        self._delivered: dict[str, dict[bytes, None]] = {}
        self._heights: dict[str, int] = {}

    @property
    def decided(self) -> bool:
        """Whether a correct node committed a block."""
        return bool(self._delivered)

    def committed(self, commit: BlockExecuted) -> None:
        """A node delivers a block."""
        node = commit.node
        if not self._roster.correct(node):
            return
        delivered = self._delivered.setdefault(node, {})
        last, before = self._last.get(node), self._heights.get(node, 0)
        wrong = self._wrong(commit, last, before, delivered)
        delivered[commit.block] = None
        self._last[node] = commit
        self._heights[node] = before + 1 if commit.height is None else commit.height
        if wrong:
            detail = f"{node} {wrong}"
            self._report.violated(violation(NAME, detail, commit.round, (node,), (commit.certificate,)))

    def _wrong(
        self, commit: BlockExecuted, last: BlockExecuted | None, before: int, delivered: dict[bytes, None]
    ) -> str:
        """What is wrong; the empty string if nothing is."""
        round_ = commit.round
        if not follows(commit.parent, commit.parent_round, None if last is None else last.block):
            if commit.block in delivered:
                return f"committed the block of round {round_} twice"
            if last is not None and last.round > round_:
                return f"committed the block of round {round_} after one of a later round"
            return f"committed the block of round {round_} without its parent, of round {commit.parent_round}"
        if last is not None and commit.parent_round != last.round:
            return (
                f"committed the block of round {round_} on one of round {commit.parent_round}, which is of {last.round}"
            )
        if commit.height is not None and commit.height != before + 1:
            return f"delivers block {commit.height} after block {before}"
        if last is not None and round_ <= last.round:
            return f"delivers a block of round {round_} after one of {last.round}"
        return ""

    def told(self, node: str, height: int) -> None:
        """A node says how many blocks it committed."""
        delivered = self._heights.get(node, 0)
        if height != delivered and self._roster.correct(node):
            detail = f"{node} committed {height} blocks and delivered {delivered}"
            self._report.violated(violation(NAME, detail, None, (node,)))
