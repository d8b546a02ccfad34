from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from diembft.cli.main import main
from diembft.errors import InputError
from diembft.pages.results import Exploration, Kill, KillMatrix, Moment, PlottedQuestion, RunLatency, Span, read_results
from diembft.trace.files import write_trace
from diembft.trace.records import (
    Accepted,
    Crashed,
    Delivered,
    Dropped,
    Fired,
    Header,
    Partitioned,
    Paused,
    Record,
    Resumed,
    SetAttribute,
    Violated,
)
from tests.pages.traces import DELAY_S, fault_free, with_faults


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "results.json"
    path.write_text(text)
    return path


def test_an_exploration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twins", "explore", "--quorum-filter", "--rounds", "2", "-j", "1", "--json"]) == 0
    printed = capsys.readouterr().out
    results = read_results(written(tmp_path, printed))
    assert isinstance(results, Exploration)
    assert results.question == PlottedQuestion("barrier", 4, 1, 2, quorum_filter=True)
    assert results.ending == "depth limit"
    assert [level.states for level in results.levels] == [level["states"] for level in json.loads(printed)["levels"]]
    assert results.levels[1].transitions == 4 * 52 / 2


def test_an_exploration_with_a_counterexample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--bug", "small_quorum", "--quorum-filter", "-o", str(tmp_path / "found.jsonl"), "-j", "1", "--json"]
    assert main(["twins", "explore", *options]) == 0
    results = read_results(written(tmp_path, capsys.readouterr().out))
    assert isinstance(results, Exploration)
    assert (results.ending, results.question.bugs) == ("violation", ("small_quorum",))


def test_a_kill_matrix_as_its_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["twins", "matrix", "--quick", "--row", "vote_leader_current_round", "-j", "1", "--json"])
    printed = capsys.readouterr().out
    results = read_results(written(tmp_path, printed))
    assert isinstance(results, KillMatrix)
    rows = [(row["bug"], row["where"], row["oracle"], row.get("note", "")) for row in json.loads(printed)["rows"]]
    assert [(kill.bug, kill.where, kill.oracle, kill.note) for kill in results.rows] == rows
    assert {kill.oracle for kill in results.rows} == {"liveness_bound", None}


def test_a_kill_matrix(tmp_path: Path) -> None:
    text = """{"passed": true, "rows": [
        {"bug": "gap_commit", "where": "executor", "oracle": "agreement", "as_expected": true, "rounds": 5.5,
         "scenarios": 12, "seeds": "2 of 3"},
        {"bug": "stale_leader", "where": "barrier", "oracle": null, "as_expected": true, "note": "none"}]}"""
    assert read_results(written(tmp_path, text)) == KillMatrix(
        (Kill("gap_commit", "executor", "agreement", 5.5, 12), Kill("stale_leader", "barrier", note="none"))
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "neither a trace nor JSON"),
        ("[]", "expected a trace, an exploration"),
        ('{"a": 1}', "expected a trace, an exploration"),
        ('{"levels": []}', "missing required field `question`"),
        ('{"rows": [{"where": "fuzz"}]}', r"missing required field `bug` - at `\$\.rows\[0\]`"),
        ('{"rows": [{"where": "fuzz", "bug": 3}]}', "Expected `str`"),
    ],
)
def test_other_content_is_bad_input(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_results(written(tmp_path, text))


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path / "nothing.json")


def latency_of(tmp_path: Path, trace: list[Record]) -> RunLatency:
    write_trace(tmp_path / "trace.jsonl", trace)
    results = read_results(tmp_path / "trace.jsonl")
    assert isinstance(results, RunLatency)
    return results


def test_commit_latency(tmp_path: Path) -> None:
    run = latency_of(tmp_path, [*fault_free(rounds=4), Accepted(0.9, "client0", 1, "ok", 0.7)])
    assert [round(block.median_s, 6) for block in run.blocks] == [0.4, 0.4, 0.4]
    assert [round(block.proposed_s, 6) for block in run.blocks] == [0, 0.2, 0.4]
    assert run.accepted == ((0.9, 0.7),)
    assert (run.spans, run.moments) == ((), ())


def test_faults_of_a_run(tmp_path: Path) -> None:
    faults: list[Record] = [record for record in with_faults()[1:-1] if not hasattr(record, "message")]
    numbered = [record for record in faults if not hasattr(record, "number")]
    run = latency_of(
        tmp_path,
        [
            *fault_free(rounds=4),
            *numbered,
            Paused(2.0, "replica2"),
            Resumed(2.5, "replica2"),
            Crashed(3.0, "replica3"),
            Partitioned(3.5, (("replica1", "replica2", "replica3"),)),
            Accepted(4.0, "client0", 1, "ok", 1.0),
        ],
    )
    assert run.spans == (
        Span(0.3, 1.5, "crashed", "replica1"),
        Span(0.4, 0.9, "partition"),
        Span(2.0, 2.5, "paused", "replica2"),
        Span(3.0, 4.0, "crashed", "replica3"),
        Span(3.5, 4.0, "partition"),
    )
    assert [moment.kind for moment in run.moments] == ["timeout"] * 3


def test_a_run_without_commits_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no committed block"):
        latency_of(tmp_path, with_faults())


def test_moments_of_a_run(tmp_path: Path) -> None:
    marks: list[Record] = [
        Dropped(1.0, 0, "replica1", "loss"),
        SetAttribute(2.0, "replica1", "current_round", 9),
        Violated(3.0, "agreement", "", ()),
        Fired(4.0, "replica1", "sync", 1),
    ]
    moments = latency_of(tmp_path, [*fault_free(rounds=4), *marks]).moments
    assert moments == (Moment(1.0, "lost"), Moment(2.0, "byzantine"), Moment(3.0, "violated"))


def test_messages_that_take_longer_than_the_delay_bound_are_late(tmp_path: Path) -> None:
    trace = fault_free(rounds=4)
    header = trace[0]
    assert isinstance(header, Header)
    assert latency_of(tmp_path, [structs.replace(header, delta_s=DELAY_S), *trace[1:]]).moments == ()
    late = latency_of(tmp_path, [structs.replace(header, delta_s=DELAY_S / 2), *trace[1:]]).moments
    assert len(late) == sum(isinstance(record, Delivered) for record in trace)
