"""A drawn run in words, a line for each thing that happens in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from msgspec import Struct

from diembft.consensus.config import Config
from diembft.simulation.drawing import DrawnRun, Stray
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


def describe(drawn: DrawnRun, called: str = "") -> Iterator[str]:
    """The system, its clients, its network, and what befalls it before GST; by another name than its number, if given.

    What is as it mostly is goes without saying: settings by default, good clocks, clients that follow the rules.
    """
    names = _names(drawn)
    clients = [f"{_kind(client.workload)} {client.count}" for client in drawn.clients]
    byzantine = [f"{names[replica]} ({actor})" for replica, actor in drawn.byzantine]
    config = drawn.config
    replicas = f"{config.n} replicas" if config.n > 1 else "1 replica"
    yield f"{called or f'scenario {drawn.index} of seed {drawn.seed}'}: {replicas}, delta {config.delta_s:g} s"
    yield f"  clients: {', '.join(clients) or 'none'}"
    yield f"  Byzantine: {', '.join(byzantine) or 'none'}"
    yield f"  network: {_conditions(drawn.before)}"
    unusual = [
        *_settings(config),
        *[f"clock of {name} {rate:.3g}" for name, rate in zip(names, drawn.clock_rates, strict=False) if rate != 1],
    ]
    if unusual:
        yield f"  unusual: {', '.join(unusual)}"
    befalls = [(one.at_s, _incident(one, names)) for one in drawn.schedule if one.at_s < drawn.gst_s]
    befalls += [(stray.at_s, _stray(stray, names)) for stray in drawn.strays]
    for at_s, what in sorted(befalls, key=lambda one: one[0]):
        yield f"  {at_s:.3f} s: {what}"
    yield f"  {drawn.gst_s:.3f} s: GST"


def _settings(config: Config) -> Iterator[str]:
    """What is not as it is by default."""
    default = Config(n=config.n, delta_s=config.delta_s)
    for name in Config.__struct_fields__:
        value = getattr(config, name)
        if value != getattr(default, name):
            yield f"{name} {value}" if value is not False else f"no {name}"


def _stray(stray: Stray, names: list[str]) -> str:
    """What a client does that follows no rules."""
    signed = "" if stray.signed else ", which it did not sign,"
    to = "everybody" if len(stray.nodes) == len(names) else " ".join([names[node] for node in stray.nodes])
    return f"a stray client sends request {stray.number}{signed} to {to}"


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
