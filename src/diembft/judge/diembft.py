"""What records of DiemBFT say, as facts: signatures and digests are verified here, a second time and on purpose.

The one file of this room that knows DiemBFT's messages. It reads the details of a trace; where there are none, what
stands in neutral terms counts (`judge/neutral.py`).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct
from typing_extensions import override

from diembft.crypto.ed25519 import Ed25519KeyRing
from diembft.crypto.interface import KeyRing
from diembft.crypto.symbolic import SymbolicKeyRing
from diembft.judge.details import block_of, message_of, qc_of, tc_of
from diembft.judge.facts import BlockExecuted, CertificateSeen
from diembft.judge.neutral import NeutralReader, Seen
from diembft.messages.digests import Digests
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockResponse,
    LedgerCommitInfo,
    Message,
    ProposalMsg,
    Request,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)
from diembft.trace import diembft as neutral
from diembft.trace import records, values
from diembft.trace.records import Header

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_PUBLIC_KEY_SIZE = 32

_NOTHING: Sequence[Seen] = ()

_CACHED = 4096
"""How many certificates, and how many blocks, are remembered with what is wrong with them."""


class _Executed(Struct, frozen=True):
    """What is wrong with the requests that a block executes."""

    executed: tuple[tuple[str, int], ...]
    unsigned: tuple[tuple[str, int], ...]
    foreign: tuple[tuple[str, int], ...]


class DiemBftReader(NeutralReader):
    """Reads the records of one run of DiemBFT, and verifies what is in them."""

    def __init__(self, header: Header) -> None:
        super().__init__(header)
        self._digests = Digests(str(header.detail.get("chain_id", "")), int(header.detail.get("epoch", 0)))
        self._keys = key_ring(header)
        self._genesis: QC | None = None
        self._qcs: dict[QC, CertificateSeen] = {}
        self._tcs: dict[TC, CertificateSeen] = {}
        self._judged_blocks: dict[bytes, _Executed] = {}

    @override
    def in_message(self, message: values.Message) -> Sequence[Seen]:
        detail = message_of(message.detail)
        if detail is None:
            return super().in_message(message)
        qcs, tc = certificates_of(detail)
        return self._noted(qcs, tc)

    @override
    def of_block(self, block: values.Block) -> Sequence[Seen]:
        detail = block_of(block.detail)
        if detail is None:
            return super().of_block(block)
        known = self._qcs.get(detail.qc)
        return _NOTHING if known is not None and not known.fault else self._noted((detail.qc,), None)

    @override
    def of(self, certificate: values.Certificate) -> Sequence[Seen]:
        detail = certificate.detail
        if type(detail) is QC:  # nearly always
            known = self._qcs.get(detail)
            return _NOTHING if known is not None and not known.fault else self._noted((detail,), None)
        if certificate.block is None:
            tc = tc_of(detail)
            return super().of(certificate) if tc is None else self._noted((), tc)
        qc = qc_of(detail)
        return super().of(certificate) if qc is None else self._noted((qc,), None)

    @override
    def committed(self, record: records.Committed) -> BlockExecuted:
        block = block_of(record.block.detail)
        if block is None:
            return super().committed(record)
        known = self._judged_blocks.get(block.id)
        if known is None or known.executed != record.executed:
            known = self._judged(block, record.executed)
            _remember(self._judged_blocks, block.id, known)
        return self._commit(record, known.unsigned, known.foreign)

    def _noted(self, qcs: tuple[QC, ...], tc: TC | None) -> Sequence[Seen]:
        """What is to be said of certificates that somebody holds or sends: nearly always nothing."""
        noted: list[Seen] = []
        for qc in qcs:
            known = self._qcs.get(qc)
            if known is None:
                noted.append((self._certified(qc), True))
            elif known.fault:
                noted.append((known, False))
        if tc is not None:
            known = self._tcs.get(tc)
            if known is None:
                noted.append((self._given_up(tc), True))
            elif known.fault:
                noted.append((known, False))
            noted += self._noted((tc.high_qc,), None)
        return noted

    def _certified(self, qc: QC) -> CertificateSeen:
        info = qc.vote_info
        signers = tuple([signer for signer, _ in qc.signatures])
        shown = neutral.certificate(qc)
        fact = CertificateSeen(info.round, info.id, signers, shown, self._fault(qc), info.exec_state_id)
        _remember(self._qcs, qc, fact)
        return fact

    def _given_up(self, tc: TC) -> CertificateSeen:
        signers = tuple([signer for signer, _ in tc.tmo_signatures])
        fact = CertificateSeen(tc.round, None, signers, neutral.given_up(tc), self._tc_fault(tc))
        _remember(self._tcs, tc, fact)
        return fact

    def _judged(self, block: Block, executed: tuple[tuple[str, int], ...]) -> _Executed:
        requests: dict[tuple[str, int], Request] = {}
        if executed:
            for request in block.payload:
                requests.setdefault((request.client, request.number), request)
        unsigned = [key for key in executed if key in requests and not self._signed(requests[key])]
        foreign = [key for key in executed if key not in requests]
        return _Executed(executed, tuple(unsigned), tuple(foreign))

    def _signed(self, request: Request) -> bool:
        return self._keys.verify_client(request.client, self._digests.request(request), request.signature)

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


def key_ring(header: Header) -> KeyRing:
    """The keys of the run that a header describes."""
    if header.detail.get("crypto") != "ed25519":
        return SymbolicKeyRing(header.n, header.clients)
    keys = {name: _public_key(key) for name, key in header.detail.get("public_keys", {}).items()}
    keys = {name: key for name, key in keys.items() if len(key) == _PUBLIC_KEY_SIZE}
    replicas = [keys.get(f"replica{replica}", bytes(_PUBLIC_KEY_SIZE)) for replica in range(header.n)]
    return Ed25519KeyRing(replicas, {client: keys[client] for client in header.clients if client in keys})


def _public_key(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


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
