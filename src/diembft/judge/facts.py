"""What properties are judged by: who plays, and facts of a run in the terms of no protocol in particular.

Readers produce them, of traces, of executed scenarios, of the steps of an exploration; properties take them one by one,
in their order. A fact is about one node, named as in the run; `at` is its time, in the unit of the reader. What is
signed or certified keeps its own value (`message`, `value`), which findings show and nothing here looks into.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from msgspec import Struct

NO_BLOCK = b""
"""What a vote is for that is for no block: it stands against none."""


class Roster:
    """Who plays, and who is *correct* as far as is known by now.

    Correct is a node that no twin, Byzantine actor or SetAttribute touched. A planted bug runs in every replica, so
    that with planted bugs, too, correct is who has no twin, and is none.
    """

    __slots__ = ("_correct", "_place", "identity", "n")

    def __init__(self, n: int, identity: dict[str, int], correct: Iterable[str]) -> None:
        self.n = n
        """Replicas."""
        self.identity = identity
        """Of each node, in their order: the replica whose key it holds."""
        self._correct = dict.fromkeys(correct)
        self._place = {node: place for place, node in enumerate(identity)}

    @property
    def f(self) -> int:
        """How many faulty replicas are tolerated."""
        return (self.n - 1) // 3

    @property
    def quorum(self) -> int:
        """Distinct replicas in a quorum: n - f, written again on purpose."""
        return self.n - (self.n - 1) // 3

    def correct(self, node: str) -> bool:
        """Whether a node is correct."""
        return node in self._correct

    def correct_nodes(self) -> tuple[str, ...]:
        """All correct nodes."""
        return tuple(self._correct)

    def correct_replica(self, replica: int) -> bool:
        """Whether a replica is run by a correct node."""
        return any(self.identity[node] == replica for node in self._correct)

    def faulty(self) -> int:
        """How many replicas have a node that is not correct."""
        return len(dict.fromkeys([replica for node, replica in self.identity.items() if node not in self._correct]))

    def turn(self, node: str) -> None:
        """The node is no longer correct."""
        self._correct.pop(node, None)

    def ordered(self, nodes: Iterable[str]) -> tuple[str, ...]:
        """Nodes in their order, each once."""
        return tuple(sorted(dict.fromkeys(nodes), key=self._place.__getitem__))

    def replicas(self, replicas: Iterable[int]) -> tuple[str, ...]:
        """The names of replicas, each once, in their order: those of the first node of each."""
        name_of: dict[int, str] = {}
        for node, replica in self.identity.items():
            name_of.setdefault(replica, node)
        wanted = sorted(dict.fromkeys(replicas))
        return tuple([name_of.get(replica, str(replica)) for replica in wanted])


class Voted(Struct, frozen=True, gc=False):
    """A node signed a vote."""

    node: str
    round: int
    block: bytes
    parent: bytes
    parent_round: int
    content: Hashable
    """What the signature covers: votes that differ in it are different votes, whatever else comes with them."""
    message: Any = None
    phase: str = ""
    """Which vote of the round it is, where a protocol votes more than once."""


class TimedOut(Struct, frozen=True, gc=False):
    """A node signed that it gives a round up."""

    node: str
    round: int
    high_round: int
    """The round of the highest certificate of a block that it says it knows."""
    message: Any = None


class CertificateSeen(Struct, frozen=True, gc=False):
    """A certificate that a node sent or held."""

    round: int
    """Of the certified block, or that was given up; 0 is genesis, which nobody signs."""
    block: bytes | None
    """The id of the certified block; None if a round was given up."""
    signers: tuple[int, ...]
    """Replicas."""
    value: Any = None
    fault: str = ""
    """Why it does not verify, if a reader that verifies found so."""
    state: bytes | None = None
    """The state of the block that it certifies too, where a protocol does."""

    @property
    def kind(self) -> str:
        """What such a certificate is called."""
        return "TC" if self.block is None else "QC"


class BlockSeen(Struct, frozen=True, gc=False):
    """A block as a link of a chain: what is known of one that was proposed, sent or committed."""

    round: int
    parent: bytes
    parent_round: int


class BlockExecuted(Struct, frozen=True, gc=False):
    """A node delivered a committed block."""

    at: float
    node: str
    block: bytes
    round: int
    parent: bytes
    parent_round: int
    certificate: Any = None
    """How it learnt of it."""
    height: int | None = None
    """As the node told it, if it did."""
    executed: tuple[tuple[str, int], ...] = ()
    """(client, number) of the requests that took effect."""
    unsigned: tuple[tuple[str, int], ...] = ()
    """Those of them that their client did not sign."""
    foreign: tuple[tuple[str, int], ...] = ()
    """Those of them that are not in the block."""
    state: bytes | None = None
    """What the state is afterwards, if it was told."""


class Entered(Struct, frozen=True, gc=False):
    """A node is in a round from now on; who leads it, if it was told."""

    at: float
    node: str
    round: int
    leader: int | None = None


class Failed(Struct, frozen=True, gc=False):
    """A node did not do what it was asked, and the run ended there."""

    at: float
    node: str
    round: int
    """That it was in; 0 before it was in any."""
    what: str
    """Why, without the node."""


class Numbers(Struct, frozen=True, gc=False):
    """The numbers of a node's state that must not decrease."""

    node: str
    voted_round: int
    locked_round: int | None
    round: int | None = None
    """The current round; None: only what is durable was told."""
    height: int = 0
