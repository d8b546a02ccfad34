from __future__ import annotations

from pathlib import Path

import pytest

from diembft.errors import InputError
from diembft.explorer.results import Kill, Level, Levels, RunLatency, Span, read_results
from diembft.trace.files import write_trace
from diembft.trace.records import Accepted, Crashed, Partitioned, Paused, Record, Resumed
from tests.explorer.traces import fault_free, with_faults


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "results.json"
    path.write_text(text)
    return path


def test_levels_as_a_list(tmp_path: Path) -> None:
    path = written(tmp_path, '[{"states": 3, "transitions": 9, "seconds": 1.5}, {"states": 0}]')
    assert read_results(path) == Levels((Level(3, 9), Level(0)))


def test_levels_in_an_object(tmp_path: Path) -> None:
    path = written(tmp_path, '{"model": "barrier", "levels": [{"level": 1, "states": 40}]}')
    assert read_results(path) == Levels((Level(40, None, 1),))


def test_a_kill_matrix(tmp_path: Path) -> None:
    text = """[{"bug": "gap_commit", "oracle": "agreement", "rounds": 5, "scenarios": 12, "model": "barrier"},
               {"bug": "stale_leader", "oracle": null}]"""
    assert read_results(written(tmp_path, text)) == (
        Kill("gap_commit", "agreement", 5, 12, None, "barrier"),
        Kill("stale_leader"),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "neither a trace nor JSON"),
        ("[]", "expected a trace, a list of levels"),
        ('[{"a": 1}]', "expected a trace, a list of levels"),
        ('[{"states": "x"}]', r"Expected `int`, got `str` - at `\$\[0\].states`"),
        ('{"levels": [{"transitions": 1}]}', "missing required field `states`"),
        ('[{"bug": 3}]', "Expected `str`"),
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
            Partitioned(3.5, (("replica0",), ("replica1", "replica2", "replica3"))),
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
