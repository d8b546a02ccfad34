"""A driver's clock as events tell it."""

from __future__ import annotations

from typing import TypeVar

from diembft.consensus.events import Received, Requests

E = TypeVar("E")


def milliseconds(time_s: float) -> int:
    """A time of a driver, in seconds, as `now_ms` of an event."""
    return int(time_s * 1000)


def dated(what: E, time_s: float) -> E:
    """What arrives at a replica with the time of its arrival; whatever else arrives stays as it is."""
    match what:
        case Received(peer, message):
            return type(what)(peer, message, milliseconds(time_s))
        case Requests(requests):
            return type(what)(requests, milliseconds(time_s))
        case _:
            return what
