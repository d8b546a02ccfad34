"""`diembft check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


FOREIGN: dict[str, Any] = {
    "type": "header",
    "format": "diembft-trace",
    "version": 2,
    "runtime": "mine",
    "protocol": "mine",
    "nodes": [{"name": f"n{replica}", "replica": replica} for replica in range(4)],
    "n": 4,
    "quorum": 3,
    "chain": 2,
    "delta_s": 0.5,
}


def test_a_trace_that_tells_nothing_does_not_pass(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(json.dumps(FOREIGN) + "\n")
    status, out, _ = diembft(capsys, "check", str(path))
    assert status == 1
    assert out.startswith(f"FAIL {path}\n")
    assert "\nnothing was judged: " in out
    assert "\njudged: " not in out
    told = diembft(capsys, "check", str(path), "--json").json
    assert told["held"] is False
    assert set(told["verdicts"].values()) == {"undecided"}


def test_what_had_facts_is_told(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    vote = {"round": 1, "block": "eA==", "parent": "Zw==", "parent_round": 0, "content": "eA=="}
    sent = {"type": "sent", "at": 0.1, "node": "n0", "number": 1, "to": [], "message": {"kind": "vote", "round": 1}}
    sent["message"] |= {"vote": vote}  # type: ignore[operator]
    path.write_text(f"{json.dumps(FOREIGN)}\n{json.dumps(sent)}\n")
    status, out, _ = diembft(capsys, "check", str(path))
    assert status == 0
    assert "\njudged: honest_vote_once\n" in out
    assert "\nnot judged, as nothing was told of it: agreement, " in out


@pytest.mark.parametrize("junk", [["junk"], "abc", 5, True, {"a": 1}])
def test_details_that_are_none_of_diembft_are_refused(capsys: Capture, trace: Path, junk: object) -> None:
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    for kind, field in (("sent", "message"), ("committed", "block"), ("state", "high"), ("persisted", "signed")):
        place, record = next(
            (place, line) for place, line in enumerate(lines) if line["type"] == kind and line.get(field)
        )
        spoilt = record | {field: record[field] | {"detail": junk}}
        path = trace.with_name("junk.jsonl")
        path.write_text("".join([json.dumps(line) + "\n" for line in [*lines[:place], spoilt, *lines[place + 1 :]]]))
        complaint = diembft(capsys, "check", str(path)).complaint
        assert f"line {place + 1}: the detail of a " in complaint
        assert "is none of DiemBFT" in complaint


@pytest.mark.parametrize("field", ["chain_id", "epoch", "crypto", "public_keys"])
def test_a_header_whose_detail_is_none_of_diembft_is_refused(capsys: Capture, trace: Path, field: str) -> None:
    header, *lines = trace.read_text().splitlines(keepends=True)
    spoilt = json.loads(header)
    spoilt["detail"][field] = [1]
    trace.write_text("".join([json.dumps(spoilt) + "\n", *lines]))
    assert "line 1: the detail of the header is none of DiemBFT: " in diembft(capsys, "check", str(trace)).complaint


def without_details(value: Any) -> Any:
    """What JSON has, without any detail."""
    if isinstance(value, dict):
        return {name: without_details(inner) for name, inner in value.items() if name != "detail"}
    return [without_details(inner) for inner in value] if isinstance(value, list) else value


def test_a_trace_of_diembft_without_details_says_that_nothing_was_verified(capsys: Capture, trace: Path) -> None:
    assert diembft(capsys, "check", str(trace), "--json").json["verified"] is True
    header, *lines = trace.read_text().splitlines(keepends=True)
    trace.write_text("".join([header, *[json.dumps(without_details(json.loads(line))) + "\n" for line in lines]]))
    assert "\nsignatures not verified: " in diembft(capsys, "check", str(trace)).out
    assert diembft(capsys, "check", str(trace), "--json").json["verified"] is False


def test_a_block_that_its_id_does_not_name_is_told(capsys: Capture, trace: Path) -> None:
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    _, second = [line for line in lines if line["type"] == "committed" and line["height"] == 1][:2]
    second["block"]["detail"][2] += 5  # the time, which nothing beside the detail tells
    trace.write_text("".join([json.dumps(line) + "\n" for line in lines]))
    out = diembft(capsys, "check", str(trace)).out
    assert f"\nvalidity: {second['node']} committed a block of round " in out
    second["block"]["detail"][5] = second["block"]["parent"]
    trace.write_text("".join([json.dumps(line) + "\n" for line in lines]))
    assert "says something else than what stands beside it" in diembft(capsys, "check", str(trace)).complaint


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
    complaint = diembft(capsys, "check", str(trace)).complaint
    assert "a trace of version 99; this is version 2: it needs a newer diembft" in complaint


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["."], ["nowhere", "--jsno"]])
def test_bad_input_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert diembft(capsys, "check", *arguments).complaint
