"""Main: what certificates, proposals, votes and timeouts do (report, section 3.1, module Main).

A procedure that handles something returns whether it changed the replica. Certificates and blocks take effect in
several places of one event, and what follows from them (a proposal, a timer, a fetch) must follow once, at the end:
`_settle`.
"""

from __future__ import annotations

from diembft.consensus import rest, sync
from diembft.consensus.block_tree import MAX_VOTES_OF_ONE_AUTHOR, Node
from diembft.consensus.effects import (
    Broadcast,
    Checkpoint,
    Commit,
    Divergence,
    Equivocation,
    Reason,
    Send,
    SendReply,
)
from diembft.consensus.parts import Parts
from diembft.consensus.verification import CERTIFIED
from diembft.messages.types import (
    QC,
    TC,
    Block,
    ProposalMsg,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)


class Main(Parts):
    """The procedures of the report, by their names."""

    # --- certificates

    def process_certificate_qc(self, qc: QC) -> bool:
        """Report: block tree, then pacemaker. A verified certificate takes effect at once, its block known or not.

        Returns whether it was news: a higher QC than was known, or one that starts a round.
        """
        news = self.tree.process_qc(qc)
        if news:
            self._deliver(self.tree.high_commit_qc)
        if qc.vote_info.round >= self.pacemaker.current_round - 1 and self.pacemaker.advance_round_qc(qc):
            self._entered_round()
            news = True
        return news

    def process_certificate_tc(self, tc: TC | None) -> bool:
        """A TC's QC, then the TC itself; whether either was news. A missing TC is skipped."""
        if tc is None:
            return False
        news = self.process_timeout_qc(tc.high_qc, tc.round + 1)
        if self.pacemaker.advance_round_tc(tc):
            self._entered_round()
            news = True
        return news

    def process_timeout_qc(self, qc: QC, round_: int) -> bool:
        """A QC in a timeout of `round_`, or in a TC that leads into it: so a leader learns of what others hold.

        A seam: only a planted bug needs `round_` (`faults/bugs/stale_leader.py`).
        """
        return self.process_certificate_qc(qc)

    def _entered_round(self) -> None:
        self.proposals.clear()
        self.tree.forget_votes(self.pacemaker.current_round - 1)

    # --- proposals

    def process_proposal_msg(self, message: ProposalMsg, peer: int) -> bool:
        """Report: process the certificates; if the proposal is the current leader's, execute, insert, vote."""
        block = message.block
        late = block.round < self.pacemaker.current_round
        reason = self.verifier.proposal(message, CERTIFIED if late else self.mempool)
        if reason is not None:
            return self._reject(reason)
        news = self.process_certificate_qc(block.qc)
        news |= self.process_certificate_qc(message.high_commit_qc)
        news |= self.process_certificate_tc(message.last_round_tc)
        current_round = self.pacemaker.current_round
        if block.round != current_round:
            assert block.round < current_round, "because the certificates of a valid proposal lead into its round"
            return self._insert_if_wanted(block) or self._ignore(Reason.STALE) or news
        first = self.proposals.get(block.author)
        if first is None:
            self.proposals[block.author] = message
            news = True
        elif first.block.id != block.id:
            self._out.append(Equivocation(block.author, first, message))
        if block.qc.vote_info.id not in self.tree.nodes:
            if block.qc.vote_info.round < self.tree.root.block.round:
                return self._ignore(Reason.CONFLICTS_WITH_COMMIT) or news
            if news:
                self._fetch_from(peer)
            return self._ignore(Reason.UNKNOWN_PARENT) or news
        return self._consider(message) or news

    def _consider(self, message: ProposalMsg) -> bool:
        """Vote on a valid proposal of the current round whose parent is held, if its author leads."""
        block = message.block
        if block.author != self.leader(block.round):
            return self._ignore(Reason.NOT_LEADER)
        if block.id in self.tree.nodes and not self.safety.above_last_vote(block.round):
            return self._ignore(Reason.DUPLICATE)
        reason = self._refused_time(block)
        if reason is not None:
            return self._ignore(reason)
        node = self.tree.execute(block)
        vote = self._make_vote(node, message.last_round_tc)
        if vote is None and self.proposals[block.author].block.id != block.id:
            # A second block of one leader is kept only if it may be voted for.
            return self._ignore(Reason.NOT_SAFE)
        inserted = self._insert(node)
        if vote is None:
            return self._ignore(Reason.NOT_SAFE) or inserted
        self._send_vote(vote)
        return True

    def _refused_time(self, block: Block) -> Reason | None:
        """Why a block whose parent is held gets no vote for its time. It is taken all the same once it is certified.

        The own block is not asked: its time is the least that its parent, which a quorum accepted, allows, if the own
        clock is behind.
        """
        if block.time_ms < self.tree.nodes[block.qc.vote_info.id].block.time_ms:
            return Reason.TIME_BACKWARDS
        if block.time_ms > self._now_ms + self.config.max_clock_ahead_ms:
            return Reason.TIME_AHEAD
        return None

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

    def vote_collector(self, round_: int) -> int:
        """To whom votes of a round go."""
        return self.election.vote_collector(round_, self.tree)

    def _insert(self, node: Node) -> bool:
        """Keep an executed block, report a diverging state, and hold its requests until they are committed. Whether the
        block is new."""
        block = node.block
        if block.id in self.tree.nodes:
            return False
        qc = block.qc
        parent = self.tree.nodes[qc.vote_info.id]
        if qc.vote_info.exec_state_id != parent.state_id:
            self._out.append(Divergence(parent.block.id, parent.state_id, qc))
        self.tree.insert(node)
        self._unsaved.append(block)
        for request in block.payload:
            self._hold(request)
        return True

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

    def process_vote_msg(self, message: VoteMsg, peer: int) -> bool:
        """Report: when the vote completes a QC, process it and start the new round.

        Kept are votes of the previous round and later ones, up to a bounded number of rounds ahead, the block known
        or not.
        """
        round_ = message.vote_info.round
        current_round = self.pacemaker.current_round
        if round_ < current_round - 1:
            return self._ignore(Reason.STALE)
        if round_ > current_round + self.config.max_rounds_ahead:
            return self._ignore(Reason.TOO_FAR_AHEAD)
        bucket = self.tree.bucket(message)
        if self.quorums.is_quorum(len(bucket)) or self.tree.counted_as(message, bucket) in bucket:
            return self._ignore(Reason.DUPLICATE)
        reason = self.verifier.vote(message)
        if reason is not None:
            return self._reject(reason)
        news = self.process_certificate_qc(message.high_commit_qc)
        if round_ < self.pacemaker.current_round - 1:
            return self._ignore(Reason.STALE) or news
        news |= self._collect_vote(message)
        if news:
            self._fetch_from(peer)
        return news

    def _collect_vote(self, vote: VoteMsg) -> bool:
        """Report, Block-Tree `process_vote`: keep a verified vote, make a QC when it completes one.

        Reported are a second vote of its author, and one for another state of the block than was computed here. A QC is
        made once, of the vote that completes it. Returns whether that was news.
        """
        others = self.tree.other_votes(vote)
        if len(others) >= MAX_VOTES_OF_ONE_AUTHOR:
            return self._ignore(Reason.DUPLICATE)
        if others:
            self._out.append(Equivocation(vote.sender, others[0], vote))
        vote_info = vote.vote_info
        node = self.tree.nodes.get(vote_info.id)
        if node is not None and node.state_id != vote_info.exec_state_id:
            self._out.append(Divergence(vote_info.id, node.state_id, None, vote))
        bucket = self.tree.add_vote(vote)
        if len(bucket) != self.quorums.quorum:
            return False
        signatures = tuple(sorted([(held.sender, held.signature) for held in bucket.values()]))
        info = vote.ledger_commit_info
        qc = QC(vote_info, info, signatures, self.me, self.safety.sign_qc(info, signatures))
        self.verifier.made(qc)
        return self.process_certificate_qc(qc)

    # --- timeouts

    def local_timeout_round(self) -> bool:
        """Report: give up on the current round and tell all."""
        tc = self.pacemaker.tc_for(self.tree.high_qc)
        info = self.safety.make_timeout(self.pacemaker.current_round, self.tree.high_qc, tc)
        if info is None:
            return self._ignore(Reason.NOT_SAFE)
        message = TimeoutMsg(info, tc, self.tree.high_commit_qc)
        self.last_sent = message
        self._must_persist = True
        self._out.append(Broadcast(message))
        self._own.append(message)
        return True

    def process_timeout_msg(self, message: TimeoutMsg, peer: int) -> bool:
        """Report: process the certificates, then the timeout; when it completes a TC, advance and start the new
        round."""
        reason = self.verifier.timeout(message)
        if reason is not None:
            return self._reject(reason)
        info = message.tmo_info
        news = self.process_timeout_qc(info.high_qc, info.round)
        news |= self.process_certificate_qc(message.high_commit_qc)
        news |= self.process_certificate_tc(message.last_round_tc)
        if news:
            self._fetch_from(peer)
        past = info.round < self.pacemaker.current_round
        if past or info.high_qc.vote_info.round < self.tree.high_qc.vote_info.round:
            self._send_sync_info(peer, info.round)
        if past:
            return self._ignore(Reason.STALE) or news
        if not self.pacemaker.add_timeout(info):
            return self._ignore(Reason.DUPLICATE) or news
        self._count_timeouts()
        return True

    def _count_timeouts(self) -> None:
        """Report, Pacemaker `process_remote_timeout`: join f + 1 (Bracha), and make a TC of a quorum."""
        pacemaker = self.pacemaker
        if pacemaker.should_join() and self.me not in pacemaker.timeouts:
            self.local_timeout_round()
        tc = pacemaker.timeout_certificate()
        if tc is not None:
            self.verifier.made(tc)
            self.process_certificate_tc(tc)

    # --- the end of a step

    def _settle(self) -> None:
        """Follow up what changed: proposals and own messages until nothing is left; then sync and timers."""
        while True:
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
        tree, pacemaker = self.tree, self.pacemaker
        missing = sync.missing(tree, self.proposals.values())
        if missing is not None or self.sync.fetch is not None:
            self._out += self.sync.update(missing, tree, pacemaker.current_round)
        work = rest.has_work(self.config, self.mempool, tree, pacemaker.current_round)
        self._out += self.rest.update(work, pacemaker, tree)

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
        if parent is None or rest.may_rest(self.config, self.mempool, parent):
            return
        payload = self.mempool.select(round_, tree.path(parent.block.id))
        time_ms = max(parent.block.time_ms, self._now_ms)
        block_id = self._digests.block(self.me, round_, time_ms, payload, tree.high_qc)
        node = tree.execute(Block(self.me, round_, time_ms, payload, tree.high_qc, block_id))
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
            out.append(Commit(height, block, qc, node.state_id, node.results))
            if block.payload:
                self.mempool.forget(block.payload)
                out.extend([SendReply(reply) for reply in node.results if reply is not None])
        self._checkpoint = Checkpoint(qc, height, nodes[-1].state_id, nodes[-1].ledger)

    # --- catching up

    def _send_sync_info(self, to: int, round_: int) -> None:
        tree = self.tree
        message = SyncInfo(round_, tree.high_qc, tree.high_commit_qc, self.pacemaker.tc_for(tree.high_qc))
        self._out.append(Send(to, message))

    def _missing(self) -> QC | None:
        return sync.missing(self.tree, self.proposals.values())

    def _fetch_from(self, peer: int) -> None:
        """A message brought news: if blocks are missing, ask the peer whose message it was."""
        qc = self._missing()
        if qc is not None:
            self._out += self.sync.start(qc, peer, self.tree, self.pacemaker.current_round)
