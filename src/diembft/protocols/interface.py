"""What a protocol supplies to be tested: docs/protocols.md takes you through it with an example.

A replica is a deterministic state machine without I/O: `step(event)` returns effects, both in the vocabulary of
`diembft.machine`. The tester runs several copies of one replica (twins), decides who leads and which messages pass,
and judges what was sent and committed. For that it asks the protocol by what stands here:

- `UnderTest`: the name, the facts about its commit rule, and a `System` for a cast of nodes;
- `System`: makes the nodes, which read who leads from the one table that all share;
- `Replica`: `step`, `fork`, and the round that it is in;
- `Reading`: what messages, blocks and certificates tell. Oracles know them by this alone.

What is optional has a default, `None` or a plain one, in the class here; inherit from it. `Exploring`, with its
`StateKeys`, and `Showing` are optional.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self

from msgspec import Struct

from diembft.crypto.interface import CRYPTO as CRYPTO
from diembft.crypto.interface import Crypto as Crypto  # re-exported: a tester knows schemes by their names alone
from diembft.protocols.cast import Cast
from diembft.protocols.state_keys import StateKeys
from diembft.trace.records import Record
from diembft.trace.values import Certificate as Certificate  # re-exported, like the next two: what a `Reading` tells
from diembft.trace.values import Message
from diembft.trace.values import Timeout as Timeout
from diembft.trace.values import Vote as Vote

# --- messages and rounds

PROPOSAL, VOTE, TIMEOUT, ANSWER, REQUEST, LATE_REQUEST, BLOCKS = range(7)
"""Kinds of messages, which may pass by different rules of a round.

TIMEOUT: what gives a round up. ANSWER: what tells a peer that is behind. REQUEST asks for blocks, BLOCKS brings them.
LATE_REQUEST is a REQUEST of one who has given its round up: the executor tells them apart, no protocol does.
"""

NOBODY = -1
"""As a leader: nobody that is known yet."""

AFTER_THE_LAST = 0
"""In the table of leaders: who leads the rounds that are not in it."""


class Leaders(dict[int, int]):
    """Who leads which round: one table for all nodes of a system, which the tester fills.

    A replica asks `leader` each time it wants to know, and remembers no answer from one step to the next.
    """

    __slots__ = ("noted",)

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[int, int]] | None = None
        """Where questions and answers are noted, if anywhere."""

    def leader(self, round_: int) -> int:
        """Who leads a round; NOBODY if that is not known yet."""
        leader = self.of(round_)
        if self.noted is not None:
            self.noted.append((round_, leader))
        return leader

    def of(self, round_: int) -> int:
        """The same, for the tester: nothing is noted."""
        leader = self.get(round_)
        return self.get(AFTER_THE_LAST, NOBODY) if leader is None else leader


# --- what is told


class OwnBlock(Protocol):
    """A protocol's own block, whatever else is in it."""

    @property
    def id(self) -> bytes:
        """Names it: different blocks have different ids."""
        ...

    @property
    def round(self) -> int:
        """The round that it was proposed in; genesis has 0."""
        ...


class Link(NamedTuple):
    """A block as a link of a chain."""

    parent: bytes
    """The id of its parent."""
    round: int
    author: int
    """The replica that proposed it."""
    parent_round: int
    certificate: Any = None
    """The parent's, if it is in the block."""


class Told(Struct, frozen=True, gc=False):
    """What one message tells."""

    vote: Vote | None = None
    timeout: Timeout | None = None
    blocks: tuple[Any, ...] = ()
    """The blocks in it; the certificates in these are found by themselves."""
    qcs: tuple[Any, ...] = ()
    """Certificates of blocks."""
    tcs: tuple[Any, ...] = ()
    """Certificates that a round was given up."""


class Reading(Protocol):
    """How oracles read what replicas send and commit. Messages, blocks and certificates are hashable values."""

    def told(self, message: Any) -> Told:
        """What a message tells."""
        ...

    def link(self, block: Any) -> Link:
        """How a block hangs on its parent."""
        ...

    def certificate(self, certificate: Any) -> Certificate:
        """What a certificate says. `round`, `block` and `signers` are needed; the rest is for traces and pages."""
        ...

    def requests(self, block: Any) -> Sequence[tuple[str, int, Any]]:
        """What a committed block executes: who asked for it, under which number, and the request itself.

        In a test that is the marker of the node that proposed it, named by the node's name and the round.
        """
        ...


# --- nodes


class Replica(Protocol):
    """One node."""

    @property
    def current_round(self) -> int:
        """The round that it is in; it never goes down."""
        ...

    def step(self, event: Any) -> Sequence[Any]:
        """Handle one event of `diembft.machine.events`; the effects that the tester carries out, in their order.

        No clock, no randomness, no order of a set: the same events lead to the same effects. What it sends to itself
        has taken effect in the step already: it hears nothing of its own.
        """
        ...

    def fork(self) -> Self:
        """An independent copy: no step of the one is seen by the other. Immutable values are best shared.

        Scenarios that begin alike are executed once, up to where they part, and on from there in forks.
        """
        ...


class NodeStorage(Protocol):
    """What survives a crash of one node."""

    def persist(self, effect: Any) -> None:
        """Make durable what a `Persist` says: all of it, or nothing."""
        ...

    def recover(self) -> Any:
        """What a restarted node is made from (`System.node`); None if nothing was ever written."""
        ...


class System(Protocol):
    """The nodes of one cast."""

    cast: Cast
    leaders: Leaders
    """Who leads; the tester fills it before nodes are made, and changes it between steps."""
    delay_bound_s: float
    """How long a message takes at most. A round timer of five times that has room for a round."""

    def node(self, node: int, recovered: Any = None) -> Replica:
        """A new copy of the replica `cast.identity[node]`, before its first event; after a crash with what its
        NodeStorage recovered.

        It has always something to propose: a marker named by `cast.names[node]` and the round.
        """
        ...

    def storage(self) -> NodeStorage | None:
        """A new storage; None if nodes of this protocol keep nothing, and cannot crash."""
        return None

    def signed(self, request: Any) -> bool:
        """Whether the client of a request (see `Reading.requests`) signed it."""
        return True


# --- exhaustion (optional)


class Exploring(Protocol):
    """For deciding a whole space of scenarios (`twins.exhaustion`)."""

    def system(self, cast: Cast, bugs: tuple[str, ...]) -> System:
        """The nodes of a cast whose faulty replicas come first, without limits that a long run could meet."""
        ...

    def keys(self, system: Any, bugs: tuple[str, ...], *, crashes: bool) -> StateKeys:
        """For one exploration; `crashes`: correct nodes may crash, so that what is durable matters."""
        ...

    def order(self, message: Any, proposers: Mapping[bytes, int]) -> tuple[int, ...]:
        """Where a message stands among those that arrive at the same time, from its content alone, whoever sent it.

        Ties are broken by the sender; only messages of equal content may tie, so that renaming correct replicas changes
        nothing but names. `proposers` says which node proposed a block: copies of a leader propose different ones.
        """
        ...

    def root(self, replica: Any) -> OwnBlock:
        """The last block that it committed; genesis, of round 0, if there is none."""
        ...

    def has_committed(self, replica: Any, block: bytes) -> bool:
        """Whether it committed a block of this id."""
        ...

    def certificates(self, replica: Any) -> Sequence[Any]:
        """The certificates that it would pass on."""
        ...

    def has_own(self, replica: Any, vote: Any) -> bool:
        """Whether it has counted this vote of its own, cast when nobody was known to collect it."""
        return False

    def progress(self, replica: Any) -> Hashable:
        """What changes when it receives a block that it asked for."""
        return None

    def persisted(self, durable: Any, effect: Any, replica: Any) -> Any:
        """What is durable after a Persist, as a value; before the first one it is None."""
        return None

    def recovered(self, durable: Any) -> Any:
        """What `System.node` takes after a crash."""
        return None

    crashes: bool = False
    """Whether nodes keep what is durable."""


# --- traces (optional)


class Showing(Protocol):
    """How a trace shows a protocol: in the neutral terms of `diembft.trace`, with its own values as `detail`."""

    def header(self, system: Any) -> dict[str, Any]:
        """What the protocol has to say in the header: its `detail`."""
        ...

    def message(self, message: Any, sender: int) -> Message:
        """A message of this replica."""
        ...

    def certificate(self, certificate: Any) -> Certificate:
        """A certificate."""
        ...

    def refusals(self, effects: Sequence[Any]) -> tuple[str | None, str | None]:
        """Why a message was refused, or ignored, if it was, by the effects of its step."""
        ...

    def effect(self, at: float, node: str, effect: Any) -> Record | None:
        """The record of an effect, if there is one; sending and timers are recorded without being asked for."""
        ...

    def state(self, node: str, replica: Any) -> tuple[Any, ...]:
        """A node's state: the fields of `records.State` from `current_round` on."""
        ...


# --- the protocol


class UnderTest(Protocol):
    """A protocol under test.

    >>> from diembft import Protocol, assert_safe
    >>> from diembft.protocols.by_name import protocol_of
    >>> protocol: Protocol = protocol_of("fast-hotstuff")
    >>> assert_safe(protocol, rounds=2).ending.name
    'DEPTH'
    """

    name: str
    """How scenarios and commands name it: `module:attribute`, where it is imported from."""

    reading: Reading

    kinds: Mapping[type, int]
    """Of each type of message: PROPOSAL, VOTE, TIMEOUT, ANSWER, REQUEST or BLOCKS."""

    chain: int
    """How many blocks of consecutive rounds, each certified by the next, commit the first one when the last is
    certified: 2 in DiemBFT, 3 in HotStuff."""

    commit_bounds: int | None = None
    """In how many delay bounds after the first correct replica entered its round a block of a correct leader must be
    committed by all, once the network is whole; None: 7, and two more for each block that `chain` is longer than 2."""

    timed_rounds: bool = False
    """Whether a round just takes its time, so that replicas leave it though no set of nodes held a quorum."""

    accountable: bool = False
    """Whether two votes in a round, or a vote for a block on a parent of round p and a later timeout that knows nothing
    as high as p, are what a violation of agreement can be pinned on."""

    bugs: Mapping[str, str] = {}
    """Planted bugs: what each breaks, in one sentence, by name."""

    exploring: Exploring | None = None
    """Without it scenarios are sampled, not exhausted, and only the network model `timed` is there."""

    showing: Showing | None = None
    """Without it traces show what `reading` tells (`protocols.default_showing`), without detail."""

    def round_of(self, message: Any) -> int:
        """The round that a message belongs to: that of its proposal, vote or timeout; the sender's if it asks for
        blocks; of an answer, that of what it answers."""
        ...

    def system(
        self,
        cast: Cast,
        bugs: tuple[str, ...] = (),
        *,
        delay_bound_s: float = 1.0,
        crypto: Crypto = "symbolic",
        seed: int | float = 0,
    ) -> System:
        """The nodes of a cast, with these bugs in all of them. Raises InputError for what this protocol has not."""
        ...
