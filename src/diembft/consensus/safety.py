"""Safety: the trusted part (report, section 3.3, module Safety). Small, constant memory, the only holder of the
private key.

It keeps two numbers, `highest_vote_round` and `highest_qc_round`. Both must be durable before a signature leaves the
replica (the effect Persist sees to it). Certificates are verified before they come here (`verification.py`).
"""

from __future__ import annotations

from collections.abc import Hashable

from diembft.crypto.interface import Signer
from diembft.messages.digests import Digests
from diembft.messages.types import (
    QC,
    TC,
    Block,
    LedgerCommitInfo,
    Signatures,
    TimeoutInfo,
    VoteInfo,
    VoteMsg,
)


def consecutive(lower: int, upper: int) -> bool:
    """Report, section 3.3, `consecutive(block_round, round)`: the 2-chain commit rule needs neighbouring rounds."""
    return lower + 1 == upper


class Safety:
    """Decides what may be signed, and signs."""

    __slots__ = ("_digests", "_me", "_signer", "highest_qc_round", "highest_vote_round", "voted_id")

    def __init__(self, me: int, signer: Signer, digests: Digests) -> None:
        self._me = me
        self._signer = signer
        self._digests = digests
        self.highest_vote_round = 0
        self.highest_qc_round = 0
        self.voted_id: bytes | None = None
        """The block of the last vote, while no timeout followed it: the only one whose proposal may be signed."""

    def fork(self) -> Safety:
        """An independent copy."""
        copy = object.__new__(type(self))
        copy._me = self._me
        copy._signer = self._signer
        copy._digests = self._digests
        copy.highest_vote_round = self.highest_vote_round
        copy.highest_qc_round = self.highest_qc_round
        copy.voted_id = self.voted_id
        return copy

    def state_key(self) -> Hashable:
        """The whole state, exact."""
        return (self.highest_vote_round, self.highest_qc_round, self.voted_id)

    def above_last_vote(self, round_: int) -> bool:
        """No vote in a round that was voted in, or timed out in, before."""
        return round_ > self.highest_vote_round

    def safe_to_extend(self, block_round: int, qc_round: int, tc: TC) -> bool:
        """Report: after a TC, the parent must be at least as high as every QC that the TC's signers held."""
        return consecutive(tc.round, block_round) and qc_round >= max(tc.tmo_high_qc_rounds)

    def safe_to_vote(self, block_round: int, qc_round: int, tc: TC | None) -> bool:
        """Report, section 3.3. `tc` may be none."""
        if not self.above_last_vote(block_round) or block_round <= qc_round:
            return False
        return consecutive(qc_round, block_round) or (tc is not None and self.safe_to_extend(block_round, qc_round, tc))

    def safe_to_timeout(self, round_: int, qc_round: int, tc: TC | None) -> bool:
        """Report, section 3.3: no timeout with an older QC than was extended by a vote, nor of a round below the last
        vote's."""
        if qc_round < self.highest_qc_round or round_ <= max(self.highest_vote_round - 1, qc_round):
            return False
        return consecutive(qc_round, round_) or (tc is not None and consecutive(tc.round, round_))

    def commit_state_id_candidate(self, block_round: int, qc: QC, parent_state_id: bytes) -> bytes | None:
        """Report: what a QC made of this vote would commit: the parent's state, if the rounds are consecutive."""
        return parent_state_id if consecutive(qc.vote_info.round, block_round) else None

    def make_vote(
        self, block: Block, tc: TC | None, state_id: bytes, parent_state_id: bytes, high_commit_qc: QC
    ) -> VoteMsg | None:
        """Report: a vote for the block if the rules allow one. `state_id` is the state after the block."""
        qc = block.qc
        qc_round = qc.vote_info.round
        if not self.safe_to_vote(block.round, qc_round, tc):
            return None
        if qc_round > self.highest_qc_round:
            self.highest_qc_round = qc_round
        self.highest_vote_round = max(self.highest_vote_round, block.round)
        self.voted_id = block.id
        vote_info = VoteInfo(block.id, block.round, qc.vote_info.id, qc_round, state_id)
        info = LedgerCommitInfo(
            self.commit_state_id_candidate(block.round, qc, parent_state_id), self._digests.vote_info(vote_info)
        )
        return VoteMsg(vote_info, info, high_commit_qc, self._me, self._signer.sign(self._digests.vote(info)))

    def make_timeout(self, round_: int, high_qc: QC, tc: TC | None) -> TimeoutInfo | None:
        """Report: a timeout of the round if the rules allow one."""
        qc_round = high_qc.vote_info.round
        if not self.safe_to_timeout(round_, qc_round, tc):
            return None
        self.stop_voting(round_)
        return TimeoutInfo(round_, high_qc, self._me, self._signer.sign(self._digests.timeout(round_, qc_round)))

    def stop_voting(self, round_: int) -> None:
        """A timeout of the round excludes votes in it. A seam (`faults/bugs/no_timeout_lock.py`)."""
        if round_ > self.highest_vote_round:
            self.highest_vote_round = round_
        self.voted_id = None

    def sign_proposal(self, block: Block) -> bytes:
        """Sign a proposal: only of the block that was voted for last, hence one a round, also across a crash."""
        assert block.id == self.voted_id, "because a leader votes for its block before it proposes it"
        return self._signer.sign(self._digests.proposal(block.id))

    def sign_qc(self, info: LedgerCommitInfo, signatures: Signatures) -> bytes:
        """Sign as the author of a QC."""
        return self._signer.sign(self._digests.qc(info, signatures))
