"""Actors by hand, and systems with one among correct replicas."""

from __future__ import annotations

from functools import cache

from msgspec import structs

from diembft.consensus.effects import Broadcast, Effect, Send
from diembft.faults.actors.actor import Actor
from diembft.faults.registry import ACTORS
from diembft.messages.types import Message
from diembft.simulation.drawing import draw_run
from diembft.simulation.fuzz import FuzzResult, run_drawn
from diembft.trace.records import Sent
from tests.consensus.rig import Craft

RUNS = 4
"""In how many runs an actor is put among correct replicas."""


def acting(craft: Craft, kind: type[Actor], me: int = 0, seed: int = 1) -> Actor:
    """An actor around a started replica."""
    return kind(craft.started(me), seed)


def messages_to(effects: list[Effect], peer: int) -> list[Message]:
    """What a peer gets of what is sent, in order."""
    return [
        effect.message
        for effect in effects
        if isinstance(effect, Broadcast) or (isinstance(effect, Send) and effect.to == peer)
    ]


def said_by(result: FuzzResult, kind: type[Message]) -> list[Sent]:
    """What the actor of `run_among_correct` sent of this type."""
    return [
        record
        for record in result.trace
        if isinstance(record, Sent) and record.node == "replica3" and isinstance(record.message.detail, kind)
    ]


@cache
def run_among_correct(name: str) -> tuple[FuzzResult, ...]:
    """Runs of four replicas, of which the last is this actor: all invariants are judged, among the others."""
    assert name in ACTORS
    drawn = (draw_run(3, index) for index in range(1000))
    fitting = (run for run in drawn if run.config.n == 4 and not run.byzantine and run.clients)
    return tuple(
        [run_drawn(structs.replace(next(fitting), byzantine=((3, name),)), keep_trace=True) for _ in range(RUNS)]
    )
