"""Which messages pass, by their round: a scenario's rounds as tables that the executor looks up.

A message belongs to a round (the protocol says to which) and passes between nodes in one set of that round's
partition, less the exceptions, whenever it is sent. Where timeouts have a partition of their own, what answers a
timeout follows it too, and so does what a node asks for after its own timeout of the round; answers with blocks pass
by either partition.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from diembft.protocols.cast import Cast
from diembft.protocols.interface import TIMEOUT
from diembft.twins.scenarios.scenario import MessageType, Round, plan

LEADER = -1
"""In place of a kind, where it is asked who leads a round."""

Masks = tuple[int, ...]
"""For each sender, the nodes that it reaches: bit i is node i. Its own bit says nothing."""


class Routes(NamedTuple):
    """One round, as the executor reads it."""

    leader: int
    """The replica that leads."""
    reach: tuple[Masks, ...]
    """By kind, then sender: who gets a message."""
    apart: tuple[Masks, ...]
    """By kind, then sender: whom the partition keeps it from."""
    timeouts_excepted: bool
    """Whether an exception drops timeouts, so that their sendings must be counted."""
    has_quorum: bool
    """Whether some set holds a quorum of distinct replicas, in either partition."""
    early: bool
    """Timers fire before proposals arrive."""
    reversed: bool
    """What goes to several nodes of a twin is delivered in reversed order."""
    delayed: bool | None
    """Whether what the partition keeps apart arrives when the receiver leaves the round; None: as the run has it."""
    crash: int
    """Mask of nodes that stop as the round begins."""
    restart: int
    """Mask of nodes that start again as it begins."""


@lru_cache(maxsize=1 << 16)
def routes_of(replicas: tuple[str, ...], twins: tuple[str, ...], round_: Round) -> Routes:
    """The tables of a round, which must be in normal form, as it is inside a `Scenario`."""
    plan_ = plan(replicas, twins, round_)
    everyone = (1 << (len(replicas) + len(twins))) - 1
    either = tuple([first | second for first, second in zip(plan_.within, plan_.timeouts_within, strict=True)])
    by_kind = (  # in the order of the kinds in `protocols.interface`
        plan_.within,
        plan_.within,
        plan_.timeouts_within,
        plan_.timeouts_within,
        plan_.within,
        plan_.timeouts_within,
        either,
    )
    names: tuple[MessageType, ...] = ("proposal", "vote", "timeout", "*", "*", "*", "*")
    reach, excepted = [], False
    for kind, (masks, name) in enumerate(zip(by_kind, names, strict=True)):
        dropped = [0] * len(masks)
        for senders, receivers, type_ in plan_.dropped:
            if type_ in ("*", name):
                for sender in range(len(masks)):
                    if senders >> sender & 1:
                        dropped[sender] |= receivers
        reach.append(tuple([mask & ~drop for mask, drop in zip(masks, dropped, strict=True)]))
        excepted = excepted or (kind == TIMEOUT and any(dropped))
    extras = plan_.extras
    return Routes(
        plan_.leader,
        tuple(reach),
        tuple([tuple([everyone & ~mask for mask in masks]) for masks in by_kind]),
        excepted,
        plan_.has_quorum or plan_.timeouts_have_quorum,
        extras.timers == "early",
        extras.order == "reversed",
        None if extras.undelivered is None else extras.undelivered == "delay",
        plan_.crash,
        plan_.restart,
    )


@lru_cache(maxsize=256)
def whole(cast: Cast, leader: int) -> Routes:
    """The network after the last round: whole, and led as that round was."""
    everyone = (1 << len(cast.names)) - 1
    masks = (everyone,) * len(cast.names)
    return Routes(leader, (masks,) * 7, ((0,) * len(cast.names),) * 7, False, True, False, False, None, 0, 0)
