"""agreement: the committed chains of any two correct nodes are prefixes of one another.

A block that a node delivers again counts once: that is for `commit_order` to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from diembft.judge.facts import BlockExecuted, Roster
from diembft.judge.verdict import Report, violation

NAME = "agreement"


def by_rounds(height: int, one: BlockExecuted, other: BlockExecuted) -> str:
    """What a reader of scenarios knows blocks by."""
    same = ", another one" if one.round == other.round else ""
    return (
        f"{one.node} committed the block of round {one.round} at height {height}, "
        f"{other.node} that of round {other.round}{same}"
    )


def by_ids(height: int, one: BlockExecuted, other: BlockExecuted) -> str:
    """What a reader of traces knows blocks by."""
    if one.block == other.block:
        return (
            f"{other.node} and {one.node} commit one block at height {height}, {one.block[:4].hex()}, and tell that it "
            f"is of rounds {other.round} and {one.round}"
        )
    return (
        f"{other.node} and {one.node} commit different blocks at height {height}: "
        f"{other.block[:4].hex()} and {one.block[:4].hex()} (round {one.round})"
    )


class Agreement:
    """Each chain against the one that was told first; where they part, each later block parts too."""

    def __init__(
        self, roster: Roster, report: Report, words: Callable[[int, BlockExecuted, BlockExecuted], str] = by_rounds
    ) -> None:
        self._roster = roster
        self._report = report
        self._words = words
        self._chain: list[BlockExecuted] = []
        """The first that a correct node delivered, at each height."""
        self._delivered: dict[str, dict[bytes, None]] = {}

    @property
    def decided(self) -> bool:
        """Whether a correct node committed a block."""
        return bool(self._chain)

    def committed(self, commit: BlockExecuted) -> None:
        """A node delivers a block."""
        node = commit.node
        if not self._roster.correct(node):
            return
        delivered = self._delivered.setdefault(node, {})
        if commit.block in delivered:
            return
        height = len(delivered)
        delivered[commit.block] = None
        if height == len(self._chain):
            self._chain.append(commit)
            return
        first = self._chain[height]
        if not self._roster.correct(first.node):
            self._chain[height] = commit
            return
        if first.block == commit.block and first.round == commit.round:
            return
        detail = self._words(height + 1, commit, first)
        certificates = (commit.certificate, first.certificate)
        round_ = max(commit.round, first.round)
        self._report.violated(violation(NAME, detail, round_, (node, first.node), certificates))


class Tip(Protocol):
    """The last block of a committed chain."""

    @property
    def id(self) -> bytes:
        """Its id."""
        ...

    @property
    def round(self) -> int:
        """Its round; genesis, which every chain begins with, has 0."""
        ...


def parts(lower: Tip, higher: Tip, holds: Callable[[bytes], bool]) -> bool:
    """Whether two committed chains part, by their last blocks, and by what the one that ends higher holds."""
    return lower.round > 0 and lower.id != higher.id and not holds(lower.id)
