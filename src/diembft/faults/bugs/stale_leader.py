"""A leader ignores the QCs in timeouts, and proposes on the highest one that it met elsewhere."""

from __future__ import annotations

from diembft.consensus.replica import Replica
from diembft.messages.types import QC


class StaleLeader(Replica):
    """A QC from a timeout serves to enter the round that it leads to, and is forgotten if it leads to none."""

    def process_timeout_qc(self, qc: QC) -> None:
        """See Replica; QCs of past rounds are not taken."""
        if qc.vote_info.round >= self.pacemaker.current_round:
            super().process_timeout_qc(qc)
