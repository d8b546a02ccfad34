"""Replicas with planted bugs."""

from __future__ import annotations

from diembft.consensus.events import Started
from diembft.consensus.replica import Replica
from diembft.faults.registry import plant
from tests.consensus.rig import Craft, make_machine


def planted(craft: Craft, *bugs: str, me: int = 0) -> Replica:
    """A started replica with these bugs; with none, a correct one."""
    planting = plant(bugs)
    machine = planting.machine(make_machine())
    replica = planting.replica(craft.config, me, craft.keys.replicas[me], craft.keys.ring, machine, planting.kit)
    replica.step(Started())
    return replica
