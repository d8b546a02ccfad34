"""One replica of chained HotStuff: what both variants share, and where they differ.

A replica learns certificates, commits by them, votes once in a round if the block is safe, and gives a round up when
its timer fires. The leader of a round proposes as it enters it, on the highest certificate that it knows.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Self

from diembft.machine.effects import Broadcast, Commit, Send, SetTimer
from diembft.machine.events import Received, Started, Timer, TimerFired
from diembft.protocols.hotstuff.messages import (
    GENESIS,
    GENESIS_QC,
    QC,
    TC,
    Block,
    News,
    Proposal,
    Timeout,
    Vote,
    block_of,
)
from diembft.protocols.interface import Leaders

ROUND_TIMER_BOUNDS = 5
"""How long a round may take, in delay bounds."""


class Replica:
    """What the variants share. Subclasses say what is safe to vote for and what commits."""

    locks = True
    """Whether `locked` is looked at."""

    def __init__(self, me: int, n: int, marker: str, leaders: Leaders, delay_bound_s: float) -> None:
        self.me = me
        self.quorum = n - (n - 1) // 3
        self.marker = marker
        self.leaders = leaders
        self.timer_s = ROUND_TIMER_BOUNDS * delay_bound_s

        self.current_round = 0
        self.voted = 0
        """The highest round that it voted in or gave up."""
        self.gave_up = 0
        """The round that it gave up last."""
        self.high_qc = GENESIS_QC
        self.locked = GENESIS
        self.root = GENESIS
        """The last block that it committed."""
        self.height = 0
        self.tc: TC | None = None
        """By which it entered its round, if no certificate of a block led there."""
        self.votes: dict[Block, set[int]] = {}
        self.timeouts: dict[int, int] = {}
        """Of the current round: by sender, the round of the highest certificate that it knew."""
        self._out: list[Any] = []

    # --- rules, in which the variants differ

    def is_safe(self, block: Block, tc: TC | None) -> bool:
        """Whether a block of the current round may be voted for."""
        raise NotImplementedError

    def lock_of(self, qc: QC) -> Block:
        """What a certificate locks."""
        raise NotImplementedError

    def committed_by(self, qc: QC) -> Block | None:
        """The highest block that a certificate commits, if it does."""
        raise NotImplementedError

    # --- steps

    def step(self, event: Any) -> list[Any]:
        """Handle one event; the effects to carry out, in their order."""
        self._out = []
        match event:
            case Started():
                self._enter(1, None)
            case Received(message=Proposal() as proposal):
                self._proposed(proposal)
            case Received(message=Vote() as vote):
                self._collect_vote(vote)
            case Received(message=Timeout() as timeout):
                self._collect_timeout(timeout)
            case Received(message=News() as news):
                self._learn_all(news.high_qc, news.tc)
            case TimerFired(timer=Timer.ROUND, round=self.current_round):
                self._give_up()
            case _:
                pass
        return self._out

    def fork(self) -> Self:
        """An independent copy that shares all immutable values."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.votes = {block: voters.copy() for block, voters in self.votes.items()}
        copy.timeouts = self.timeouts.copy()
        return copy

    def _proposed(self, proposal: Proposal) -> None:
        block, tc = proposal.block, proposal.tc
        justify = block.justify
        if justify is None or block.author != self.leaders.leader(block.round) or not self._is_certified(justify):
            return
        if justify.round + 1 != block.round and (tc is None or tc.round + 1 != block.round):
            return
        self._learn_all(justify, tc)
        if block.round == self.current_round:
            self._vote(block, tc)

    def _vote(self, block: Block, tc: TC | None) -> None:
        if block.round > self.voted and self.is_safe(block, tc):
            self.voted = block.round
            vote = Vote(block, self.me)
            collector = self.leaders.leader(block.round + 1)
            self._out.append(Send(collector, vote))
            if collector == self.me:
                self._collect_vote(vote)

    def _collect_vote(self, vote: Vote) -> None:
        block = vote.block
        if block.round < self.current_round or block.justify is None:
            return
        voters = self.votes.setdefault(block, set())
        voters.add(vote.voter)
        if len(voters) == self.quorum:
            self._learn(QC(block.round, block, tuple(sorted(voters))))

    def _give_up(self) -> None:
        round_ = self.current_round
        self.voted = max(self.voted, round_)
        timeout = Timeout(round_, self.high_qc, self.tc, self.me, self.gave_up == round_)
        self.gave_up = round_
        self._out.append(SetTimer(Timer.ROUND, self.timer_s, round_))
        self._out.append(Broadcast(timeout))
        self._collect_timeout(timeout)

    def _collect_timeout(self, timeout: Timeout) -> None:
        self._learn_all(timeout.high_qc, timeout.tc)
        if timeout.round < self.current_round and timeout.again:
            self._out.append(Send(timeout.voter, News(timeout.round, self.high_qc, self.tc)))
        if timeout.round != self.current_round:
            return
        self.timeouts[timeout.voter] = timeout.high_qc.round
        if len(self.timeouts) == self.quorum:
            high_round = max(self.timeouts.values())
            self._learn_tc(TC(timeout.round, high_round, tuple(sorted(self.timeouts))))

    # --- certificates

    def _is_certified(self, qc: QC) -> bool:
        return qc == GENESIS_QC or len(set(qc.signers)) >= self.quorum

    def _learn_all(self, qc: QC, tc: TC | None) -> None:
        self._learn(qc)
        if tc is not None:
            self._learn_tc(tc)

    def _learn(self, qc: QC) -> None:
        """A certificate of a block: commit by it, lock by it, follow it into the next round."""
        if not self._is_certified(qc):
            return
        if qc.round > self.high_qc.round:
            self.high_qc = qc
        lock = self.lock_of(qc)
        if lock.round > self.locked.round:
            self.locked = lock
        head = self.committed_by(qc)
        if head is not None:
            self._commit(head, qc)
        if qc.round >= self.current_round:
            self._enter(qc.round + 1, None)

    def _learn_tc(self, tc: TC) -> None:
        """A certificate that a round was given up: follow it into the next one."""
        if len(set(tc.signers)) >= self.quorum and tc.round >= self.current_round:
            self._enter(tc.round + 1, tc)

    def _commit(self, head: Block, qc: QC) -> None:
        """Deliver the blocks above the last committed one up to this one; if they conflict with it, for all to see."""
        path: list[Block] = []
        block = head
        while block.round > self.root.round:
            path.append(block)
            block = block.parent
        for block in reversed(path):
            self.height += 1
            self.root = block
            self._out.append(Commit(self.height, block, qc))

    def _enter(self, round_: int, tc: TC | None) -> None:
        self.current_round = round_
        self.tc = tc
        self.timeouts = {}
        self.votes = {block: voters for block, voters in self.votes.items() if block.round >= round_}
        self._out.append(SetTimer(Timer.ROUND, self.timer_s, round_))
        if self.leaders.leader(round_) == self.me:
            block = block_of(self.me, round_, self.marker, self.high_qc)
            self._out.append(Broadcast(Proposal(block, tc)))
            self._vote(block, tc)

    def settle(self, *, settles: bool) -> None:
        """Forget what is dead once all that was sent has arrived: votes, and with `settles` timeouts too."""
        self.votes = {}
        if settles:
            self.timeouts = {}

    def state_key(self) -> Hashable:
        """The whole state as one value, but for who signed a certificate."""
        tc = self.tc
        return (
            self.marker,
            self.current_round,
            self.voted,
            self.gave_up,
            self.high_qc.block,
            self.locked,
            self.root,
            None if tc is None else (tc.round, tc.high_round),
            tuple([(block, tuple(sorted(voters))) for block, voters in self.votes.items()]),
            tuple(sorted(self.timeouts.items())),
        )


class HotStuff(Replica):
    """Three-chain: a block is committed when a chain of three of consecutive rounds from it on is certified."""

    def is_safe(self, block: Block, tc: TC | None) -> bool:
        """It extends the locked block, or is justified by a certificate that is higher than the lock."""
        assert block.justify is not None, "because genesis is not proposed"
        return block.justify.round > self.locked.round or extends(block, self.locked)

    def lock_of(self, qc: QC) -> Block:
        """The parent of the certified block."""
        return qc.block if qc.block.justify is None else qc.block.parent

    def committed_by(self, qc: QC) -> Block | None:
        """The grandparent of the certified block, if the rounds are consecutive."""
        top = qc.block
        if top.round < 3 or top.parent.round + 1 != top.round or top.parent.parent.round + 2 != top.round:
            return None
        return top.parent.parent


class FastHotStuff(Replica):
    """Two-chain: a block is committed when its child of the next round is certified.

    What a lock does in HotStuff, the timeouts do here: a leader that proposes on an older certificate shows by a quorum
    of them that there is no higher one.
    """

    def is_safe(self, block: Block, tc: TC | None) -> bool:
        """It extends a block of the round before, or the highest that a quorum knew when it gave that round up."""
        assert block.justify is not None, "because genesis is not proposed"
        if block.justify.round + 1 == block.round:
            return True
        return tc is not None and block.justify.round >= tc.high_round

    locks = False

    def lock_of(self, qc: QC) -> Block:
        """Nothing."""
        return GENESIS

    def committed_by(self, qc: QC) -> Block | None:
        """The parent of the certified block, if the rounds are consecutive."""
        top = qc.block
        return top.parent if top.round >= 2 and top.parent.round + 1 == top.round else None


class GapCommit(FastHotStuff):
    """The commit rule of an early version of Fast-HotStuff: whatever the rounds."""

    def committed_by(self, qc: QC) -> Block | None:
        """The parent of the certified block."""
        return qc.block.parent if qc.block.round >= 2 else None


def extends(block: Block, ancestor: Block) -> bool:
    """Whether a block has this ancestor, or is it."""
    while block.round > ancestor.round:
        block = block.parent
    return block == ancestor
