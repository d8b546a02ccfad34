"""What happens to a client, and what it asks of its driver.

The driver carries the effects of one step out in their order, before it hands in the next event.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from diembft.messages.types import Reply, Request


class Timer(Enum):
    """The timers of a client, at most one of each running."""

    RETRY = "retry"
    """The open request waits too long for its replies."""
    PAUSE = "pause"
    """Time for the next request of a timed workload."""
    DEADLINE = "deadline"
    """The workload took too long."""


class Started(Struct, frozen=True, gc=False):
    """The client begins its workload. The first event, once."""


class ReplyReceived(Struct, frozen=True, gc=False):
    """A reply came from validator `replica`, as whom the driver has authenticated the sender."""

    replica: int
    reply: Reply


class TimerFired(Struct, frozen=True, gc=False):
    """A timer that SetTimer started ran out; `number` is what SetTimer said."""

    timer: Timer
    number: int


ClientEvent: TypeAlias = Started | ReplyReceived | TimerFired


class Submit(Struct, frozen=True, gc=False):
    """Send the request to all validators; `attempt` counts from 1."""

    request: Request
    attempt: int


class SetTimer(Struct, frozen=True, gc=False):
    """Start the timer anew, to fire after `delay_s` seconds; it replaces the one of its kind that runs."""

    timer: Timer
    delay_s: float
    number: int
    """The request that it is about; 0 for the deadline."""


class CancelTimer(Struct, frozen=True, gc=False):
    """Stop the timer, if it runs: it must not fire."""

    timer: Timer


class Accepted(Struct, frozen=True, gc=False):
    """f + 1 distinct validators gave this reply, so a correct one did."""

    number: int
    reply: Reply
    replicas: tuple[int, ...]
    """Who gave it, sorted."""
    executed: bool
    """Whether the operation asked for was executed; else the number was stale, or had been used for another one."""


class Ended(Struct, frozen=True, gc=False):
    """The last effect: nothing follows, whatever happens.

    `completed`: every request was accepted in time, and executed.
    """

    completed: bool


ClientEffect: TypeAlias = Submit | SetTimer | CancelTimer | Accepted | Ended
