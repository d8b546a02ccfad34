"""The details of DiemBFT in a trace: the values themselves, or the lists that JSON made of them."""

from __future__ import annotations

from typing import Any

import msgspec

from diembft.messages.types import QC, TC, Block, Message


def message_of(detail: Any) -> Message | None:
    """A message; None if the detail is none."""
    value: Message | None = _value(detail, Message) if isinstance(detail, list) else detail
    return value


def qc_of(detail: Any) -> QC | None:
    """A quorum certificate, likewise."""
    value: QC | None = _value(detail, QC) if isinstance(detail, list) else detail
    return value


def tc_of(detail: Any) -> TC | None:
    """A timeout certificate, likewise."""
    value: TC | None = _value(detail, TC) if isinstance(detail, list) else detail
    return value


def block_of(detail: Any) -> Block | None:
    """A block, likewise."""
    value: Block | None = _value(detail, Block) if isinstance(detail, list) else detail
    return value


def _value(detail: list[Any], kind: Any) -> Any:
    try:
        return msgspec.convert(detail, kind)
    except (msgspec.ValidationError, RecursionError):
        return None
