"""`diembft check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from diembft.trace.files import read_trace, write_trace
from diembft.trace.records import Committed, Ended, Record
from tests.cli.running import diembft

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def trace(capsys: Capture, tmp_path: Path) -> Path:
    """The record of a run that holds."""
    path = tmp_path / "trace.jsonl"
    assert diembft(capsys, "run", "normal_operation", "--trace", str(path)).status == 0
    return path


def with_another_state(records: list[Record]) -> list[Record]:
    """The last commit of a node leads to another state than that of the others."""
    last = max(index for index, record in enumerate(records) if isinstance(record, Committed))
    commit = records[last]
    assert isinstance(commit, Committed)
    return [*records[:last], structs.replace(commit, state=bytes(32)), *records[last + 1 :]]


def test_a_run_that_held_passes(capsys: Capture, trace: Path) -> None:
    status, out, err = diembft(capsys, "check", str(trace))
    assert (status, err) == (0, "")
    verdict, figures = out.splitlines()
    assert verdict == f"PASS {trace}"
    assert figures.startswith("simulator, diembft, 4 nodes: ")
    assert figures.endswith(" blocks committed")


def test_what_a_trace_violates_is_told(capsys: Capture, trace: Path) -> None:
    write_trace(trace, with_another_state(list(read_trace(trace))))
    status, out, _ = diembft(capsys, "check", str(trace))
    assert status == 1
    assert out.startswith(f"FAIL {trace}\n")
    assert "\nexecution: " in out
    assert out.endswith("again: diembft run normal_operation\n")
    outcome = diembft(capsys, "check", str(trace), "--json")
    assert (outcome.status, outcome.json["held"]) == (1, False)
    assert [violated["property"] for violated in outcome.json["violations"]] == ["execution"]


def test_as_json(capsys: Capture, trace: Path) -> None:
    outcome = diembft(capsys, "check", str(trace), "--json")
    assert outcome.status == 0
    found = outcome.json
    records = list(read_trace(trace))
    assert (found["held"], found["violations"], found["records"]) == (True, [], len(records))
    assert found["ended"]["passed"] is True
    assert found["commits"] == max(record.height for record in records if isinstance(record, Committed))
    assert found["rounds"] >= found["commits"]


def test_the_verdict_of_the_run_itself_is_told_beside(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    assert diembft(capsys, "run", "must_fail/two_silent", "--trace", str(path)).status == 1
    status, out, _ = diembft(capsys, "check", str(path))
    assert status == 0
    assert "the run's own verdict was FAIL: workload_timeout: " in out


def test_a_trace_that_breaks_off_is_told(capsys: Capture, trace: Path) -> None:
    write_trace(trace, [record for record in read_trace(trace) if not isinstance(record, Ended)])
    assert "breaks off" in diembft(capsys, "check", str(trace)).out


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "the trace is empty"),
        (b"\n", "line 1"),
        (b"not a trace\n", "line 1"),
        (b"\xff\xfe\n", "line 1"),
        (b'{"type":"ended","at":0,"passed":true}\n', "line 1"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_a_file_that_is_no_trace_is_bad_input(capsys: Capture, tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    complaint = diembft(capsys, "check", str(path)).complaint
    assert complaint.startswith(str(path))
    assert named in complaint


def test_a_wrong_line_is_named(capsys: Capture, trace: Path) -> None:
    lines = trace.read_bytes().splitlines(keepends=True)
    trace.write_bytes(b"".join([*lines[:5], b"{}\n", *lines[5:]]))
    assert f"{trace}: line 6: " in diembft(capsys, "check", str(trace)).complaint


def test_another_version_is_bad_input(capsys: Capture, trace: Path) -> None:
    trace.write_bytes(trace.read_bytes().replace(b'"version":2', b'"version":99', 1))
    assert "a trace of version 99; this is version 2: it needs a newer diembft" in diembft(capsys, "check", str(trace)).complaint


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["."], ["nowhere", "--jsno"]])
def test_bad_input_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert diembft(capsys, "check", *arguments).complaint
