"""The lean record of one executed scenario: what was sent, what was committed, which rounds were entered.

Times are ticks: the constant delay of one message. Nodes are numbers, in the order of `Scenario.nodes`. Oracles read
this (through `facts`), whoever wrote it: the executor, the exploration, or `from_trace`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from diembft.messages.types import QC, Block, Message
from diembft.trace import records as trace
from diembft.twins.scenario import replica_of

TICKS_PER_BOUND = 4
"""How many ticks the delay bound has: messages take a quarter of it."""


class Cast(NamedTuple):
    """Who plays: replicas, and nodes, which are their copies. Masks have bit i set for node i."""

    names: tuple[str, ...]
    """Of the nodes: the replicas, then the twins."""
    identity: tuple[int, ...]
    """Of each node: the replica whose key it holds."""
    n: int
    """Replicas."""
    faulty: tuple[int, ...]
    """Replicas with a twin."""
    correct: tuple[int, ...]
    """Nodes that neither have a twin nor are one."""
    copies: tuple[int, ...]
    """Of each replica: the mask of its nodes."""

    @property
    def f(self) -> int:
        """How many faulty replicas the protocol tolerates."""
        return (self.n - 1) // 3

    @property
    def quorum(self) -> int:
        """Distinct replicas in a quorum: n - f, written again on purpose."""
        return self.n - (self.n - 1) // 3

    def names_of(self, nodes: Iterable[int]) -> tuple[str, ...]:
        """The names of nodes."""
        return tuple([self.names[node] for node in nodes])


@lru_cache(maxsize=256)
def cast_of(replicas: tuple[str, ...], twins: tuple[str, ...]) -> Cast:
    """The cast of a scenario."""
    names = replicas + twins
    number = {name: index for index, name in enumerate(replicas)}
    identity = tuple([number[replica_of(name)] for name in names])
    faulty = tuple(sorted({number[replica_of(twin)] for twin in twins}))
    return Cast(
        names,
        identity,
        len(replicas),
        faulty,
        tuple([node for node in range(len(replicas)) if node not in faulty]),
        tuple(
            [sum(1 << node for node, own in enumerate(identity) if own == replica) for replica in range(len(replicas))]
        ),
    )


class Sent(NamedTuple):
    """A node sent a message to others."""

    tick: int
    node: int
    message: Message


class Committed(NamedTuple):
    """A node delivered a committed block. `certificate` is how it learnt of it."""

    tick: int
    node: int
    block: Block
    certificate: QC


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
