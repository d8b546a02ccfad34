"""How a trace shows DiemBFT: in neutral terms, with its own values as detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from diembft.consensus.effects import Commit, Divergence, Effect, Equivocation, Ignored, Persist, Rejected
from diembft.consensus.replica import Replica
from diembft.host import recording
from diembft.messages.types import QC, TC, Message
from diembft.protocols.diembft.system import DiemBftSystem
from diembft.protocols.interface import Certificate, Showing
from diembft.trace import diembft as neutral
from diembft.trace import records, values
from diembft.trace.records import Record


class DiemBftShowing(Showing):
    """Shows DiemBFT in a trace."""

    @override
    def header(self, system: DiemBftSystem) -> dict[str, Any]:
        config = system.config
        return neutral.header_detail(config.chain_id, config.epoch, system.crypto, system.public_keys)

    @override
    def message(self, message: Message, sender: int) -> values.Message:
        return neutral.message(message)

    @override
    def certificate(self, certificate: QC | TC) -> Certificate:
        return neutral.certificate(certificate) if isinstance(certificate, QC) else neutral.given_up(certificate)

    @override
    def refusals(self, effects: Sequence[Effect]) -> tuple[str | None, str | None]:
        rejected = next((effect.reason.value for effect in effects if isinstance(effect, Rejected)), None)
        ignored = next((effect.reason.value for effect in effects if isinstance(effect, Ignored)), None)
        return rejected, ignored

    @override
    def effect(self, at: float, node: str, effect: Effect) -> Record | None:
        match effect:
            case Persist():
                return recording.persisted(at, node, effect)
            case Commit():
                block, certificate = neutral.block(effect.block), neutral.certificate(effect.certificate)
                executed = block.requests  # markers, which always take effect
                return records.Committed(at, node, effect.height, block, certificate, executed, effect.state_id)
            case Equivocation() | Divergence():
                return recording.evidence(at, node, effect)
            case _:
                return None

    @override
    def state(self, node: str, replica: Replica) -> tuple[Any, ...]:
        return recording.state_fields(recording.snapshot(replica))
