"""What a protocol supplies so that states which behave alike for ever are met once: docs/protocols.md.

All of it is optional, and given by `interface.UnderTest`:

- `Sharing`: scenarios that begin alike, or come to the same state, are executed once from there on. A `Keeper` writes
  global states down, and blocks by their numbers (`Numbering`);
- `StateKeys`: what `interface.Exploring` needs in order to decide a whole space of scenarios.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

from diembft.protocols.states import NodeState, Rebuilt, Step, Summary

BELOW_BASE = -1
"""As the number of a block (see Numbering): it stands at or below the base, and is not the base itself."""


# --- sharing what scenarios have in common


class Numbering(Protocol):
    """Numbers blocks as they are met, so that what is written down holds how they descend from one another and not
    what is in them."""

    base_round: int
    """The round of the highest block that every node has committed; that block has number 0."""

    def number(self, block: bytes, round_: int) -> int:
        """The number of a block of this id and round; BELOW_BASE for all at or below the base but the base itself."""
        ...

    def named(self, block: bytes) -> int:
        """The number of a block of which only the id is given."""
        ...

    def known(self) -> Mapping[bytes, int]:
        """The numbers of all blocks that were met."""
        ...


class Keeper(Protocol):
    """Writes the nodes of one global state down, as values that `msgspec` encodes.

    Two global states that are written down alike must go on alike for ever. Leave out what cannot matter any more.
    """

    def node(self, replica: Any) -> Any:
        """A replica's state."""
        ...

    def message(self, message: Any) -> Any:
        """What a message tells."""
        ...

    def holdings(self, replica: Any) -> Any:
        """Which of the blocks that were met, by whatever was written down, a replica holds. Asked last."""
        ...


class Sharing(Protocol):
    """For executing what scenarios share only once (`twins.runs.prefixes`)."""

    def root(self, replica: Any) -> tuple[bytes, int]:
        """The last block that a replica committed: its id and its round."""
        ...

    def keeper(self, replicas: Sequence[Any], blocks: Numbering) -> Keeper:
        """For one global state."""
        ...

    def pointless(self, replica: Any, message: Any) -> bool:
        """Whether a message will change nothing and be answered by nothing, whenever the replica receives it."""
        ...


# --- deciding whole spaces


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

    def certified(self, facts: Any) -> bytes:
        """The id of the highest block that a node knows to be certified."""
        ...

    def summary(self, nodes: Sequence[Any], step: Step) -> Summary | None:
        """What of the state of these nodes, by their facts, can still matter; None if none of them acts in this step.

        States of one summary, but for the names of correct replicas, must behave alike for ever.
        """
        ...

    def rebuild(self, summary: Summary, leader: int) -> Rebuilt | None:
        """A state that a summary stands for, for speed alone; None if there is no way to make one."""
        return None
