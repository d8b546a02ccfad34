"""A protocol under a network model: nodes as immutable values, and groups of nodes that talk among themselves.

A *step* t of a model is all that belongs to round t. Between steps nothing is under way but messages that belong to the
next round; they are kept with the node that sent them. Nodes in different sets of a partition do not hear one
another within a phase of a step, so that a phase is computed set by set.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from typing_extensions import override

from diembft.errors import InputError
from diembft.host.outlet import Outlet, carry_out
from diembft.judge import accountability, durability, order, votes
from diembft.judge.certificates import QUORUM_PROGRESS, lacks_quorum
from diembft.machine.effects import Broadcast, CancelTimer, Send, SetTimer
from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.protocols.cast import Cast, cast_of
from diembft.protocols.interface import BLOCKS, NOBODY, PROPOSAL, REQUEST, TIMEOUT, VOTE, Replica, Timeout, UnderTest
from diembft.protocols.states import ALL, NOTHING_SIGNED, Kept, NodeState, Signed
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
        """All nodes after their first event, when validator `leader` leads round 1."""
        self.leaders.clear()
        self.leaders[1] = leader
        states = []
        for node in range(self.nodes):
            replica = self.system.node(node)
            kept, durable = sent_and_kept(self, node, replica.step(Started()), replica, None)
            signed = NOTHING_SIGNED
            for _, message in kept:
                signed, _ = judged(self, node, signed, message)
            states.append(NodeState(replica, kept, durable, signed))
        return tuple(states)

    def recovered(self, node: int, durable: Any) -> Replica:
        """The node's replica as it comes up after a crash, before its first event."""
        return self.system.node(node, self.exploring.recovered(durable))


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
    """Hold what a correct node signs against what it signed before."""
    kind = world.kinds[type(message)]
    if kind == VOTE:
        vote = world.reading.told(message).vote
        assert vote is not None, "because it is a vote"
        round_, content = vote.round, vote.content
        faults = _faults_of_vote(world, node, signed, round_, content)
        return Signed(round_, content, signed.timeout_round, max(signed.parent_round, vote.parent_round)), faults
    if kind == TIMEOUT:
        timeout = world.reading.told(message).timeout
        assert timeout is not None, "because it is a timeout"
        faults = _faults_of_timeout(world, node, signed, timeout)
        return signed._replace(timeout_round=max(signed.timeout_round, timeout.round)), faults
    return signed, []


def _faults_of_vote(world: World, node: int, signed: Signed, round_: int, content: Hashable) -> list[Fault]:
    objection = votes.to_vote(round_, content, signed.vote_round, signed.vote_content, signed.timeout_round)
    if objection is None:
        return []
    forgot = world.crashes and objection is votes.Objection.BELOW
    detail = votes.told(objection, world.name(node), round_, signed.vote_round)
    return [Fault(durability.NAME if forgot else votes.NAME, detail)]


def _faults_of_timeout(world: World, node: int, signed: Signed, timeout: Timeout) -> list[Fault]:
    """What convicts a node convicts no correct one; where nodes crash, it is what they forgot. Of lower rounds than
    that of the last vote only the highest parent is remembered, so that what it forbids is forbidden in all rounds."""
    round_, high_round = timeout.round, timeout.high_round
    objection = votes.to_timeout(round_, high_round, signed.vote_round, signed.parent_round)
    if objection is None:
        return []
    name = world.name(node)
    if objection is votes.Objection.BELOW:
        detail = f"{name} timed out in round {round_}, after it voted in round {signed.vote_round}"
        return [Fault(durability.NAME, detail)] if world.crashes else []
    if not world.crashes and (world.bugs or not world.protocol.accountable):
        return []
    detail = (
        f"{name} timed out in round {round_} with a QC of round {high_round}, "
        f"after it voted for a block on a QC of round {signed.parent_round}"
    )
    return [Fault(durability.NAME if world.crashes else accountability.NAME, detail)]


class Group(Outlet):
    """Nodes of one set in step t: live copies, and the messages among them.

    Deliveries go in layers, a layer in the order that the protocol gives, and of the sender; with `reverse`, what goes
    to the added copies of twins in reversed order. Requests for blocks and their answers do not wait, neither for their
    layers nor for their round, and one that nobody answers is put to the next peer at once, and to the other copies of
    the one who asks: within its set a node finds the blocks that somebody there holds. So who learns of a certificate
    has its block, from whom it learnt of it.
    """

    def __init__(
        self,
        world: World,
        round_: int,
        members: Mapping[int, NodeState],
        collector: int,
        proposers: Mapping[bytes, int],
        *,
        reverse: bool = False,
        withhold: tuple[int, ...] = (),
        lose: tuple[int, ...] = (),
    ) -> None:
        self.world = world
        self.exploring = world.exploring
        self.round = round_
        self.collector = collector
        self.proposers = proposers
        self.reverse = reverse
        self.withhold = withhold
        self.lose = lose
        self.replicas = {node: state.replica.fork() for node, state in members.items()}
        self.durable = {node: state.durable for node, state in members.items()}
        self.signed = {node: state.signed for node, state in members.items()}
        self.last_commit = {node: self.exploring.root(state.replica).id for node, state in members.items()}
        self.kept: dict[int, list[Kept]] = {node: [] for node in members}
        self.layer: list[tuple[tuple[int, ...], int, int, Message]] = []
        self.requests: list[tuple[int, int, Message]] = []
        self.answers: list[tuple[int, int, Message]] = []
        self.tries: dict[Hashable, int] = {}
        self.voted: list[tuple[int, bytes]] = []
        """(node, block) of the votes of correct nodes."""
        self.faults: list[Fault] = []
        self.votes = False
        """Whether a vote was under way here."""
        self.orders = False
        """Whether a layer had several messages for one that may get them in reversed order."""
        self.layers = 0
        """How many were delivered."""
        for node, state in members.items():
            for kept in state.kept:
                self.put(node, kept.to, kept.message)

    def states(self) -> dict[int, NodeState]:
        """The nodes after this."""
        return {
            node: NodeState(replica, tuple(self.kept[node]), self.durable[node], self.signed[node])
            for node, replica in self.replicas.items()
        }

    def put(self, sender: int, to: int, message: Message) -> None:
        """Put a message of this round into the next layer; keep one of the next round; an older one is lost."""
        world = self.world
        round_ = world.round_of(message)
        kind = world.kinds[type(message)]
        if kind == REQUEST:
            self.requests.append((sender, to, message))
            return
        if kind == BLOCKS:
            self.answers.append((sender, to, message))
            return
        if round_ != self.round or kind in self.withhold:
            if round_ >= self.round:
                self.kept[sender].append(Kept(to, message))
            return
        if kind in self.lose:
            return
        if kind == VOTE:
            self.votes = True
            if world.is_correct(sender):
                vote = world.reading.told(message).vote
                assert vote is not None, "because it is a vote"
                assert vote.block is not None, "because replicas under test vote for blocks"
                self.voted.append((sender, vote.block))
        if to == NOBODY:
            to = self.collector
        order = self.exploring.order(message, self.proposers)
        for node, replica in self.replicas.items():
            if node == sender:
                # A vote for oneself took effect already, unless its collector was not known when it was cast.
                if kind != VOTE or world.identity(node) != to or self.exploring.has_own(replica, message):
                    continue
            elif to not in (ALL, world.identity(node)):
                continue
            self.layer.append((order, sender, node, message))

    def _emit(self, sender: int, to: int, message: Message) -> None:
        """A node sends something now."""
        if self.world.is_correct(sender):
            self.signed[sender], faults = judged(self.world, sender, self.signed[sender], message)
            self.faults.extend(faults)
        self.put(sender, to, message)

    def hand_over(self, sender: int, node: int, message: Message) -> Effects:
        """A message reaches a node; what came of it, carried out."""
        return self.step(node, Received(self.world.identity(sender), message))

    def step(self, node: int, event: Event) -> Effects:
        """One event at one node; its effects, carried out."""
        effects: Effects = self.replicas[node].step(event)
        self.carry_out(node, effects)
        return effects

    def carry_out(self, node: int, effects: Effects) -> None:
        """Do what a replica wants done."""
        carry_out(self, node, effects)

    @override
    def persist(self, node: int, effect: Any) -> None:
        if self.world.crashes:
            self.durable[node] = self.exploring.persisted(self.durable[node], effect, self.replicas[node])

    @override
    def send(self, node: int, effect: Send[Message]) -> None:
        self._emit(node, effect.to, effect.message)

    @override
    def broadcast(self, node: int, effect: Broadcast[Message]) -> None:
        self._emit(node, ALL, effect.message)

    @override
    def set_timer(self, node: int, effect: SetTimer) -> None:
        """The model says when timers fire."""

    @override
    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        """The model says when timers fire."""

    @override
    def commit(self, node: int, effect: Any) -> None:
        """A block is delivered: once, and after its parent."""
        if not self.world.is_correct(node):
            return
        block = effect.block
        link = self.world.reading.link(block)
        if not order.follows(link.parent, link.parent_round, self.last_commit[node]):
            detail = f"{self.world.name(node)} delivered the block of round {block.round} twice or without its parent"
            self.faults.append(Fault(order.NAME, detail))
        self.last_commit[node] = block.id

    def deliver(self) -> None:
        """Deliver layer by layer until nothing is under way."""
        self.fetch()
        while self.layer:
            layer, self.layer = self.layer, []
            self.layers += 1
            layer.sort(key=_layer_order)
            n = self.world.n
            copies = [entry for entry in layer if entry[2] >= n]
            if len(copies) > 1:
                self.orders = True
                if self.reverse:
                    layer = [entry for entry in layer if entry[2] < n] + copies[::-1]
            for _, sender, node, message in layer:
                self.hand_over(sender, node, message)
                if self.requests:
                    self.fetch()

    def fetch(self) -> None:
        """Put requests for blocks and hand over the answers; who gets none asks the next peer at once, until it has
        asked all once in vain."""
        identity = self.world.identity
        while self.requests:
            sender, to, request = self.requests.pop(0)
            for node in self.replicas:
                if node != sender and identity(node) in (to, identity(sender)):
                    self.hand_over(sender, node, request)
            answers, self.answers = self.answers, []
            for responder, receiver, answer in answers:
                for node in self.replicas:
                    if identity(node) == receiver and node != responder:
                        self.hand_over(responder, node, answer)
            progress = (sender, self.exploring.progress(self.replicas[sender]))
            self.tries[progress] = self.tries.get(progress, 0) + 1
            if not answers and self.tries[progress] < self.world.n:
                self.step(sender, TimerFired(Timer.FETCH, self.round))

    def fire_round_timers(self) -> None:
        """Every node that is still in this round times out."""
        for node, replica in self.replicas.items():
            if replica.current_round == self.round:
                self.step(node, TimerFired(Timer.ROUND, self.round))

    def crash(self) -> None:
        """Every node here crashes and comes up again: what it had sent is sent, what was not durable is lost."""
        for node in self.replicas:
            self.replicas[node] = self.world.recovered(node, self.durable[node])
            self.step(node, Started())

    def check_certificates(self) -> None:
        """No node holds a certificate with fewer distinct signers than a quorum."""
        quorum = self.world.quorum
        for node, replica in self.replicas.items():
            for certificate in self.exploring.certificates(replica):
                told = self.world.reading.certificate(certificate)
                round_, signers = told.round, told.signers
                if lacks_quorum(round_, signers, quorum):
                    distinct = len(frozenset(signers))
                    detail = (
                        f"{self.world.name(node)} holds a {type(certificate).__name__} of round {round_} "
                        f"with {distinct} distinct signers, fewer than {quorum}"
                    )
                    self.faults.append(Fault(QUORUM_PROGRESS, detail))


def _layer_order(entry: tuple[tuple[int, ...], int, int, Message]) -> tuple[tuple[int, ...], int, int]:
    return entry[:3]
