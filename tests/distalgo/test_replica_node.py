"""Replicas and clients as DistAlgo processes run them, without the processes: effects, failures, ledgers."""

import logging
from collections import Counter
from pathlib import Path

import pytest
from msgspec import structs

from diembft.distalgo.case_job import RECORDS, CaseJob, conclude, told
from diembft.distalgo.endpoint import Wires
from diembft.distalgo.folder import merged, read_ledger
from diembft.distalgo.plan import Plan
from diembft.errors import InputError
from diembft.judge.traces import check
from diembft.testcase.case import DelayBy, FailureRule, Lose, SetsAttribute, Special
from diembft.testcase.latency import Span
from diembft.testcase.types import MsgType, WorkloadType
from diembft.trace.records import (
    Accepted,
    BlocksRead,
    Committed,
    Delivered,
    Dropped,
    Fired,
    Record,
    Replied,
    Sent,
    SetAttribute,
    State,
    Submitted,
    WorkloadEnded,
)
from tests.distalgo.rig import Rig, case_of

ANY = Special.ANY


def run(rig: Rig, settle_s: float = 4.0) -> list[Record]:
    """Run a rig; its records, in order of time, all of them in order."""
    rig.run(settle_s)
    rig.keep()
    records = list(merged([rig.job.path(index, RECORDS) for index in range(rig.plan.endpoints)]))
    assert list(check([rig.plan.header(), *records])) == []
    return records


def test_requests_are_executed_and_every_ledger_says_so(tmp_path: Path) -> None:
    rig = Rig(case_of(count=4, clients=2), tmp_path)
    run(rig)
    assert rig.completed == {"client0": 4, "client1": 4}
    texts = [(tmp_path / f"replica{index}.ledger").read_bytes() for index in range(4)]
    longest = max(texts, key=len)
    assert all(longest.startswith(text) for text in texts)
    lines = read_ledger(tmp_path / "replica0.ledger")
    assert [line.height for line in lines] == list(range(1, len(lines) + 1))
    executed = [key for line in lines for key in line.executed]
    assert sorted(executed) == [(f"client{client}", number) for client in range(2) for number in range(4)]


def test_every_message_that_was_sent_arrives_or_is_dropped(tmp_path: Path) -> None:
    lossy = FailureRule(ANY, ANY, MsgType.Wildcard, None, 0.2, Lose())
    forgetful = FailureRule(ANY, ANY, MsgType.Reply, None, 0.2, Lose())
    records = run(Rig(case_of(lossy, forgetful), tmp_path))
    due: Counter[tuple[int, str]] = Counter()
    came: Counter[tuple[int, str]] = Counter()
    for record in records:
        match record:
            case Sent():
                due.update([(record.number, name) for name in record.to])
            case Submitted():
                due.update([(record.message, name) for name in record.to])
            case Replied():
                due[record.message, record.client] += 1
            case Delivered():
                came[record.number, record.node] += 1
            case Dropped():
                came[record.number, record.to] += 1
            case _:
                pass
    assert set(came) <= set(due)
    assert max(came.values()) == 1
    assert len(due) - len(came) < 60  # under way when it ended
    assert sum(isinstance(record, Dropped) for record in records) > 20


def number_of(record: Sent | Submitted | Replied) -> int:
    return record.number if isinstance(record, Sent) else record.message


@pytest.mark.parametrize(("latency", "low_s", "high_s"), [(None, 0.0, 0.0), (Span(0.02, 0.09), 0.02, 0.09)])
def test_messages_are_held_back_as_the_case_says_and_else_not(
    latency: Span | None, low_s: float, high_s: float, tmp_path: Path
) -> None:
    records = run(Rig(case_of(latency=latency), tmp_path))
    sent = {number_of(record): record.at for record in records if isinstance(record, Sent | Submitted | Replied)}
    delays = [record.at - sent[record.number] for record in records if isinstance(record, Delivered)]
    assert low_s - 1e-6 < min(delays) <= low_s + 0.01
    assert high_s - 0.01 <= max(delays) < high_s + 1e-6
    assert len(delays) > 100


def test_how_often_rules_struck_is_added_up_over_all_replicas(tmp_path: Path) -> None:
    requests = FailureRule(ANY, 1, MsgType.Request, None, 1.0, Lose(), "requests")
    votes = FailureRule(2, ANY, MsgType.Vote, None, 1.0, Lose(), "votes")
    never = FailureRule(ANY, ANY, MsgType.Wildcard, frozenset([10**6]), 1.0, Lose(), "never")
    rig = Rig(case_of(requests, votes, never), tmp_path)
    dropped = sum(isinstance(record, Dropped) for record in run(rig))
    result = conclude(rig.job, rig.completed, rig.struck)
    struck = {count.rule: count.struck for count in result.rules}
    assert struck["requests"] >= 5
    assert struck["votes"] > 0
    assert struck["requests"] + struck["votes"] == dropped
    assert struck["never"] == 0
    assert "  never struck: never" in told(rig.job, result).splitlines()


def test_a_long_bound_is_not_waited_for(tmp_path: Path) -> None:
    def settle_s(*failures: FailureRule, bound_s: float, latency: Span | None = None) -> float:
        case = structs.replace(case_of(*failures, latency=latency), delay_bound_s=bound_s)
        return CaseJob(Plan(case, 79_000), tmp_path, Wires(5, 0.0, lambda data, _: data)).settle_s

    assert settle_s(bound_s=0.02) == pytest.approx(0.8)
    assert settle_s(bound_s=1.0) == pytest.approx(2.0)
    assert settle_s(bound_s=1.0, latency=Span(0.1, 0.5)) == pytest.approx(20.0)
    late = FailureRule(ANY, ANY, MsgType.Vote, None, 1.0, DelayBy(3.0))
    assert settle_s(late, bound_s=1.0) == pytest.approx(3.0)


def test_a_delay_beyond_the_bound_makes_timers_fire(tmp_path: Path) -> None:
    slow = FailureRule(ANY, ANY, MsgType.Proposal, frozenset([3]), 1.0, DelayBy(2.0))
    records = run(Rig(case_of(slow), tmp_path))
    assert any(isinstance(record, Fired) and (record.timer, record.round) == ("round", 3) for record in records)


def test_a_request_belongs_to_the_round_of_its_receiver(tmp_path: Path) -> None:
    deaf = FailureRule(ANY, 1, MsgType.Request, range(4, 100), 1.0, Lose())
    rig = Rig(case_of(deaf, count=6), tmp_path)
    records = run(rig)
    submitted = {record.message: record.number for record in records if isinstance(record, Submitted)}
    lost = {submitted[record.number] for record in records if isinstance(record, Dropped)}
    assert {record.to for record in records if isinstance(record, Dropped)} == {"replica1"}
    assert lost == set(range(min(lost), 6))
    assert min(lost) > 0
    assert rig.completed == {"client0": 6}


def test_replies_get_lost_too(tmp_path: Path) -> None:
    mute = FailureRule(2, ANY, MsgType.Reply, None, 1.0, Lose())
    records = run(Rig(case_of(mute), tmp_path))
    of_2 = [record.message for record in records if isinstance(record, Replied) and record.node == "replica2"]
    dropped = [record for record in records if isinstance(record, Dropped)]
    assert [record.number for record in dropped] == of_2
    assert {record.to for record in dropped} == {"client0"}


def test_a_set_attribute_takes_effect_after_the_step_and_makes_its_replica_byzantine(tmp_path: Path) -> None:
    jump = FailureRule(2, ANY, MsgType.Vote, frozenset([4]), 1.0, SetsAttribute("current_round", 40))
    rig = Rig(case_of(jump), tmp_path)
    records = run(rig)
    place = next(index for index, record in enumerate(records) if isinstance(record, SetAttribute))
    record, state = records[place], records[place + 1]
    assert isinstance(record, SetAttribute)
    assert (record.node, record.attribute, record.value) == ("replica2", "current_round", 40)
    assert isinstance(state, State)
    assert (state.node, state.current_round) == ("replica2", 40)
    result = conclude(rig.job, rig.completed, rig.struck)
    assert result.verdict.passed
    assert result.verdict.byzantine == (2,)


def test_the_leader_of_a_vote_is_the_next_rounds(tmp_path: Path) -> None:
    lost = FailureRule(ANY, Special.LEADER, MsgType.Vote, frozenset([3]), 1.0, Lose())
    records = run(Rig(case_of(lost), tmp_path))
    votes = {record.number: record for record in records if isinstance(record, Sent)}
    dropped = [votes[record.number].message for record in records if isinstance(record, Dropped)]
    assert dropped
    assert any(isinstance(record, Fired) and record.timer == "round" for record in records)


def test_who_was_cut_off_fetches_what_it_missed(tmp_path: Path) -> None:
    outage = range(3, 12)
    cut_off = [FailureRule(3, ANY, MsgType.Wildcard, outage, 1.0, Lose())]
    cut_off.append(FailureRule(ANY, 3, MsgType.Wildcard, outage, 1.0, Lose()))
    rig = Rig(case_of(*cut_off, count=12), tmp_path)
    records = run(rig)
    committed = [record for record in records if isinstance(record, Committed)]
    heights = {name: max(r.height for r in committed if r.node == name) for name in rig.plan.names[:4]}
    assert heights["replica3"] == heights["replica0"]


def test_old_blocks_are_read_from_storage(tmp_path: Path) -> None:
    # More blocks than replicas keep at hand: 100.
    late = range(2, 125)
    rules = [FailureRule(3, ANY, MsgType.Wildcard, late, 1.0, Lose())]
    rules.append(FailureRule(ANY, 3, MsgType.Wildcard, late, 1.0, Lose()))
    rig = Rig(case_of(*rules, count=50), tmp_path)
    records = run(rig, settle_s=20.0)
    assert any(isinstance(record, BlocksRead) and record.count > 0 for record in records)
    assert len(read_ledger(tmp_path / "replica3.ledger")) > 100


@pytest.mark.parametrize("type_", list(WorkloadType))
def test_every_kind_of_workload(type_: WorkloadType, tmp_path: Path) -> None:
    case = case_of(type_=type_, count=3, clients=20)
    rig = Rig(case, tmp_path)
    assert len(rig.hosts) == 16
    records = run(rig)
    result = conclude(rig.job, rig.completed, rig.struck)
    assert str(result.verdict) == "PASS rigged"
    assert sum(isinstance(record, Accepted) for record in records) == 60
    assert sum(isinstance(record, WorkloadEnded) for record in records) == 20


def test_a_workload_that_times_out_fails_the_case(tmp_path: Path) -> None:
    silence = [FailureRule(replica, ANY, MsgType.Wildcard, None, 1.0, Lose()) for replica in (2, 3)]
    rig = Rig(case_of(*silence, timeout_s=3.0), tmp_path)
    run(rig)
    result = conclude(rig.job, rig.completed, rig.struck)
    assert [reason.kind for reason in result.verdict.reasons] == ["workload_timeout", "exactly_once"]
    assert not result.verdict.passed


def test_one_replica_is_a_system_too(tmp_path: Path) -> None:
    rig = Rig(case_of(n=1), tmp_path)
    run(rig)
    assert rig.completed == {"client0": 5}


def test_a_message_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    def tight(data: bytes, what: str) -> bytes:
        if len(data) > 600:
            raise InputError(f"{what}: {len(data)} bytes do not fit")
        return data

    rig = Rig(case_of(), tmp_path, require_fit=tight)
    with pytest.raises(InputError, match=r"^(proposal|vote|sync_info) of round \d+: \d+ bytes do not fit$"):
        rig.run()


def test_the_log_tells_what_a_replica_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jump = FailureRule(2, ANY, MsgType.Vote, frozenset([4]), 1.0, SetsAttribute("highest_vote_round", 0))
    slow = FailureRule(ANY, ANY, MsgType.Proposal, frozenset([3]), 1.0, DelayBy(2.0))
    with caplog.at_level(logging.INFO):
        run(Rig(case_of(jump, slow), tmp_path))
    for text in (
        "round 2, led by replica",
        "committed block 1, of round 1, with 1 requests",
        "timer round of round 3 fired",
        "failure injection: highest_vote_round is 0 now",
        "client0: request 0 accepted after ",
        "client0: workload completed",
    ):
        assert text in caplog.text
