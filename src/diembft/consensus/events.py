"""What happens to a replica. A driver turns the world into these, one at a time, and hands each to `Replica.step`."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.messages.types import Block, Message, Payload

__all__ = ["BlocksRead", "Connected", "Event", "Received", "Requests", "Started", "Timer", "TimerFired"]


class Requests(Struct, frozen=True, gc=False):
    """Clients sent requests."""

    requests: Payload
    now_ms: int = 0


class Connected(Struct, frozen=True, gc=False):
    """A peer became reachable (again)."""

    peer: int
    now_ms: int = 0


class BlocksRead(Struct, frozen=True, gc=False):
    """The answer to ReadBlocks: committed blocks from storage, consecutive, oldest first."""

    peer: int
    round: int
    blocks: tuple[Block, ...]
    now_ms: int = 0


Event: TypeAlias = Started | Received[Message] | TimerFired | Requests | Connected | BlocksRead
