"""The real core under a network model: nodes as immutable values, and groups of nodes that talk among themselves.

A *step* t of a model is all that belongs to round t. Between steps nothing is under way but messages that belong to the
next round; they are kept with the node that sent them. Nodes in different sets of a partition do not hear one
another within a phase of a step, so that a phase is computed set by set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.effects import Broadcast, Commit, Effect, Persist, SafetyRecord, Send
from diembft.consensus.events import Event, Received, Started, Timer, TimerFired
from diembft.consensus.kit import Kit
from diembft.consensus.replica import Recovered, Replica
from diembft.consensus.verification import Verifier
from diembft.crypto.symbolic import SymbolicKeyRing, replica_signer
from diembft.faults.planting import NO_BUGS, Planting
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
    round_of,
)
from diembft.protocols.interface import Leaders
from diembft.twins.parts import NOBODY, MarkerMachine, MarkerPayload, ScriptedLeaders

CHAIN_ID = "twins"

ALL = -2
"""As a receiver: all other nodes. (NOBODY as a receiver: the leader of the next round, not chosen yet.)"""

UNBOUNDED = 1 << 15
"""For limits of the core that no model shall meet."""


class Held(NamedTuple):
    """A message that waits: for whom (a validator, ALL, or NOBODY)."""

    to: int
    message: Message


class Durable(NamedTuple):
    """What a node has persisted."""

    record: SafetyRecord | None
    blocks: tuple[Block, ...]
    committed: tuple[bytes, ...]
    state_id: bytes


NOTHING_DURABLE = Durable(None, (), (), b"")


class Signed(NamedTuple):
    """What a correct node signed that binds it for ever, as an observer remembers it."""

    vote_round: int
    vote_id: bytes
    timeout_round: int
    parent_round: int
    """The highest round of a parent of a block that it voted for: it must not time out with an older QC."""


NOTHING_SIGNED = Signed(0, b"", 0, 0)


class NodeState(NamedTuple):
    """A node between two steps. The replica must not be stepped, only forked."""

    replica: Replica
    held: tuple[Held, ...]
    durable: Durable
    signed: Signed


class Fault(NamedTuple):
    """Something that an oracle objects to."""

    oracle: str
    detail: str


@dataclass(frozen=True)
class World:
    """The nodes of one system: `n` validators, of which the first `faulty` have a twin.

    Nodes 0 to n - 1 are the validators, nodes n, n + 1 ... the twins of validators 0, 1 ... `crashes`: whether correct
    nodes may crash, so that what is durable matters.
    """

    n: int
    faulty: int
    planting: Planting = NO_BUGS
    crashes: bool = False
    leaders: Leaders = field(default_factory=Leaders, compare=False)
    """Who leads which round, in the step under way: shared by all nodes."""
    _verifiers: list[Verifier] = field(default_factory=list, compare=False)

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return self.n + self.faulty

    @cached_property
    def commits_otherwise(self) -> bool:
        """Whether a planted bug changes what a certificate commits."""
        mixed = self.planting.mixed
        return (
            mixed(Verifier).commit_rule is not Verifier.commit_rule
            or mixed(BlockTree).committed_by is not BlockTree.committed_by
        )

    @property
    def quorum(self) -> int:
        """n - f, written again on purpose: this is what oracles hold certificates against."""
        return self.n - (self.n - 1) // 3

    def identity(self, node: int) -> int:
        """The validator whose key a node holds."""
        return node if node < self.n else node - self.n

    def is_correct(self, node: int) -> bool:
        """Whether a node has no twin and is none."""
        return self.faulty <= node < self.n

    def name(self, node: int) -> str:
        """The node's name in scenarios."""
        return chr(ord("a") + self.identity(node)) + ("'" if node >= self.n else "")

    def copy_of(self, block: Block) -> int:
        """The node that made a block: its marker names it."""
        marker = block.payload[0].client
        return block.author if marker == self.name(block.author) else self.n + block.author

    def is_quorum(self, nodes: Iterable[int]) -> bool:
        """Whether these nodes hold a quorum of distinct keys."""
        return len({self.identity(node) for node in nodes}) >= self.quorum

    def start(self, leader: int) -> tuple[NodeState, ...]:
        """All nodes after their first event, when validator `leader` leads round 1."""
        self.leaders.clear()
        self.leaders[1] = leader
        states = []
        for node in range(self.nodes):
            replica = self.replica(node, None)
            held, durable = sent_and_kept(replica.step(Started()), replica, NOTHING_DURABLE)
            signed = NOTHING_SIGNED
            for _, message in held:
                signed, _ = judged(self, node, signed, message)
            states.append(NodeState(replica, held, durable, signed))
        return tuple(states)

    def replica(self, node: int, recovered: Recovered | None) -> Replica:
        """A replica of this system, new or recovered."""
        kit = self.planting.kit
        identity = self.identity(node)
        replica = self.planting.replica(
            _config(self.n),
            identity,
            replica_signer(identity),
            SymbolicKeyRing(self.n),
            MarkerMachine(),
            Kit(
                quorums=kit.quorums,
                verifier=kit.verifier,
                safety=kit.safety,
                block_tree=kit.block_tree,
                pacemaker=kit.pacemaker,
                leader_election=self._leaders,
                mempool=self._payload(node),
            ),
            recovered,
        )
        # One verifier for all: what it remembers never changes an answer.
        if not self._verifiers:
            self._verifiers.append(replica.verifier)
        replica.verifier = self._verifiers[0]
        return replica

    def _leaders(self, config: Config) -> ScriptedLeaders:
        return self.planting.mixed(ScriptedLeaders)(config, self.leaders)

    def _payload(self, node: int) -> Callable[[Config], MarkerPayload]:
        return lambda config: MarkerPayload(config, self.name(node))

    def recovered(self, node: int, durable: Durable) -> Replica:
        """The node's replica as it comes up after a crash, before its first event."""
        committed = set(durable.committed)
        recovered = Recovered(
            durable.record,
            tuple([block for block in durable.blocks if block.id in committed]),
            len(durable.committed),
            durable.state_id,
            None,
            tuple([block for block in durable.blocks if block.id not in committed]),
        )
        return self.replica(node, recovered)


def _config(n: int) -> Config:
    return Config(
        n=n,
        chain_id=CHAIN_ID,
        rest=False,
        timer_growth=1.0,
        max_rounds_ahead=UNBOUNDED,
        max_pending_blocks=UNBOUNDED,
        sync_batch=UNBOUNDED,
    )


def sent_and_kept(effects: list[Effect], replica: Replica, durable: Durable) -> tuple[tuple[Held, ...], Durable]:
    """What a replica sends by the effects of its first event, and what is durable then."""
    held: list[Held] = []
    for effect in effects:
        if isinstance(effect, Send):
            held.append(Held(effect.to, effect.message))
        elif isinstance(effect, Broadcast):
            held.append(Held(ALL, effect.message))
        elif isinstance(effect, Persist):
            durable = persisted(durable, effect, replica)
    return tuple(held), durable


def persisted(durable: Durable, effect: Persist, replica: Replica) -> Durable:
    """What is durable after a Persist."""
    state_id = replica.tree.root.state_id if effect.committed else durable.state_id
    return Durable(effect.record, durable.blocks + effect.blocks, durable.committed + effect.committed, state_id)


def judged(world: World, node: int, signed: Signed, message: Message) -> tuple[Signed, list[Fault]]:
    """Hold what a correct node signs against what it signed before."""
    name = world.name(node)
    faults: list[Fault] = []
    if isinstance(message, VoteMsg):
        info = message.vote_info
        if signed.vote_round == info.round and signed.vote_id != info.id:
            faults.append(Fault("honest_vote_once", f"{name} voted twice in round {info.round}"))
        elif signed.vote_round > info.round:
            oracle = "durability" if world.crashes else "honest_vote_once"
            faults.append(Fault(oracle, f"{name} voted in round {info.round} after round {signed.vote_round}"))
        if signed.timeout_round >= info.round:
            faults.append(Fault("honest_vote_once", f"{name} voted in round {info.round} after its timeout of it"))
        signed = Signed(info.round, info.id, signed.timeout_round, max(signed.parent_round, info.parent_round))
    elif isinstance(message, TimeoutMsg):
        tmo = message.tmo_info
        if tmo.high_qc.vote_info.round < signed.parent_round:
            oracle = "durability" if world.crashes else "accountability"
            detail = (
                f"{name} timed out in round {tmo.round} with a QC of round {tmo.high_qc.vote_info.round}, "
                f"after it voted for a block on a QC of round {signed.parent_round}"
            )
            faults.append(Fault(oracle, detail))
        signed = signed._replace(timeout_round=max(signed.timeout_round, tmo.round))
    return signed, faults


_KIND_ORDER: Mapping[type, int] = {ProposalMsg: 0, VoteMsg: 1, TimeoutMsg: 2, SyncInfo: 3}


def content_order(message: Message, proposers: Mapping[bytes, int]) -> tuple[int, ...]:
    """Where a message stands in its layer, from its content alone, whoever sent it.

    Ties are broken by the sender; only messages of equal content tie, so that renaming correct validators changes
    nothing but names. `proposers` says which node proposed a block: the two copies of a leader propose different ones.
    """
    kind = _KIND_ORDER[type(message)]
    match message:
        case VoteMsg():
            info = message.vote_info
            return (kind, info.round, proposers.get(info.id, -1), _qc(message.high_commit_qc))
        case TimeoutMsg():
            high_qc = _qc(message.tmo_info.high_qc)
            tc = message.last_round_tc
            return (kind, message.tmo_info.round, -high_qc, _qc(message.high_commit_qc), _tc(tc))
        case SyncInfo():
            return (kind, message.round, -_qc(message.high_qc), _qc(message.high_commit_qc), _tc(message.last_round_tc))
        case _:
            return (kind, round_of(message))


def _qc(qc: QC) -> int:
    return qc.vote_info.round


def _tc(tc: TC | None) -> int:
    return -1 if tc is None else max(tc.tmo_high_qc_rounds)


class Group:
    """Nodes of one set in step t: live copies, and the messages among them.

    Deliveries go in layers, a layer in the order of `content_order` and the sender; with `reverse`, what goes to the
    added copies of twins in reversed order. Requests for blocks and their answers do not wait, neither for their layers
    nor for their round, and one that nobody answers is put to the next peer at once, and to the other copies of the
    one who asks: within its set a node finds the blocks that somebody there holds. So who learns of a certificate has
    its block, from whom it learnt of it.
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
        withhold: tuple[type, ...] = (),
        lose: tuple[type, ...] = (),
    ) -> None:
        self.world = world
        self.round = round_
        self.collector = collector
        self.proposers = proposers
        self.reverse = reverse
        self.withhold = withhold
        self.lose = lose
        self.replicas = {node: state.replica.fork() for node, state in members.items()}
        self.durable = {node: state.durable for node, state in members.items()}
        self.signed = {node: state.signed for node, state in members.items()}
        self.last_commit = {node: state.replica.tree.root.block.id for node, state in members.items()}
        self.held: dict[int, list[Held]] = {node: [] for node in members}
        self.layer: list[tuple[tuple[int, ...], int, int, Message]] = []
        self.requests: list[tuple[int, int, Message]] = []
        self.answers: list[tuple[int, int, Message]] = []
        self.tries: dict[tuple[int, bytes, int, int], int] = {}
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
            for held in state.held:
                self.send(node, held.to, held.message)

    def states(self) -> dict[int, NodeState]:
        """The nodes after this."""
        return {
            node: NodeState(replica, tuple(self.held[node]), self.durable[node], self.signed[node])
            for node, replica in self.replicas.items()
        }

    def send(self, sender: int, to: int, message: Message) -> None:
        """Put a message of this round into the next layer; keep one of the next round; an older one is lost."""
        round_ = round_of(message)
        kind = type(message)
        if kind is BlockRequest:
            self.requests.append((sender, to, message))
            return
        if kind is BlockResponse:
            self.answers.append((sender, to, message))
            return
        if round_ != self.round or kind in self.withhold:
            if round_ >= self.round:
                self.held[sender].append(Held(to, message))
            return
        if kind in self.lose:
            return
        world = self.world
        if kind is VoteMsg:
            self.votes = True
        if isinstance(message, VoteMsg) and world.is_correct(sender):
            self.voted.append((sender, message.vote_info.id))
        if to == NOBODY:
            to = self.collector
        order = content_order(message, self.proposers)
        for node, replica in self.replicas.items():
            if node == sender:
                # A vote for oneself took effect already, unless its collector was not known when it was cast.
                if not isinstance(message, VoteMsg) or world.identity(node) != to or node_has_own(replica, message):
                    continue
            elif to not in (ALL, world.identity(node)):
                continue
            self.layer.append((order, sender, node, message))

    def _emit(self, sender: int, to: int, message: Message) -> None:
        """A node sends something now."""
        if self.world.is_correct(sender):
            self.signed[sender], faults = judged(self.world, sender, self.signed[sender], message)
            self.faults.extend(faults)
        self.send(sender, to, message)

    def hand_over(self, sender: int, node: int, message: Message) -> list[Effect]:
        """A message reaches a node; what came of it, carried out."""
        return self.step(node, Received(self.world.identity(sender), message))

    def step(self, node: int, event: Event) -> list[Effect]:
        """One event at one node; its effects, carried out."""
        effects = self.replicas[node].step(event)
        self.carry_out(node, effects)
        return effects

    def carry_out(self, node: int, effects: list[Effect]) -> None:
        """Do what a replica wants done."""
        for effect in effects:
            if isinstance(effect, Send):
                self._emit(node, effect.to, effect.message)
            elif isinstance(effect, Broadcast):
                self._emit(node, ALL, effect.message)
            elif isinstance(effect, Commit):
                self._commit(node, effect)
            elif isinstance(effect, Persist) and self.world.crashes:
                self.durable[node] = persisted(self.durable[node], effect, self.replicas[node])

    def _commit(self, node: int, commit: Commit) -> None:
        """A block is delivered: once, and after its parent."""
        if not self.world.is_correct(node):
            return
        block = commit.block
        if block.qc.vote_info.id != self.last_commit[node]:
            detail = f"{self.world.name(node)} delivered the block of round {block.round} twice or without its parent"
            self.faults.append(Fault("commit_order", detail))
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
            tree = self.replicas[sender].tree
            progress = (sender, tree.high_qc.vote_info.id, tree.height, len(tree.nodes))
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
            qc, tc = replica.tree.high_qc, replica.pacemaker.last_round_tc
            for kind, round_, signatures in (
                ("QC", qc.vote_info.round, qc.signatures),
                ("TC", tc.round if tc else 0, tc.tmo_signatures if tc else ()),
            ):
                if round_ and len({signer for signer, _ in signatures}) < quorum:
                    self.faults.append(
                        Fault(
                            "quorum_progress",
                            f"{self.world.name(node)} holds a {kind} of round {round_} "
                            f"with {len({signer for signer, _ in signatures})} distinct signers, fewer than {quorum}",
                        )
                    )


def _layer_order(entry: tuple[tuple[int, ...], int, int, Message]) -> tuple[tuple[int, ...], int, int]:
    return entry[:3]


def node_has_own(replica: Replica, vote: VoteMsg) -> bool:
    """Whether a replica has counted this vote of its own."""
    return replica.me in replica.tree.bucket(vote)
