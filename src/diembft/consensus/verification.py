"""What a message must satisfy before it may change anything.

Every check returns None if the value is right, else the Reason why it is refused; nothing here changes the replica.
Signers must be distinct, known, and a quorum; every signature and every nested certificate is verified.
Certificates that verified before are remembered by content in a small bounded cache, which never changes an answer:
forks share it.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from typing_extensions import override

from diembft.consensus.config import Config
from diembft.consensus.effects import Reason
from diembft.consensus.genesis import Genesis
from diembft.consensus.quorums import Quorums
from diembft.consensus.safety import consecutive
from diembft.crypto.interface import KeyRing
from diembft.messages.digests import Digests
from diembft.messages.sizes import operations_bytes
from diembft.messages.types import (
    QC,
    TC,
    Block,
    Payload,
    ProposalMsg,
    Request,
    RequestKind,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)

Certificate = TypeVar("Certificate", QC, TC)

CACHED_CERTIFICATES = 64
"""How many verified certificates of each kind are remembered."""


class VerifiedRequests(Protocol):
    """Knows requests whose signatures were verified before."""

    def holds(self, request: Request) -> bool:
        """Whether this very request was verified and is still held."""
        ...


class CertifiedRequests(VerifiedRequests):
    """Stands for a block that counts only if a quorum certified it: then correct validators verified its requests."""

    @override
    def holds(self, request: Request) -> bool:
        return True


CERTIFIED = CertifiedRequests()


class Verifier:
    """Checks messages of one system against its keys."""

    __slots__ = ("_config", "_digests", "_genesis_qc", "_keys", "_n", "_quorums", "_verified_qcs", "_verified_tcs")

    def __init__(self, config: Config, digests: Digests, genesis: Genesis, keys: KeyRing, quorums: Quorums) -> None:
        self._config = config
        self._n = config.n
        self._digests = digests
        self._genesis_qc = genesis.qc
        self._keys = keys
        self._quorums = quorums
        self._verified_qcs: dict[QC, None] = {}
        self._verified_tcs: dict[TC, None] = {}

    def proposal(self, message: ProposalMsg, held: VerifiedRequests) -> Reason | None:
        """A proposal: its author's signature, its id, the rule of the attached TC, its certificates, its payload."""
        block = message.block
        if not self._keys.verify(block.author, self._digests.proposal(block.id), message.signature):
            return Reason.BAD_SIGNATURE
        return (
            self.block(block)
            or self.attached_tc(block.round, block.qc.vote_info.round, message.last_round_tc)
            or self.high_commit_qc(message.high_commit_qc)
            or self.payload(block.payload, held)
        )

    def block(self, block: Block) -> Reason | None:
        """A block by itself: above its parent's round, its id the digest of its content, its QC verified."""
        if block.round <= block.qc.vote_info.round:
            return Reason.BAD_ROUND
        if block.id != self._digests.block(block.author, block.round, block.time_ms, block.payload, block.qc):
            return Reason.BAD_BLOCK_ID
        return self.qc(block.qc)

    def attached_tc(self, round_: int, qc_round: int, tc: TC | None) -> Reason | None:
        """A TC is attached if and only if the QC is not of the previous round; then it is of the previous round."""
        if qc_round == round_ - 1:
            return None if tc is None else Reason.SUPERFLUOUS_TC
        if tc is None or tc.round != round_ - 1:
            return Reason.MISSING_TC
        return self.tc(tc)

    def payload(self, payload: Payload, held: VerifiedRequests) -> Reason | None:
        """The limits on a block's requests, and each client's signature."""
        if not payload:
            return None
        config = self._config
        if len(payload) > config.max_block_requests:
            return Reason.BAD_PAYLOAD
        if sum([len(request.operations) for request in payload]) > config.max_block_operations:
            return Reason.BAD_PAYLOAD
        if sum(map(operations_bytes, payload)) > config.max_block_bytes:
            return Reason.BAD_PAYLOAD
        for request in payload:
            if not held.holds(request) and self.request(request) is not None:
                return Reason.BAD_PAYLOAD
        return None

    def request(self, request: Request) -> Reason | None:
        """A client's request: its kind, its size, and its client's signature."""
        if request.kind is not RequestKind.ORDINARY:
            return Reason.BAD_KIND
        if len(request.operations) > self._config.max_request_operations:
            return Reason.BAD_REQUEST
        if operations_bytes(request) > self._config.max_request_bytes:
            return Reason.BAD_REQUEST
        if not self._keys.verify_client(request.client, self._digests.request(request), request.signature):
            return Reason.BAD_REQUEST
        return None

    def vote(self, message: VoteMsg) -> Reason | None:
        """A vote: its sender's signature over the commit info, which must fit the vote info; its certificate."""
        info = message.ledger_commit_info
        if not self._keys.verify(message.sender, self._digests.vote(info), message.signature):
            return Reason.BAD_SIGNATURE
        vote_info = message.vote_info
        if vote_info.round <= vote_info.parent_round:
            return Reason.BAD_ROUND
        if info.vote_info_hash != self._digests.vote_info(vote_info):
            return Reason.BAD_VOTE_INFO
        if (info.commit_state_id is not None) != self.commit_rule(vote_info.parent_round, vote_info.round):
            return Reason.BAD_COMMIT_RULE
        return self.high_commit_qc(message.high_commit_qc)

    def timeout(self, message: TimeoutMsg) -> Reason | None:
        """A timeout: its sender's signature, rounds that make sense, its certificates."""
        info = message.tmo_info
        qc_round = info.high_qc.vote_info.round
        if not self._keys.verify(info.sender, self._digests.timeout(info.round, qc_round), info.signature):
            return Reason.BAD_SIGNATURE
        if qc_round >= info.round:
            return Reason.BAD_ROUND
        return (
            self.qc(info.high_qc)
            or self.attached_tc(info.round, qc_round, message.last_round_tc)
            or self.high_commit_qc(message.high_commit_qc)
        )

    def sync_info(self, message: SyncInfo) -> Reason | None:
        """The certificates of a SyncInfo."""
        return (
            self.qc(message.high_qc)
            or self.high_commit_qc(message.high_commit_qc)
            or (None if message.last_round_tc is None else self.tc(message.last_round_tc))
        )

    def high_commit_qc(self, qc: QC) -> Reason | None:
        """A QC that is said to commit something must do so."""
        if qc.ledger_commit_info.commit_state_id is None:
            return Reason.NOT_COMMITTING
        return self.qc(qc)

    def qc(self, qc: QC) -> Reason | None:
        """A quorum certificate."""
        if qc in self._verified_qcs:
            return None
        vote_info, info = qc.vote_info, qc.ledger_commit_info
        if vote_info.round == 0:
            return None if qc == self._genesis_qc else Reason.BAD_GENESIS
        if vote_info.round <= vote_info.parent_round:
            return Reason.BAD_ROUND
        if info.vote_info_hash != self._digests.vote_info(vote_info):
            return Reason.BAD_VOTE_INFO
        if (info.commit_state_id is not None) != self.commit_rule(vote_info.parent_round, vote_info.round):
            return Reason.BAD_COMMIT_RULE
        if not self._quorums.is_quorum(self._quorums.distinct(tuple([signer for signer, _ in qc.signatures]))):
            return Reason.NO_QUORUM
        if not self.qc_signatures(qc):
            return Reason.BAD_QC
        _remember(self._verified_qcs, qc)
        return None

    def qc_signatures(self, qc: QC) -> bool:
        """Whether every signature of a QC verifies, its author's too."""
        info = qc.ledger_commit_info
        verify = self._keys.verify
        digest = self._digests.vote(info)
        for signer, signature in qc.signatures:
            if not verify(signer, digest, signature):
                return False
        return verify(qc.author, self._digests.qc(info, qc.signatures), qc.author_signature)

    def tc(self, tc: TC) -> Reason | None:
        """A timeout certificate: a quorum, every signed round below the TC's, and the QC of the highest of them."""
        if tc in self._verified_tcs:
            return None
        rounds = tc.tmo_high_qc_rounds
        if len(rounds) != len(tc.tmo_signatures):
            return Reason.BAD_TC
        if not self._quorums.is_quorum(self._quorums.distinct(tuple([signer for signer, _ in tc.tmo_signatures]))):
            return Reason.NO_QUORUM
        highest = max(rounds)
        if highest >= tc.round or tc.high_qc.vote_info.round != highest:
            return Reason.BAD_TC
        if not self.tc_signatures(tc):
            return Reason.BAD_TC
        reason = self.qc(tc.high_qc)
        if reason is None:
            _remember(self._verified_tcs, tc)
        return reason

    def tc_signatures(self, tc: TC) -> bool:
        """Whether every signature of a TC verifies."""
        verify, timeout = self._keys.verify, self._digests.timeout
        return all(
            verify(signer, timeout(tc.round, qc_round), signature)
            for (signer, signature), qc_round in zip(tc.tmo_signatures, tc.tmo_high_qc_rounds, strict=True)
        )

    def commit_rule(self, parent_round: int, round_: int) -> bool:
        """Whether a QC of `round_` whose parent has `parent_round` commits that parent."""
        return consecutive(parent_round, round_)

    def made(self, certificate: QC | TC) -> None:
        """Remember a certificate that this replica made of votes or timeouts it had verified one by one."""
        if isinstance(certificate, QC):
            _remember(self._verified_qcs, certificate)
        else:
            _remember(self._verified_tcs, certificate)


def _remember(cache: dict[Certificate, None], value: Certificate) -> None:
    if len(cache) >= CACHED_CERTIFICATES:
        del cache[next(iter(cache))]
    cache[value] = None
