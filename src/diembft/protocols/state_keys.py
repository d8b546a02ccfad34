"""What a protocol supplies so that an exploration meets states which behave alike for ever only once.

Optional, like `interface.Exploring`, which makes it: docs/protocols.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from diembft.protocols.states import NodeState, Rebuilt, Step, Summary


class StateKeys(Protocol):
    """What an exploration of one system knows of the states that it met, and their keys."""

    def settle(self, replica: Any, *, settles: bool) -> None:
        """Forget what is dead between two phases of a step, such as votes that were delivered; `settles`: no timeout of
        the round can arrive any more. The replica is not shared."""
        ...

    def raw(self, round_: int, state: NodeState) -> Hashable:
        """A node after a phase of step `round_`, exact but for what is dead then."""
        ...

    def exact(self, state: NodeState) -> Hashable:
        """A node with everything: what checks compare with."""
        ...

    def facts(self, state: NodeState) -> Any:
        """What of a node can still matter."""
        ...

    def look(self, facts: Any, round_: int) -> tuple[Any, ...]:
        """What one sees of a node without knowing what matters, such as how many rounds ago everything was; checks
        look for states of one key that look different."""
        return ()

    def summary(self, nodes: Sequence[Any], step: Step) -> Summary | None:
        """What of the state of these nodes, by their facts, can still matter; None if none of them acts in this step.

        States of one summary, but for the names of correct replicas, must behave alike for ever.
        """
        ...

    def rebuild(self, summary: Summary, leader: int) -> Rebuilt | None:
        """A state that a summary stands for, for speed alone; None if there is no way to make one."""
        return None
