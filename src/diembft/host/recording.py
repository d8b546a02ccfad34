"""What a driver writes down of a step: effects and states as the records of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from diembft.consensus.effects import Commit, Divergence, Effect, Equivocation, Ignored, Persist, Rejected
from diembft.consensus.recovery import Unrecoverable
from diembft.consensus.replica import Replica
from diembft.faults.actors.actor import Actor
from diembft.messages.sizes import operations_bytes
from diembft.messages.types import OK, QC, TC, Reply, Request
from diembft.trace import diembft as neutral
from diembft.trace import records
from diembft.trace.records import Record
from diembft.trace.values import Certificate

Observer: TypeAlias = Callable[[Record], None]
"""Takes every record of a run, in order, as it comes about."""

LOSS = "loss"
"""Why a message was dropped: the network lost it."""

CRASHED = "crashed"
"""Why a message was dropped: its receiver is down."""

Snapshot: TypeAlias = tuple[int, int, int, int, QC, QC, TC | None, int]
"""What a record `State` holds, in the order of its fields but for time and name, certificates as they are."""


def delivered(at_s: float, name: str, number: int, effects: Sequence[Effect]) -> Record:
    """The record of a message that was handled, with the first reason why it came to nothing, if it did."""
    rejected = ignored = None
    for effect in effects:
        # By the identity of the kind: a match costs several times as much, and most effects are neither.
        if type(effect) is Rejected:
            rejected = rejected or effect.reason._value_
        elif type(effect) is Ignored:
            ignored = ignored or effect.reason._value_
    return records.Delivered(at_s, name, number, rejected, ignored)


def persisted(at_s: float, name: str, effect: Persist) -> Record:
    """The record of what a node made durable."""
    record = effect.record
    return records.Persisted(
        at_s,
        name,
        record.highest_vote_round,
        record.highest_qc_round,
        None if record.last_sent is None else neutral.message(record.last_sent),
        tuple([block.id for block in effect.blocks]),
        effect.committed,
    )


def committed(at_s: float, name: str, effect: Commit) -> records.Committed:
    """The record of a block that a node delivered."""
    executed: list[tuple[str, int]] = []
    if effect.block.payload:
        for request, reply in zip(effect.block.payload, effect.results, strict=True):
            if reply is not None and reply.status == OK:
                executed.append((request.client, request.number))
    block, certificate = neutral.block(effect.block), neutral.certificate(effect.certificate)
    return records.Committed(at_s, name, effect.height, block, certificate, tuple(executed), effect.state_id)


def submitted(at_s: float, request: Request, attempt: int, number: int, to: tuple[str, ...]) -> Record:
    """The record of a request, in a message of this number."""
    size = operations_bytes(request)
    return records.Submitted(at_s, request.client, request.number, size, attempt, number, to, request)


def replied(at_s: float, name: str, reply: Reply, number: int) -> Record:
    """The record of a reply, in a message of this number."""
    return records.Replied(at_s, name, reply.client, reply.number, reply.status, number, reply)


def evidence(at_s: float, name: str, effect: Equivocation | Divergence) -> Record:
    """The record of what a node reports."""
    if isinstance(effect, Equivocation):
        messages = (neutral.message(effect.first), neutral.message(effect.second))
        return records.Evidence(at_s, name, "equivocation", effect.culprit, messages)
    certificate = None if effect.certificate is None else neutral.certificate(effect.certificate)
    return records.Evidence(at_s, name, "divergence", None, (), certificate)


def unrecoverable(at_s: float, name: str, error: Unrecoverable) -> Record:
    """The record of a node that does not run again, because its storage contradicts itself."""
    return records.Evidence(at_s, name, "unrecoverable", None, (), detail=str(error))


def snapshot(machine: Replica | Actor) -> Snapshot:
    """The state of a node, as it is now; a driver records it when it has changed."""
    tree, safety = machine.tree, machine.safety
    round_ = machine.current_round
    return (
        round_,
        machine.leader(round_),
        tree.height,
        safety.highest_vote_round,
        tree.high_qc,
        tree.high_commit_qc,
        machine.pacemaker.last_round_tc,
        safety.highest_qc_round,
    )


def state(at_s: float, name: str, now: Snapshot) -> records.State:
    """The record of a node's state."""
    return records.State(at_s, name, *state_fields(now))


def state_fields(
    now: Snapshot,
) -> tuple[int, int, int, int, Certificate, Certificate, Certificate | None, int]:
    """The fields of a record `State`, but for time and name."""
    round_, leader, height, voted_round, high, committed_by, tc, locked_round = now
    return (
        round_,
        leader,
        height,
        voted_round,
        neutral.certificate(high),
        neutral.certificate(committed_by),
        None if tc is None else neutral.given_up(tc),
        locked_round,
    )
