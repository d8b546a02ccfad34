"""Reading what `diembft plot` draws: a trace, the levels of an exploration, or a kill matrix."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from diembft.errors import InputError
from diembft.files import reading, without_mark
from diembft.trace.files import records_of
from diembft.trace.records import (
    Accepted,
    Committed,
    Crashed,
    Delivered,
    Dropped,
    Fired,
    Header,
    Partitioned,
    Paused,
    Record,
    Restarted,
    Resumed,
    Sent,
    SetAttribute,
    Violated,
)

_ROUNDING_S = 1e-9
"""By how much a sum of times may be wrong."""


class Span(Struct, frozen=True):
    """A fault that lasts: of one node, or (without `node`) a partition. Times in seconds."""

    start_s: float
    end_s: float
    kind: str
    """`crashed`, `paused` or `partition`."""
    node: str = ""


class Moment(Struct, frozen=True):
    """A fault or event of one moment."""

    at_s: float
    kind: str
    """`lost` or `late` (a message), `timeout`, `byzantine` or `violated`."""


class BlockLatency(Struct, frozen=True):
    """How long after its proposal a block was committed: at the first, the median and the last node. In seconds."""

    proposed_s: float
    first_s: float
    median_s: float
    last_s: float


class RunLatency(Struct, frozen=True):
    """Commit latency of a run over time, with its faults."""

    title: str
    blocks: tuple[BlockLatency, ...]
    accepted: tuple[tuple[float, float], ...]
    """For each request that a client saw accepted: when, and how long after it was first sent."""
    spans: tuple[Span, ...]
    moments: tuple[Moment, ...]
    end_s: float


class PlottedLevel(Struct, frozen=True):
    """One level of an exploration: the states that are new before step `round`, and the transitions that were tried."""

    round: int
    states: int
    transitions: int = 0


class PlottedQuestion(Struct, frozen=True):
    """What an exploration decides."""

    model: str
    replicas: int
    faulty: int
    sets: int
    twins_lead: bool = False
    """Only replicas with twins lead."""
    quorum_filter: bool = False
    """Some set of each partition holds a quorum."""
    bugs: tuple[str, ...] = ()


class Exploration(Struct, frozen=True):
    """An exploration, level by level, as `diembft twins explore --json` prints it."""

    question: PlottedQuestion
    levels: tuple[PlottedLevel, ...]
    ending: str
    """Why it ended: `fixed point`, `violation`, or a limit."""


class Kill(Struct, frozen=True):
    """A row of a kill matrix: what a planted bug, or several, violated, where one looked. Without `oracle` nothing."""

    bug: str
    where: str
    """The executor, a network model, fuzzing ..."""
    oracle: str | None = None
    rounds: float | None = None
    scenarios: float | None = None
    """Until it was found, or how many were tried."""
    states: float | None = None
    note: str = ""
    """Why nothing is found."""


class KillMatrix(Struct, frozen=True):
    """A kill matrix, as `diembft twins matrix --json` prints it."""

    rows: tuple[Kill, ...]


Plottable: TypeAlias = RunLatency | Exploration | KillMatrix


def read_results(path: Path) -> Plottable:
    """What a file holds, told by its content. Raises InputError, naming file and field."""
    try:
        with reading(path) as file:
            text = without_mark(file.read())
        if b'"type":"header"' in text[:200].replace(b" ", b""):
            return run_latency(list(records_of(io.BytesIO(text), path)))
        value = msgspec.json.decode(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: neither a trace nor JSON: {error}") from None
    try:
        return _interpret(value)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}") from None


def _interpret(value: Any) -> Exploration | KillMatrix:
    """Tell results apart by the names of their fields."""
    if isinstance(value, dict) and "levels" in value:
        return msgspec.convert(value, Exploration)
    if isinstance(value, dict) and "rows" in value:
        return msgspec.convert(value, KillMatrix)
    raise msgspec.ValidationError(
        "expected a trace, an exploration (an object with `levels`) or a kill matrix (`rows`)"
    )


def run_latency(trace: Sequence[Record]) -> RunLatency:
    """Commit latency and faults of a run. Raises InputError if nothing was committed."""
    header = trace[0] if trace else None
    if not isinstance(header, Header):
        raise InputError("the trace is empty")
    end_s = max((record.at for record in trace if not isinstance(record, Header)), default=0.0)
    blocks = _block_latencies(trace)
    if not blocks:
        raise InputError("the trace has no committed block, so there is no latency to plot")
    return RunLatency(
        header.title or f"A run of {header.n} replicas",
        blocks,
        tuple((record.at, record.latency_s) for record in trace if isinstance(record, Accepted)),
        _spans(trace, frozenset([node.name for node in header.nodes]), end_s),
        _moments(trace, header.delta_s),
        end_s,
    )


def _block_latencies(trace: Sequence[Record]) -> tuple[BlockLatency, ...]:
    proposed: dict[bytes, float] = {}
    committed: dict[bytes, list[float]] = {}
    for record in trace:
        if isinstance(record, Sent) and record.message.kind == "proposal":
            for block in record.message.blocks:
                proposed.setdefault(block.id, record.at)
        elif isinstance(record, Committed):
            committed.setdefault(record.block.id, []).append(record.at)
    latencies = []
    for block_id, times in committed.items():
        start_s = proposed.get(block_id)
        if start_s is not None:
            waits = [at - start_s for at in times]
            latencies.append(BlockLatency(start_s, min(waits), median(waits), max(waits)))
    return tuple(sorted(latencies, key=lambda latency: latency.proposed_s))


def _spans(trace: Sequence[Record], names: frozenset[str], end_s: float) -> tuple[Span, ...]:
    spans: list[Span] = []
    down: dict[str, tuple[float, str]] = {}
    cut_s: float | None = None
    for record in trace:
        match record:
            case Crashed():
                down[record.node] = (record.at, "crashed")
            case Paused():
                down[record.node] = (record.at, "paused")
            case Restarted() | Resumed():
                if record.node in down:
                    start_s, kind = down.pop(record.node)
                    spans.append(Span(start_s, record.at, kind, record.node))
            case Partitioned() if record.round is None:
                if cut_s is not None:
                    spans.append(Span(cut_s, record.at, "partition"))
                cut_s = None if any(names <= set(members) for members in record.sets) else record.at
            case _:
                pass
    spans += [Span(start_s, end_s, kind, node) for node, (start_s, kind) in down.items()]
    if cut_s is not None:
        spans.append(Span(cut_s, end_s, "partition"))
    return tuple(sorted(spans, key=lambda span: (span.start_s, span.node)))


def _moments(trace: Sequence[Record], delta_s: float) -> tuple[Moment, ...]:
    moments = []
    sent_s: dict[int, float] = {}
    for record in trace:
        match record:
            case Sent():
                sent_s[record.number] = record.at
            case Delivered() if record.at - sent_s.get(record.number, record.at) > delta_s + _ROUNDING_S:
                moments.append(Moment(record.at, "late"))
            case Fired() if record.timer == "round":
                moments.append(Moment(record.at, "timeout"))
            case Dropped():
                moments.append(Moment(record.at, "lost"))
            case SetAttribute():
                moments.append(Moment(record.at, "byzantine"))
            case Violated():
                moments.append(Moment(record.at, "violated"))
            case _:
                pass
    return tuple(moments)
