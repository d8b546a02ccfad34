"""What happens to a replica. A driver turns the world into these, one at a time, and hands each to `Replica.step`."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from diembft.messages.types import Block, Message, Payload


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


class Received(Struct, frozen=True, gc=False):
    """A message came from outside. `peer` says where answers go; it proves nothing (signatures do)."""

    peer: int
    message: Message


class TimerFired(Struct, frozen=True, gc=False):
    """A timer that SetTimer started ran out; `round` is what SetTimer said."""

    timer: Timer
    round: int


class Requests(Struct, frozen=True, gc=False):
    """Clients sent requests."""

    requests: Payload


class Connected(Struct, frozen=True, gc=False):
    """A peer became reachable (again)."""

    peer: int


class BlocksRead(Struct, frozen=True, gc=False):
    """The answer to ReadBlocks: committed blocks from storage, consecutive, oldest first."""

    peer: int
    round: int
    blocks: tuple[Block, ...]


Event: TypeAlias = Started | Received | TimerFired | Requests | Connected | BlocksRead
