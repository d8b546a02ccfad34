"""What replicas do, as readable text: for transcripts, and to compare runs.

Blocks are named by round and author (`b3.1` is validator 1's block of round 3), and by the numbers of their requests if
they have any. Nothing depends on digests, so the text changes only when the behaviour does.
"""

from __future__ import annotations

from typing import assert_never

from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    ReadBlocks,
    Rejected,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Connected, Event, Received, Requests, Started, TimerFired
from diembft.messages.types import (
    QC,
    TC,
    Block,
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    Relay,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
)


class Teller:
    """Tells what happens. It remembers the names of the blocks that it met."""

    def __init__(self, genesis: Block) -> None:
        self._names = {genesis.id: "genesis"}

    def event(self, event: Event) -> str:
        match event:
            case Started():
                return "starts"
            case Received(peer, message):
                return f"from {peer}: {self.message(message)}"
            case TimerFired(timer, round_):
                return f"{timer.value} timer of round {round_} fires"
            case Requests(requests):
                return "clients ask: " + ", ".join(f"{request.client} {request.number}" for request in requests)
            case Connected(peer):
                return f"{peer} is connected"
            case BlocksRead(peer, _, blocks):
                return f"read for {peer}: {self.blocks(blocks)}"
            case _:
                assert_never(event)

    def effect(self, effect: Effect) -> str:
        match effect:
            case Persist(record, blocks, committed, checkpoint):
                new = self.blocks(blocks)
                last = "nothing sent" if record.last_sent is None else self.message(record.last_sent)
                return (
                    f"persist vote {record.highest_vote_round} qc {record.highest_qc_round}, {last}, "
                    f"high {self.qc(record.high_qc)}, commit {self.qc(record.high_commit_qc)}"
                    f"{self.tc(record.last_round_tc)}; "
                    f"blocks {new}; committed {', '.join(map(self.name, committed)) or 'none'}"
                    f"{'' if checkpoint is None else f', ledger of height {checkpoint.height}'}"
                )
            case Send(to, message):
                return f"send to {to}: {self.message(message)}"
            case Broadcast(message):
                return f"broadcast: {self.message(message)}"
            case SetTimer(timer, delay_s, round_):
                return f"set {timer.value} timer of round {round_} to {delay_s:.3f} s"
            case CancelTimer(timer):
                return f"cancel {timer.value} timer"
            case Commit(height, block, certificate, _, results):
                outcomes = ["no-op" if reply is None else reply.status for reply in results]
                told = f", results {' '.join(outcomes)}" if outcomes else ""
                return f"commit {self.block(block)} at height {height} by {self.qc(certificate)}{told}"
            case SendReply(reply):
                told = ", ".join(map(repr, reply.results))
                return f"reply to {reply.client} {reply.number}: {reply.status} {told}"
            case ReadBlocks(peer, _, after, count, _):
                return f"read up to {count} blocks after {self.name(after)} for {peer}"
            case Rejected(reason):
                return f"rejected: {reason.value}"
            case Ignored(reason):
                return f"ignored: {reason.value}"
            case Equivocation(culprit, first, second):
                return f"equivocation of {culprit}: {self.message(first)} / {self.message(second)}"
            case Divergence(block_id, _, certificate, _):
                return f"divergence on {self.name(block_id)} from {'a vote' if certificate is None else 'a QC'}"
            case _:
                assert_never(effect)

    def message(self, message: Message) -> str:
        match message:
            case ProposalMsg(block, tc, high_commit_qc):
                return f"proposal {self.block(block)}{self.tc(tc)}, commit {self.qc(high_commit_qc)}"
            case VoteMsg(vote_info, info, _, sender):
                commits = "" if info.commit_state_id is None else ", commits its parent"
                return f"vote of {sender} for {self.name(vote_info.id)}{commits}"
            case TimeoutMsg(info, tc):
                return f"timeout of {info.sender} in round {info.round}, {self.qc(info.high_qc)}{self.tc(tc)}"
            case SyncInfo(round_, high_qc, high_commit_qc, tc):
                return f"sync info {round_}: {self.qc(high_qc)}, commit {self.qc(high_commit_qc)}{self.tc(tc)}"
            case BlockRequest(_, id_, known, count):
                return f"wants up to {count} blocks to {self.name(id_)}, has {self.name(known)}"
            case BlockResponse(_, blocks):
                return f"gives {self.blocks(blocks)}"
            case Relay(_, requests):
                return "relay " + " ".join(f"{request.client} {request.number}" for request in requests)
            case _:
                assert_never(message)

    def block(self, block: Block) -> str:
        """A block with its parent; from here on it has a name."""
        requests = "".join(f"+{request.number}" for request in block.payload)
        self._names[block.id] = f"b{block.round}.{block.author}{requests}"
        return f"{self._names[block.id]} on {self.name(block.qc.vote_info.id)}"

    def blocks(self, blocks: tuple[Block, ...]) -> str:
        return ", ".join(map(self.block, blocks)) or "none"

    def name(self, block_id: bytes) -> str:
        return self._names.get(block_id, "an unknown block")

    def qc(self, qc: QC) -> str:
        signers = "".join(str(signer) for signer, _ in qc.signatures)
        return f"QC({qc.round}{' by ' + signers if signers else ''})"

    def tc(self, tc: TC | None) -> str:
        if tc is None:
            return ""
        held = " ".join(
            f"{signer}:{round_}" for (signer, _), round_ in zip(tc.tmo_signatures, tc.tmo_high_qc_rounds, strict=True)
        )
        return f", TC({tc.round} with {held})"
