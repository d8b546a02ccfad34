"""A block is committed by a certified successor of any later round: the 2-chain need not be of consecutive rounds.

The commit rule of an early version of Fast-HotStuff.
"""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.safety import Safety
from diembft.consensus.verification import Verifier
from diembft.messages.types import QC


class GapVotes(Safety):
    """Every vote commits the parent."""

    __slots__ = ()

    @override
    def commit_state_id_candidate(self, block_round: int, qc: QC, parent_state_id: bytes) -> bytes | None:
        """Whatever the rounds."""
        return parent_state_id


class GapVerifier(Verifier):
    """Every QC commits the parent."""

    __slots__ = ()

    @override
    def commit_rule(self, parent_round: int, round_: int) -> bool:
        """Whatever the rounds."""
        return True
