"""What befalls a simulated system, and when: faults as values, in virtual time.

A schedule is a tuple of these, in any order; at equal times they happen in their order there, before anything else.
Nodes are indices into the nodes of the run.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from diembft.simulation.network import Conditions


class Crash(Struct, frozen=True, tag=True):
    """The node stops and loses all but what it has persisted. No effect on a node that is down.

    `mid_step`: not at once, but in the first step from then on that persists something: what the step persists and
    commits is durable, nothing else of the step happens.

    >>> from diembft import Crash, Settings, simulate
    >>> outcome = simulate(Settings(requests=5, schedule=(Crash(0.1, node=3),)))
    >>> outcome.held, outcome.figures.crashes
    (True, 1)
    """

    at_s: float
    node: int
    mid_step: bool = False


class Restart(Struct, frozen=True, tag=True):
    """The node runs again from what it had persisted. A node that runs merely forgets a crash that was to come.

    >>> from diembft import Crash, Restart, Settings, simulate
    >>> outcome = simulate(Settings(requests=20, schedule=(Crash(0.1, node=3), Restart(0.5, node=3))))
    >>> outcome.held, outcome.figures.restarts
    (True, 1)
    """

    at_s: float
    node: int


class Pause(Struct, frozen=True, tag=True):
    """The node stands still; what reaches it waits, and so do its timers. No effect on a node that is down."""

    at_s: float
    node: int


class Resume(Struct, frozen=True, tag=True):
    """A paused node goes on with what waits, in the order of arrival."""

    at_s: float
    node: int


class Partition(Struct, frozen=True, tag=True):
    """From now on nodes hear only those of their set; a node in no set hears nobody."""

    at_s: float
    sets: tuple[tuple[int, ...], ...]


class Heal(Struct, frozen=True, tag=True):
    """The network is whole again."""

    at_s: float


class Change(Struct, frozen=True, tag=True):
    """The network's conditions change, for messages sent from now on."""

    at_s: float
    conditions: Conditions


class Stabilise(Struct, frozen=True, tag=True):
    """GST: whoever wrote the schedule promises what `diembft.trace.records.Synchronous` says, from now on.

    Every node is up, the network whole and without loss, and what was sent under earlier conditions has arrived.
    """

    at_s: float
    delta_s: float


Incident: TypeAlias = Crash | Restart | Pause | Resume | Partition | Heal | Change | Stabilise
