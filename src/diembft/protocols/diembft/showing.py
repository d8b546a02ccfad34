"""How a trace shows DiemBFT: as it is, for a trace is written in its terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from diembft.consensus.effects import Commit, Divergence, Effect, Equivocation, Ignored, Persist, Rejected
from diembft.consensus.replica import Replica
from diembft.messages.types import QC, TC, Message
from diembft.protocols.diembft.system import DiemBftSystem
from diembft.protocols.interface import Showing
from diembft.trace import records
from diembft.trace.records import Record


class DiemBftShowing(Showing):
    """Shows DiemBFT in a trace, unchanged."""

    @override
    def header(self, system: DiemBftSystem) -> dict[str, Any]:
        config = system.config
        return {"chain_id": config.chain_id, "epoch": config.epoch, "public_keys": system.public_keys}

    @override
    def message(self, message: Message, sender: int) -> Message:
        return message

    @override
    def certificate(self, certificate: QC | TC) -> QC | TC:
        return certificate

    @override
    def refusals(self, effects: Sequence[Effect]) -> tuple[str | None, str | None]:
        rejected = next((effect.reason.value for effect in effects if isinstance(effect, Rejected)), None)
        ignored = next((effect.reason.value for effect in effects if isinstance(effect, Ignored)), None)
        return rejected, ignored

    @override
    def effect(self, at: float, node: str, effect: Effect) -> Record | None:
        match effect:
            case Persist(record=record, blocks=blocks, committed=committed):
                return records.Persisted(
                    at,
                    node,
                    record.highest_vote_round,
                    record.highest_qc_round,
                    record.last_sent,
                    tuple([block.id for block in blocks]),
                    committed,
                )
            case Commit():
                executed = tuple([(request.client, request.number) for request in effect.block.payload])
                return records.Committed(
                    at, node, effect.height, effect.block, effect.state_id, executed, effect.certificate
                )
            case Equivocation():
                messages = (effect.first, effect.second)
                return records.Evidence(at, node, "equivocation", effect.culprit, messages)
            case Divergence():
                return records.Evidence(at, node, "divergence", None, (), effect.certificate)
            case _:
                return None

    @override
    def state(self, node: str, replica: Replica) -> tuple[Any, ...]:
        tree, safety, round_ = replica.tree, replica.safety, replica.current_round
        return (
            round_,
            replica.leader(round_),
            safety.highest_vote_round,
            safety.highest_qc_round,
            tree.high_qc,
            tree.high_commit_qc,
            replica.pacemaker.last_round_tc,
            tree.height,
        )
