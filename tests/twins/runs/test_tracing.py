"""Traces of scenarios: whole, judged by the invariants too, and the same on every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from diembft.judge.traces import check
from diembft.trace import records
from diembft.trace.files import read_trace, write_trace
from diembft.twins.runs.judging import run
from diembft.twins.runs.timed import execute
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.regressions import names, regression
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario

SPACE = Space(replicas=4, faulty=1, sets=2, rounds=4, quorum=True, crashes=True)
SCENARIO = "scenario story: replicas=a,b,c,d twins=d' seed=7 bound=0.4; 1: d leads a,b|c,d,d'; 2-8: a leads a,b,c,d,d'"


def test_the_header_says_who_plays_what_is_played_and_how_to_replay_it() -> None:
    _, trace = traced(parse_scenario(SCENARIO), replay="diembft twins replay x")
    header = trace[0]
    assert isinstance(header, records.Header)
    assert [(node.name, node.replica, node.correct) for node in header.nodes] == [
        ("a", 0, True),
        ("b", 1, True),
        ("c", 2, True),
        ("d", 3, False),
        ("d'", 3, False),
    ]
    assert (header.n, header.delta_s, header.seed, header.replay) == (4, 0.4, "7", "diembft twins replay x")
    assert parse_scenario(header.scenario) == parse_scenario(SCENARIO)
    assert (header.title, header.protocol, header.bugs) == ("Scenario story", "diembft", ())
    assert (header.quorum, header.chain) == (3, 2)


def test_partitions_come_first_and_the_end_comes_last() -> None:
    scenario = parse_scenario(SCENARIO)
    judgement, trace = traced(scenario)
    assert [(record.round, record.sets) for record in trace if isinstance(record, records.Partitioned)] == [
        (number, round_.partition) for number, round_ in enumerate(scenario.rounds, 1)
    ]
    last = trace[-1]
    assert isinstance(last, records.Ended)
    assert last.passed == (not judgement.violations)
    assert last.figures == {"ending": judgement.ending.value}
    times = [record.at for record in trace[1:] if not isinstance(record, records.Header)]
    assert times == sorted(times)


@pytest.mark.parametrize("name", names())
def test_violations_stand_in_the_trace_with_what_shows_them(name: str) -> None:
    judgement, trace = traced(regression(name))
    told = [record for record in trace if isinstance(record, records.Violated)]
    assert [record.property for record in told] == [finding.oracle for finding in judgement.violations]
    for record, finding in zip(told, judgement.violations, strict=True):
        assert (record.detail, record.round, record.nodes) == (finding.detail, finding.round, finding.nodes)
        assert (record.certificates, record.signed) == (finding.certificates, finding.signed)
    last = trace[-1]
    assert isinstance(last, records.Ended)
    assert not last.passed
    assert len(last.reasons) == len(judgement.violations)


def test_observing_changes_nothing() -> None:
    for rank in SPACE.ranks(0, 15, seed=8):
        scenario = SPACE.scenario(rank)
        judgement, trace = traced(scenario)
        assert judgement == run(scenario)
        sent = [record.message.detail for record in trace if isinstance(record, records.Sent)]
        assert sent == [entry.message for entry in execute(scenario).sent]


def test_the_invariants_of_traces_agree_with_the_oracles(tmp_path: Path) -> None:
    """They judge the same runs by other means: the correct core holds, certificates and durable state included."""
    for rank in SPACE.ranks(0, 8, seed=9):
        file = tmp_path / f"{rank}.jsonl"
        write_trace(file, traced(SPACE.scenario(rank))[1])
        assert list(check(read_trace(file))) == []
    broken = {violated.property for violated in check(iter(traced(regression("too_many_twins"))[1]))}
    assert {"agreement", "certified_uniqueness"} <= broken


def test_the_same_scenario_gives_the_same_trace(tmp_path: Path) -> None:
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    scenario = SPACE.scenario(987_654)
    for file in files:
        write_trace(file, traced(scenario)[1])
        run(SPACE.scenario(123))  # something else in between
    assert files[0].read_bytes() == files[1].read_bytes()


def test_signed_with_ed25519_keys_are_in_the_header() -> None:
    _, trace = traced(parse_scenario(SCENARIO), crypto="ed25519")
    header = trace[0]
    assert isinstance(header, records.Header)
    assert header.detail["crypto"] == "ed25519"
    assert set(header.detail["public_keys"]) == {
        "replica0",
        "replica1",
        "replica2",
        "replica3",
        "a",
        "b",
        "c",
        "d",
        "d'",
    }
    proposals = [r.message.detail for r in trace if isinstance(r, records.Sent) and r.message.kind == "proposal"]
    assert all(len(message.signature) == 64 for message in proposals)
    assert list(check(iter(trace))) == []
