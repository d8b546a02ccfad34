"""What a replica signed is not made durable: after a crash it may sign something else in the same round."""

from __future__ import annotations

from msgspec import structs

from diembft.consensus.effects import SafetyRecord
from diembft.consensus.replica import Replica


class ForgetsOnRestart(Replica):
    """Persists blocks and certificates, but not the state of Safety."""

    def _record(self) -> SafetyRecord:
        return structs.replace(super()._record(), highest_vote_round=0, highest_qc_round=0, last_sent=None)
