"""What befalls a simulated system, and when: faults as values, in virtual time.

A schedule is a tuple of these, in any order; at equal times they happen in their order there, before anything else.
Nodes are indices into the nodes of the run.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from diembft.errors import require, require_moment, require_seconds, require_types, require_whole
from diembft.simulation.network import Conditions


class _AtTime(Struct, frozen=True):
    """Something that happens at a time."""

    at_s: float

    def __post_init__(self) -> None:
        require_types(self)
        require_moment(self.at_s, f"{type(self).__name__}.at_s")


class _ToNode(_AtTime, frozen=True):
    """Something that happens to a node at a time."""

    node: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole(self.node, f"{type(self).__name__}.node", 0)


class Crash(_ToNode, frozen=True, tag=True):
    """The node stops and loses all but what it has persisted. No effect on a node that is down.

    `mid_step`: not at once, but in the first step from then on that persists something: what the step persists and
    commits is durable, nothing else of the step happens.

    >>> from diembft import Crash, Settings, simulate
    >>> outcome = simulate(Settings(requests=5, schedule=(Crash(0.1, node=3),)))
    >>> outcome.held, outcome.figures.crashes
    (True, 1)
    """

    mid_step: bool = False


class Restart(_ToNode, frozen=True, tag=True):
    """The node runs again from what it had persisted. A node that runs merely forgets a crash that was to come.

    >>> from diembft import Crash, Restart, Settings, simulate
    >>> outcome = simulate(Settings(requests=20, schedule=(Crash(0.1, node=3), Restart(0.5, node=3))))
    >>> outcome.held, outcome.figures.restarts
    (True, 1)
    """


class Pause(_ToNode, frozen=True, tag=True):
    """The node stands still; what reaches it waits, and so do its timers. No effect on a node that is down."""


class Resume(_ToNode, frozen=True, tag=True):
    """A paused node goes on with what waits, in the order of arrival."""


class Partition(_AtTime, frozen=True, tag=True):
    """From now on nodes hear only those of their set; a node in no set hears nobody."""

    sets: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        named = [node for members in self.sets for node in members]
        require(len(set(named)) == len(named), "Partition.sets", self.sets, "name a node twice")


class Heal(_AtTime, frozen=True, tag=True):
    """The network is whole again."""


class Change(_AtTime, frozen=True, tag=True):
    """The network's conditions change, for messages sent from now on."""

    conditions: Conditions


class Stabilise(_AtTime, frozen=True, tag=True):
    """GST: whoever wrote the schedule promises what `diembft.trace.records.Synchronous` says, from now on.

    Every node is up, the network whole and without loss, and what was sent under earlier conditions has arrived.
    """

    delta_s: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_seconds(self.delta_s, "Stabilise.delta_s", zero=True)


Incident: TypeAlias = Crash | Restart | Pause | Resume | Partition | Heal | Change | Stabilise
