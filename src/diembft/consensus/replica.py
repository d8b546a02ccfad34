"""Main: one validator as a deterministic state machine (report, section 3.1, module Main).

Theory of operation
-------------------
`Replica.step(event)` handles one event and returns the effects that the driver must carry out, in their order. Each
message is first *verified* as a whole (`verification.py`): if anything in it is wrong, the answer is one `Rejected`
and the state is what it was. Then its certificates are *processed*: block tree, then pacemaker. Then what it asks
for is *decided* and done. At the end of the step the replica *settles*: it delivers what became committed, proposes
if it leads, handles its own messages, sets timers and asks for blocks that it lacks. Whatever must be durable is in
one `Persist`, put before all other effects of the step.

The procedures carry the names of the report; docs/protocol.md lists them, and every departure.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, assert_never

from msgspec import Struct

from diembft.consensus.block_tree import MAX_VOTES_OF_ONE_AUTHOR, Node
from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
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
from diembft.consensus.safety import consecutive
from diembft.consensus.state_machine import StateMachine
from diembft.consensus.sync import Fetch, chain_from, within_bytes
from diembft.consensus.verification import CERTIFIED
from diembft.crypto.interface import KeyRing, Signer
from diembft.messages.digests import Digests
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    Relay,
    Request,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)

FETCH_TIMER_DELTAS = 3
"""How long a peer may take to send blocks, in units of delta: there and back, and some."""

REST_TIMER_DELTAS = 20
"""How often a resting validator tells a peer what it knows, in units of delta."""


class Recovered(Struct, frozen=True):
    """What a crashed replica finds in its storage."""

    record: SafetyRecord | None
    """The record of the last Persist, if there was one."""
    committed: tuple[Block, ...]
    """The last `Config.kept_commits` committed blocks, oldest first."""
    height: int
    """How many blocks were committed."""
    state_id: bytes
    """Of the last committed block; not looked at if there is none."""
    ledger: Any
    """The ledger after the last committed block; not looked at if there is none."""
    pending: tuple[Block, ...]
    """Durable blocks that were not committed, parents before children."""


class Replica:
    """One validator."""

    def __init__(
        self,
        config: Config,
        me: int,
        signer: Signer,
        keys: KeyRing,
        machine: StateMachine,
        kit: Kit = CORRECT,
        recovered: Recovered | None = None,
    ) -> None:
        assert 0 <= me < config.n, "because a replica is one of the validators"
        assert config.n > 1 or config.rest, (
            "because a single validator that never rests would commit for ever in one step"
        )
        self.config = config
        self.me = me
        self.machine = machine
        digests = Digests(config.chain_id, config.epoch)
        self._digests = digests
        self._genesis = genesis(digests)
        self.quorums = kit.quorums(config)
        self.verifier = kit.verifier(config, digests, self._genesis, keys, self.quorums)
        self.safety = kit.safety(me, signer, digests)
        self.tree = kit.block_tree(config, digests, self._genesis, machine, self.quorums)
        self.pacemaker = kit.pacemaker(config, self.quorums)
        self.election = kit.leader_election(config)
        self.mempool = kit.mempool(config)

        self.proposals: dict[int, ProposalMsg] = {}
        """The first valid proposal of each author for the current round."""
        self.fetch: Fetch | None = None
        """The request for missing blocks that is under way."""
        self.last_sent: VoteMsg | TimeoutMsg | None = None
        self.leader_override: tuple[int, int] | None = None
        """(round, leader), if failure injection changed who leads."""

        self._unsaved: list[Block] = []
        """Blocks that no Persist covered yet, parents before children."""
        self._timer_round = 0
        """The round that the round timer runs for; 0 while it is stopped."""
        self._resting = False
        """Whether the rest timer runs."""
        self._next_peer = me

        # Of the step under way; empty between steps.
        self._out: list[Effect] = []
        self._own: list[VoteMsg | TimeoutMsg] = []
        self._committed: list[bytes] = []
        self._must_persist = False
        self._changed = False

        if recovered is not None:
            self._recover(recovered)

    # --- what drivers read

    @property
    def current_round(self) -> int:
        """The round that this replica is in."""
        return self.pacemaker.current_round

    def leader(self, round_: int) -> int:
        """Who leads a round, as far as this replica knows."""
        if self.leader_override is not None and self.leader_override[0] == round_:
            return self.leader_override[1]
        return self.election.leader(round_, self.tree)

    def fork(self) -> Replica:
        """An independent copy that shares all immutable values."""
        copy = object.__new__(type(self))
        copy.config = self.config
        copy.me = self.me
        copy.machine = self.machine
        copy._digests = self._digests
        copy._genesis = self._genesis
        copy.quorums = self.quorums
        copy.verifier = self.verifier
        copy.safety = self.safety.fork()
        copy.tree = self.tree.fork()
        copy.pacemaker = self.pacemaker.fork()
        copy.election = self.election.fork()
        copy.mempool = self.mempool.fork()
        copy.proposals = self.proposals.copy()
        copy.fetch = self.fetch
        copy.last_sent = self.last_sent
        copy.leader_override = self.leader_override
        copy._unsaved = self._unsaved.copy()
        copy._timer_round = self._timer_round
        copy._resting = self._resting
        copy._next_peer = self._next_peer
        copy._out = []
        copy._own = []
        copy._committed = []
        copy._must_persist = False
        copy._changed = False
        return copy

    def state_key(self) -> Hashable:
        """The whole state as one hashable value: two replicas of one system with equal keys behave alike for ever."""
        return (
            self.me,
            self.safety.state_key(),
            self.tree.state_key(),
            self.pacemaker.state_key(),
            self.mempool.state_key(),
            tuple(self.proposals.items()),
            self.fetch,
            self.last_sent,
            self.leader_override,
            tuple([block.id for block in self._unsaved]),
            self._timer_round,
            self._resting,
            self._next_peer,
        )

    def set_attribute(self, name: str, value: int) -> None:
        """Failure injection: make this replica Byzantine by changing its state between two steps."""
        match name:
            case "highest_vote_round":
                self.safety.highest_vote_round = value
            case "highest_qc_round":
                self.safety.highest_qc_round = value
            case "current_round" | "round":
                self.pacemaker.current_round = value
                self.pacemaker.timeouts.clear()
                self.proposals.clear()
            case "leader":
                self.leader_override = (self.current_round, value)
            case _:
                raise ValueError(f"no attribute {name!r}")

    # --- the step

    def step(self, event: Event) -> list[Effect]:
        """Handle one event; the effects to carry out, in their order."""
        out: list[Effect] = []
        self._out = out
        match event:
            case Received():
                self._receive(event.peer, event.message)
            case TimerFired():
                self._timer_fired(event)
            case Requests():
                self._requests(event.requests, answer=True)
            case Started():
                self._start()
            case Connected():
                self._send_sync_info(event.peer, self.current_round)
            case BlocksRead():
                self._blocks_read(event)
            case _:
                assert_never(event)
        if self._changed:
            self._settle()
        if self._must_persist:
            out.insert(0, self._persist())
        return out

    def _receive(self, peer: int, message: Message) -> None:
        match message:
            case ProposalMsg():
                self.process_proposal_msg(message, peer)
            case VoteMsg():
                self.process_vote_msg(message, peer)
            case TimeoutMsg():
                self.process_timeout_msg(message, peer)
            case SyncInfo():
                self._sync_info(message, peer)
            case BlockRequest():
                self._block_request(message, peer)
            case BlockResponse():
                self._block_response(message)
            case Relay():
                self._requests(message.requests[: self.config.max_relayed_requests], answer=False)
            case _:
                assert_never(message)

    def _reject(self, reason: Reason) -> None:
        self._out.append(Rejected(reason))

    def _ignore(self, reason: Reason) -> None:
        self._out.append(Ignored(reason))

    # --- certificates

    def process_certificate_qc(self, qc: QC) -> None:
        """Report: block tree, then pacemaker. A verified certificate takes effect at once, its block known or not."""
        if self.tree.process_qc(qc):
            self._changed = True
            self._deliver(self.tree.high_commit_qc)
        if qc.vote_info.round >= self.pacemaker.current_round - 1 and self.pacemaker.advance_round_qc(qc):
            self._entered_round()

    def process_certificate_tc(self, tc: TC | None) -> None:
        """A TC's QC, then the TC itself. A missing TC is skipped."""
        if tc is not None:
            self.process_timeout_qc(tc.high_qc, tc.round + 1)
            if self.pacemaker.advance_round_tc(tc):
                self._entered_round()

    def process_timeout_qc(self, qc: QC, round_: int) -> None:
        """A QC in a timeout of `round_`, or in a TC that leads into it: so a leader learns of what others hold."""
        self.process_certificate_qc(qc)

    def _entered_round(self) -> None:
        self._changed = True
        self.proposals.clear()
        self.tree.forget_votes(self.pacemaker.current_round - 1)

    # --- proposals

    def process_proposal_msg(self, message: ProposalMsg, peer: int) -> None:
        """Report: process the certificates; if the proposal is the current leader's, execute, insert, vote."""
        block = message.block
        late = block.round < self.pacemaker.current_round
        reason = self.verifier.proposal(message, CERTIFIED if late else self.mempool)
        if reason is not None:
            self._reject(reason)
            return
        self.process_certificate_qc(block.qc)
        self.process_certificate_qc(message.high_commit_qc)
        self.process_certificate_tc(message.last_round_tc)
        current_round = self.pacemaker.current_round
        if block.round != current_round:
            assert block.round < current_round, "because the certificates of a valid proposal lead into its round"
            if self._insert_if_wanted(block):
                return
            self._ignore(Reason.STALE)
            return
        first = self.proposals.get(block.author)
        if first is None:
            self.proposals[block.author] = message
            self._changed = True
        elif first.block.id != block.id:
            self._out.append(Equivocation(block.author, first, message))
        if block.qc.vote_info.id not in self.tree.nodes:
            if block.qc.vote_info.round < self.tree.root.block.round:
                self._ignore(Reason.CONFLICTS_WITH_COMMIT)
                return
            self._fetch_from(peer)
            self._ignore(Reason.UNKNOWN_PARENT)
            return
        self._consider(message)

    def _consider(self, message: ProposalMsg) -> None:
        """Vote on a valid proposal of the current round whose parent is held, if its author leads."""
        block = message.block
        if block.author != self.leader(block.round):
            self._ignore(Reason.NOT_LEADER)
            return
        if block.id in self.tree.nodes and not self.safety.above_last_vote(block.round):
            self._ignore(Reason.DUPLICATE)
            return
        node = self.tree.execute(block)
        vote = self._make_vote(node, message.last_round_tc)
        if vote is None and self.proposals[block.author].block.id != block.id:
            # A second block of one leader is kept only if it may be voted for.
            self._ignore(Reason.NOT_SAFE)
            return
        self._insert(node)
        if vote is None:
            self._ignore(Reason.NOT_SAFE)
            return
        self._send_vote(vote)

    def _make_vote(self, node: Node, tc: TC | None) -> VoteMsg | None:
        """Ask Safety for a vote, which must be durable before it leaves, as must the block and its ancestors."""
        parent = self.tree.nodes[node.block.qc.vote_info.id]
        vote = self.safety.make_vote(node.block, tc, node.state_id, parent.state_id, self.tree.high_commit_qc)
        if vote is not None:
            self.last_sent = vote
            self._must_persist = True
        return vote

    def _send_vote(self, vote: VoteMsg) -> None:
        """Report: send the vote to the leader of the next round."""
        collector = self.vote_collector(vote.vote_info.round)
        self._out.append(Send(collector, vote))
        if collector == self.me:
            self._own.append(vote)
        self._changed = True

    def vote_collector(self, round_: int) -> int:
        """To whom votes of a round go."""
        if self.leader_override is not None and self.leader_override[0] == round_ + 1:
            return self.leader_override[1]
        return self.election.vote_collector(round_, self.tree)

    def _insert(self, node: Node) -> None:
        """Keep an executed block, report a diverging state, and hold its requests until they are committed."""
        block = node.block
        if block.id in self.tree.nodes:
            return
        qc = block.qc
        parent = self.tree.nodes[qc.vote_info.id]
        if qc.vote_info.exec_state_id != parent.state_id:
            self._out.append(Divergence(parent.block.id, parent.state_id, qc))
        self.tree.insert(node)
        self._unsaved.append(block)
        self._changed = True
        for request in block.payload:
            self._hold(request)

    def _insert_if_wanted(self, block: Block) -> bool:
        """Take a late proposal's block if it is the one that the high QC certifies and that is missing."""
        tree = self.tree
        if block.id != tree.high_qc.vote_info.id or block.id in tree.nodes or block.qc.vote_info.id not in tree.nodes:
            return False
        self._insert(tree.execute(block))
        self._blocks_arrived()
        return True

    def _blocks_arrived(self) -> None:
        """Blocks were inserted: what they commit is delivered, and a proposal that waited for them may be voted on."""
        self._deliver(self.tree.high_commit_qc)
        message = self.proposals.get(self.leader(self.pacemaker.current_round))
        if message is not None and message.block.qc.vote_info.id in self.tree.nodes:
            self._consider(message)

    # --- votes

    def process_vote_msg(self, message: VoteMsg, peer: int) -> None:
        """Report: when the vote completes a QC, process it and start the new round.

        Kept are votes of the previous round and later ones, up to a bounded number of rounds ahead, the block known
        or not.
        """
        round_ = message.vote_info.round
        current_round = self.pacemaker.current_round
        if round_ < current_round - 1:
            self._ignore(Reason.STALE)
            return
        if round_ > current_round + self.config.max_rounds_ahead:
            self._ignore(Reason.TOO_FAR_AHEAD)
            return
        bucket = self.tree.bucket(message)
        if self.quorums.is_quorum(len(bucket)) or self.tree.counted_as(message, bucket) in bucket:
            self._ignore(Reason.DUPLICATE)
            return
        reason = self.verifier.vote(message)
        if reason is not None:
            self._reject(reason)
            return
        self.process_certificate_qc(message.high_commit_qc)
        if round_ < self.pacemaker.current_round - 1:
            self._ignore(Reason.STALE)
            return
        self._collect_vote(message)
        self._fetch_from(peer)

    def _collect_vote(self, vote: VoteMsg) -> None:
        """Report, Block-Tree `process_vote`: keep a verified vote, make a QC when it completes one.

        Reported are a second vote of its author, and one for another state of the block than was computed here.
        """
        others = self.tree.other_votes(vote)
        if len(others) >= MAX_VOTES_OF_ONE_AUTHOR:
            self._ignore(Reason.DUPLICATE)
            return
        if others:
            self._out.append(Equivocation(vote.sender, others[0], vote))
        vote_info = vote.vote_info
        node = self.tree.nodes.get(vote_info.id)
        if node is not None and node.state_id != vote_info.exec_state_id:
            self._out.append(Divergence(vote_info.id, node.state_id, None, vote))
        bucket = self.tree.add_vote(vote)
        if not self.quorums.completes_quorum(len(bucket)):
            return
        signatures = tuple(sorted([(held.sender, held.signature) for held in bucket.values()]))
        info = vote.ledger_commit_info
        qc = QC(vote_info, info, signatures, self.me, self.safety.sign_qc(info, signatures))
        self.verifier.made(qc)
        self.process_certificate_qc(qc)

    # --- timeouts

    def local_timeout_round(self) -> None:
        """Report: give up on the current round and tell all."""
        tc = self.pacemaker.tc_for(self.tree.high_qc)
        info = self.safety.make_timeout(self.pacemaker.current_round, self.tree.high_qc, tc)
        if info is None:
            self._ignore(Reason.NOT_SAFE)
            return
        message = TimeoutMsg(info, tc, self.tree.high_commit_qc)
        self.last_sent = message
        self._must_persist = True
        self._out.append(Broadcast(message))
        self._own.append(message)
        self._changed = True

    def process_timeout_msg(self, message: TimeoutMsg, peer: int) -> None:
        """Report: process the certificates, then the timeout; when it completes a TC, advance and start the new
        round."""
        reason = self.verifier.timeout(message)
        if reason is not None:
            self._reject(reason)
            return
        info = message.tmo_info
        self.process_timeout_qc(info.high_qc, info.round)
        self.process_certificate_qc(message.high_commit_qc)
        self.process_certificate_tc(message.last_round_tc)
        self._fetch_from(peer)
        if (
            info.round < self.pacemaker.current_round
            or info.high_qc.vote_info.round < self.tree.high_qc.vote_info.round
        ):
            self._send_sync_info(peer, info.round)
        if info.round < self.pacemaker.current_round:
            self._ignore(Reason.STALE)
            return
        if not self.pacemaker.add_timeout(info):
            self._ignore(Reason.DUPLICATE)
            return
        self._changed = True
        self._count_timeouts()

    def _count_timeouts(self) -> None:
        """Report, Pacemaker `process_remote_timeout`: join f + 1 (Bracha), and make a TC of a quorum."""
        pacemaker = self.pacemaker
        if pacemaker.should_join() and self.me not in pacemaker.timeouts:
            self.local_timeout_round()
        tc = pacemaker.timeout_certificate()
        if tc is not None:
            self.verifier.made(tc)
            self.process_certificate_tc(tc)

    def _timer_fired(self, event: TimerFired) -> None:
        match event.timer:
            case Timer.ROUND:
                if event.round != self._timer_round:
                    self._ignore(Reason.STALE)
                    return
                self._timer_round = 0
                self.local_timeout_round()
                self._relay()
                self._changed = True
            case Timer.FETCH:
                qc = self._missing()
                if self.fetch is not None and qc is not None:
                    self.fetch = self.fetch.next_peer()
                    self._ask_for_blocks(self.fetch, qc)
            case Timer.REST:
                if self._resting:
                    self._tell_next_peer()
            case _:
                assert_never(event.timer)

    def _relay(self) -> None:
        """Pass waiting requests on, so that one that only few hold is not stuck while the others rest."""
        waiting = self.mempool.oldest(self.config.max_relayed_requests, self.config.max_relayed_bytes)
        if waiting and self.config.n > 1:
            self._out.append(Broadcast(Relay(self.pacemaker.current_round, waiting)))

    # --- the end of a step

    def _settle(self) -> None:
        """Follow up what changed: commits, proposals and own messages until nothing is left; then timers and sync."""
        while True:
            self._changed = False
            self.process_new_round_event()
            if not self._own:
                break
            message = self._own.pop(0)
            if isinstance(message, VoteMsg):
                self._collect_vote(message)
            elif message.tmo_info.round == self.pacemaker.current_round and self.pacemaker.add_timeout(
                message.tmo_info
            ):
                self._count_timeouts()
        self._update_fetch()
        self._update_timers()
        self._changed = False

    def process_new_round_event(self) -> None:
        """Report: if this validator leads the current round, propose one block on the high QC.

        It votes for the block first: the durable vote is what excludes a second proposal in the round, also after a
        crash.
        Nothing is proposed while the parent is missing, after a timeout of the round, or at rest.
        """
        round_ = self.pacemaker.current_round
        if self.safety.highest_vote_round >= round_ or self.leader(round_) != self.me:
            return
        tree = self.tree
        parent = tree.nodes.get(tree.high_qc.vote_info.id)
        if parent is None or self._may_rest(parent):
            return
        payload = self.mempool.select(round_, tree.path(parent.block.id))
        block_id = self._digests.block(self.me, round_, payload, tree.high_qc)
        node = tree.execute(Block(self.me, round_, payload, tree.high_qc, block_id))
        tc = self.pacemaker.tc_for(tree.high_qc)
        vote = self._make_vote(node, tc)
        if vote is None:
            return
        self._insert(node)
        self._send_proposal(node.block, tc)
        self._send_vote(vote)

    def _send_proposal(self, block: Block, tc: TC | None) -> None:
        message = ProposalMsg(block, tc, self.tree.high_commit_qc, self.safety.sign_proposal(block))
        self.proposals[self.me] = message
        self._out.append(Broadcast(message))

    def _deliver(self, qc: QC) -> None:
        """Deliver what a QC commits, oldest first, and answer the clients."""
        height = self.tree.height
        nodes = self.tree.commit(qc)
        if not nodes:
            return
        self._must_persist = True
        out = self._out
        if nodes[-1].state_id != qc.ledger_commit_info.commit_state_id:
            out.append(Divergence(nodes[-1].block.id, nodes[-1].state_id, qc))
        for node in nodes:
            height += 1
            block = node.block
            self._committed.append(block.id)
            out.append(Commit(height, block, qc, node.state_id, node.ledger, node.results))
            if block.payload:
                self.mempool.forget(block.payload)
                out.extend([SendReply(reply) for reply in node.results if reply is not None])

    def _persist(self) -> Persist:
        record = self._record()
        effect = Persist(record, tuple(self._unsaved), tuple(self._committed))
        self._unsaved = []
        self._committed = []
        self._must_persist = False
        return effect

    def _record(self) -> SafetyRecord:
        return SafetyRecord(
            self.safety.highest_vote_round,
            self.safety.highest_qc_round,
            self.last_sent,
            self.tree.high_qc,
            self.tree.high_commit_qc,
            self.pacemaker.last_round_tc,
        )

    # --- rest and timers

    def _may_rest(self, parent: Node) -> bool:
        """Whether a leader may leave the round without a block on this parent.

        It rests if it holds no request and every non-empty block of the chain is committed by a QC inside the
        chain: then every replica that has the parent can reply.
        """
        return self.config.rest and not len(self.mempool) and parent.work_round <= parent.commit_round

    def _has_work(self) -> bool:
        """Whether there is something whose commit must be waited for: then the round timer runs."""
        if not self.config.rest or len(self.mempool):
            return True
        tree = self.tree
        head = tree.nodes.get(tree.high_qc.vote_info.id)
        if head is None or head.work_round > tree.root.block.round:
            return True
        current_round = self.pacemaker.current_round
        return any(node.block.payload and node.block.round == current_round for node in tree.nodes.values())

    def _update_timers(self) -> None:
        if self._has_work():
            round_ = self.pacemaker.current_round
            if self._timer_round != round_:
                self._timer_round = round_
                delay_s = self.pacemaker.round_timer_s(self.tree.root.block.round)
                self._out.append(SetTimer(Timer.ROUND, delay_s, round_))
            if self._resting:
                self._resting = False
                self._out.append(CancelTimer(Timer.REST))
            return
        if self._timer_round:
            self._timer_round = 0
            self._out.append(CancelTimer(Timer.ROUND))
        if not self._resting and self.config.n > 1:
            self._resting = True
            self._set_rest_timer()

    def _set_rest_timer(self) -> None:
        delay_s = REST_TIMER_DELTAS * self.config.delta_s
        self._out.append(SetTimer(Timer.REST, delay_s, self.pacemaker.current_round))

    def _tell_next_peer(self) -> None:
        """At rest: tell one peer after the other what one knows, so that an idle laggard catches up."""
        self._next_peer = (self._next_peer + 1) % self.config.n
        if self._next_peer == self.me:
            self._next_peer = (self._next_peer + 1) % self.config.n
        self._send_sync_info(self._next_peer, self.pacemaker.current_round)
        self._set_rest_timer()

    # --- requests

    def _requests(self, requests: tuple[Request, ...], *, answer: bool) -> None:
        """Requests of clients, or passed on by a peer (then nobody waits for an answer from here)."""
        refused: Reason | None = None
        for request in requests:
            reply = self.machine.answer(self.tree.root.ledger, request)
            if reply is not None:
                if answer:
                    self._out.append(SendReply(reply))
                continue
            reason = self.mempool.refusal(request) or self.verifier.request(request)
            if reason is None:
                self.mempool.add(request)
                self._changed = True
            else:
                refused = reason
        if refused is Reason.BAD_REQUEST and not self._changed:
            self._reject(refused)
        elif refused is not None and not self._changed:
            self._ignore(refused)

    def _hold(self, request: Request) -> None:
        """Hold a verified request that was met in a block: the block may come to nothing."""
        if self.mempool.refusal(request) is None and self.machine.answer(self.tree.root.ledger, request) is None:
            self.mempool.add(request)

    # --- sync

    def _send_sync_info(self, to: int, round_: int) -> None:
        tree = self.tree
        message = SyncInfo(round_, tree.high_qc, tree.high_commit_qc, self.pacemaker.tc_for(tree.high_qc))
        self._out.append(Send(to, message))

    def _sync_info(self, message: SyncInfo, peer: int) -> None:
        """What a peer knows; never answered."""
        reason = self.verifier.sync_info(message)
        if reason is not None:
            self._reject(reason)
            return
        self.process_certificate_qc(message.high_qc)
        self.process_certificate_qc(message.high_commit_qc)
        self.process_certificate_tc(message.last_round_tc)
        self._fetch_from(peer)

    def _missing(self) -> QC | None:
        """A certificate that needs a block which is not held: the highest, the one that commits, or a proposal's.

        The highest comes first, because its chain has what is committed too, in one answer.
        """
        tree = self.tree
        nodes, root_round = tree.nodes, tree.root.block.round
        if tree.high_qc.vote_info.id not in nodes and tree.high_qc.vote_info.round > root_round:
            return tree.high_qc
        committed = tree.committed_by(tree.high_commit_qc)
        if committed is not None and committed[1] > root_round and committed[0] not in nodes:
            return tree.high_commit_qc
        for message in self.proposals.values():
            qc = message.block.qc
            if qc.vote_info.id not in nodes and qc.vote_info.round > root_round:
                return qc
        return None

    def _fetch_from(self, peer: int) -> None:
        """If blocks are missing, ask the peer whose message brought news."""
        if self._changed:
            qc = self._missing()
            if qc is not None:
                self._start_fetch(qc, peer)

    def _start_fetch(self, qc: QC, first: int | None) -> None:
        """Ask the one that told of the block, then the signers of its QC, then all others."""
        signers = [signer for signer, _ in qc.signatures]
        peers = dict.fromkeys([*([] if first is None else [first]), *signers, *range(self.config.n)])
        peers.pop(self.me, None)
        if peers:
            self.fetch = Fetch(tuple(peers), 0)
            self._ask_for_blocks(self.fetch, qc)

    def _update_fetch(self) -> None:
        """Begin to fetch what is missing, or end it when nothing is."""
        qc = self._missing()
        if qc is None:
            if self.fetch is not None:
                self.fetch = None
                self._out.append(CancelTimer(Timer.FETCH))
        elif self.fetch is None:
            self._start_fetch(qc, None)

    def _ask_for_blocks(self, fetch: Fetch, qc: QC) -> None:
        tree, round_ = self.tree, self.pacemaker.current_round
        known = fetch.known if fetch.known in tree.nodes else tree.root.block.id
        request = BlockRequest(round_, qc.vote_info.id, known, self.config.sync_batch + 1)
        self._out.append(Send(fetch.peer, request))
        self._out.append(SetTimer(Timer.FETCH, FETCH_TIMER_DELTAS * self.config.delta_s, round_))

    def _block_request(self, message: BlockRequest, peer: int) -> None:
        """Give a peer the blocks between what it committed and what it lacks, a bounded batch, oldest first."""
        tree, config = self.tree, self.config
        count = min(message.count, config.sync_batch + 1)
        pending = [node.block for node in tree.path(message.id)]
        if message.known in tree.nodes:
            blocks = [block for block in pending if block.round > tree.nodes[message.known].block.round]
        elif (recent := tree.committed_after(message.known)) is not None:
            blocks = [*recent, *pending]
        elif tree.height > len(tree.committed):
            self._out.append(ReadBlocks(peer, message.round, message.known, count, config.sync_batch_bytes))
            return
        else:
            self._ignore(Reason.UNKNOWN_PARENT)
            return
        blocks = within_bytes(blocks[:count], config.sync_batch_bytes)
        if not blocks:
            self._ignore(Reason.UNKNOWN_PARENT)
            return
        self._out.append(Send(peer, BlockResponse(message.round, tuple(blocks))))

    def _blocks_read(self, event: BlocksRead) -> None:
        if event.blocks:
            blocks = within_bytes(event.blocks, self.config.sync_batch_bytes)
            self._out.append(Send(event.peer, BlockResponse(event.round, tuple(blocks))))

    def _block_response(self, message: BlockResponse) -> None:
        """Blocks that were asked for: verify the chain up to what is certified, execute it, deliver what it commits."""
        tree = self.tree
        if self.fetch is None:
            self._ignore(Reason.UNSOLICITED)
            return
        chain = chain_from(message.blocks[: self.config.sync_batch + 1], tree, self._certified_ids())
        if not chain.connected and chain.held is None:
            self._reject(Reason.BAD_CHAIN)
            return
        if not chain.blocks:
            self._ignore(Reason.DUPLICATE)
            self._ask_beyond(chain.held)
            return
        reason = None if chain.certificate is None else self.verifier.qc(chain.certificate)
        for block in chain.blocks:
            reason = reason or self.verifier.block(block)
        if reason is not None:
            self._reject(reason)
            return
        for block in chain.blocks:
            self._insert(tree.execute(block))
            self.process_certificate_qc(block.qc)
            self._deliver(block.qc)
        if chain.certificate is not None:
            self.process_certificate_qc(chain.certificate)
            self._deliver(chain.certificate)
        self._blocks_arrived()
        self._ask_beyond(chain.blocks[-1])

    def _ask_beyond(self, block: Block | None) -> None:
        """Go on with a peer whose answer came up to this block, further than its last one, if that does not suffice."""
        missing = self._missing()
        if block is None or missing is None or self.fetch is None or block.round <= self.fetch.known_round:
            return
        self.fetch = self.fetch.beyond(block)
        self._ask_for_blocks(self.fetch, missing)

    def _certified_ids(self) -> tuple[bytes, ...]:
        """The ids of blocks that verified certificates stand for."""
        tree = self.tree
        high_commit = tree.high_commit_qc.vote_info
        return (
            tree.high_qc.vote_info.id,
            high_commit.id,
            high_commit.parent_id,
            *[message.block.qc.vote_info.id for message in self.proposals.values()],
        )

    # --- start and recovery

    def _start(self) -> None:
        """Begin, or go on after a crash: tell all what one knows, and send again what was sent last in this round."""
        self._changed = True
        self._deliver(self.tree.high_commit_qc)
        round_ = self.pacemaker.current_round
        tree = self.tree
        if round_ > 1 and self.config.n > 1:
            sync_info = SyncInfo(round_, tree.high_qc, tree.high_commit_qc, self.pacemaker.tc_for(tree.high_qc))
            self._out.append(Broadcast(sync_info))
        match self.last_sent:
            case TimeoutMsg() if self.last_sent.tmo_info.round == round_:
                self._out.append(Broadcast(self.last_sent))
                self._own.append(self.last_sent)
            case VoteMsg() if self.last_sent.vote_info.round == round_:
                node = tree.nodes.get(self.last_sent.vote_info.id)
                if node is not None and node.block.author == self.me:
                    self._send_proposal_again(node.block)
                self._send_vote(self.last_sent)
            case _:
                pass

    def _send_proposal_again(self, block: Block) -> None:
        """Unless its TC is no longer at hand, for a late QC of the TC's round has made it superfluous."""
        tc = self.pacemaker.tc_for(block.qc)
        if tc is not None or consecutive(block.qc.vote_info.round, block.round):
            self._send_proposal(block, tc)

    def _recover(self, recovered: Recovered) -> None:
        """Rebuild the state from what was durable (docs/protocol.md, "Durability")."""
        tree = self.tree
        if recovered.committed:
            tree.restore(recovered.committed, recovered.height, recovered.state_id, recovered.ledger)
        for block in recovered.pending:
            if block.qc.vote_info.id in tree.nodes:
                node = tree.execute(block)
                tree.insert(node)
                for request in block.payload:
                    self._hold(request)
        record = recovered.record
        if record is None:
            return
        self.safety.highest_vote_round = record.highest_vote_round
        self.safety.highest_qc_round = record.highest_qc_round
        self.last_sent = record.last_sent
        if isinstance(record.last_sent, VoteMsg):
            self.safety.voted_id = record.last_sent.vote_info.id
        tree.process_qc(record.high_qc)
        tree.process_qc(record.high_commit_qc)
        self.pacemaker.advance_round_qc(record.high_qc)
        if record.last_round_tc is not None:
            self.pacemaker.advance_round_tc(record.last_round_tc)
        self.pacemaker.resume_at(record.highest_vote_round)
