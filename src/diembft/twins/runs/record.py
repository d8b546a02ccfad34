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
from diembft.protocols.interface import OwnBlock
from diembft.trace import records as trace

TICKS_PER_BOUND = 4
"""How many ticks the delay bound has: messages take a quarter of it."""


class MessageSent(NamedTuple):
    """A node sent a message to others."""

    tick: int
    node: int
    message: Any


class BlockCommitted(NamedTuple):
    """A node delivered a committed block. `certificate` is how it learnt of it."""

    tick: int
    node: int
    block: OwnBlock
    certificate: Any


class RoundEntered(NamedTuple):
    """A node is in this round from now on."""

    tick: int
    node: int
    round: int


class NodeRestarted(NamedTuple):
    """A node runs again after a crash; `sent` is how much had been sent by all until then."""

    tick: int
    node: int
    sent: int


class CertificateHeld(NamedTuple):
    """A node would pass this certificate on, whether it ever did or not."""

    node: int
    certificate: Any


class NodeFailed(NamedTuple):
    """A node did not do what it was asked (see `steps`)."""

    tick: int
    node: int
    round: int
    """That it was in."""
    what: str


class Ending(Enum):
    """Why an execution ended."""

    COMPLETE = "every replica passed the last round"
    STUCK = "no replica leaves its round any more"
    TIMED_OUT = "timed out"
    FAILED = "a node failed"


class RunRecord(NamedTuple):
    """What one execution left. Each list is in order of time."""

    sent: list[MessageSent]
    committed: list[BlockCommitted]
    entered: list[RoundEntered]
    restarted: list[NodeRestarted]
    ending: Ending
    end: int
    """The tick at which it ended."""
    held: tuple[CertificateHeld, ...] = ()
    """What nodes hold after the phases of a model, each certificate once; in virtual time it is not looked at."""
    failed: tuple[NodeFailed, ...] = ()
    """At most one, but where nodes that do not hear one another act at the same time."""


def from_trace(records: Iterable[trace.Record], cast: Cast, tick_s: float) -> RunRecord:
    """The lean record that a trace contains, if the protocol shows its own values in it as `detail`; `tick_s` are the
    seconds of a tick. The ending is taken from its last record."""
    number = {name: index for index, name in enumerate(cast.names)}
    lean = RunRecord([], [], [], [], Ending.TIMED_OUT, 0)
    rounds = [0] * len(cast.names)
    for record in records:
        match record:
            case trace.Sent():
                lean.sent.append(MessageSent(round(record.at / tick_s), number[record.node], record.message.detail))
            case trace.Committed():
                block, certificate = record.block.detail, record.certificate.detail
                lean.committed.append(
                    BlockCommitted(round(record.at / tick_s), number[record.node], block, certificate)
                )
            case trace.State():
                node = number[record.node]
                if record.current_round != rounds[node]:
                    rounds[node] = record.current_round
                    lean.entered.append(RoundEntered(round(record.at / tick_s), node, record.current_round))
            case trace.Restarted():
                node = number[record.node]
                rounds[node] = 0
                lean.restarted.append(NodeRestarted(round(record.at / tick_s), node, len(lean.sent)))
            case trace.Ended():
                lean = lean._replace(ending=Ending(record.figures["ending"]), end=round(record.at / tick_s))
            case _:
                pass
    return lean
