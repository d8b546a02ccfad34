"""Failure injection by attributes: a replica whose state a test case changes between two steps (`FailType.SetAttr`).

Such a replica is Byzantine. It is a subclass, so that the protocol knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Self

from typing_extensions import override

from diembft.consensus.replica import Replica
from diembft.faults.planting import Planting


class Tampered(Replica):
    """A replica with attributes that can be set."""

    leader_override: tuple[int, int] | None = None
    """(round, leader), if it was changed who leads."""

    def set_attribute(self, name: str, value: int) -> None:
        """Change the state between two steps. Raises ValueError for an attribute that there is not."""
        match name:
            case "highest_vote_round":
                self.safety.highest_vote_round = value
            case "highest_qc_round":
                self.safety.highest_qc_round = value
            case "current_round" | "round":
                self.pacemaker.current_round = value
                self.pacemaker.timeouts.clear()
                self.proposals.clear()
            case "leader":
                self.leader_override = (self.current_round, value)
            case _:
                raise ValueError(f"no attribute {name!r}")

    @override
    def leader(self, round_: int) -> int:
        if self.leader_override is not None and self.leader_override[0] == round_:
            return self.leader_override[1]
        return super().leader(round_)

    @override
    def vote_collector(self, round_: int) -> int:
        if self.leader_override is not None and self.leader_override[0] == round_ + 1:
            return self.leader_override[1]
        return super().vote_collector(round_)

    @override
    def fork(self) -> Self:
        copy = super().fork()
        copy.leader_override = self.leader_override
        return copy

    @override
    def state_key(self) -> Hashable:
        return (super().state_key(), self.leader_override)


def tampered(bugs: Planting) -> type[Tampered]:
    """The class of replicas with these bugs whose attributes can be set."""
    return bugs.mixed(Tampered)
