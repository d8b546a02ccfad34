"""What happens to a replica. A driver turns the world into these, one at a time, and hands each to `step`.

`now_ms` is the driver's clock, in milliseconds, as a replica has none: 0 where time plays no part.
"""

from __future__ import annotations

from enum import Enum
from typing import Generic, TypeVar

from msgspec import Struct

M_co = TypeVar("M_co", covariant=True)
"""The messages of a protocol."""


class Timer(Enum):
    """The timers of a replica, at most one of each running."""

    ROUND = "round"
    """The pacemaker's: the current round takes too long."""
    FETCH = "fetch"
    """A peer did not answer a request for blocks."""
    REST = "rest"
    """At rest: time to tell a peer what one knows."""


class Started(Struct, frozen=True, gc=False):
    """The replica runs, for the first time or again after a crash. The first event of every run."""

    now_ms: int = 0


class Received(Struct, Generic[M_co], frozen=True, gc=False):
    """A message came from outside. `peer` says where answers go; it proves nothing (signatures do)."""

    peer: int
    message: M_co
    now_ms: int = 0


class TimerFired(Struct, frozen=True, gc=False):
    """A timer that SetTimer started ran out; `round` is what SetTimer said."""

    timer: Timer
    round: int
    now_ms: int = 0
