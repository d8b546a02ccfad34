"""The lean record of one executed scenario: what was sent, what was committed, which rounds were entered.

Times are ticks: the constant delay of one message. Nodes are numbers, in the order of `Scenario.nodes`. Oracles read
this (through `facts`), whoever wrote it: the executor, the exploration, or `from_trace`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

from diembft.protocols.cast import Cast as Cast
from diembft.protocols.cast import cast_of as cast_of
from diembft.protocols.interface import Block
from diembft.trace import records as trace

TICKS_PER_BOUND = 4
"""How many ticks the delay bound has: messages take a quarter of it."""


class Sent(NamedTuple):
    """A node sent a message to others."""

    tick: int
    node: int
    message: Any


class Committed(NamedTuple):
    """A node delivered a committed block. `certificate` is how it learnt of it."""

    tick: int
    node: int
    block: Block
    certificate: Any


class Entered(NamedTuple):
    """A node is in this round from now on."""

    tick: int
    node: int
    round: int


class Restarted(NamedTuple):
    """A node runs again after a crash; `sent` is how much had been sent by all until then."""

    tick: int
    node: int
    sent: int


class Ending(Enum):
    """Why an execution ended."""

    COMPLETE = "every replica passed the last round"
    STUCK = "no replica leaves its round any more"
    TIMED_OUT = "timed out"


class Record(NamedTuple):
    """What one execution left. Each list is in order of time."""

    sent: list[Sent]
    committed: list[Committed]
    entered: list[Entered]
    restarted: list[Restarted]
    ending: Ending
    end: int
    """The tick at which it ended."""


def from_trace(records: Iterable[trace.Record], cast: Cast, tick_s: float) -> Record:
    """The lean record that a trace contains; `tick_s` are the seconds of a tick. The ending is taken from its last
    record."""
    number = {name: index for index, name in enumerate(cast.names)}
    lean = Record([], [], [], [], Ending.TIMED_OUT, 0)
    rounds = [0] * len(cast.names)
    for record in records:
        match record:
            case trace.Sent():
                lean.sent.append(Sent(round(record.at / tick_s), number[record.node], record.message))
            case trace.Committed():
                lean.committed.append(
                    Committed(round(record.at / tick_s), number[record.node], record.block, record.certificate)
                )
            case trace.State():
                node = number[record.node]
                if record.current_round != rounds[node]:
                    rounds[node] = record.current_round
                    lean.entered.append(Entered(round(record.at / tick_s), node, record.current_round))
            case trace.Restarted():
                node = number[record.node]
                rounds[node] = 0
                lean.restarted.append(Restarted(round(record.at / tick_s), node, len(lean.sent)))
            case trace.Ended():
                lean = lean._replace(ending=Ending(record.figures["ending"]), end=round(record.at / tick_s))
            case _:
                pass
    return lean
