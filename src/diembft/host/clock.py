"""A driver's clock as events tell it."""

from __future__ import annotations

from typing import Any

from diembft.consensus.events import Received, Requests


def milliseconds(time_s: float) -> int:
    """A time of a driver, in seconds, as `now_ms` of an event."""
    return int(time_s * 1000)


def dated(what: Any, time_s: float) -> Any:
    """What arrives at a replica with the time of its arrival; whatever else arrives stays as it is."""
    kind = type(what)  # by identity: a match costs several times as much, and this is done for each delivery
    if kind is Received:
        return Received(what.peer, what.message, int(time_s * 1000))
    return Requests(what.requests, int(time_s * 1000)) if kind is Requests else what
