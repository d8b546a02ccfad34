"""The blocks and certificates of a trace, each once."""

from __future__ import annotations

from collections import Counter

import msgspec

from diembft.ledger.key_value import Operation, decode_result
from diembft.messages.types import QC, TC, Block, Request, VoteInfo
from diembft.pages import data
from diembft.pages.data import NONE

SHOWN_REQUESTS = 8
"""How many requests of a block or message are shown."""
SHOWN_OPERATION = 80
"""How many characters of an operation are shown."""

_key_value: msgspec.msgpack.Decoder[Operation] = msgspec.msgpack.Decoder(Operation)


class Catalogue:
    """Gives every block and certificate an index, by content."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self.blocks: list[data.PageBlock] = []
        self.certificates: list[data.PageCertificate] = []
        self.timeout_certificates: list[data.PageTimeoutCertificate] = []
        self._block_index: dict[bytes, int] = {}
        self._certificate_index: dict[tuple[bytes, bool, tuple[int, ...]], int] = {}
        self._tc_index: dict[tuple[int, tuple[int, ...], tuple[int, ...], int], int] = {}

    def find(self, block_id: bytes) -> int:
        """The index of a block by its id, NONE if it was not seen."""
        return self._block_index.get(block_id, NONE)

    def named(self, vote_info: VoteInfo) -> int:
        """The index of the block that a vote or certificate is about; nothing else of it need have been seen."""
        index = self._block_index.get(vote_info.id)
        if index is None:
            index = self._add(vote_info.id, vote_info.round)
        if self.blocks[index].parent == NONE and vote_info.round > 0:
            self.blocks[index].parent = self._block_index.get(vote_info.parent_id, NONE)
        return index

    def block(self, block: Block) -> int:
        """The index of a block; what its certificate names is taken in as well."""
        index = self._block_index.get(block.id)
        if index is None:
            index = self._add(block.id, block.round)
        entry = self.blocks[index]
        if entry.author == NONE:
            entry.author = block.author
            entry.round = block.round
            entry.qc = self.certificate(block.qc)
            entry.parent = self.certificates[entry.qc].block
            entry.requests = shown_requests(block.payload)
            entry.request_count = len(block.payload)
        return index

    def certificate(self, qc: QC) -> int:
        """The index of a certificate; its block is entered, if need be, by what the certificate tells of it."""
        signers = tuple(sorted({signer for signer, _ in qc.signatures}))
        key = (qc.vote_info.id, qc.commits, signers)
        index = self._certificate_index.get(key)
        if index is not None:
            return index
        block = self.named(qc.vote_info)
        index = len(self.certificates)
        self.certificates.append(
            data.PageCertificate(
                block, qc.round, qc.vote_info.parent_round, qc.commits, list(signers), qc.author, [NONE] * self._nodes
            )
        )
        self._certificate_index[key] = index
        return index

    def timeout_certificate(self, tc: TC | None) -> int:
        """The index of a TC, NONE for none."""
        if tc is None:
            return NONE
        qc = self.certificate(tc.high_qc)
        signers = tuple(signer for signer, _ in tc.tmo_signatures)
        key = (tc.round, signers, tc.tmo_high_qc_rounds, qc)
        index = self._tc_index.get(key)
        if index is None:
            index = len(self.timeout_certificates)
            self.timeout_certificates.append(
                data.PageTimeoutCertificate(tc.round, list(signers), list(tc.tmo_high_qc_rounds), qc)
            )
            self._tc_index[key] = index
        return index

    def name_blocks(self) -> None:
        """Give every block its name: its round, and a number where the round has several."""
        in_round = Counter(block.round for block in self.blocks)
        used: Counter[int] = Counter()
        for block in self.blocks:
            used[block.round] += 1
            if block.round == 0:
                block.name = "genesis"
            elif in_round[block.round] == 1:
                block.name = f"B{block.round}"
            else:
                block.name = f"B{block.round}.{used[block.round]}"

    def _add(self, block_id: bytes, round_: int) -> int:
        index = len(self.blocks)
        nothing = [NONE] * self._nodes
        self.blocks.append(data.PageBlock(block_id.hex(), "", round_, NONE, NONE, NONE, list(nothing), list(nothing)))
        self._block_index[block_id] = index
        return index


def shown_requests(requests: tuple[Request, ...]) -> list[data.PageRequest]:
    """The first requests, their operations as text."""
    return [
        data.PageRequest(request.client, request.number, "; ".join(map(operation_text, request.operations)))
        for request in requests[:SHOWN_REQUESTS]
    ]


def operation_text(operation: bytes) -> str:
    """An operation as a person may read it, shortened.

    Those of the key-value store are spelled out; others are text if they are text, else hexadecimal.
    """
    try:
        value = _key_value.decode(operation)
    except (msgspec.MsgspecError, RecursionError):
        text = _bytes_text(operation)
    else:
        fields = (f"{name}={_field_text(getattr(value, name))}" for name in value.__struct_fields__)
        text = f"{type(value).__name__}({', '.join(fields)})"
    return text if len(text) <= SHOWN_OPERATION else text[:SHOWN_OPERATION] + "…"


def result_text(result: bytes) -> str:
    """A result as a person may read it, likewise."""
    try:
        return str(decode_result(result))[:SHOWN_OPERATION]
    except (msgspec.MsgspecError, RecursionError):
        return _bytes_text(result)[:SHOWN_OPERATION]


def _field_text(value: bytes | None) -> str:
    return "none" if value is None else _bytes_text(value)


def _bytes_text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()
