"""What a message of a trace holds, in the page's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, assert_never

from diembft.pages import data
from diembft.pages.catalogue import Catalogue
from diembft.pages.data import NONE
from diembft.trace.records import Replied, Sent, Submitted
from diembft.trace.values import Message

Carrier: TypeAlias = Sent | Submitted | Replied
"""The records of messages: between nodes, of clients, to clients."""


def describe(catalogue: Catalogue, index: Mapping[str, int], record: Carrier) -> data.PageMessage:
    """A message that is on its way to all its receivers; `index` gives the number of a node or client."""
    at = moment(record.at)
    deliveries = [data.PageDelivery(index[name], "in flight", at) for name in receivers(record)]
    match record:
        case Sent():
            message = record.message
            shown = data.PageMessage(record.number, message.kind, message.round, index[record.node], at, deliveries)
            _fill(catalogue, shown, message)
            return shown
        case Submitted():
            requests = [data.PageRequest(record.client, record.number, f"{record.size} bytes")]
            client = index[record.client]
            return data.PageMessage(record.message, "submitted", NONE, client, at, deliveries, requests=requests)
        case Replied():
            result = [data.PageRequest(record.client, record.number, record.status)]
            node = index[record.node]
            return data.PageMessage(record.message, "reply", NONE, node, at, deliveries, requests=result)
        case _:
            assert_never(record)


def number_of(record: Carrier) -> int:
    """The number of a message."""
    return record.number if isinstance(record, Sent) else record.message


def receivers(record: Carrier) -> tuple[str, ...]:
    """The names of those that a message was sent to."""
    match record:
        case Sent() | Submitted():
            return record.to
        case Replied():
            return (record.client,)
        case _:
            assert_never(record)


def moment(at: float) -> float:
    """A time in seconds, to the microsecond."""
    return round(at, 6)


def _fill(known: Catalogue, shown: data.PageMessage, message: Message) -> None:
    blocks = [known.block(block) for block in message.blocks]
    if message.sender is not None:
        shown.sender = message.sender
    if message.vote is not None:
        shown.block = known.voted_for(message.vote)
        shown.phase = message.vote.phase
        shown.parent_round = message.vote.parent_round
    if message.timeout is not None:
        shown.high_round = message.timeout.high_round
    if message.kind == "proposal" and blocks:
        shown.block = blocks[-1]
        shown.certificate = known.blocks[blocks[-1]].certificate
        if message.sender is None:
            shown.sender = known.blocks[blocks[-1]].author
    else:
        shown.blocks = blocks
    for certificate in message.certificates:
        if certificate.block is None:
            shown.given_up = known.round_given_up(certificate)
        else:
            index = known.certificate(certificate)
            if index not in (shown.certificate, *shown.certificates):
                shown.certificates = [*shown.certificates, index]
