"""What a message of a trace holds, in the page's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, assert_never

from diembft.messages.types import (
    BlockRequest,
    BlockResponse,
    Message,
    ProposalMsg,
    Relay,
    SyncInfo,
    TimeoutMsg,
    VoteMsg,
    kind_of,
    round_of,
)
from diembft.pages import data
from diembft.pages.catalogue import Catalogue, result_text, shown_requests
from diembft.pages.data import NONE
from diembft.trace.records import Replied, Sent, Submitted

Carrier: TypeAlias = Sent | Submitted | Replied
"""The records of messages: between nodes, of clients, to clients."""


def describe(catalogue: Catalogue, index: Mapping[str, int], record: Carrier) -> data.PageMessage:
    """A message that is on its way to all its receivers; `index` gives the number of a node or client."""
    at = moment(record.at)
    deliveries = [data.PageDelivery(index[name], "in flight", at) for name in receivers(record)]
    match record:
        case Sent():
            kind, round_ = kind_of(record.message), round_of(record.message)
            shown = data.PageMessage(record.number, kind, round_, index[record.node], at, deliveries)
            _fill(catalogue, shown, record.message)
            return shown
        case Submitted():
            requests = shown_requests((record.request,))
            client = index[record.client]
            return data.PageMessage(record.number, "request", NONE, client, at, deliveries, requests=requests)
        case Replied():
            reply = record.reply
            told = "; ".join(map(result_text, reply.results))
            result = [data.PageRequest(reply.client, reply.number, f"{reply.status} {told}")]
            return data.PageMessage(record.number, "reply", NONE, index[record.node], at, deliveries, requests=result)
        case _:
            assert_never(record)


def receivers(record: Carrier) -> tuple[str, ...]:
    """The names of those that a message was sent to."""
    match record:
        case Sent() | Submitted():
            return record.to
        case Replied():
            return (record.reply.client,)
        case _:
            assert_never(record)


def moment(at: float) -> float:
    """A time in seconds, to the microsecond."""
    return round(at, 6)


def _fill(known: Catalogue, shown: data.PageMessage, message: Message) -> None:
    match message:
        case ProposalMsg():
            shown.block = known.block(message.block)
            shown.qc = known.certificate(message.block.qc)
            shown.high_commit_qc = known.certificate(message.high_commit_qc)
            shown.tc = known.timeout_certificate(message.last_round_tc)
            shown.sender = message.block.author
        case VoteMsg():
            shown.block = known.named(message.vote_info)
            shown.parent_round = message.vote_info.parent_round
            shown.commits = message.ledger_commit_info.commit_state_id is not None
            shown.high_commit_qc = known.certificate(message.high_commit_qc)
            shown.sender = message.sender
        case TimeoutMsg():
            shown.qc = known.certificate(message.tmo_info.high_qc)
            shown.high_commit_qc = known.certificate(message.high_commit_qc)
            shown.tc = known.timeout_certificate(message.last_round_tc)
            shown.sender = message.tmo_info.sender
        case SyncInfo():
            shown.qc = known.certificate(message.high_qc)
            shown.high_commit_qc = known.certificate(message.high_commit_qc)
            shown.tc = known.timeout_certificate(message.last_round_tc)
        case BlockRequest():
            shown.block = known.find(message.id)
            shown.known_block = known.find(message.known)
            shown.count = message.count
        case BlockResponse():
            shown.blocks = [known.block(block) for block in message.blocks]
        case Relay():
            shown.requests = shown_requests(message.requests)
            shown.count = len(message.requests)
        case _:
            assert_never(message)
