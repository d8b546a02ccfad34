"""The details of DiemBFT in a trace, read: from lists, which JSON made of them, to the values themselves.

A trace from a file is read so before it is judged. Only the values themselves can be verified, and so a detail that is
none, or that says something else than what stands beside it in neutral terms, makes it no trace of DiemBFT. What has no
detail stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Struct, structs

from diembft.errors import InputError
from diembft.messages.types import QC, TC, Block, Message
from diembft.trace import diembft as neutral
from diembft.trace import records, values
from diembft.trace.records import Header, Record

_Shown = TypeVar("_Shown", values.Message, values.Block, values.Certificate)


class HeaderDetail(Struct, frozen=True):
    """What the header of a trace of DiemBFT has beyond what all protocols have."""

    chain_id: str = ""
    epoch: int = 0
    crypto: Literal["symbolic", "ed25519"] = "symbolic"
    public_keys: dict[str, str] = {}
    """In base64."""


def header_detail(header: Header) -> HeaderDetail:
    """That of a header. Raises InputError if it is none."""
    try:
        return msgspec.convert(header.detail, HeaderDetail)
    except msgspec.ValidationError as error:
        raise InputError(f"the detail of the header is none of DiemBFT: {error}") from None


def read(record: Record) -> Record:
    """The same record with details that are values. Raises InputError."""
    match record:
        case records.Sent():
            return structs.replace(record, message=_message(record.message))
        case records.Persisted() if record.signed is not None:
            return structs.replace(record, signed=_message(record.signed))
        case records.State():
            return structs.replace(
                record,
                high=_certificate(record.high),
                committed_by=_optional(record.committed_by),
                given_up=_optional(record.given_up),
            )
        case records.Committed():
            return structs.replace(record, block=_block(record.block), certificate=_certificate(record.certificate))
        case records.Evidence():
            messages = tuple([_message(message) for message in record.messages])
            return structs.replace(record, messages=messages, certificate=_optional(record.certificate))
        case _:
            return record


def _message(message: values.Message) -> values.Message:
    if message.detail is not None:
        return _read(message, Message, "message", neutral.message)
    blocks = tuple([_block(block) for block in message.blocks])
    return structs.replace(message, blocks=blocks, certificates=tuple(map(_certificate, message.certificates)))


def _block(block: values.Block) -> values.Block:
    if block.detail is not None:
        return _read(block, Block, "block", neutral.block)
    return structs.replace(block, certificate=_optional(block.certificate))


def _certificate(certificate: values.Certificate) -> values.Certificate:
    if certificate.detail is None:
        return certificate
    if certificate.block is None:
        return _read(certificate, TC, "certificate of a round that was given up", neutral.given_up)
    return _read(certificate, QC, "certificate of a block", neutral.certificate)


def _optional(certificate: values.Certificate | None) -> values.Certificate | None:
    return None if certificate is None else _certificate(certificate)


def _read(shown: _Shown, kind: Any, what: str, show: Callable[[Any], _Shown]) -> _Shown:
    """The same with the value as its detail, if the value is shown so."""
    detail = shown.detail
    if isinstance(detail, list):
        try:
            detail = msgspec.convert(detail, kind)
        except (msgspec.ValidationError, RecursionError) as error:
            raise InputError(f"the detail of a {what} is none of DiemBFT: {error}") from None
    elif not isinstance(detail, get_args(kind) or kind):
        raise InputError(f"the detail of a {what} is none of DiemBFT, but of type {type(detail).__name__}")
    if show(detail) != structs.replace(shown, detail=detail):
        raise InputError(f"the detail of a {what} says something else than what stands beside it")
    return structs.replace(shown, detail=detail)
