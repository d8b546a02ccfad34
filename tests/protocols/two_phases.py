"""Streamlet with a second vote in each round, in a phase of its own: for the block again, or for none."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from toy_protocol import Block, Node, Reading, Streamlet, System
from typing_extensions import override

from diembft.protocols import VOTE, Broadcast, Cast, interface

PHASE = "second"


class Second(Struct, frozen=True, cache_hash=True):
    """The second vote of a round, to all; in every third round it is for no block."""

    block: Block
    voter: int
    again: bool = False

    @property
    def nil(self) -> bool:
        return self.block.round % 3 == 0 and not self.again


class TwoPhases(Node):
    """Counts first votes alone: what is signed is what matters here."""

    @override
    def proposed(self, block: Block) -> None:
        before = self.voted
        super().proposed(block)
        if self.voted > before:
            self.out.append(Broadcast(Second(block, self.me)))


class Twice(TwoPhases):
    """The bug: where the second vote is for none, it is followed by one for the block."""

    @override
    def proposed(self, block: Block) -> None:
        before = self.voted
        super().proposed(block)
        if self.voted > before and block.round % 3 == 0:
            self.out.append(Broadcast(Second(block, self.me, again=True)))


class ReadingOfBoth(Reading):
    @override
    def told(self, message: Any) -> interface.Told:
        if not isinstance(message, Second):
            return super().told(message)
        block, link = message.block, self.link(message.block)
        about = None if message.nil else block.id
        content = b"second" + (about or b"")
        vote = interface.Vote(block.round, about, link.parent, link.parent_round, content, PHASE)
        return interface.Told(vote=vote)


class Protocol(Streamlet):
    name = "tests.protocols.two_phases:PROTOCOL"
    reading = ReadingOfBoth()
    kinds = {**Streamlet.kinds, Second: VOTE}  # noqa: RUF012  # a Mapping
    bugs = {"twice": "votes twice in the second phase"}  # noqa: RUF012  # a Mapping

    @override
    def round_of(self, message: Any) -> int:
        return message.block.round if isinstance(message, Second) else super().round_of(message)

    @override
    def system(self, cast: Cast, bugs: tuple[str, ...] = (), *, delay_bound_s: float = 1.0, **_: Any) -> System:
        return System(cast, delay_bound_s, Twice if "twice" in bugs else TwoPhases)


PROTOCOL = Protocol()
