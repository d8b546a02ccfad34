"""What messages, blocks and certificates of DiemBFT tell."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from diembft.messages.types import QC, TC, Block, BlockResponse, Message, ProposalMsg, SyncInfo, TimeoutMsg, VoteMsg
from diembft.protocols.interface import Certificate, Link, Reading, Timeout, Told
from diembft.trace import diembft as neutral

_NOTHING = Told()


class DiemBftReading(Reading):
    """Reads messages, blocks and certificates of DiemBFT."""

    @override
    def told(self, message: Message) -> Told:
        if isinstance(message, VoteMsg):
            return Told(neutral.vote_of(message), None, (), (message.high_commit_qc,))
        if isinstance(message, ProposalMsg):
            tc = message.last_round_tc
            if tc is None:
                return Told(None, None, (message.block,), (message.high_commit_qc,))
            return Told(None, None, (message.block,), (message.high_commit_qc, tc.high_qc), (tc,))
        if isinstance(message, TimeoutMsg):
            info = message.tmo_info
            timeout = Timeout(info.round, info.high_qc.vote_info.round)
            return _certificates(timeout, info.high_qc, message.high_commit_qc, message.last_round_tc)
        if isinstance(message, SyncInfo):
            return _certificates(None, message.high_qc, message.high_commit_qc, message.last_round_tc)
        if isinstance(message, BlockResponse):
            return Told(None, None, message.blocks)
        return _NOTHING

    @override
    def link(self, block: Block) -> Link:
        parent = block.qc.vote_info
        return Link(parent.id, block.round, block.author, parent.round, block.qc)

    @override
    def certificate(self, certificate: QC | TC) -> Certificate:
        return neutral.certificate(certificate) if isinstance(certificate, QC) else neutral.given_up(certificate)

    @override
    def requests(self, block: Block) -> list[tuple[str, int, Any]]:
        return [(request.client, request.number, request) for request in block.payload]


def _certificates(timeout: Timeout | None, high_qc: QC, high_commit_qc: QC, tc: TC | None) -> Told:
    if tc is None:
        return Told(None, timeout, (), (high_qc, high_commit_qc))
    return Told(None, timeout, (), (high_qc, high_commit_qc, tc.high_qc), (tc,))
