"""How a trace shows any protocol: in the terms of DiemBFT, by what its `Reading` tells.

Messages become proposals, votes, timeouts, answers, requests and blocks; certificates keep rounds, blocks and signers.
Signatures are empty, ids of other lengths become digests of 32 bytes, and a certificate is shown to commit if it is the
one by which somebody committed. What a replica has voted and knows is taken from what it sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from typing_extensions import override

from diembft.machine.effects import Broadcast, Commit, Persist, Send
from diembft.messages import types
from diembft.messages.types import QC, TC, Digest, LedgerCommitInfo, Message, VoteInfo, VoteMsg
from diembft.protocols.interface import (
    ANSWER,
    BLOCKS,
    PROPOSAL,
    TIMEOUT,
    VOTE,
    Link,
    Showing,
    System,
    Told,
    UnderTest,
)
from diembft.trace import records
from diembft.trace.records import Record

_NO_SESSION = bytes(types.SESSION_SIZE)

NOTHING = bytes(32)


class Shown(Showing):
    """Shows one execution of a protocol. `leader` says who leads a round."""

    def __init__(self, protocol: UnderTest, leader: Callable[[int], int]) -> None:
        self._protocol = protocol
        self._reading = protocol.reading
        self._leader = leader
        self._links: dict[bytes, Link] = {}
        self._committing: set[Any] = set()
        """Certificates by which somebody committed."""
        self._genesis_qc: QC | None = None
        self._nodes: dict[str, _Node] = {}

    @override
    def header(self, system: System) -> dict[str, Any]:
        return {"chain_id": self._protocol.name, "epoch": 0}

    @override
    def message(self, message: Any, sender: int) -> Message:
        told = self._told(message)
        high = self._highest(told.qcs)
        tc = self._tc(told.tcs[0], told.qcs) if told.tcs else None
        round_ = self._protocol.round_of(message)
        kind = self._protocol.kinds[type(message)]
        if kind == PROPOSAL and told.blocks:
            return types.ProposalMsg(self._block(told.blocks[0]), tc, high, b"")
        if kind == VOTE and told.vote is not None:
            vote = told.vote
            info = VoteInfo(_digest(vote.block), vote.round, _digest(vote.parent), vote.parent_round, NOTHING)
            commits = self._protocol.chain == 2 and vote.parent_round + 1 == vote.round
            return VoteMsg(info, LedgerCommitInfo(NOTHING if commits else None, NOTHING), high, sender, b"")
        if kind == TIMEOUT:
            return types.TimeoutMsg(types.TimeoutInfo(round_, high, sender, b""), tc, high)
        if kind == ANSWER:
            return types.SyncInfo(round_, high, high, tc)
        if kind == BLOCKS:
            return types.BlockResponse(round_, tuple([self._block(block) for block in told.blocks]))
        return types.BlockRequest(round_, NOTHING, NOTHING, 1)

    @override
    def certificate(self, certificate: Any) -> QC | TC:
        says = self._reading.certificate(certificate)
        return self._tc(certificate, ()) if says.block is None else self._qc(certificate)

    @override
    def refusals(self, effects: Sequence[Any]) -> tuple[str | None, str | None]:
        """Nothing is said of them."""
        return None, None

    @override
    def effect(self, at: float, node: str, effect: Any) -> Record | None:
        known = self._nodes.setdefault(node, _Node())
        match effect:
            case Send() | Broadcast():
                told = self._told(effect.message)
                if told.vote is not None:
                    known.voted = max(known.voted, told.vote.round)
                self._learn(known, told.qcs)
            case Commit():
                self._committing.add(effect.certificate)
                known.height, known.commit_qc = effect.height, effect.certificate
                self._learn(known, (effect.certificate,))
                executed = [(client, number) for client, number, _ in self._reading.requests(effect.block)]
                block = self._block(effect.block)
                qc = self._qc(effect.certificate)
                return records.Committed(at, node, effect.height, block, NOTHING, tuple(executed), qc)
            case Persist():
                return records.Persisted(at, node, known.voted, 0, None, (), ())
            case _:
                pass
        return None

    @override
    def state(self, node: str, replica: Any) -> tuple[Any, ...]:
        known = self._nodes.setdefault(node, _Node())
        round_ = replica.current_round
        high_qc = self._genesis() if known.high_qc is None else self._qc(known.high_qc)
        commit_qc = self._genesis() if known.commit_qc is None else self._qc(known.commit_qc)
        return (round_, self._leader(round_), known.voted, high_qc.round, high_qc, commit_qc, None, known.height)

    def _learn(self, known: _Node, qcs: tuple[Any, ...]) -> None:
        for qc in qcs:
            round_ = self._reading.certificate(qc).round
            if round_ > known.high_round:
                known.high_round, known.high_qc = round_, qc

    def _told(self, message: Any) -> Told:
        told = self._reading.told(message)
        for block in told.blocks:
            self._links[block.id] = self._reading.link(block)
        if told.vote is not None:
            vote = told.vote
            self._links.setdefault(vote.block, Link(vote.parent, vote.round, 0, vote.parent_round))
        return told

    def _block(self, block: Any) -> types.Block:
        link = self._links[block.id] = self._reading.link(block)
        qc = self._genesis() if link.certificate is None else self._qc(link.certificate)
        payload = [
            types.Request(client, _NO_SESSION, number, types.RequestKind.ORDINARY, (b"",), b"")
            for client, number, _ in self._reading.requests(block)
        ]
        return types.Block(link.author, link.round, 0, tuple(payload), qc, _digest(block.id))

    def _qc(self, certificate: Any) -> QC:
        said = self._reading.certificate(certificate)
        block = said.block or NOTHING
        link = self._links.get(block)
        parent, parent_round = (block, 0) if link is None else (link.parent, link.parent_round)
        info = VoteInfo(_digest(block), said.round, _digest(parent), parent_round, NOTHING)
        commits = NOTHING if certificate in self._committing else None
        signers = tuple([(signer, b"") for signer in sorted(said.signers)])
        qc = QC(info, LedgerCommitInfo(commits, NOTHING), signers, 0, b"")
        if said.round == 0:
            self._genesis_qc = qc
        return qc

    def _tc(self, certificate: Any, qcs: tuple[Any, ...]) -> TC:
        said = self._reading.certificate(certificate)
        high = self._highest(qcs)
        signers = sorted(said.signers)
        return TC(said.round, (high.round,) * len(signers), tuple([(signer, b"") for signer in signers]), high)

    def _highest(self, qcs: tuple[Any, ...]) -> QC:
        if not qcs:
            return self._genesis()
        return self._qc(max(qcs, key=lambda qc: self._reading.certificate(qc).round))

    def _genesis(self) -> QC:
        if self._genesis_qc is None:
            info = VoteInfo(NOTHING, 0, NOTHING, 0, NOTHING)
            self._genesis_qc = QC(info, LedgerCommitInfo(None, NOTHING), (), 0, b"")
        return self._genesis_qc


class _Node:
    """What a node was seen to do."""

    def __init__(self) -> None:
        self.voted = 0
        self.height = 0
        self.high_round = 0
        self.high_qc: Any = None
        self.commit_qc: Any = None


def _digest(block: bytes) -> Digest:
    return block if len(block) == 32 else blake2b(block, digest_size=32).digest()
