"""Global states between two steps of an exploration, as values, and what of them can still matter.

Replicas are numbered so that those with a twin come first: nodes 0 to n - 1 are the replicas, nodes n, n + 1 ... the
twins of replicas 0, 1 ... Between two steps nothing is under way but messages that wait for their round; they are kept
with the node that sent them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple, TypeAlias

from diembft.protocols.cast import Cast

Sets: TypeAlias = tuple[tuple[int, ...], ...]
"""A partition of the nodes."""

ALL = -2
"""As a receiver: all other nodes. (NOBODY as a receiver: the leader of the next round, not chosen yet.)"""


class Kept(NamedTuple):
    """A message that waits: for whom (a validator, ALL, or NOBODY)."""

    to: int
    message: Any


class VoteSigned(NamedTuple):
    """A vote, as an observer remembers it."""

    round: int
    content: Hashable
    """What its signature covers."""
    parent_round: int
    phase: str = ""
    """Which vote of the round it is, where a protocol votes more than once."""


class TimeoutSigned(NamedTuple):
    """A timeout, likewise."""

    round: int
    high_round: int


class Signed(NamedTuple):
    """What a correct node signed that binds it for ever, each once, in the order in which it did so first."""

    votes: tuple[VoteSigned, ...] = ()
    timeouts: tuple[TimeoutSigned, ...] = ()
    restarted_at: tuple[int, int] = (0, 0)
    """How many of these it had signed when it came up last, if it ever crashed."""

    @property
    def votes_before(self) -> tuple[VoteSigned, ...]:
        """Those before its last restart."""
        return self.votes[: self.restarted_at[0]]

    @property
    def timeouts_before(self) -> tuple[TimeoutSigned, ...]:
        """Those before its last restart."""
        return self.timeouts[: self.restarted_at[1]]

    def since(self, round_: int) -> tuple[Hashable, ...]:
        """What it signed in this round and later ones: all that what it signs from then on can contradict, but after a
        crash."""
        return (
            tuple([vote for vote in self.votes if vote.round >= round_]),
            tuple([timeout for timeout in self.timeouts if timeout.round >= round_]),
        )

    def restarted(self) -> Signed:
        """As it comes up after a crash."""
        return self._replace(restarted_at=(len(self.votes), len(self.timeouts)))


NOTHING_SIGNED = Signed()


class NodeState(NamedTuple):
    """A node between two steps. The replica must not be stepped, only forked."""

    replica: Any
    kept: tuple[Kept, ...]
    durable: Any
    """What it has persisted, where nodes may crash."""
    signed: Signed


class Step(NamedTuple):
    """The step that a state stands before."""

    round: int
    leader: int
    last: Sets = ()
    """The partition of the last step, in models that remember it."""
    tells: bool = True
    """Whether that by which a node entered the round matters although it does not lead: see the models."""


class Summary(NamedTuple):
    """All of a global state that can still matter: how the blocks that do hang together, an entry for each node, and,
    where that matters, the partition of the last step."""

    base_age: int
    """How many rounds the block below all others is older than the round, if that matters."""
    chains: tuple[Any, ...]
    """The other blocks, in an order that does not depend on names."""
    entries: tuple[Any, ...]
    """Of each node, a tuple whose first field, `leads`, says whether its replica leads the step."""
    last: Sets = ()

    def key(self, cast: Cast, *, rename: bool = True) -> Hashable:
        """The canonical key; `rename=False` keeps the names of correct validators apart."""
        if not rename:
            return self
        faulty, n, entries = len(cast.faulty), cast.n, self.entries
        if not self.last:
            return (self.base_age, self.chains, tuple(sorted(entries[faulty:n])), entries[:faulty], entries[n:])
        # Correct nodes are known by their entries alone, hence sets by those and by the others in them.
        sets = [
            (
                tuple([node for node in members if not faulty <= node < n]),
                tuple(sorted([entries[node] for node in members if faulty <= node < n])),
            )
            for members in self.last
        ]
        return (self.base_age, self.chains, tuple(sorted(sets)), entries[:faulty], entries[n:])

    def sorted(self, cast: Cast) -> tuple[Summary, tuple[int, ...]]:
        """The summary with correct nodes in the order of their entries, and which node stands at each place."""
        faulty, n = len(cast.faulty), cast.n
        set_of = {node: members for members in self.last for node in members}

        def order(node: int) -> tuple[Any, list[int], list[Any]]:
            others = [other for other in set_of.get(node, ()) if not faulty <= other < n]
            alike = [self.entries[other] for other in set_of.get(node, ()) if faulty <= other < n]
            return (self.entries[node], others, sorted(alike))

        places = (*range(faulty), *sorted(range(faulty, n), key=order), *range(n, len(cast.names)))
        place_of = {node: place for place, node in enumerate(places)}
        entries = tuple([self.entries[node] for node in places])
        return self._replace(entries=entries, last=moved(self.last, place_of)), places

    def alike(self, cast: Cast) -> list[list[int]]:
        """The correct nodes that may change places without changing the state, in classes."""
        set_of = {node: members for members in self.last for node in members}
        classes: dict[tuple[Any, tuple[int, ...]], list[int]] = {}
        for node in range(len(cast.faulty), cast.n):
            classes.setdefault((self.entries[node], set_of.get(node, ())), []).append(node)
        return list(classes.values())


class Rebuilt(NamedTuple):
    """A state before step `round`, node by node."""

    round: int
    nodes: tuple[NodeState, ...]


def moved(sets: Sets, place: Mapping[int, int]) -> Sets:
    """A partition after nodes changed places, in a normal order."""
    return tuple(sorted([tuple(sorted([place.get(node, node) for node in members])) for members in sets]))


Coarsening: TypeAlias = Callable[[Summary], Summary]
"""Forgets something: makes a key that merges more. For checks of the checks."""
