"""A protocol under a network model: its nodes as immutable values, and what their observer holds against them.

A *step* t of a model is all that belongs to round t. Between steps nothing is under way but messages that belong to the
next round; they are kept with the node that sent them. Nodes in different sets of a partition do not hear one
another within a phase of a step, so that a phase is computed set by set (`group`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from typing_extensions import override

from diembft.errors import InputError
from diembft.host.outlet import Outlet, carry_out
from diembft.judge import crash, durability, votes
from diembft.machine.effects import Broadcast, CancelTimer, Send, SetTimer
from diembft.machine.events import Started
from diembft.protocols.cast import Cast, cast_of
from diembft.protocols.interface import PROPOSAL, TIMEOUT, VOTE, Replica, UnderTest
from diembft.protocols.states import ALL, NOTHING_SIGNED, Kept, NodeState, Signed, TimeoutSigned, VoteSigned
from diembft.twins.runs.steps import StepFailed, guarded, step
from diembft.twins.scenarios.scenario import replica_names

Message: TypeAlias = Any
"""Of the protocol."""

Event: TypeAlias = Any
Effects: TypeAlias = Sequence[Any]


class Fault(NamedTuple):
    """Something that an oracle objects to."""

    oracle: str
    detail: str


class World:
    """The nodes of one system, whose faulty replicas come first (see `protocols.states`), each with one twin.

    `crashes`: whether correct nodes may crash, so that what is durable matters. Raises InputError for what the protocol
    has not.
    """

    def __init__(self, protocol: UnderTest, cast: Cast, bugs: tuple[str, ...] = (), *, crashes: bool = False) -> None:
        exploring = protocol.exploring
        if exploring is None:
            raise InputError(f"protocol: {protocol.name} has no canonical key, and can be sampled only")
        if crashes and not exploring.crashes:
            raise InputError(f"crash: nodes of protocol {protocol.name} keep nothing that they could restart from")
        self.protocol = protocol
        self.exploring = exploring
        self.kinds = protocol.kinds
        self.round_of = protocol.round_of
        self.reading = protocol.reading
        self.cast = cast
        self.bugs = bugs
        self.crashes = crashes
        self.system = exploring.system(cast, bugs)
        self.leaders = self.system.leaders
        """Who leads which round, in the step under way: shared by all nodes."""
        self.n = cast.n
        self.faulty = len(cast.faulty)
        self.nodes = len(cast.names)
        self.quorum = cast.quorum
        self.names = cast.names
        self._node_of = {name: node for node, name in enumerate(cast.names)}

    def identity(self, node: int) -> int:
        """The validator whose key a node holds."""
        return node if node < self.n else node - self.n

    def is_correct(self, node: int) -> bool:
        """Whether a node has no twin and is none."""
        return self.faulty <= node < self.n

    def name(self, node: int) -> str:
        """The node's name in scenarios."""
        return self.names[node]

    def proposed(self, message: Message) -> Iterable[tuple[bytes, int]]:
        """The blocks in a proposal, each with the node that made it, whom its marker names."""
        if self.kinds[type(message)] == PROPOSAL:
            for block in self.reading.told(message).blocks:
                marker, _, _ = self.reading.requests(block)[0]
                yield block.id, self._node_of[marker]

    def is_quorum(self, nodes: Iterable[int]) -> bool:
        """Whether these nodes hold a quorum of distinct keys."""
        return len({self.identity(node) for node in nodes}) >= self.quorum

    def start(self, leader: int) -> tuple[NodeState, ...]:
        """All nodes after their first event, when validator `leader` leads round 1. Raises StepFailed."""
        self.leaders.clear()
        self.leaders[1] = leader
        states = []
        for node in range(self.nodes):
            replica, effects = self.started(node)
            kept, durable = sent_and_kept(self, node, effects, replica, None)
            signed = NOTHING_SIGNED
            for _, message in kept:
                signed, _ = judged(self, node, signed, message)
            states.append(NodeState(replica, kept, durable, signed))
        return tuple(states)

    def started(self, node: int) -> tuple[Replica, Effects]:
        """A new replica after its first event, and the effects of that. Raises StepFailed, with the node."""
        try:
            replica = guarded("its making", self.system.node, node)
            return replica, step(replica, Started())
        except StepFailed as failure:
            failure.node = node
            raise

    def recovered(self, node: int, durable: Any) -> Replica:
        """The node's replica as it comes up after a crash, before its first event. Raises StepFailed."""
        return guarded("a restart", self._recovered, (node, durable))

    def _recovered(self, node_and_durable: tuple[int, Any]) -> Replica:
        node, durable = node_and_durable
        return self.system.node(node, self.exploring.recovered(durable))

    def fault(self, failure: StepFailed) -> Fault:
        """What the oracle says of a step that failed."""
        return Fault(crash.NAME, crash.told(self.name(failure.node), failure.what))


def world_of(protocol: UnderTest, n: int, faulty: int, bugs: tuple[str, ...], *, crashes: bool = False) -> World:
    """The world of `n` replicas with the names of generated scenarios, of which the first `faulty` have a twin."""
    replicas = replica_names(n)
    twins = tuple([f"{replica}'" for replica in replicas[:faulty]])
    return World(protocol, cast_of(replicas, twins), bugs, crashes=crashes)


class _First(Outlet):
    """Collects what a replica sends by the effects of its first event, and what is durable then. Nothing passes before
    the first step of the model, and timers are the model's."""

    def __init__(self, world: World, replica: Replica, durable: Any) -> None:
        self._world = world
        self._replica = replica
        self.kept: list[Kept] = []
        self.durable = durable

    @override
    def persist(self, node: int, effect: Any) -> None:
        if self._world.crashes:
            self.durable = self._world.exploring.persisted(self.durable, effect, self._replica)

    @override
    def commit(self, node: int, effect: Any) -> None:
        pass

    @override
    def send(self, node: int, effect: Send[Message]) -> None:
        self.kept.append(Kept(effect.to, effect.message))

    @override
    def broadcast(self, node: int, effect: Broadcast[Message]) -> None:
        self.kept.append(Kept(ALL, effect.message))

    @override
    def set_timer(self, node: int, effect: SetTimer) -> None:
        pass

    @override
    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        pass


def sent_and_kept(
    world: World, node: int, effects: Effects, replica: Replica, durable: Any
) -> tuple[tuple[Kept, ...], Any]:
    """What a replica sends by the effects of its first event, and what is durable then."""
    first = _First(world, replica, durable)
    carry_out(first, node, effects)
    return tuple(first.kept), first.durable


def judged(world: World, node: int, signed: Signed, message: Message) -> tuple[Signed, list[Fault]]:
    """Hold what a correct node signs against what it signed before. What was signed before changes nothing."""
    kind = world.kinds[type(message)]
    if kind == VOTE:
        told = world.reading.told(message).vote
        assert told is not None, "because it is a vote"
        vote = VoteSigned(told.round, told.content, told.parent_round, told.phase)
        faults = _faults_of_vote(world, node, signed, vote)
        if vote in signed.votes:
            return signed, faults
        return Signed((*signed.votes, vote), signed.timeouts, signed.restarted_at), faults
    if kind == TIMEOUT:
        given_up = world.reading.told(message).timeout
        assert given_up is not None, "because it is a timeout"
        timeout = TimeoutSigned(given_up.round, given_up.high_round)
        if timeout in signed.timeouts:
            return signed, []
        faults = _faults_of_timeout(world, node, signed, timeout)
        return Signed(signed.votes, (*signed.timeouts, timeout), signed.restarted_at), faults
    return signed, []


def _faults_of_vote(world: World, node: int, signed: Signed, vote: VoteSigned) -> list[Fault]:
    round_, faults = vote.round, []
    first, given_up = None, False
    for earlier in signed.votes:
        if earlier.round == round_ and earlier.phase == vote.phase:
            first = earlier
            break
    for timeout in signed.timeouts:
        given_up = given_up or timeout.round == round_
    objection = votes.once(vote, first, given_up=given_up)
    if objection is not None:
        faults.append(Fault(votes.NAME, votes.told(objection, world.name(node), round_)))
    if world.crashes:
        before, given_up_before = signed.votes_before, signed.timeouts_before
        forgotten = durability.forgotten_by_vote(world.name(node), vote, before, given_up_before)
        if forgotten is not None:
            faults.append(Fault(durability.NAME, forgotten[0]))
    return faults


def _faults_of_timeout(world: World, node: int, signed: Signed, timeout: TimeoutSigned) -> list[Fault]:
    if not world.crashes:
        return []
    before, given_up_before = signed.votes_before, signed.timeouts_before
    forgotten = durability.forgotten_by_timeout(world.name(node), timeout, before, given_up_before)
    return [] if forgotten is None else [Fault(durability.NAME, forgotten[0])]
