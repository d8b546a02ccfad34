"""Windows of executed requests, over both applications."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from diembft.client.requests import session_of
from diembft.consensus.state_machine import StateMachine
from diembft.ledger.append_log import AppendLog
from diembft.ledger.key_value import (
    Append,
    Delete,
    Done,
    Found,
    Get,
    KeyValueStore,
    Put,
    Refused,
    decode_result,
    encode,
)
from diembft.ledger.sessions import LedgerState, Sessions
from diembft.messages.digests import operations_digest
from diembft.messages.types import OK, STALE, Reply, Request, RequestKind
from tests.ledger.building import block, blocks, request
from tests.making import reply_to


def run(machine: StateMachine, requests: list[Request], cuts: list[int]) -> tuple[Any, list[Reply | None]]:
    """The last state and all results, the requests cut into blocks at these places."""
    ledger = machine.genesis()
    results: list[Reply | None] = []
    for each in blocks(requests, cuts):
        execution = machine.execute(ledger, each)
        assert execution.root == execution.ledger.root
        assert len(execution.results) == len(each.payload)
        ledger = execution.ledger
        results.extend(execution.results)
    return ledger, results


def log_of(ledger: LedgerState[Map[int, bytes]]) -> list[bytes]:
    return [ledger.application[index] for index in range(len(ledger.application))]


def test_a_request_is_executed_and_its_reply_names_the_operation() -> None:
    machine = Sessions(AppendLog())
    execution = machine.execute(machine.genesis(), block(request("alice", 0, b"hello"), request("bob", 0, b"there")))
    assert execution.results == (
        reply_to("alice", 0, b"hello", b"0"),
        reply_to("bob", 0, b"there", b"1"),
    )
    assert log_of(execution.ledger) == [b"hello", b"there"]


@pytest.mark.parametrize("cuts", [[], [1]], ids=["in one block", "in two blocks"])
def test_a_duplicate_is_a_no_op(cuts: list[int]) -> None:
    machine = Sessions(AppendLog())
    once, _ = run(machine, [request("alice", 0, b"x")], [])
    twice, results = run(machine, [request("alice", 0, b"x")] * 2, cuts)
    assert twice == once
    assert results[1] is None


def test_of_two_operations_under_one_number_the_first_in_chain_order_wins() -> None:
    machine = Sessions(AppendLog())
    second = request("alice", 7, b"second")
    ledger, results = run(machine, [request("alice", 7, b"first"), second], [1])
    assert log_of(ledger) == [b"first"]
    assert results[1] is None
    assert machine.answer(ledger, second) == results[0]
    assert results[0] is not None
    assert results[0].operations_digest == operations_digest((b"first",))


def test_a_repeated_request_is_answered_from_the_window_and_a_new_one_is_not() -> None:
    machine = Sessions(AppendLog())
    ledger, results = run(machine, [request("alice", 1, b"x")], [])
    assert machine.answer(ledger, request("alice", 1, b"x")) == results[0]
    assert machine.answer(ledger, request("alice", 0, b"x")) is None
    assert machine.answer(ledger, request("alice", 2, b"x")) is None
    assert machine.answer(ledger, request("bob", 1, b"x")) is None


def test_too_old_a_number_is_stale_and_is_not_executed() -> None:
    machine = Sessions(AppendLog(), window=3)
    ledger, _ = run(machine, [request("alice", number, b"%d" % number) for number in range(5)], [])
    again = request("alice", 1, b"1")
    stale = reply_to("alice", 1, b"1", status=STALE)
    assert machine.answer(ledger, again) == stale
    execution = machine.execute(ledger, block(again))
    assert execution.results == (stale,)
    assert execution.ledger is ledger
    remembered = machine.answer(ledger, request("alice", 2, b"2"))
    assert remembered is not None
    assert remembered.status == OK


def test_windows_of_clients_are_independent() -> None:
    machine = Sessions(AppendLog(), window=1)
    ledger, _ = run(machine, [request("alice", number, b"") for number in range(9)], [])
    assert machine.answer(ledger, request("bob", 0, b"")) is None


def test_a_block_without_new_requests_gives_the_same_state() -> None:
    machine = Sessions(AppendLog())
    first = request("alice", 0, b"x")
    ledger, _ = run(machine, [first], [])
    for empty in (block(), block(first)):
        execution = machine.execute(ledger, empty)
        assert execution.ledger is ledger
        assert execution.root is ledger.root


def test_forks_share_a_state_and_do_not_disturb_it() -> None:
    machine = Sessions(AppendLog())
    parent, _ = run(machine, [request("alice", 0, b"a")], [])
    left = machine.execute(parent, block(request("alice", 1, b"left"))).ledger
    right = machine.execute(parent, block(request("alice", 1, b"right"))).ledger
    assert log_of(parent) == [b"a"]
    assert log_of(left) == [b"a", b"left"]
    assert log_of(right) == [b"a", b"right"]
    assert len({parent.root, left.root, right.root}) == 3


def test_what_is_remembered_stays_bounded() -> None:
    machine = Sessions(AppendLog(), window=10)
    # Numbers next to one another, and with gaps so wide that they cannot be looked up one by one.
    for step in (1, 1 << 40):
        ledger, _ = run(machine, [request("alice", step * index, b"") for index in range(100)], [])
        session = ledger.sessions["alice", session_of("alice")]
        assert sorted(session.replies) == [step * index for index in range(90, 100)]
        assert session.floor == step * 89 + 1


def manifold(number: int, *operations: bytes) -> Request:
    return replace(request("alice", number, b""), operations=operations)


def test_the_operations_of_a_request_are_executed_in_their_order() -> None:
    machine = Sessions(AppendLog())
    ledger, results = run(machine, [manifold(0, b"x", b"y"), request("bob", 0, b"z"), manifold(1, b"v")], [])
    assert log_of(ledger) == [b"x", b"y", b"z", b"v"]
    assert [reply and reply.results for reply in results] == [(b"0", b"1"), (b"2",), (b"3",)]
    assert results[0] is not None
    assert results[0].operations_digest == operations_digest((b"x", b"y"))


def test_a_later_operation_sees_what_an_earlier_one_did() -> None:
    operations = [encode(Put(b"key", b"value")), encode(Get(b"key")), b"?", encode(Delete(b"key"))]
    _, (reply,) = run(Sessions(KeyValueStore()), [manifold(0, *operations)], [])
    assert reply is not None
    assert [*map(decode_result, reply.results)] == [Done(), Found(b"value"), Refused("malformed"), Done()]


def test_a_number_is_executed_once_whatever_of_its_operations_come_again() -> None:
    machine = Sessions(AppendLog())
    ledger, results = run(machine, [manifold(0, b"x", b"y"), manifold(0, b"x"), manifold(0, b"y", b"x")], [])
    assert log_of(ledger) == [b"x", b"y"]
    assert results[1:] == [None, None]


def test_sessions_of_one_client_know_nothing_of_one_another() -> None:
    machine = Sessions(AppendLog(), window=1)
    one = [request("alice", number, b"one") for number in (0, 7)]
    other = [replace(each, session=bytes(16)) for each in one]
    ledger, results = run(machine, [*one, *other], [])
    assert [reply and (reply.session, reply.status) for reply in results] == [
        (each.session, OK) for each in (*one, *other)
    ]
    assert machine.answer(ledger, one[1]) == results[1]
    assert machine.answer(ledger, other[1]) == results[3]
    third = replace(one[0], session=b"3" * 16)
    assert machine.answer(ledger, third) is None


@pytest.mark.parametrize("kind", [RequestKind.READMISSION, RequestKind.CONFIGURATION])
def test_other_kinds_have_no_effect(kind: RequestKind) -> None:
    machine = Sessions(AppendLog())
    other = replace(request("alice", 0, b"x"), kind=kind)
    ledger, results = run(machine, [other, request("alice", 0, b"y")], [])
    assert log_of(ledger) == [b"y"]
    assert results[0] is None
    assert machine.execute(machine.genesis(), block(other)).root == machine.genesis().root


def test_a_window_must_hold_a_request() -> None:
    with pytest.raises(AssertionError, match="duplicates in its own block"):
        Sessions(AppendLog(), window=0)


# Few clients and numbers, and a small window, so that duplicates, conflicts and stale numbers are frequent.
REQUESTS = st.lists(
    st.builds(request, st.sampled_from(["a", "b"]), st.integers(0, 12), st.sampled_from([b"x", b"y"])), max_size=40
)
CUTS = st.lists(st.integers(0, 40), max_size=8)


@given(requests=REQUESTS, cuts=CUTS)
def test_execution_is_independent_of_how_requests_are_cut_into_blocks(requests: list[Request], cuts: list[int]) -> None:
    for machine in (Sessions(AppendLog(), window=4), Sessions(KeyValueStore(), window=4)):
        assert run(machine, requests, cuts) == run(machine, requests, [])


@given(requests=REQUESTS)
def test_execution_equals_a_naive_version(requests: list[Request]) -> None:
    """The rules of the window once more, with lists only."""
    window = 4
    log: list[bytes] = []
    held: dict[str, list[Reply]] = {"a": [], "b": []}
    forgotten: dict[str, list[int]] = {"a": [], "b": []}
    expected: list[Reply | None] = []
    for each in requests:
        (operation,) = each.operations
        if any(each.number <= number for number in forgotten[each.client]):
            expected.append(reply_to(each.client, each.number, operation, status=STALE))
        elif any(reply.number == each.number for reply in held[each.client]):
            expected.append(None)
        else:
            reply = reply_to(each.client, each.number, operation, b"%d" % len(log))
            log.append(operation)
            held[each.client].append(reply)
            held[each.client].sort(key=lambda reply: reply.number)
            if len(held[each.client]) > window:
                forgotten[each.client].append(held[each.client].pop(0).number)
            expected.append(reply)
    machine = Sessions(AppendLog(), window)
    ledger, results = run(machine, requests, [])
    assert results == expected
    assert log_of(ledger) == log
    for client, replies in held.items():
        for reply in replies:
            assert machine.answer(ledger, request(client, reply.number, b"")) == reply


@given(order=st.permutations(range(8)), cuts=CUTS)
def test_no_request_is_lost_while_numbers_stay_within_the_window(order: list[int], cuts: list[int]) -> None:
    requests = [request("a", number, b"%d" % number) for number in order]
    ledger, results = run(Sessions(AppendLog(), window=8), requests * 2, cuts)
    assert log_of(ledger) == [operation for each in requests for operation in each.operations]
    assert results[8:] == [None] * 8


@given(left=REQUESTS, right=REQUESTS)
def test_roots_are_equal_if_and_only_if_histories_are(left: list[Request], right: list[Request]) -> None:
    machine = Sessions(AppendLog(), window=4)
    (one, results), (other, other_results) = run(machine, left, []), run(machine, right, [])
    executed = [reply for reply in results if reply is not None and reply.status == OK]
    other_executed = [reply for reply in other_results if reply is not None and reply.status == OK]
    assert (one.root == other.root) == (executed == other_executed)
    assert (one.root == other.root) == (one == other)


def test_the_root_covers_operation_and_result() -> None:
    machine = Sessions(KeyValueStore())
    roots = [
        run(machine, [request("a", 0, encode(Put(b"k", b"v"))), request("a", 1, operation)], [])[0].root
        for operation in (encode(Append(b"k", b"")), encode(Append(b"j", b"")), encode(Put(b"j", b"v")))
    ]
    assert len(set(roots)) == 3
