from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import pytest

from diembft.faults.registry import plant
from diembft.simulation.run_case import last_failing_round, run_case
from diembft.testcase.case import DelayBy, FailureRule, Lose, Rounds, SetsAttribute, Special, TestCase, WorkloadSpec
from diembft.testcase.failures import CLIENT
from diembft.testcase.latency import LOCAL, Latencies, Span
from diembft.testcase.outcome import EXACTLY_ONCE, NOTHING_EXECUTED, OUTSIDE_FAULT_MODEL, WORKLOAD_TIMEOUT
from diembft.testcase.types import MsgType, WorkloadType
from diembft.trace import records
from diembft.trace.records import Record

ONE_BY_ONE = WorkloadSpec(WorkloadType.retransmit, 5, 1, 60.0, ())
ANY = Special.ANY


def case(*failures: FailureRule, workloads: tuple[WorkloadSpec, ...] = (ONE_BY_ONE,), **changes: Any) -> TestCase:
    fields: dict[str, Any] = {
        "name": "a_case",
        "description": "",
        "num_replicas": 4,
        "num_faulty": 1,
        "workloads": workloads,
        "delay_bound_s": 0.05,
        "seed": 1,
        "failures": failures,
        "failure_seed": 2,
    }
    return TestCase(**(fields | changes))


def rule(
    action: Lose | DelayBy | SetsAttribute,
    *,
    src: int | Special = ANY,
    dest: int | Special = ANY,
    msg_type: MsgType = MsgType.Wildcard,
    rounds: Rounds | None = None,
    prob: float = 1.0,
) -> FailureRule:
    return FailureRule(src, dest, msg_type, rounds, prob, action)


def trace_of(a_case: TestCase) -> tuple[Record, ...]:
    return run_case(a_case, keep_trace=True).trace


def test_an_undisturbed_case_passes() -> None:
    result = run_case(case())
    assert result.verdict.passed
    assert str(result.verdict) == "PASS a_case"
    assert result.figures.commits >= 5
    assert result.figures.rounds > result.figures.commits
    assert result.figures.timeouts == result.figures.dropped == 0
    assert result.figures.messages > 50
    assert 0 < result.figures.virtual_s < 60
    assert result.trace == ()


def test_every_workload_in_one_run() -> None:
    workloads = (
        ONE_BY_ONE,
        WorkloadSpec(WorkloadType.flood, 700, 1, 60.0, ()),
        WorkloadSpec(WorkloadType.timed, 3, 2, 60.0, (0.1, 0.2)),
    )
    result = run_case(case(workloads=workloads), keep_trace=True)
    assert result.verdict.passed, "a flood larger than the ledger's usual window of results loses nothing"
    ended = [record for record in result.trace if isinstance(record, records.WorkloadEnded)]
    assert sorted(record.client for record in ended) == ["client0", "client1", "client2", "client3"]
    assert all(record.completed for record in ended)


def test_the_seeds_fix_the_run() -> None:
    lossy = rule(Lose(), prob=0.2, rounds=range(1, 20))
    assert trace_of(case(lossy)) == trace_of(case(lossy))
    assert trace_of(case(lossy)) != trace_of(case(lossy, failure_seed=3))


@pytest.mark.parametrize("crypto", ["symbolic", "ed25519"])
def test_both_kinds_of_signatures(crypto: Any) -> None:
    assert run_case(case(rule(Lose(), prob=0.1)), crypto=crypto).verdict.passed


def delays_of(trace: Iterable[Record]) -> dict[tuple[str, str], list[float]]:
    """How long messages took, by sender and receiver."""
    sent: dict[int, tuple[str, float]] = {}
    delays: dict[tuple[str, str], list[float]] = {}
    for record in trace:
        match record:
            case records.Sent():
                sent[record.number] = record.node, record.at
            case records.Replied():
                sent[record.message] = record.node, record.at
            case records.Submitted():
                sent[record.message] = record.client, record.at
            case records.Delivered():
                sender, at_s = sent[record.number]
                delays.setdefault((sender, record.node), []).append(record.at - at_s)
            case _:
                pass
    return delays


@pytest.mark.parametrize(
    ("changes", "low_s", "high_s"),
    [
        ({}, 0.0002, 0.001),
        ({"delay_bound_s": 2.0}, 0.0002, 0.001),
        ({"delay_bound_s": 0.0005}, 0.0002, 0.0005),
        ({"latencies": Latencies(Span(0.02, 0.05))}, 0.02, 0.05),
        ({"latencies": Latencies(Span(0.03, 0.03))}, 0.03, 0.03),
    ],
)
def test_a_message_takes_what_the_network_takes_whatever_the_bound(changes: Any, low_s: float, high_s: float) -> None:
    delays = [delay_s for link in delays_of(trace_of(case(**changes))).values() for delay_s in link]
    assert len(delays) > 100
    assert low_s - 1e-9 <= min(delays) <= low_s + (high_s - low_s) / 10 + 1e-9
    assert high_s - (high_s - low_s) / 10 - 1e-9 <= max(delays) <= high_s + 1e-9


def test_links_may_differ() -> None:
    latencies = Latencies(
        Span(0.001, 0.001), {2: Span(0.002, 0.002), 3: Span(0.003, 0.003)}, {(0, 3): Span(0.004, 0.004)}
    )
    delays = delays_of(trace_of(case(latencies=latencies, num_replicas=5)))
    constant = {link: round(sum(took) / len(took), 6) for link, took in delays.items()}
    names = {name: index for index, name in enumerate(["replica0", "replica1", "replica2", "replica3", "replica4"])}
    expected = {
        (src, dest): latencies.of(names.get(src, CLIENT), names.get(dest, CLIENT), LOCAL).low_s
        for src, dest in constant
    }
    assert constant == expected
    assert set(expected.values()) == {0.001, 0.002, 0.003, 0.004}
    assert constant["client0", "replica3"] == constant["replica3", "client0"] == 0.003


def test_liveness_is_promised_by_no_network_that_is_slower_than_the_bound() -> None:
    def promised(high_s: float) -> bool:
        trace = trace_of(case(latencies=Latencies(Span(0.0, high_s))))
        return any(isinstance(record, records.Synchronous) for record in trace)

    assert promised(0.05)
    assert not promised(0.06)


def test_a_long_bound_is_not_waited_for_where_nothing_goes_wrong() -> None:
    assert run_case(case(delay_bound_s=1.0)).figures.virtual_s < 4
    never = rule(Lose(), rounds=range(1000, 1001))
    assert run_case(case(never, delay_bound_s=1.0)).figures.virtual_s > 50, "laggards may have to wait for timers"


def test_a_workload_without_a_timeout_has_as_long_as_it_needs() -> None:
    patient = WorkloadSpec(WorkloadType.retransmit, 3, 1, None, ())
    slow = Latencies(Span(20.0, 30.0))
    result = run_case(case(workloads=(patient,), latencies=slow, delay_bound_s=30.0))
    assert result.verdict.passed
    assert result.figures.virtual_s > 100
    silent = rule(Lose(), dest=0, msg_type=MsgType.Request)
    (late, _) = run_case(case(silent, num_replicas=1, workloads=(patient,), delay_bound_s=5.0)).verdict.reasons
    assert late.text.endswith("completed 0 of 3 requests within 3600 s")


def test_blocks_hold_as_many_requests_as_the_case_says() -> None:
    flood = (WorkloadSpec(WorkloadType.flood, 40, 1, 60.0, ()),)
    for block_size, most in ((None, 39), (4, 4)):
        trace = trace_of(case(workloads=flood, block_size=block_size))
        sizes = [len(record.block.requests) for record in trace if isinstance(record, records.Committed)]
        assert max(sizes) == most


def test_how_often_rules_struck_is_counted() -> None:
    lost = rule(Lose(), src=2, rounds=range(1, 6))
    own = rule(SetsAttribute("highest_qc_round", 0), src=0, dest=0, msg_type=MsgType.Proposal)
    never = rule(Lose(), rounds=range(1000, 1001))
    impossible = rule(Lose(), prob=0.0)
    result = run_case(case(lost, own, never, impossible))
    struck = [count.struck for count in result.rules]
    assert struck[0] == result.figures.dropped > 0
    assert struck[1] > 0
    assert struck[2:] == [0, 0]


def test_a_case_in_which_nothing_is_executed_fails() -> None:
    result = run_case(case(workloads=()))
    assert [reason.kind for reason in result.verdict.reasons] == [NOTHING_EXECUTED]
    assert not result.verdict.passed


def test_requests_that_a_leader_repeats_are_executed_once() -> None:
    repeats = rule(SetsAttribute("duplicate_transactions", 1), src=1)
    result = run_case(case(repeats), keep_trace=True)
    assert result.verdict.passed
    assert result.verdict.byzantine == (1,)
    blocks = {record.block.id: record.block for record in result.trace if isinstance(record, records.Committed)}
    seen: set[object] = set()
    repeated: set[int] = set()
    for block in sorted(blocks.values(), key=lambda block: block.round):
        if not seen.isdisjoint(block.requests):
            repeated.add(block.author)
        seen.update(block.requests)
    assert repeated == {1}


def test_delays_come_on_top() -> None:
    late = rule(DelayBy(0.2), src=1, msg_type=MsgType.Vote)
    sent: dict[int, float] = {}
    delays: list[float] = []
    for record in trace_of(case(late)):
        if isinstance(record, records.Sent) and record.node == "replica1" and record.message.kind == "vote":
            sent[record.number] = record.at
        elif isinstance(record, records.Delivered) and record.number in sent:
            delays.append(record.at - sent[record.number])
    assert delays
    assert all(0.2 <= delay_s <= 0.25 + 1e-9 for delay_s in delays)


def test_lost_messages_are_dropped_and_only_they() -> None:
    from_two = rule(Lose(), src=2, rounds=range(1, 6))
    result = run_case(case(from_two), keep_trace=True)
    assert result.verdict.passed
    senders = {record.number: record.node for record in result.trace if isinstance(record, records.Sent)}
    dropped = [senders[record.number] for record in result.trace if isinstance(record, records.Dropped)]
    assert set(dropped) == {"replica2"}
    assert result.figures.dropped == len(dropped)


def test_messages_of_clients_can_be_lost_too() -> None:
    deaf = [rule(Lose(), dest=replica, msg_type=MsgType.Request) for replica in range(4)]
    result = run_case(case(*deaf, workloads=(WorkloadSpec(WorkloadType.retransmit, 1, 1, 3.0, ()),)))
    assert [reason.kind for reason in result.verdict.reasons] == [WORKLOAD_TIMEOUT, EXACTLY_ONCE]
    mute = [rule(Lose(), src=replica, msg_type=MsgType.Reply) for replica in range(4)]
    result = run_case(case(*mute, workloads=(WorkloadSpec(WorkloadType.retransmit, 1, 1, 3.0, ()),)))
    assert [reason.kind for reason in result.verdict.reasons] == [WORKLOAD_TIMEOUT], "it was executed once"


def test_set_attribute_makes_its_sender_byzantine() -> None:
    forgets = rule(SetsAttribute("highest_vote_round", 0), src=1, msg_type=MsgType.Vote, rounds=range(2, 4))
    result = run_case(case(forgets), keep_trace=True)
    assert result.verdict.passed
    assert result.verdict.byzantine == (1,)
    set_ = [record for record in result.trace if isinstance(record, records.SetAttribute)]
    assert {(record.node, record.attribute, record.value) for record in set_} == {("replica1", "highest_vote_round", 0)}


def test_set_attribute_on_a_copy_to_oneself() -> None:
    own = rule(SetsAttribute("highest_qc_round", 0), src=0, dest=0, msg_type=MsgType.Proposal)
    assert run_case(case(own)).verdict.byzantine == (0,)


def test_more_than_f_byzantine_replicas_are_outside_the_model() -> None:
    both = [rule(SetsAttribute("highest_qc_round", 0), src=replica, msg_type=MsgType.Vote) for replica in (0, 1)]
    result = run_case(case(*both))
    assert not result.verdict.passed
    assert result.verdict.reasons[0].kind == OUTSIDE_FAULT_MODEL
    assert run_case(case(*both, expect_failure=OUTSIDE_FAULT_MODEL)).verdict.passed


def test_leaders_are_matched() -> None:
    no_leader = rule(Lose(), src=Special.LEADER, msg_type=MsgType.Proposal, rounds=range(1, 4))
    assert run_case(case(no_leader)).figures.timeouts > 0
    no_votes = rule(Lose(), dest=Special.LEADER, msg_type=MsgType.Vote, rounds=range(1, 4))
    assert run_case(case(no_votes)).figures.timeouts > 0


def test_violated_invariants_fail_the_case() -> None:
    result = run_case(case(), bugs=plant(["small_quorum"]))
    assert not result.verdict.passed
    assert "certificates" in {reason.kind for reason in result.verdict.reasons}
    replayed = run_case(case(), bugs=plant(["late_replay"]))
    assert isinstance(replayed.verdict.passed, bool), "bugs of the state machine are planted too"


def test_liveness_is_judged_once_failures_are_over() -> None:
    def synchronous(*failures: FailureRule) -> list[float]:
        return [record.at for record in trace_of(case(*failures)) if isinstance(record, records.Synchronous)]

    (from_the_start_s,) = synchronous()
    assert from_the_start_s <= 0.05
    (gst_s,) = synchronous(rule(Lose(), src=0, rounds=range(2, 4)))
    assert gst_s > 0
    assert synchronous(rule(Lose(), prob=0.01)) == []


def test_the_last_round_in_which_messages_can_be_lost_or_late() -> None:
    assert last_failing_round(()) == 0
    assert last_failing_round((rule(Lose(), rounds=range(3, 1 << 40)),)) == (1 << 40) - 1
    assert last_failing_round((rule(Lose(), rounds=range(9, 2, -2)), rule(Lose(), rounds=frozenset((4, 11))))) == 11
    assert last_failing_round((rule(Lose(), rounds=range(0)), rule(DelayBy(0.1), rounds=frozenset()))) == 0
    assert last_failing_round((rule(DelayBy(0.1)),)) == inf
    assert last_failing_round((rule(Lose(), prob=0.0), rule(SetsAttribute("leader", 1)))) == 0


def test_the_trace_ends_with_the_verdict() -> None:
    a_case = case(workloads=(WorkloadSpec(WorkloadType.flood, 1, 1, 0.0001, ()),), expect_failure=WORKLOAD_TIMEOUT)
    result = run_case(a_case, keep_trace=True, replay="diembft run a_case")
    head, last = result.trace[0], result.trace[-1]
    assert isinstance(head, records.Header)
    assert head.replay == "diembft run a_case"
    assert isinstance(last, records.Ended)
    assert last.passed
    assert last.reasons == tuple([f"{reason.kind}: {reason.text}" for reason in result.verdict.reasons])
    assert last.figures["commits"] == result.figures.commits
