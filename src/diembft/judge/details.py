"""The details of DiemBFT in a trace: the values themselves, or what JSON made of them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from diembft.messages.types import QC, TC, Block, Message


def message_of(detail: Any) -> Message | None:
    """A message; None if the detail is none."""
    value: Message | None = _value(detail, Message)
    return value


def qc_of(detail: Any) -> QC | None:
    """A quorum certificate, likewise."""
    value: QC | None = _value(detail, QC)
    return value


def tc_of(detail: Any) -> TC | None:
    """A timeout certificate, likewise."""
    value: TC | None = _value(detail, TC)
    return value


def block_of(detail: Any) -> Block | None:
    """A block, likewise."""
    value: Block | None = _value(detail, Block)
    return value


def _value(detail: Any, kind: Any) -> Any:
    if not isinstance(detail, list):
        return detail if isinstance(detail, Struct) else None
    try:
        return msgspec.convert(detail, kind)
    except (msgspec.ValidationError, RecursionError):
        return None
