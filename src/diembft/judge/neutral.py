"""What the records of any protocol say, as facts, by what stands there in neutral terms; no signature is verified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from diembft.judge.facts import NO_BLOCK, BlockExecuted, CertificateSeen, RequestKey, TimedOut, Voted
from diembft.trace import records
from diembft.trace.records import Header, Record
from diembft.trace.values import Block, Certificate, Message, Timeout, Vote

Seen: TypeAlias = tuple[CertificateSeen, bool]
"""A certificate, and whether it is met for the first time."""

_REMEMBERED = 4096


class NeutralReader:
    """Reads the records of one run. Of certificates it tells those that are met for the first time, and each time those
    that do not verify: there is nothing new to say of the others."""

    verified = True
    """Whether nothing was taken at its word that its protocol signs."""

    def __init__(self, header: Header) -> None:
        self._n = header.n
        self._quorum = header.quorum
        self._known: dict[tuple[int, bytes | None, tuple[int, ...], str], CertificateSeen] = {}

    def readable(self, record: Record) -> Record:
        """A record of a trace from elsewhere, as the other methods take it. Raises InputError if it cannot be read."""
        return record

    def in_message(self, message: Message) -> Sequence[Seen]:
        """The certificates in a message."""
        noted = [seen for block in message.blocks for seen in self.of_block(block)]
        return noted + [seen for certificate in message.certificates for seen in self.of(certificate)]

    def of_block(self, block: Block) -> Sequence[Seen]:
        """The certificate of its parent in a block, if it is there."""
        return () if block.certificate is None else self.of(block.certificate)

    def of(self, certificate: Certificate) -> Sequence[Seen]:
        """A certificate that a node holds, and what it holds by that."""
        key = (certificate.round, certificate.block, certificate.signers, certificate.phase)
        known = self._known.get(key)
        if known is not None:
            return ((known, False),) if known.fault else ()
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        signers = certificate.signers
        fault = self._signers_fault(signers) if certificate.round else ""
        known = self._known[key] = CertificateSeen(certificate.round, certificate.block, signers, certificate, fault)
        return ((known, True),)

    def committed(self, record: records.Committed) -> BlockExecuted:
        """What a node delivered."""
        foreign = [key for key in record.executed or () if key not in record.block.requests]
        return self._commit(record, (), tuple(foreign))

    def _commit(
        self,
        record: records.Committed,
        unsigned: tuple[RequestKey, ...],
        foreign: tuple[RequestKey, ...],
        fault: str = "",
    ) -> BlockExecuted:
        block = record.block
        return BlockExecuted(
            record.at,
            record.node,
            block.id,
            block.round,
            block.parent,
            block.parent_round,
            record.certificate,
            record.height,
            record.executed,
            unsigned,
            foreign,
            record.state,
            fault,
        )

    def _signers_fault(self, signers: tuple[int, ...] | list[int]) -> str:
        distinct = len(dict.fromkeys(signers))
        if distinct != len(signers):
            return "somebody signed twice"
        if not all(0 <= signer < self._n for signer in signers):
            return f"not all of its signers are replicas, of which there are {self._n}"
        return "" if distinct >= self._quorum else f"{distinct} signers are no quorum of {self._quorum}"


def voted(node: str, vote: Vote, message: Any) -> Voted:
    """That a node signed a vote, which stands in this message."""
    block = vote.block or NO_BLOCK
    return Voted(node, vote.round, block, vote.parent, vote.parent_round, vote.content, message, vote.phase)


def timed_out(node: str, timeout: Timeout, message: Any) -> TimedOut:
    """That a node signed a timeout."""
    return TimedOut(node, timeout.round, timeout.high_round, message)
