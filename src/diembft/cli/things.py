"""What there is to choose from, each thing with one line: planted bugs, oracles, protocols, network models, actors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct

from diembft.faults.registry import ACTORS
from diembft.judge.traces import PROPERTIES
from diembft.protocols.by_name import BUILT_IN, protocol_of
from diembft.simulation.drawing import TWIN
from diembft.twins.runs.models import MODELS
from diembft.twins.runs.oracles import ORACLES


class Thing(Struct, frozen=True):
    """One thing that a command line may name, or a verdict."""

    name: str
    description: str
    where: str = ""
    """What it is for, where that differs: a protocol, or a kind of run."""


_ORACLES: Mapping[str, str] = MappingProxyType(
    {
        "agreement": "the committed chains of correct replicas are prefixes of one another",
        "certified_uniqueness": "of a round no two blocks are certified, or have f + 1 correct votes beside one",
        "commit_chain": "all blocks that votes of f + 1 correct replicas committed are on one chain",
        "honest_vote_once": "a correct replica votes once in a round, and not after its timeout of it",
        "quorum_progress": "every certificate is signed by a quorum of distinct replicas",
        "liveness_commit": "after gst every correct replica commits something",
        "liveness_bound": "after gst the block of a correct leader is committed by all in time",
        "commit_order": "a correct replica commits each block once, right after its parent",
        "execution": "a correct replica executes a request once, with the outcome of all others",
        "durability": "what a replica signs after a restart agrees with what it signed before",
        "accountability": "where agreement is violated, the signatures show f + 1 culprits",
        "crash": "no step raises an exception, has too many effects or does not end",
        "monotonicity": "voted and locked rounds and commits never decrease, restarts included",
        "certificates": "every certificate that a correct replica holds or sends verifies",
        "validity": "a committed block is what its id names, with requests that clients signed",
        "liveness": "a request that a correct replica holds commits in bounded time after GST",
    }
)

_PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {
        "diembft": "DiemBFT v4, as in the core of this project: two-chain commits, timeout certificates",
        "hotstuff": "chained HotStuff: three-chain commits",
        "fast-hotstuff": "its two-chain variant",
    }
)

_MODELS: Mapping[str, str] = MappingProxyType(
    {
        "timed": "virtual time: messages take time and timers run; the executor's own, not for exploration",
        "barrier": "one partition a round, and nobody goes on before all that can arrive has arrived",
        "two-phase": "proposals and votes pass by one partition, timeouts by another; timers early or late",
        "lazy": "no barrier between rounds: a round begins while some are still in the last; for exploration alone",
    }
)

_TWIN_ACTOR = "two copies of the correct code with one key"


def bugs() -> list[Thing]:
    """The planted bugs of all protocols."""
    return [
        Thing(name, what, protocol)
        for protocol in BUILT_IN
        for name, what in sorted(protocol_of(protocol).bugs.items())
    ]


def oracles() -> list[Thing]:
    """The properties that runs are judged by."""
    places = ((ORACLES, "scenarios"), (PROPERTIES, "traces"))
    return [
        Thing(name, _ORACLES[name], ", ".join([where for known, where in places if name in known]))
        for name in dict.fromkeys([*ORACLES, *PROPERTIES])
    ]


def protocols() -> list[Thing]:
    """The protocols that come with the tester."""
    return [Thing(name, _PROTOCOLS[name]) for name in BUILT_IN]


def models() -> list[Thing]:
    """The network models of scenarios."""
    return [Thing(name, _MODELS[name]) for name in ("timed", *MODELS)]


def actors() -> list[Thing]:
    """The Byzantine actors of random runs."""
    own = [Thing(name, _first_line(actor)) for name, actor in ACTORS.items()]
    return sorted([*own, Thing(TWIN, _TWIN_ACTOR)], key=lambda thing: thing.name)


def _first_line(kind: type) -> str:
    """Of its module: `An actor that hears all and says nothing.` without the words that all of them have in common."""
    said = (sys.modules[kind.__module__].__doc__ or "").strip().splitlines()[0]
    return said.removeprefix("An actor that ").removesuffix(".")


THINGS: Mapping[str, Callable[[], list[Thing]]] = MappingProxyType(
    {"bugs": bugs, "oracles": oracles, "protocols": protocols, "models": models, "actors": actors}
)
"""All kinds, each with the function that lists it."""
