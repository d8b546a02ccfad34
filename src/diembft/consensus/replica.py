"""One validator as a deterministic state machine: the step, and what is not the report's Main.

Theory of operation
-------------------
`Replica.step(event)` handles one event and returns the effects that the driver must carry out, in their order. Each
message is first *verified* as a whole (`verification.py`): if anything in it is wrong, the answer is one `Rejected`
and the state is what it was. Then its certificates are *processed*: block tree, then pacemaker. Then what it asks
for is *decided* and done. If that changed anything, the replica *settles* at the end of the step: it proposes if it
leads, handles its own messages, asks for blocks that it lacks and sets timers. Whatever must be durable is in one
`Persist`, put before all other effects of the step.

Reading order: `parts.py` (the state), `main.py` (certificates, proposals, votes, timeouts: the report's module Main),
this file (events, requests, sync, start). Beside them `sync.py` (what is missing, and the life of a fetch), `rest.py`
(rest and the timers) and `recovery.py` (what a restart begins from). The procedures carry the names of the report;
docs/protocol.md lists them, and every departure.
"""

from __future__ import annotations

from typing import assert_never

from diembft.consensus import sync
from diembft.consensus.effects import (
    Broadcast,
    Effect,
    Reason,
    Send,
    SendReply,
)
from diembft.consensus.events import BlocksRead, Connected, Event, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.main import Main
from diembft.consensus.safety import consecutive
from diembft.consensus.sync import chain_from, within_bytes
from diembft.messages.types import (
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


class Replica(Main):
    """One validator."""

    # --- the step

    def step(self, event: Event) -> list[Effect]:
        """Handle one event; the effects to carry out, in their order."""
        out: list[Effect] = []
        self._out = out
        self._now_ms = event.now_ms
        match event:
            case Received():
                changed = self._receive(event.peer, event.message)
            case TimerFired():
                changed = self._timer_fired(event)
            case Requests():
                changed = self._requests(event.requests, answer=True)
            case Started():
                changed = self._start()
            case Connected():
                self._send_sync_info(event.peer, self.current_round)
                changed = False
            case BlocksRead():
                self._blocks_read(event)
                changed = False
            case _:
                assert_never(event)
        if changed:
            self._settle()
        if self._must_persist:
            out.insert(0, self._persist())
        return out

    def _receive(self, peer: int, message: Message) -> bool:
        match message:
            case ProposalMsg():
                return self.process_proposal_msg(message, peer)
            case VoteMsg():
                return self.process_vote_msg(message, peer)
            case TimeoutMsg():
                return self.process_timeout_msg(message, peer)
            case SyncInfo():
                return self._sync_info(message, peer)
            case BlockRequest():
                self._block_request(message, peer)
                return False
            case BlockResponse():
                return self._block_response(message)
            case Relay():
                return self._requests(message.requests[: self.config.max_relayed_requests], answer=False)
            case _:
                assert_never(message)

    def _timer_fired(self, event: TimerFired) -> bool:
        match event.timer:
            case Timer.ROUND:
                if event.round != self.rest.timer_round:
                    return self._ignore(Reason.STALE)
                self.rest.timer_round = None
                self.local_timeout_round()
                self._relay()
                return True
            case Timer.FETCH:
                self._out += self.sync.retry(self._missing(), self.tree, self.pacemaker.current_round)
                return False
            case Timer.REST:
                if self.rest.resting:
                    self._send_sync_info(self.rest.whom_to_tell(), self.pacemaker.current_round)
                    self._out.append(self.rest.timer(self.pacemaker.current_round))
                return False
            case _:
                assert_never(event.timer)

    def _relay(self) -> None:
        """Pass waiting requests on, so that one that only few hold is not stuck while the others rest."""
        waiting = self.mempool.oldest(self.config.max_relayed_requests, self.config.max_relayed_bytes)
        if waiting and self.config.n > 1:
            self._out.append(Broadcast(Relay(self.pacemaker.current_round, waiting)))

    # --- requests

    def _requests(self, requests: tuple[Request, ...], *, answer: bool) -> bool:
        """Requests of clients, or passed on by a peer (then nobody waits for an answer from here). Whether any is held
        now that was not."""
        refused: Reason | None = None
        added = False
        for request in requests:
            reply = self.machine.answer(self.tree.root.ledger, request)
            if reply is not None:
                if answer:
                    self._out.append(SendReply(reply))
                continue
            reason = self.mempool.refusal(request) or self.verifier.request(request)
            if reason is None:
                self.mempool.add(request)
                added = True
            else:
                refused = reason
        if refused is None or added:
            return added
        wrong = refused in (Reason.BAD_REQUEST, Reason.BAD_KIND)
        return self._reject(refused) if wrong else self._ignore(refused)

    # --- sync

    def _sync_info(self, message: SyncInfo, peer: int) -> bool:
        """What a peer knows; never answered."""
        reason = self.verifier.sync_info(message)
        if reason is not None:
            return self._reject(reason)
        news = self.process_certificate_qc(message.high_qc)
        news |= self.process_certificate_qc(message.high_commit_qc)
        news |= self.process_certificate_tc(message.last_round_tc)
        if news:
            self._fetch_from(peer)
        return news

    def _block_request(self, message: BlockRequest, peer: int) -> None:
        self._out.append(sync.answer(message, peer, self.tree, self.config))

    def _blocks_read(self, event: BlocksRead) -> None:
        if event.blocks:
            blocks = within_bytes(event.blocks, self.config.sync_batch_bytes)
            self._out.append(Send(event.peer, BlockResponse(event.round, tuple(blocks))))

    def _block_response(self, message: BlockResponse) -> bool:
        """Blocks that were asked for: verify the chain up to what is certified, execute it, deliver what it commits."""
        tree = self.tree
        if self.sync.fetch is None:
            return self._ignore(Reason.UNSOLICITED)
        chain = chain_from(message.blocks[: self.config.sync_batch + 1], tree, self._certified_ids())
        if not chain.connected and chain.held is None:
            return self._reject(Reason.BAD_CHAIN)
        if not chain.blocks:
            self._ignore(Reason.DUPLICATE)
            self._ask_beyond(chain.held)
            return False
        reason = None if chain.certificate is None else self.verifier.qc(chain.certificate)
        for block in chain.blocks:
            reason = reason or self.verifier.block(block)
        if reason is not None:
            return self._reject(reason)
        for block in chain.blocks:
            self._insert(tree.execute(block))
            self.process_certificate_qc(block.qc)
            self._deliver(block.qc)
        if chain.certificate is not None:
            self.process_certificate_qc(chain.certificate)
            self._deliver(chain.certificate)
        self._blocks_arrived()
        self._ask_beyond(chain.blocks[-1])
        return True

    def _ask_beyond(self, block: Block | None) -> None:
        self._out += self.sync.beyond(block, self._missing(), self.tree, self.pacemaker.current_round)

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

    def _start(self) -> bool:
        """Begin, or go on after a crash: tell all what one knows, and send again what was sent last in this round."""
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
        return True

    def _send_proposal_again(self, block: Block) -> None:
        """Unless its TC is no longer at hand, for a late QC of the TC's round has made it superfluous."""
        tc = self.pacemaker.tc_for(block.qc)
        if tc is not None or consecutive(block.qc.vote_info.round, block.round):
            self._send_proposal(block, tc)
