"""What records of DiemBFT say, as facts: signatures and digests are verified here, a second time and on purpose.

The one file of this room that knows DiemBFT's messages.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from diembft.crypto.ed25519 import Ed25519KeyRing
from diembft.crypto.interface import KeyRing
from diembft.crypto.symbolic import SymbolicKeyRing
from diembft.judge.facts import Certified, Committed, TimedOut, Voted
from diembft.messages.digests import Digests
from diembft.messages.types import (
    QC,
    STALE,
    TC,
    Block,
    BlockResponse,
    LedgerCommitInfo,
    Message,
    ProposalMsg,
    Reply,
    Request,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)
from diembft.trace import records
from diembft.trace.records import Header

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_PUBLIC_KEY_SIZE = 32

_CACHED = 4096
"""How many certificates, and how many blocks, are remembered with what is wrong with them."""


class _Executed(Struct, frozen=True):
    """What is wrong with the requests that a block executes."""

    executed: tuple[tuple[str, int], ...]
    unsigned: tuple[tuple[str, int], ...]
    foreign: tuple[tuple[str, int], ...]


class Verifier:
    """Reads the records of one run of DiemBFT, and verifies what is in them."""

    def __init__(self, header: Header) -> None:
        self._digests = Digests(header.chain_id, header.epoch)
        self._keys = key_ring(header)
        self._quorum = header.n - (header.n - 1) // 3
        self._genesis: QC | None = None
        self.known: dict[QC, Certified] = {}
        """What QCs that were verified certify; of many the last ones."""
        self._tcs: dict[TC, Certified] = {}
        self._blocks: dict[bytes, _Executed] = {}

    def certified(self, qc: QC) -> Certified:
        """What a QC certifies."""
        info = qc.vote_info
        signers = tuple([signer for signer, _ in qc.signatures])
        fact = Certified(info.round, info.id, signers, qc, self._fault(qc), info.exec_state_id)
        _remember(self.known, qc, fact)
        return fact

    def given_up(self, tc: TC) -> Certified:
        """What a TC certifies."""
        known = self._tcs.get(tc)
        if known is None:
            signers = tuple([signer for signer, _ in tc.tmo_signatures])
            known = Certified(tc.round, None, signers, tc, self._tc_fault(tc))
            _remember(self._tcs, tc, known)
        return known

    def committed(self, record: records.Committed) -> Committed:
        """What a node delivered."""
        block = record.block
        parent = block.qc.vote_info
        known = self._blocks.get(block.id)
        if known is None or known.executed != record.executed:
            known = self._judged(block, record.executed)
            _remember(self._blocks, block.id, known)
        return Committed(
            record.at,
            record.node,
            block.id,
            block.round,
            parent.id,
            parent.round,
            record.certificate,
            record.height,
            record.executed,
            known.unsigned,
            known.foreign,
            record.state_id,
        )

    def _judged(self, block: Block, executed: tuple[tuple[str, int], ...]) -> _Executed:
        requests: dict[tuple[str, int], Request] = {}
        if executed:
            for request in block.payload:
                requests.setdefault((request.client, request.number), request)
        unsigned = [key for key in executed if key in requests and not self._signed(requests[key])]
        foreign = [key for key in executed if key not in requests]
        return _Executed(executed, tuple(unsigned), tuple(foreign))

    def _signed(self, request: Request) -> bool:
        return self._keys.verify_client(request.client, self._digests.request_of(request), request.signature)

    def _fault(self, qc: QC) -> str:
        """What is wrong with a QC; the empty string if nothing is."""
        vote_info, info = qc.vote_info, qc.ledger_commit_info
        if vote_info.round == 0:
            if self._genesis is None and not qc.signatures and vote_info.id == self._digests.genesis:
                self._genesis = qc
            return "" if qc == self._genesis else "it is of round 0, and not the genesis QC"
        if info.vote_info_hash != self._digests.vote_info(vote_info):
            return "the votes were about something else"
        if vote_info.parent_round >= vote_info.round:
            return "its parent is not of an earlier round"
        if (info.commit_state_id is None) == (vote_info.parent_round + 1 == vote_info.round):
            return "it commits exactly if rounds are consecutive, and this one does not"
        signers = [signer for signer, _ in qc.signatures]
        return self._signers_fault(signers) or self._signature_fault(qc, info)

    def _signature_fault(self, qc: QC, info: LedgerCommitInfo) -> str:
        digest = self._digests.vote(info)
        for signer, signature in qc.signatures:
            if not self._keys.verify(signer, digest, signature):
                return f"validator {signer} did not sign it"
        if not self._keys.verify(qc.author, self._digests.qc(info, qc.signatures), qc.author_signature):
            return f"its author, validator {qc.author}, did not sign it"
        return ""

    def _tc_fault(self, tc: TC) -> str:
        """What is wrong with a TC, its QC left out; the empty string if nothing is."""
        rounds = tc.tmo_high_qc_rounds
        fault = self._signers_fault([signer for signer, _ in tc.tmo_signatures])
        if fault:
            return fault
        if len(rounds) != len(tc.tmo_signatures):
            return "it has not one round for each signature"
        if max(rounds) != tc.high_qc.round or max(rounds) >= tc.round:
            return "its QC is not that of the highest signed round, below its own"
        for (signer, signature), round_ in zip(tc.tmo_signatures, rounds, strict=True):
            if not self._keys.verify(signer, self._digests.timeout(tc.round, round_), signature):
                return f"validator {signer} did not sign it"
        return ""

    def _signers_fault(self, signers: list[int]) -> str:
        distinct = len(dict.fromkeys(signers))
        if distinct != len(signers):
            return "somebody signed twice"
        return "" if distinct >= self._quorum else f"{distinct} signers are no quorum of {self._quorum}"


def signed_by(node: str, message: Message) -> Voted | TimedOut | None:
    """What a node binds itself to by a message. Only what the signature covers tells votes apart."""
    if isinstance(message, VoteMsg):
        info = message.vote_info
        content = message.ledger_commit_info
        return Voted(node, info.round, info.id, info.parent_id, info.parent_round, content, message)
    if isinstance(message, TimeoutMsg):
        return TimedOut(node, message.tmo_info.round, message.tmo_info.high_qc.round, message)
    return None


def requests_of(block: Block) -> tuple[tuple[str, int], ...]:
    """(client, number) of a block's requests."""
    return tuple([(request.client, request.number) for request in block.payload])


def refused(reply: Reply) -> bool:
    """Whether a reply says that the request is not taken."""
    return reply.status == STALE


def key_ring(header: Header) -> KeyRing:
    """The keys of the run that a header describes."""
    if header.crypto == "symbolic":
        return SymbolicKeyRing(header.n, header.clients)
    keys = {name: key for name, key in header.public_keys.items() if len(key) == _PUBLIC_KEY_SIZE}
    replicas = [keys.get(f"replica{replica}", bytes(_PUBLIC_KEY_SIZE)) for replica in range(header.n)]
    return Ed25519KeyRing(replicas, {client: keys[client] for client in header.clients if client in keys})


def certificates_of(message: Message) -> tuple[tuple[QC, ...], TC | None]:
    """The certificates that a message carries."""
    match message:
        case ProposalMsg():
            return (message.block.qc, message.high_commit_qc), message.last_round_tc
        case VoteMsg():
            return (message.high_commit_qc,), None
        case TimeoutMsg():
            return (message.tmo_info.high_qc, message.high_commit_qc), message.last_round_tc
        case SyncInfo():
            return (message.high_qc, message.high_commit_qc), message.last_round_tc
        case BlockResponse():
            return tuple([block.qc for block in message.blocks]), None
        case _:
            return (), None


def _remember(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(cache) >= _CACHED:
        del cache[next(iter(cache))]
    cache[key] = value
