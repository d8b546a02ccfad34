"""The codec of the wire: MessagePack by msgspec, typed and validated.

`decode` is total: any bytes give a message or a `Malformed` value, nothing else.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from diembft.messages.types import Message, Reply, Request

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""The largest message that is read or written, in bytes."""


class Submit(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=8):
    """A client's request on its way to a validator."""

    request: Request


Frame: TypeAlias = Message | Submit | Reply
"""Everything that crosses a network."""


class Malformed(msgspec.Struct, frozen=True):
    """Bytes that are no message, and why."""

    reason: str


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """The canonical bytes of a message."""
    data = _encoder.encode(frame)
    assert len(data) <= MAX_FRAME_BYTES, (
        "because payloads, batches and certificates are limited far below the frame limit"
    )
    return data


def decode(data: bytes, limit: int = MAX_FRAME_BYTES) -> Frame | Malformed:
    """The message that the bytes hold, or why they hold none. `limit` is in bytes."""
    if len(data) > limit:
        return Malformed(f"{len(data)} bytes, more than {limit}")
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Malformed(str(error))
