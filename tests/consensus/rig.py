"""A rig that connects replicas by hand.

`Rig` runs several replicas over a network that holds every message until the test delivers, repeats or drops it, and
over disks that keep what Persist said and nothing else: after a crash the ledger is executed again from the blocks. It
asserts the contract of effects at each of them, so every test checks it. `Craft` makes messages as a correct validator
would, in any validator's name, and variations of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from msgspec.structs import replace

from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Checkpoint,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    ReadBlocks,
    Reason,
    Rejected,
    SafetyRecord,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Connected, Event, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.genesis import genesis
from diembft.consensus.kit import CORRECT, Kit
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.consensus.state_machine import StateMachine
from diembft.crypto.ed25519 import Ed25519KeyRing, Ed25519Signer, derived_signer
from diembft.crypto.interface import KeyRing, Signer
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from diembft.ledger.append_log import AppendLog
from diembft.ledger.sessions import Sessions
from diembft.messages.digests import Digests
from diembft.messages.types import (
    QC,
    TC,
    Block,
    LedgerCommitInfo,
    Message,
    Payload,
    ProposalMsg,
    Reply,
    Request,
    TimeoutInfo,
    TimeoutMsg,
    VoteInfo,
    VoteMsg,
)

CLIENTS = ("alice", "bob")

Crypto = Literal["symbolic", "ed25519"]


@dataclass(frozen=True)
class Keys:
    """The keys of one system."""

    replicas: tuple[Signer, ...]
    clients: dict[str, Signer]
    ring: KeyRing


def make_keys(n: int, crypto: Crypto = "symbolic") -> Keys:
    if crypto == "symbolic":
        signers = tuple(replica_signer(replica) for replica in range(n))
        return Keys(signers, {client: client_signer(client) for client in CLIENTS}, SymbolicKeyRing(n, CLIENTS))
    replicas = [derived_signer(f"replica{replica}", 1) for replica in range(n)]
    clients: dict[str, Ed25519Signer] = {client: derived_signer(client, 1) for client in CLIENTS}
    ring = Ed25519KeyRing(
        [signer.public_key for signer in replicas], {name: signer.public_key for name, signer in clients.items()}
    )
    return Keys(tuple(replicas), dict(clients), ring)


def make_machine() -> StateMachine:
    """An append-only log: its results show the order of execution."""
    return Sessions(AppendLog())


# --- messages by hand


class Craft:
    """Makes what correct validators would send, in any validator's name.

    Blocks are executed as they are made, so votes and certificates about them carry the right states.
    """

    def __init__(self, config: Config | None = None, keys: Keys | None = None) -> None:
        self.config = config or Config(n=4)
        self.keys = keys or make_keys(self.config.n)
        self.digests = Digests(self.config.chain_id, self.config.epoch)
        self.genesis = genesis(self.digests)
        self.machine = make_machine()
        self.states: dict[bytes, tuple[bytes, Any]] = {
            self.genesis.block.id: (self.genesis.state_id, self.machine.genesis())
        }
        self.blocks: dict[bytes, Block] = {self.genesis.block.id: self.genesis.block}

    @property
    def genesis_qc(self) -> QC:
        return self.genesis.qc

    def replica(self, me: int = 0, kit: Kit = CORRECT, recovered: Recovered | None = None) -> Replica:
        """A replica of this system, not started."""
        return Replica(self.config, me, self.keys.replicas[me], self.keys.ring, make_machine(), kit, recovered)

    def started(self, me: int = 0, kit: Kit = CORRECT) -> Replica:
        replica = self.replica(me, kit)
        replica.step(Started())
        return replica

    def request(self, number: int = 1, operation: bytes = b"op", client: str = "alice") -> Request:
        digest = self.digests.request(client, number, operation)
        return Request(client, number, operation, self.keys.clients[client].sign(digest))

    def block(self, round_: int, qc: QC | None = None, payload: Payload = (), author: int | None = None) -> Block:
        """A block on the one that the QC certifies; its author is by default who leads the round by round robin."""
        qc = qc or self.genesis_qc
        author = (round_ // 2) % self.config.n if author is None else author
        block = Block(author, round_, payload, qc, self.digests.block(author, round_, payload, qc))
        parent_state, parent_ledger = self.states[qc.vote_info.id]
        outcome = self.machine.execute(parent_ledger, block)
        self.states[block.id] = self.digests.state(parent_state, block.id, outcome.root), outcome.ledger
        self.blocks[block.id] = block
        return block

    def state_id(self, block: Block) -> bytes:
        return self.states[block.id][0]

    def vote_info(self, block: Block, state_id: bytes | None = None) -> VoteInfo:
        parent = block.qc.vote_info
        return VoteInfo(block.id, block.round, parent.id, parent.round, state_id or self.state_id(block))

    def commit_info(self, vote_info: VoteInfo) -> LedgerCommitInfo:
        commits = vote_info.parent_round + 1 == vote_info.round
        return LedgerCommitInfo(
            self.states[vote_info.parent_id][0] if commits else None, self.digests.vote_info(vote_info)
        )

    def vote(
        self, block: Block, sender: int, *, state_id: bytes | None = None, high_commit_qc: QC | None = None
    ) -> VoteMsg:
        vote_info = self.vote_info(block, state_id)
        return self.signed_vote(vote_info, self.commit_info(vote_info), sender, high_commit_qc)

    def signed_vote(
        self, vote_info: VoteInfo, info: LedgerCommitInfo, sender: int, high_commit_qc: QC | None = None
    ) -> VoteMsg:
        signature = self.keys.replicas[sender].sign(self.digests.vote(info))
        return VoteMsg(vote_info, info, high_commit_qc or self.genesis_qc, sender, signature)

    def qc(
        self,
        block: Block,
        signers: Iterable[int] | None = None,
        author: int = 0,
        *,
        state_id: bytes | None = None,
    ) -> QC:
        """A QC of the block, by default of the first quorum of validators."""
        vote_info = self.vote_info(block, state_id)
        return self.signed_qc(vote_info, self.commit_info(vote_info), signers, author)

    def signed_qc(
        self, vote_info: VoteInfo, info: LedgerCommitInfo, signers: Iterable[int] | None = None, author: int = 0
    ) -> QC:
        chosen = range(self.config.quorum) if signers is None else signers
        digest = self.digests.vote(info)
        signatures = tuple((signer, self.keys.replicas[signer].sign(digest)) for signer in chosen)
        return QC(
            vote_info, info, signatures, author, self.keys.replicas[author].sign(self.digests.qc(info, signatures))
        )

    def timeout(
        self,
        round_: int,
        sender: int,
        high_qc: QC | None = None,
        tc: TC | None = None,
        high_commit_qc: QC | None = None,
    ) -> TimeoutMsg:
        high_qc = high_qc or self.genesis_qc
        signature = self.keys.replicas[sender].sign(self.digests.timeout(round_, high_qc.round))
        return TimeoutMsg(TimeoutInfo(round_, high_qc, sender, signature), tc, high_commit_qc or self.genesis_qc)

    def tc(self, round_: int, high_qc: QC | None = None, qc_rounds: Mapping[int, int] | None = None) -> TC:
        """A TC; by default the first quorum of validators all held `high_qc`, which is else the highest one's QC."""
        high_qc = high_qc or self.genesis_qc
        rounds = dict(qc_rounds) if qc_rounds is not None else dict.fromkeys(range(self.config.quorum), high_qc.round)
        signatures = tuple(
            (signer, self.keys.replicas[signer].sign(self.digests.timeout(round_, qc_round)))
            for signer, qc_round in rounds.items()
        )
        return TC(round_, tuple(rounds.values()), signatures, high_qc)

    def proposal(
        self, block: Block, tc: TC | None = None, high_commit_qc: QC | None = None, signer: int | None = None
    ) -> ProposalMsg:
        signature = self.keys.replicas[block.author if signer is None else signer].sign(self.digests.proposal(block.id))
        return ProposalMsg(block, tc, high_commit_qc or self.genesis_qc, signature)

    def chain(self, rounds: Sequence[int], payloads: Mapping[int, Payload] | None = None) -> list[Block]:
        """Blocks of these rounds, each certified by the QC in the next."""
        blocks: list[Block] = []
        for round_ in rounds:
            qc = self.qc(blocks[-1]) if blocks else self.genesis_qc
            blocks.append(self.block(round_, qc, (payloads or {}).get(round_, ())))
        return blocks

    def high_commit_qc(self, qc: QC) -> QC:
        """The highest committing QC in the chain up to this QC, itself included."""
        while not qc.commits:
            qc = self.blocks[qc.vote_info.id].qc
        return qc

    def propose(self, replica: Replica, block: Block, tc: TC | None = None) -> list[Effect]:
        """Let the replica receive the block's proposal from its author."""
        return replica.step(Received(block.author, self.proposal(block, tc)))


# --- effects


def only(effects: Iterable[Effect], kind: type[Any]) -> Any:
    """The one effect of this type."""
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1, (kind, found)
    return found[0]


def all_of(effects: Iterable[Effect], kind: type[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: Iterable[Effect], kind: type[Any]) -> list[tuple[int | None, Any]]:
    """The messages of this type with their receivers (None: all others)."""
    found: list[tuple[int | None, Any]] = []
    for effect in effects:
        match effect:
            case Send(to, message) if isinstance(message, kind):
                found.append((to, message))
            case Broadcast(message) if isinstance(message, kind):
                found.append((None, message))
            case _:
                pass
    return found


def rejected(effects: Iterable[Effect]) -> Reason | None:
    found = all_of(effects, Rejected)
    return found[0].reason if found else None


def ignored(effects: Iterable[Effect]) -> Reason | None:
    found = all_of(effects, Ignored)
    return found[0].reason if found else None


def vote_of(effects: Iterable[Effect]) -> VoteMsg | None:
    """The vote that was cast, if one was."""
    found = sent(effects, VoteMsg)
    assert len(found) <= 1
    return found[0][1] if found else None


def unsettled(replica: Replica) -> list[Effect]:
    """What the end of a step would still find to do, after the step: nothing, if each change was followed up."""
    fork = replica.fork()
    fork._settle()
    assert fork._out or fork.state_key() == replica.state_key()
    return fork._out


# --- disks


class Disk:
    """What Persist made durable."""

    def __init__(self, machine: StateMachine, craft: Craft) -> None:
        self._machine = machine
        self._craft = craft
        self.record: SafetyRecord | None = None
        self.blocks: dict[bytes, Block] = {}
        self.committed: list[Block] = []
        self.checkpoint: Checkpoint | None = None

    def persist(self, effect: Persist) -> None:
        for block in effect.blocks:
            parent = block.qc.vote_info.id
            known = parent in self.blocks or parent == self._craft.genesis.block.id
            assert known or any(parent == committed.id for committed in self.committed), "parents come before children"
            self.blocks[block.id] = block
        for block_id in effect.committed:
            block = self.blocks.pop(block_id)
            tip = self.committed[-1].id if self.committed else self._craft.genesis.block.id
            assert block.qc.vote_info.id == tip, "commits are durable in the order of the chain"
            self.committed.append(block)
        self.record = effect.record
        assert (effect.checkpoint is not None) == bool(effect.committed), "a ledger comes with what led to it"
        if effect.checkpoint is not None:
            self.checkpoint = effect.checkpoint
            assert effect.checkpoint.height == len(self.committed)

    def after(self, block_id: bytes, count: int) -> tuple[Block, ...]:
        """Up to `count` committed blocks that follow this one."""
        ids = [self._craft.genesis.block.id, *[block.id for block in self.committed]]
        if block_id not in ids:
            return ()
        start = ids.index(block_id)
        return tuple(self.committed[start : start + count])

    def recover(self, kept_commits: int) -> Recovered | None:
        if self.record is None:
            return None
        state_id, ledger = self._craft.genesis.state_id, self._machine.genesis()
        for block in self.committed:
            outcome = self._machine.execute(ledger, block)
            state_id, ledger = self._craft.digests.state(state_id, block.id, outcome.root), outcome.ledger
        checkpoint = self.checkpoint
        if checkpoint is not None:
            assert checkpoint.state_id == state_id, "the durable state is that of the durable blocks"
            checkpoint = replace(checkpoint, ledger=ledger)
        return Recovered(
            record=self.record,
            committed=tuple(self.committed[-kept_commits:]),
            checkpoint=checkpoint,
            pending=tuple(self.blocks.values()),
        )


# --- the rig


@dataclass(frozen=True)
class Flight:
    """A message on its way."""

    number: int
    source: int
    """The node that sent it."""
    to: int
    """The node that it is for."""
    message: Message


@dataclass
class Node:
    """One running copy of a validator, or one that crashed."""

    index: int
    identity: int
    kit: Kit
    disk: Disk
    replica: Replica | None = None
    timers: dict[Timer, SetTimer] = field(default_factory=dict)
    height: int = 0
    """How many blocks were delivered, or were durable at the last start."""
    commits: list[Commit] = field(default_factory=list)
    """All that it delivered, over all its lives."""
    replies: list[Reply] = field(default_factory=list)
    evidence: list[Equivocation | Divergence] = field(default_factory=list)

    @property
    def running(self) -> Replica:
        assert self.replica is not None, "the node runs"
        return self.replica


class Rig:
    """Several nodes, connected by hand. Node i runs validator i; `twins` are validators that run once more."""

    def __init__(
        self,
        n: int = 4,
        *,
        crypto: Crypto = "symbolic",
        twins: Sequence[int] = (),
        kits: Mapping[int, Kit] | None = None,
        config: Config | None = None,
        start: bool = True,
    ) -> None:
        self.config = config or Config(n=n)
        self.keys = make_keys(self.config.n, crypto)
        self.craft = Craft(self.config, self.keys)
        self.machine = make_machine()
        identities = [*range(self.config.n), *twins]
        self.nodes = [
            Node(index, identity, (kits or {}).get(index, CORRECT), Disk(self.machine, self.craft))
            for index, identity in enumerate(identities)
        ]
        self.flights: list[Flight] = []
        self._numbers = 0
        self.observe: Callable[[int, Event, list[Effect]], None] | None = None
        """Called after each step that has effects, with node, event and the effects that will be carried out."""
        if start:
            for node in self.nodes:
                self.start(node.index)

    def __getitem__(self, index: int) -> Replica:
        return self.nodes[index].running

    # --- events

    def start(self, index: int) -> list[Effect]:
        """Run a node for the first time, or again from its disk."""
        node = self.nodes[index]
        assert node.replica is None, "a node runs once"
        node.height = len(node.disk.committed)
        node.replica = Replica(
            self.config,
            node.identity,
            self.keys.replicas[node.identity],
            self.keys.ring,
            self.machine,
            node.kit,
            node.disk.recover(self.config.kept_commits),
        )
        return self.step(index, Started())

    def step(self, index: int, event: Event, crash_after: int | None = None) -> list[Effect]:
        """Give a node an event, and carry its effects out; or only the first few, and then it crashes.

        What a Persist committed counts as delivered: the ledger of a driver is part of the same write.
        """
        node = self.nodes[index]
        effects = node.running.step(event)
        self._check_order(effects)
        assert unsettled(node.running) == [], "what follows from an event follows in its step"
        carried_out = [
            effect
            for number, effect in enumerate(effects)
            if crash_after is None or number < crash_after or (crash_after > 0 and isinstance(effect, Commit))
        ]
        if self.observe is not None and crash_after != 0:
            self.observe(index, event, carried_out)
        for effect in carried_out:
            self._carry_out(node, effect)
        if crash_after is not None:
            self.crash(index)
        return effects

    def request(self, number: int = 1, operation: bytes = b"op", *, to: Iterable[int] | None = None) -> Request:
        """Alice sends a request to the nodes, by default to all that run."""
        request = self.craft.request(number, operation)
        for node in self.nodes:
            if node.replica is not None and (to is None or node.index in to):
                self.step(node.index, Requests((request,)))
        return request

    def fire(self, index: int, timer: Timer = Timer.ROUND) -> list[Effect]:
        """Let a running timer run out."""
        due = self.nodes[index].timers.pop(timer)
        return self.step(index, TimerFired(timer, due.round))

    def crash(self, index: int) -> None:
        """Lose all but the disk. What is on its way stays so."""
        node = self.nodes[index]
        node.replica = None
        node.timers.clear()

    def restart(self, index: int) -> list[Effect]:
        return self.start(index)

    # --- messages

    def deliver(self, flight: Flight, *, keep: bool = False, crash_after: int | None = None) -> list[Effect]:
        """Deliver a message (and keep it, to be delivered again). To a node that is down it is lost."""
        if not keep:
            self.flights.remove(flight)
        if self.nodes[flight.to].replica is None:
            return []
        event = Received(self.nodes[flight.source].identity, flight.message)
        return self.step(flight.to, event, crash_after)

    def drop(self, wanted: Callable[[Flight], bool] = lambda flight: True) -> None:
        """Lose messages."""
        self.flights = [flight for flight in self.flights if not wanted(flight)]

    def run(
        self, wanted: Callable[[Flight], bool] = lambda flight: True, *, limit: int = 10_000, until: int | None = None
    ) -> None:
        """Deliver the messages that are wanted, in the order of sending, until there are none (or this round)."""
        for _ in range(limit):
            flight = next(filter(wanted, self.flights), None)
            if flight is None or (until is not None and self.lowest_round() >= until):
                return
            self.deliver(flight)
        raise AssertionError(f"{limit} messages did not lead to quiet")

    def lowest_round(self) -> int:
        return min(node.replica.current_round for node in self.nodes if node.replica is not None)

    def flights_of(self, kind: type[Any], to: int | None = None) -> list[Flight]:
        return [
            flight for flight in self.flights if isinstance(flight.message, kind) and (to is None or flight.to == to)
        ]

    # --- effects

    def _check_order(self, effects: Sequence[Effect]) -> None:
        assert not any(isinstance(effect, Persist) for effect in effects[1:]), "one Persist, and first"
        if any(isinstance(effect, Rejected) for effect in effects):
            assert len(effects) == 1 or all(isinstance(effect, SendReply) for effect in effects[:-1]), (
                "what is refused has no other effect"
            )

    def _carry_out(self, node: Node, effect: Effect) -> None:
        match effect:
            case Persist():
                node.disk.persist(effect)
            case Send(to, message):
                self._check_durable(node, message)
                for other in self.nodes:
                    if other.identity == to and other is not node:
                        self._launch(node, other, message)
            case Broadcast(message):
                self._check_durable(node, message)
                for other in self.nodes:
                    if other is not node:
                        self._launch(node, other, message)
            case SetTimer(timer=timer):
                node.timers[timer] = effect
            case CancelTimer(timer):
                node.timers.pop(timer, None)
            case Commit():
                self._check_commit(node, effect)
                node.commits.append(effect)
            case SendReply(reply):
                node.replies.append(reply)
            case ReadBlocks():
                blocks = node.disk.after(effect.after, effect.count)
                self.step(node.index, BlocksRead(effect.peer, effect.round, blocks))
            case Equivocation() | Divergence():
                node.evidence.append(effect)
            case Rejected() | Ignored():
                pass
            case _:
                assert_never(effect)

    def _launch(self, source: Node, to: Node, message: Message) -> None:
        self._numbers += 1
        self.flights.append(Flight(self._numbers, source.index, to.index, message))

    def _check_durable(self, node: Node, message: Message) -> None:
        """What is signed in a message was made durable before the message left."""
        record = node.disk.record
        match message:
            case VoteMsg(sender=sender) if sender == node.identity:
                assert record is not None
                assert record.highest_vote_round >= message.vote_info.round
                assert record.highest_qc_round >= message.vote_info.parent_round
                self._check_held(node, message.vote_info.id)
            case TimeoutMsg(tmo_info=info) if info.sender == node.identity:
                assert record is not None
                assert record.highest_vote_round >= info.round
                assert record.high_qc.round >= info.high_qc.round
            case ProposalMsg(block=block) if block.author == node.identity:
                assert record is not None
                assert record.highest_vote_round >= block.round
                self._check_held(node, block.id)
            case _:
                pass

    def _check_held(self, node: Node, block_id: bytes) -> None:
        """A block that was voted for is durable, with all its ancestors up to the last commit."""
        disk = node.disk
        committed = {block.id for block in disk.committed} | {self.craft.genesis.block.id}
        while block_id not in committed:
            assert block_id in disk.blocks, "the block and its ancestors are durable before the vote leaves"
            block_id = disk.blocks[block_id].qc.vote_info.id

    def _check_commit(self, node: Node, effect: Commit) -> None:
        """Commits are delivered oldest first, each once, after they are durable."""
        assert effect.height == node.height + 1, "oldest first, and each once"
        assert node.disk.committed[effect.height - 1] == effect.block, "durable before it is delivered"
        node.height = effect.height

    # --- what there is to see

    def connect(self, index: int, peer: int) -> list[Effect]:
        return self.step(index, Connected(peer))

    def committed_rounds(self, index: int) -> list[int]:
        return [block.round for block in self.nodes[index].disk.committed]

    def executed(self, index: int) -> list[bytes]:
        """The operations that took effect at a node, in order."""
        return [
            request.operation
            for commit in self.nodes[index].commits
            for request, reply in zip(commit.block.payload, commit.results, strict=True)
            if reply is not None and reply.status == "ok"
        ]


def altered(value: Any, **changes: Any) -> Any:
    """A copy of a value with other fields."""
    return replace(value, **changes)
