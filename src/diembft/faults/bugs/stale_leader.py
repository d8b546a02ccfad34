"""A leader ignores the QCs in timeouts, and proposes on the highest one that it met elsewhere."""

from __future__ import annotations

from typing_extensions import override

from diembft.consensus.replica import Replica
from diembft.messages.types import QC


class StaleLeader(Replica):
    """A QC from a timeout is taken only if its round cannot be entered without it."""

    @override
    def process_timeout_qc(self, qc: QC, round_: int) -> bool:
        """What a TC makes superfluous is not taken."""
        return qc.vote_info.round + 1 == round_ and super().process_timeout_qc(qc, round_)
