"""What a driver writes down of a step: effects and states as the records of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from diembft.consensus.effects import Commit, Divergence, Effect, Equivocation, Ignored, Persist, Rejected
from diembft.consensus.recovery import Unrecoverable
from diembft.consensus.replica import Replica
from diembft.faults.actors.actor import Actor
from diembft.messages.types import OK, QC, TC
from diembft.trace import records
from diembft.trace.records import Record

Observer: TypeAlias = Callable[[Record], None]
"""Takes every record of a run, in order, as it comes about."""

LOSS = "loss"
"""Why a message was dropped: the network lost it."""

CRASHED = "crashed"
"""Why a message was dropped: its receiver is down."""

State: TypeAlias = tuple[int, int, int, int, QC, QC, TC | None, int]
"""The fields of a record `State` but for time and name."""


def delivered(at_s: float, name: str, number: int, effects: Sequence[Effect]) -> Record:
    """The record of a message that was handled, with the first reason why it came to nothing, if it did."""
    rejected = ignored = None
    for effect in effects:
        match effect:
            case Rejected(reason):
                rejected = rejected or reason.value
            case Ignored(reason):
                ignored = ignored or reason.value
    return records.Delivered(at_s, name, number, rejected, ignored)


def persisted(at_s: float, name: str, effect: Persist) -> Record:
    """The record of what a node made durable."""
    record = effect.record
    return records.Persisted(
        at_s,
        name,
        record.highest_vote_round,
        record.highest_qc_round,
        record.last_sent,
        tuple([block.id for block in effect.blocks]),
        effect.committed,
    )


def committed(at_s: float, name: str, effect: Commit) -> records.Committed:
    """The record of a block that a node delivered."""
    executed = [
        (request.client, request.number)
        for request, reply in zip(effect.block.payload, effect.results, strict=True)
        if reply is not None and reply.status == OK
    ]
    return records.Committed(
        at_s, name, effect.height, effect.block, effect.state_id, tuple(executed), effect.certificate
    )


def evidence(at_s: float, name: str, effect: Equivocation | Divergence) -> Record:
    """The record of what a node reports."""
    if isinstance(effect, Equivocation):
        return records.Evidence(at_s, name, "equivocation", effect.culprit, (effect.first, effect.second))
    return records.Evidence(at_s, name, "divergence", None, (), effect.certificate)


def unrecoverable(at_s: float, name: str, error: Unrecoverable) -> Record:
    """The record of a node that does not run again, because its storage contradicts itself."""
    return records.Evidence(at_s, name, "unrecoverable", None, (), detail=str(error))


def state_of(machine: Replica | Actor) -> State:
    """What a record `State` holds, as it is now; a driver records it when it has changed."""
    tree, safety = machine.tree, machine.safety
    round_ = machine.current_round
    return (
        round_,
        machine.leader(round_),
        safety.highest_vote_round,
        safety.highest_qc_round,
        tree.high_qc,
        tree.high_commit_qc,
        machine.pacemaker.last_round_tc,
        tree.height,
    )
