"""Groups of nodes that talk among themselves, in one phase of a step of a network model."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from typing_extensions import override

from diembft.host.outlet import Outlet, carry_out
from diembft.judge import order
from diembft.judge.certificates import QUORUM_PROGRESS, lacks_quorum
from diembft.machine.effects import Broadcast, CancelTimer, Send, SetTimer
from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.protocols.interface import BLOCKS, NOBODY, REQUEST, VOTE
from diembft.protocols.states import ALL, Kept, NodeState
from diembft.twins.runs.steps import StepFailed, fork, most_steps
from diembft.twins.runs.steps import step as step_of
from diembft.twins.runs.world import Effects, Event, Fault, Message, World, judged


class Group(Outlet):
    """Nodes of one set in step t: live copies, and the messages among them.

    Deliveries go in layers, a layer in the order that the protocol gives, and of the sender; with `reverse`, what goes
    to the added copies of twins in reversed order. Requests for blocks and their answers do not wait, neither for their
    layers nor for their round, and one that nobody answers is put to the next peer at once, and to the other copies of
    the one who asks: within its set a node finds the blocks that somebody there holds. So who learns of a certificate
    has its block, from whom it learnt of it.

    If a node fails (`steps`), or what is under way among the nodes does not end, then the group is `over`: nothing else
    is delivered, and its nodes are as they were before, but for what waited, so that whoever looks at them does not
    meet a replica that stopped midway.
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
        self.members = members
        self.replicas: dict[int, Any] = {}
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
        self.over = False
        """Whether a node failed."""
        self.left = most_steps(len(members), round_)
        """How many steps its nodes may yet make."""
        self._begin()

    def _begin(self) -> None:
        """Copy the nodes, and put under way what waited."""
        for node, state in self.members.items():
            try:
                self.replicas[node] = fork(state.replica)
            except StepFailed as failure:
                self.fail(node, failure)
                return
        for node, state in self.members.items():
            for kept in state.kept:
                self.put(node, kept.to, kept.message)

    def states(self) -> dict[int, NodeState]:
        """The nodes after this."""
        if self.over:
            return {node: _as_before(state) for node, state in self.members.items()}
        return {
            node: NodeState(replica, tuple(self.kept[node]), self.durable[node], self.signed[node])
            for node, replica in self.replicas.items()
        }

    def put(self, sender: int, to: int, message: Message) -> None:
        """Put a message of this round into the next layer; keep one of the next round; an older one is lost."""
        if self.over:
            return
        world = self.world
        round_ = world.round_of(message)
        kind = world.kinds[type(message)]
        if kind == REQUEST:
            self.requests.append((sender, to, message))
            if len(self.requests) > self.left:
                self.fail(sender, self._endless())
            return
        if kind == BLOCKS:
            self.answers.append((sender, to, message))
            if len(self.answers) > self.left:
                self.fail(sender, self._endless())
            return
        if round_ != self.round or kind in self.withhold:
            if round_ >= self.round:
                self.kept[sender].append(Kept(to, message))
                if len(self.kept[sender]) > self.left:
                    self.fail(sender, self._endless())
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
        if len(self.layer) > self.left:
            self.fail(sender, self._endless())

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
        if self.over:
            return ()
        self.left -= 1
        try:
            if self.left < 0:
                raise self._endless()
            effects = step_of(self.replicas[node], event)
        except StepFailed as failure:
            self.fail(node, failure)
            return ()
        self.carry_out(node, effects)
        return effects

    def _endless(self) -> StepFailed:
        most = most_steps(len(self.members), self.round)
        return StepFailed(f"messages do not end: a phase of round {self.round} takes more than {most:,} steps")

    def fail(self, node: int, failure: StepFailed) -> None:
        """A node did not do what it was asked: nothing follows."""
        failure.node = node
        self.over = True
        self.faults.append(self.world.fault(failure))
        self.layer.clear()
        self.requests.clear()
        self.answers.clear()

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
                if self.over:
                    return

    def fetch(self) -> None:
        """Put requests for blocks and hand over the answers; who gets none asks the next peer at once, until it has
        asked all once in vain."""
        identity = self.world.identity
        while self.requests:
            sender, to, request = self.requests.pop(0)
            for node in self.replicas:
                if not self.over and node != sender and identity(node) in (to, identity(sender)):
                    self.hand_over(sender, node, request)
            answers, self.answers = self.answers, []
            for responder, receiver, answer in answers:
                for node in self.replicas:
                    if not self.over and identity(node) == receiver and node != responder:
                        self.hand_over(responder, node, answer)
            if self.over:
                return
            progress = (sender, self.exploring.progress(self.replicas[sender]))
            self.tries[progress] = self.tries.get(progress, 0) + 1
            if not answers and self.tries[progress] < self.world.n:
                self.step(sender, TimerFired(Timer.FETCH, self.round))

    def fire_round_timers(self) -> None:
        """Every node that is still in this round times out."""
        for node, replica in self.replicas.items():
            if not self.over and replica.current_round == self.round:
                self.step(node, TimerFired(Timer.ROUND, self.round))

    def crash(self) -> None:
        """Every node here crashes and comes up again: what it had sent is sent, what was not durable is lost."""
        for node in self.replicas:
            if self.over:
                return
            self.signed[node] = self.signed[node].restarted()
            try:
                self.replicas[node] = self.world.recovered(node, self.durable[node])
            except StepFailed as failure:
                self.fail(node, failure)
                return
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


def _as_before(state: NodeState) -> NodeState:
    """A node before a phase that was not finished; replicas are not shared where they may be settled."""
    try:
        return state._replace(replica=fork(state.replica), kept=())
    except StepFailed:
        return state._replace(kept=())


def _layer_order(entry: tuple[tuple[int, ...], int, int, Message]) -> tuple[tuple[int, ...], int, int]:
    return entry[:3]
