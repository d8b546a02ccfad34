"""A drawn run in words, a line for each thing that happens in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from msgspec import Struct

from diembft.simulation.drawing import DrawnRun
from diembft.simulation.network import Conditions
from diembft.simulation.schedule import (
    Change,
    Crash,
    Heal,
    Incident,
    Partition,
    Pause,
    Restart,
    Resume,
    Stabilise,
)


def describe(drawn: DrawnRun) -> Iterator[str]:
    """The system, its clients, its network, and what befalls it before GST."""
    names = _names(drawn)
    clients = [f"{_kind(client.workload)} {client.count}" for client in drawn.clients]
    byzantine = [f"{names[replica]} ({actor})" for replica, actor in drawn.byzantine]
    config = drawn.config
    yield f"scenario {drawn.index} of seed {drawn.seed}: {config.n} replicas, delta {config.delta_s:g} s"
    yield f"  clients: {', '.join(clients) or 'none'}"
    yield f"  Byzantine: {', '.join(byzantine) or 'none'}"
    yield f"  network: {_conditions(drawn.before)}"
    for incident in drawn.schedule:
        if incident.at_s < drawn.gst_s:
            yield f"  {incident.at_s:.3f} s: {_incident(incident, names)}"
    yield f"  {drawn.gst_s:.3f} s: GST"


def _names(drawn: DrawnRun) -> list[str]:
    """Of all nodes; a twin is its replica's name with an apostrophe."""
    n = drawn.config.n
    return [f"replica{replica}" + ("'" if node >= n else "") for node, replica in enumerate(drawn.nodes)]


def _incident(incident: Incident, names: list[str]) -> str:
    match incident:
        case Crash(_, node, mid_step):
            return f"{names[node]} crashes" + (" in the middle of a step" if mid_step else "")
        case Restart(_, node):
            return f"{names[node]} restarts"
        case Pause(_, node):
            return f"{names[node]} pauses"
        case Resume(_, node):
            return f"{names[node]} goes on"
        case Partition(_, sets):
            return "partition " + " | ".join([" ".join([names[node] for node in nodes]) for nodes in sets])
        case Heal():
            return "the network is whole"
        case Change(_, conditions):
            return f"network: {_conditions(conditions)}"
        case Stabilise():
            return "synchrony"
        case _ as unreachable:
            assert_never(unreachable)


def _conditions(conditions: Conditions) -> str:
    latency = conditions.latency
    parameters = [f"{name} {getattr(latency, name):.3g}" for name in latency.__struct_fields__]
    chances = [
        f"{name} {getattr(conditions, name):.3g}"
        for name in conditions.__struct_fields__
        if name != "latency" and getattr(conditions, name)
    ]
    return f"{_kind(latency)} delays ({', '.join(parameters)})" + "".join([f", {chance}" for chance in chances])


def _kind(value: Struct) -> str:
    return type(value).__name__.lower()
