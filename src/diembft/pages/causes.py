"""The records that are steps by themselves, and what a page says of a record in a word or two."""

from __future__ import annotations

from typing import TypeAlias

from diembft.trace.records import (
    Accepted,
    Crashed,
    Ended,
    Fired,
    Partitioned,
    Paused,
    PeerConnected,
    Persisted,
    Restarted,
    Resumed,
    SetAttribute,
    Synchronous,
    Violated,
    WorkloadEnded,
)

Cause: TypeAlias = (
    Fired
    | Crashed
    | Restarted
    | Paused
    | Resumed
    | Partitioned
    | Synchronous
    | PeerConnected
    | SetAttribute
    | Accepted
    | WorkloadEnded
    | Violated
    | Ended
)
"""The records that are steps by themselves."""


def kind_of(record: Cause) -> str:
    """What kind of step a record is: it is called like the record, but for one."""
    return "connected" if isinstance(record, PeerConnected) else str(record.__struct_config__.tag)


def client_text(record: Accepted | WorkloadEnded) -> str:
    """What a client saw."""
    if isinstance(record, Accepted):
        return f"request {record.number}, {record.status}, after {record.latency_s:.3g} s"
    return "complete" if record.completed else "timed out"


def text_of(record: Cause) -> str:
    """What else there is to say of a step."""
    match record:
        case Synchronous():
            return f"{record.delta_s:g} s"
        case Ended():
            return "passed" if record.passed else "failed"
        case PeerConnected():
            return record.peer
        case SetAttribute():
            return f"{record.attribute} = {record.value}"
        case _:
            return ""


def persisted_text(record: Persisted) -> str:
    """What became durable."""
    parts = [f"voted round {record.voted_round}"]
    if record.locked_round is not None:
        parts.append(f"locked round {record.locked_round}")
    if record.blocks:
        parts.append(f"{len(record.blocks)} new block" + ("s" if len(record.blocks) > 1 else ""))
    if record.committed:
        parts.append(f"{len(record.committed)} committed")
    return ", ".join(parts)
