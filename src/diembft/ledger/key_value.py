"""A key-value store: the application of the test cases and of the examples.

Operations and their results are MessagePack arrays that begin with the number of their kind. Bytes that are no
operation, or one over a limit, have an error as their result and change nothing.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, assert_never

import msgspec
from immutables import Map
from msgspec import Meta, Struct
from typing_extensions import override

from diembft.ledger.application import Application

MAX_VALUE_BYTES = 65_536
"""The largest value; `Append` cannot make a value grow beyond it."""

Key: TypeAlias = Annotated[bytes, Meta(max_length=1024)]
Value: TypeAlias = Annotated[bytes, Meta(max_length=MAX_VALUE_BYTES)]


class Get(Struct, frozen=True, array_like=True, gc=False, tag=1):
    """Read the value of a key. Result: Found or Missing."""

    key: Key


class Put(Struct, frozen=True, array_like=True, gc=False, tag=2):
    """Give a key a value. Result: Done."""

    key: Key
    value: Value


class Delete(Struct, frozen=True, array_like=True, gc=False, tag=3):
    """Remove a key. Result: Done, or Missing if there is no such key."""

    key: Key


class CompareAndSet(Struct, frozen=True, array_like=True, gc=False, tag=4):
    """If the key has the value `expected` (None: if it has none), give it `value` (None: remove it).

    Result: Done; else what the key has, Found or Missing.
    """

    key: Key
    expected: Value | None
    value: Value | None


class Append(Struct, frozen=True, array_like=True, gc=False, tag=5):
    """Add bytes to the end of a key's value, which begins empty. Result: Length, or Refused if too large."""

    key: Key
    suffix: Value


Operation: TypeAlias = Get | Put | Delete | CompareAndSet | Append


class Done(Struct, frozen=True, array_like=True, gc=False, tag=1):
    """The operation took effect."""


class Found(Struct, frozen=True, array_like=True, gc=False, tag=2):
    """The key has this value."""

    value: bytes


class Missing(Struct, frozen=True, array_like=True, gc=False, tag=3):
    """There is no such key."""


class Length(Struct, frozen=True, array_like=True, gc=False, tag=4):
    """The value has so many bytes now."""

    length: int


class Refused(Struct, frozen=True, array_like=True, gc=False, tag=5):
    """Nothing was done: `malformed` (the bytes are no operation) or `too large`."""

    reason: str


Result: TypeAlias = Done | Found | Missing | Length | Refused

_encoder = msgspec.msgpack.Encoder()
_operations: msgspec.msgpack.Decoder[Operation] = msgspec.msgpack.Decoder(Operation)
_results: msgspec.msgpack.Decoder[Result] = msgspec.msgpack.Decoder(Result)

_DONE = _encoder.encode(Done())
_MISSING = _encoder.encode(Missing())
# Fixed texts: that of a decoder's error could differ between two replicas' versions of it.
_MALFORMED = _encoder.encode(Refused("malformed"))
_TOO_LARGE = _encoder.encode(Refused("too large"))


def encode(operation: Operation) -> bytes:
    """The bytes of an operation, for `Request.operations`."""
    return _encoder.encode(operation)


def decode_result(result: bytes) -> Result:
    """The result of an operation, from `Reply.results` of a reply whose status is `ok`. Raises msgspec.DecodeError."""
    return _results.decode(result)


class KeyValueStore(Application[Map[bytes, bytes]]):
    """The store as an `Application`; its state is a persistent map."""

    __slots__ = ()

    @override
    def genesis(self) -> Map[bytes, bytes]:
        return Map()

    @override
    def apply(self, state: Map[bytes, bytes], operation: bytes) -> tuple[Map[bytes, bytes], bytes]:
        try:
            decoded = _operations.decode(operation)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return state, _MALFORMED
        match decoded:
            case Put(key, value):
                return state.set(key, value), _DONE
            case Get(key):
                return state, _found(state.get(key))
            case Append(key, suffix):
                return _append(state, key, suffix)
            case CompareAndSet(key, expected, value):
                return _compare_and_set(state, key, expected, value)
            case Delete(key):
                return (state.delete(key), _DONE) if key in state else (state, _MISSING)
            case _ as unreachable:
                assert_never(unreachable)


def _found(value: bytes | None) -> bytes:
    return _MISSING if value is None else _encoder.encode(Found(value))


def _append(state: Map[bytes, bytes], key: bytes, suffix: bytes) -> tuple[Map[bytes, bytes], bytes]:
    value = state.get(key, b"") + suffix
    if len(value) > MAX_VALUE_BYTES:
        return state, _TOO_LARGE
    return state.set(key, value), _encoder.encode(Length(len(value)))


def _compare_and_set(
    state: Map[bytes, bytes], key: bytes, expected: bytes | None, value: bytes | None
) -> tuple[Map[bytes, bytes], bytes]:
    current = state.get(key)
    if current != expected:
        return state, _found(current)
    if value is not None:
        return state.set(key, value), _DONE
    return (state if current is None else state.delete(key)), _DONE
