"""A quorum counts messages, not distinct signers: one who speaks twice counts twice."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.quorums import Quorums
from diembft.messages.types import TimeoutInfo, VoteMsg

_NO_VALIDATOR = 1 << 16
"""The first number that is no validator's."""


class CountVoteMessages(BlockTree):
    """Every vote counts for itself."""

    __slots__ = ()

    @override
    def counted_as(self, vote: VoteMsg, bucket: dict[int, VoteMsg]) -> int:
        """A further vote of one signer counts as one of somebody else."""
        return _NO_VALIDATOR + len(bucket) if vote.sender in bucket else vote.sender


class CountTimeoutMessages(Pacemaker):
    """Every timeout counts for itself."""

    __slots__ = ()

    @override
    def counted_as(self, timeout: TimeoutInfo) -> int:
        """A further timeout of one signer counts as one of somebody else."""
        return _NO_VALIDATOR + len(self.timeouts) if timeout.sender in self.timeouts else timeout.sender


class CountSignatures(Quorums):
    """Every signature in a certificate counts for itself."""

    __slots__ = ()

    @override
    def distinct(self, signers: tuple[int, ...]) -> int:
        """Repetitions count."""
        return len(signers)
