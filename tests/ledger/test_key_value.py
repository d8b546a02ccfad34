"""The key-value store, operation by operation, and on any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from diembft.ledger.key_value import (
    MAX_VALUE_BYTES,
    Append,
    CompareAndSet,
    Delete,
    Done,
    Found,
    Get,
    KeyValueStore,
    Length,
    Missing,
    Operation,
    Put,
    Refused,
    Result,
    decode_result,
    encode,
)

STORE = KeyValueStore()
FULL = Map({b"k": b"v"})
EMPTY: Map[bytes, bytes] = Map()
LARGEST = bytes(MAX_VALUE_BYTES)


@pytest.mark.parametrize(
    ("before", "operation", "after", "result"),
    [
        (EMPTY, Put(b"k", b"v"), FULL, Done()),
        (FULL, Put(b"k", b"w"), {b"k": b"w"}, Done()),
        (FULL, Get(b"k"), FULL, Found(b"v")),
        (FULL, Get(b"j"), FULL, Missing()),
        (FULL, Delete(b"k"), EMPTY, Done()),
        (FULL, Delete(b"j"), FULL, Missing()),
        (EMPTY, Append(b"k", b"v"), FULL, Length(1)),
        (FULL, Append(b"k", b"w"), {b"k": b"vw"}, Length(2)),
        (Map({b"k": LARGEST[1:]}), Append(b"k", b"\0"), {b"k": LARGEST}, Length(MAX_VALUE_BYTES)),
        (Map({b"k": LARGEST}), Append(b"k", b"\0"), {b"k": LARGEST}, Refused("too large")),
        (FULL, CompareAndSet(b"k", b"v", b"w"), {b"k": b"w"}, Done()),
        (FULL, CompareAndSet(b"k", b"v", None), EMPTY, Done()),
        (EMPTY, CompareAndSet(b"k", None, b"v"), FULL, Done()),
        (EMPTY, CompareAndSet(b"k", None, None), EMPTY, Done()),
        (FULL, CompareAndSet(b"k", b"u", b"w"), FULL, Found(b"v")),
        (FULL, CompareAndSet(b"k", None, b"w"), FULL, Found(b"v")),
        (EMPTY, CompareAndSet(b"k", b"v", b"w"), EMPTY, Missing()),
        (EMPTY, CompareAndSet(b"k", b"v", None), EMPTY, Missing()),
    ],
    ids=lambda value: repr(value)[:60] if not isinstance(value, Map) else "store",
)
def test_operation(before: Map[bytes, bytes], operation: Operation, after: Map[bytes, bytes], result: Result) -> None:
    kept = dict(before)
    state, answer = STORE.apply(before, encode(operation))
    assert dict(state) == dict(after)
    assert decode_result(answer) == result
    assert dict(before) == kept


MALFORMED = {
    "empty": b"",
    "text": b"not an operation",
    "an unused code of MessagePack": b"\xc1",
    "no kind": b"\x90",
    "an unknown kind": b"\x92\x63\xc4\x01k",
    "a field missing": b"\x92\x02\xc4\x01k",
    "bytes to spare": encode(Put(b"k", b"v")) + b"\0",
    "cut short": encode(Put(b"k", b"v"))[:-1],
    "no UTF-8 for a key": b"\x93\x02\xa1\xff\xa1\xff",
    "nested deeply": b"\x91" * 100_000,
    "too long a key": encode(Put(b"k" * 1025, b"v")),
    "too large a value": encode(Put(b"k", LARGEST + b"\0")),
    "too large an exchanged value": encode(CompareAndSet(b"k", None, LARGEST + b"\0")),
}


@pytest.mark.parametrize("operation", MALFORMED.values(), ids=MALFORMED)
def test_bytes_that_are_no_operation_have_an_error_as_their_result(operation: bytes) -> None:
    state, answer = STORE.apply(FULL, operation)
    assert state is FULL
    assert decode_result(answer) == Refused("malformed")


@given(st.binary(max_size=64))
def test_any_bytes_give_a_result(operation: bytes) -> None:
    _, answer = STORE.apply(FULL, operation)
    decode_result(answer)


KEYS = st.sampled_from([b"a", b"b"])
VALUES = st.binary(max_size=2)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Get, KEYS),
    st.builds(Put, KEYS, VALUES),
    st.builds(Delete, KEYS),
    st.builds(CompareAndSet, KEYS, st.none() | VALUES, st.none() | VALUES),
    st.builds(Append, KEYS, VALUES),
)


@given(st.lists(OPERATIONS, max_size=30))
def test_the_store_equals_a_dictionary(operations: list[Operation]) -> None:
    state = STORE.genesis()
    naive: dict[bytes, bytes] = {}
    for operation in operations:
        state, _ = STORE.apply(state, encode(operation))
        match operation:
            case Put(key, value):
                naive[key] = value
            case Append(key, suffix):
                naive[key] = naive.get(key, b"") + suffix
            case Delete(key):
                naive.pop(key, None)
            case CompareAndSet(key, expected, value) if naive.get(key) == expected:
                naive.pop(key, None)
                naive.update({} if value is None else {key: value})
    assert dict(state) == naive
