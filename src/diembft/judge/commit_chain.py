"""commit_chain: all globally committed blocks are on one chain.

A block is globally committed when f + 1 correct replicas sent votes that complete a chain on it: of as many blocks
as the protocol's commit rule has, of consecutive rounds (in DiemBFT two: votes of round r + 1 for a child of a block
of round r). From then on no quorum can leave it out, whether or not anybody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from diembft.judge.facts import Roster, Voted
from diembft.judge.verdict import Finding, violation

NAME = "commit_chain"


class LinkLike(Protocol):
    """What must be known of a block."""

    @property
    def round(self) -> int:
        """Its round."""
        ...

    @property
    def parent(self) -> bytes:
        """The id of its parent."""
        ...

    @property
    def parent_round(self) -> int:
        """The parent's round."""
        ...


class VoteLike(LinkLike, Protocol):
    """What must be known of a vote."""

    @property
    def block(self) -> bytes | None:
        """The id of the block; None or NO_BLOCK if it is for none, which commits nothing."""
        ...


def head_of(vote: VoteLike, steps: int, blocks: Mapping[bytes, LinkLike]) -> bytes | None:
    """The block so many steps below the one that a vote is for; None if the rounds between are not consecutive."""
    parent, parent_round, round_ = vote.parent, vote.parent_round, vote.round
    block = vote.block
    if not block:
        return None
    for step in range(1, steps + 1):
        if parent_round + 1 != round_ or parent_round == 0:
            return None
        block, round_ = parent, parent_round
        if step < steps:
            link = blocks.get(block)
            if link is None:
                return None
            parent, parent_round = link.parent, link.parent_round
    return block


class CommitChain:
    """Votes are remembered; the chains that they make are looked at when all is told."""

    def __init__(self, roster: Roster, chain: int, blocks: Mapping[bytes, LinkLike]) -> None:
        """`chain`: how many blocks of consecutive rounds commit the first; `blocks`: all that there are."""
        self._roster = roster
        self._steps = chain - 1
        self._votes: list[Voted] = []
        self._blocks = blocks

    def voted(self, vote: Voted) -> None:
        """A node votes."""
        if self._roster.correct(vote.node):
            self._votes.append(vote)

    def finding(self) -> Finding | None:
        """From the highest globally committed block down: each must be an ancestor of the one above it."""
        steps, blocks = self._steps, self._blocks
        voters: dict[bytes, dict[str, Voted]] = {}
        for vote in self._votes:
            head = head_of(vote, steps, blocks)
            if head is not None:
                voters.setdefault(head, {}).setdefault(vote.node, vote)
        f = self._roster.f
        committed = [
            (next(iter(by_node.values())).round - steps, block) for block, by_node in voters.items() if len(by_node) > f
        ]
        if len(committed) < 2:
            return None
        committed.sort(key=lambda entry: entry[0], reverse=True)
        above = committed[0][1]
        for round_, block in committed[1:]:
            ancestor = above
            while ancestor in blocks and blocks[ancestor].round > round_:
                ancestor = blocks[ancestor].parent
            if ancestor != block:
                return self._violated(voters, above, block)
            above = block
        return None

    def _violated(self, voters: dict[bytes, dict[str, Voted]], above: bytes, block: bytes) -> Finding:
        first, second = self._blocks[above], self._blocks[block]
        detail = (
            f"f + 1 correct replicas committed the block of round {second.round}, and f + 1 that of round "
            f"{first.round}, which does not extend it"
        )
        both = {**voters[above], **voters[block]}
        signed = tuple([vote.message for wanted in (block, above) for vote in voters[wanted].values()])
        return violation(NAME, detail, first.round, self._roster.ordered(both), (), signed)
