"""Planted bugs as values, and what a replica is made of when some are switched on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.kit import CORRECT, Kit
from diembft.consensus.leader_election import LeaderElection
from diembft.consensus.mempool import Mempool
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.quorums import Quorums
from diembft.consensus.replica import Replica
from diembft.consensus.safety import Safety
from diembft.consensus.state_machine import StateMachine
from diembft.consensus.verification import Verifier

Part = TypeVar("Part")

_PARTS: tuple[type, ...] = (Quorums, Verifier, Safety, BlockTree, Pacemaker, LeaderElection, Mempool, Replica)


@dataclass(frozen=True)
class Planted:
    """One bug: the classes that override a rule, each a subclass of a part of `Kit` or of `Replica`.

    `machine` changes the state machine, where the rule is one of the ledger.
    """

    name: str
    description: str
    """What is broken, in one sentence."""
    overrides: tuple[type, ...] = ()
    machine: Callable[[StateMachine], StateMachine] | None = None


@dataclass(frozen=True)
class Planting:
    """Any number of bugs at once: what to make replicas of. None at all is the correct protocol."""

    bugs: tuple[Planted, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the bugs, sorted."""
        return tuple([bug.name for bug in self.bugs])

    def __bool__(self) -> bool:
        return bool(self.bugs)

    def mixed(self, part: type[Part]) -> type[Part]:
        """A part of a replica, or Replica itself, or a subclass of either, with what the bugs override in it."""
        key: Any = part  # hashable, as all classes are; the checker does not see it through type[Part]
        return cast(type[Part], _mixed(self, key))

    @property
    def replica(self) -> type[Replica]:
        """The class of replicas."""
        return self.mixed(Replica)

    @property
    def kit(self) -> Kit:
        """The parts of replicas; parts that a driver makes itself, it passes through `mixed`."""
        if not self.bugs:
            return CORRECT
        return Kit(
            quorums=self.mixed(Quorums),
            verifier=self.mixed(Verifier),
            safety=self.mixed(Safety),
            block_tree=self.mixed(BlockTree),
            pacemaker=self.mixed(Pacemaker),
            leader_election=self.mixed(LeaderElection),
            mempool=self.mixed(Mempool),
        )

    def machine(self, machine: StateMachine) -> StateMachine:
        """The state machine with the bugs in it."""
        for bug in self.bugs:
            if bug.machine is not None:
                machine = bug.machine(machine)
        return machine


NO_BUGS = Planting()
"""The protocol as specified."""


@lru_cache(maxsize=256)
def _mixed(planting: Planting, part: type) -> type:
    base = next(base for base in _PARTS if issubclass(part, base))
    overrides = [override for bug in planting.bugs for override in bug.overrides if issubclass(override, base)]
    if not overrides:
        return part
    if len(overrides) == 1 and part is base:
        return overrides[0]
    name = "".join([override.__name__ for override in overrides]) + part.__name__
    return type(name, (*overrides, part), {"__slots__": (), "__doc__": part.__doc__})
