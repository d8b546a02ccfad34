"""Leader election: leader reputation (report, section 3.5), computed when asked.

The report updates a table of leaders when certificates are processed; here the leader of a round is a function of the
chain that is held (docs/protocol.md, "Deviations"), so that all that hold the same QC draw the same leader, however
they entered the round.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TypeVar

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.messages.types import QC, Block

REMEMBERED_LEADERS = 4

_Answer = TypeVar("_Answer", int, bytes)


class LeaderElection:
    """Who leads a round, given the blocks that a replica holds.

    The last answers are remembered beside the QC that they were drawn from, and the signers of the QCs that the walk
    met by the block that holds each; this never changes an answer. Sets of validators are numbers with one bit for
    each: they are many, and joined all the time.
    """

    __slots__ = ("_drawn", "_excluded", "_n", "_signers", "_undrawn", "_window")

    def __init__(self, config: Config) -> None:
        self._n = config.n
        self._window = config.window
        self._excluded = config.excluded
        self._drawn: dict[QC, int] = {}
        self._undrawn: dict[QC, bytes] = {}
        """The last committed block when the walk from a QC ended too early; it does so until another is committed."""
        self._signers: dict[bytes, int] = {}

    def fork(self) -> LeaderElection:
        """An independent copy."""
        copy = object.__new__(type(self))
        copy._n = self._n
        copy._window = self._window
        copy._excluded = self._excluded
        copy._drawn = self._drawn.copy()
        copy._undrawn = self._undrawn.copy()
        copy._signers = self._signers.copy()
        return copy

    def leader(self, round_: int, tree: BlockTree) -> int:
        """The leader of a round: by reputation if a committing QC of `round_ - 2` is held, else round robin."""
        qc = tree.qc_of_round(round_ - 2)
        if qc is None or qc.ledger_commit_info.commit_state_id is None:
            return self.round_robin(round_)
        drawn = self._drawn.get(qc)
        if drawn is not None:
            return drawn
        tip = tree.root.block.id
        if self._undrawn.get(qc) == tip:
            return self.round_robin(round_)
        elected = self.elect_reputation_leader(qc, tree.committed)
        if elected is None:
            _remember(self._undrawn, qc, tip)
            return self.round_robin(round_)
        _remember(self._drawn, qc, elected)
        return elected

    def vote_collector(self, round_: int, tree: BlockTree) -> int:
        """To whom the votes of a round go: the leader of the next."""
        return self.leader(round_ + 1, tree)

    def round_robin(self, round_: int) -> int:
        """Two rounds a leader, in the order of the validators."""
        return (round_ // 2) % self._n

    def elect_reputation_leader(self, qc: QC, committed: Mapping[bytes, Block]) -> int | None:
        """Report, `elect_reputation_leader(qc)`: drawn, seeded by the QC's round, from the active validators.

        Active are the signers of the first `window_size` QCs met on the way back from `qc` over the committed blocks,
        less the authors of the last blocks until `exclude_size` distinct ones are left out. None if the walk meets
        genesis or a block that is not held. The walk ends after twice the window.
        """
        active = excluded = 0
        to_exclude, window, known = self._excluded, self._window, self._signers
        block_id = qc.vote_info.parent_id
        signers = _signers(qc)
        for steps in range(2 * window):
            if steps < window:
                active |= signers
            elif not to_exclude:
                break
            block = committed.get(block_id)
            if block is None:
                return None
            if to_exclude and not excluded >> block.author & 1:
                excluded |= 1 << block.author
                to_exclude -= 1
            block_id = block.qc.vote_info.id
            signers = known.get(block.id) or self._remember_signers(block)
        left = active & ~excluded
        assert left, "because a quorum signed and at most 2f authors are left out"
        for _ in range(draw(qc.vote_info.round, left.bit_count())):
            left &= left - 1  # without its lowest validator
        return (left & -left).bit_length() - 1

    def _remember_signers(self, block: Block) -> int:
        """Who signed the QC inside a block."""
        if len(self._signers) >= 2 * self._window:
            del self._signers[next(iter(self._signers))]
        signers = self._signers[block.id] = _signers(block.qc)
        return signers


def _remember(cache: dict[QC, _Answer], qc: QC, answer: _Answer) -> None:
    if len(cache) >= REMEMBERED_LEADERS:
        cache.pop(next(iter(cache)))
    cache[qc] = answer


def _signers(qc: QC) -> int:
    """Who signed a QC."""
    signers = 0
    for signer, _ in qc.signatures:
        signers |= 1 << signer
    return signers


def draw(seed: int, choices: int) -> int:
    """A number below `choices` that follows from the seed, the same on every machine."""
    return (
        int.from_bytes(blake2b(seed.to_bytes(8, "big"), digest_size=8, person=b"diembft-leader").digest(), "big")
        % choices
    )
