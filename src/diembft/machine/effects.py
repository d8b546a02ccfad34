"""What a replica asks of its driver.

The driver carries the effects of one step out in their order, before it hands in the next event. `Persist` comes first
in the list; what it names must be durable before anything that follows is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

from msgspec import Struct

from diembft.machine.events import M_co, Timer


class Persist(Struct, frozen=True, gc=False):
    """Make durable, atomically, what a protocol adds to this."""


class Send(Struct, Generic[M_co], frozen=True, gc=False):
    """Send to one validator.

    Sent to oneself, it has already taken effect: only a driver that runs several copies of one identity (Twins) has
    something to do, for the other copies.
    """

    to: int
    message: M_co


class Broadcast(Struct, Generic[M_co], frozen=True, gc=False):
    """Send to all other validators (for one's own copy see Send)."""

    message: M_co


class SetTimer(Struct, frozen=True, gc=False):
    """Start the timer anew, to fire after `delay_s` seconds; one of its kind that runs is replaced and must not
    fire."""

    timer: Timer
    delay_s: float
    round: int


class CancelTimer(Struct, frozen=True, gc=False):
    """Stop the timer: it must not fire."""

    timer: Timer


class Commit(Struct, frozen=True, gc=False):
    """Deliver a committed block: each once, oldest first.

    `height` is 1 for the first block after genesis. `certificate` is that by which it was learnt that the block is
    committed.
    """

    height: int
    block: Any
    certificate: Any


class _Effects(dict[type, type | None]):
    """Types are looked at when they are first met."""

    def __missing__(self, kind: type) -> type | None:
        bases = (Send, SetTimer, Persist, Broadcast, Commit, CancelTimer)
        base = self[kind] = next((base for base in bases if issubclass(kind, base)), None)
        return base


EFFECTS: Mapping[type, type | None] = _Effects()
"""Of each type of effect: which one of this module it is, or extends; None for what a protocol has besides."""
