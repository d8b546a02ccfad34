"""After a TC, a block may extend a QC that is older than one of those that the TC's signers held."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.safety import Safety, consecutive
from diembft.messages.types import TC


class IgnoreTcHighQc(Safety):
    """`q >= max(tmo_high_qc_rounds)` is not checked."""

    __slots__ = ()

    @override
    def safe_to_extend(self, block_round: int, qc_round: int, tc: TC) -> bool:
        """Whatever the QC."""
        return consecutive(tc.round, block_round)
