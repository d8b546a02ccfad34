"""`diembft fuzz --shrink`, `--output` and `--replay`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from diembft.simulation.fuzz import FuzzResult, run_drawn
from diembft.simulation.fuzzed import read_case
from diembft.trace.files import read_trace
from diembft.trace.records import Header
from tests.cli.running import diembft

Capture = pytest.CaptureFixture[str]

SEARCH = ("fuzz", "--count", "30", "--bug", "unsigned_certificates", "--jobs", "1")
"""It finds scenario 14."""
ONE = ("fuzz", "--index", "14", "--bug", "unsigned_certificates")


def test_the_first_failure_of_a_search_is_made_smaller_and_told(capsys: Capture) -> None:
    status, out, err = diembft(capsys, *SEARCH, "--shrink")
    assert (status, err) == (0, "")  # it is what a planted bug is for
    smaller = out[out.index("scenario 14 of seed 1, made smaller: 4 replicas, delta 0.1 s\n") :].splitlines()
    assert smaller[1:4] == [
        "  clients: none",
        "  Byzantine: replica1 (forger)",
        "  network: constant delays (delay_s 0.05)",
    ]
    assert smaller[4].endswith(" s: GST")
    assert smaller[5].startswith("  violates certificates: replica")
    assert "incidents 8 -> 0, clients 3 -> 0, requests 21 -> 0" in smaller[6]
    assert smaller[7] == "  again: diembft fuzz --seed 1 --index 14 --bug unsigned_certificates --shrink"
    again = diembft(capsys, *shlex.split(smaller[7].split(": ")[1])[1:])
    assert again.status == 0
    assert again.out.splitlines()[-8:] == smaller


def test_a_file_replays_the_same_with_a_trace_and_a_page(capsys: Capture, tmp_path: Path) -> None:
    file, trace, page = tmp_path / "small one.json", tmp_path / "trace.jsonl", tmp_path / "page.html"
    found = diembft(capsys, *ONE, "-o", str(file), "--trace", str(trace), "--html", str(page))
    assert found.status == 0
    again = f"diembft fuzz --replay '{file}'"
    assert f"  again: {again}\n" in found.out
    for path in (file, trace, page):
        assert f"{path}: scenario 14 of seed 1, made smaller\n" in found.out
    header, *records = read_trace(trace)
    assert isinstance(header, Header)
    assert (header.replay, header.bugs) == (again, ("unsigned_certificates",))
    assert again.replace("'", "&#x27;") in page.read_text() or again in page.read_text()
    violation = read_case(file).detail
    other = tmp_path / "other.jsonl"
    replayed = diembft(capsys, *shlex.split(again)[1:], "--trace", str(other))
    assert replayed.status == 0
    assert replayed.out.startswith(f"{file}: 4 replicas, delta 0.1 s\n")
    assert f"violated: {file}\n  certificates: {violation}\n  again: {again}\n" in replayed.out
    assert list(read_trace(other))[1:] == records


def test_what_was_made_smaller_can_be_made_smaller_again(capsys: Capture, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    diembft(capsys, *ONE, "-o", str(first))
    report = diembft(capsys, "fuzz", "--replay", str(first), "-o", str(second), "--json").json
    assert second.read_bytes() == first.read_bytes()
    shrunk = report["shrunk"]
    assert shrunk["before"] == shrunk["after"]
    assert shrunk["complete"]
    assert shrunk["replay"] == f"diembft fuzz --replay {second}"
    assert shrunk["run"] == json.loads(first.read_text())["run"]
    assert "nothing could go" in diembft(capsys, "fuzz", "--replay", str(first), "--shrink").out


def test_where_all_holds_there_is_nothing_to_make_smaller(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    done = diembft(capsys, "fuzz", "--index", "0", "-o", str(file))
    assert done.status == 0
    assert f"{file}: not written, for all held" in done.out
    assert not file.exists()
    assert diembft(capsys, "fuzz", "--index", "0", "--shrink", "--json").json["shrunk"] is None


def test_a_file_that_no_longer_violates_what_it_says_is_told(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    diembft(capsys, *ONE, "-o", str(file))
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "bugs": []}))
    done = diembft(capsys, "fuzz", "--replay", str(file))
    assert done.status == 0  # nothing is planted any more
    assert diembft(capsys, "fuzz", "--replay", str(file), "--expect", "violation").status == 1
    assert "not as the file says, which has it violate certificates: " in done.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--replay", "nowhere"], "nowhere"),
        (["--replay", "."], "directory"),
        (["--replay", "text"], "text: is no file of `diembft fuzz --output`"),
        (["--replay", "other.json"], "other.json: says no format, expected 'diembft-fuzzed'"),
        (["--replay", "text", "--seed", "2"], "--replay runs what its file says: leave out --seed."),
        (["--replay", "text", "--count", "2", "--bug", "small_quorum"], "leave out --count, --bug."),
        (["--replay", "text", "-o", "./text"], "--output: text: is what this command reads"),
        (["--shrink", "--output", "nowhere/file"], "nowhere"),
        (["--output", "."], "directory"),
    ],
)
def test_bad_input_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "other.json").write_text("{}")
    assert named in diembft(capsys, "fuzz", *arguments).complaint
    assert {path.name for path in tmp_path.iterdir()} == {"text", "other.json"}


def test_what_was_stopped_is_told_as_small_as_it_is(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = 0

    def run(*arguments: Any, **named: Any) -> FuzzResult:
        nonlocal made
        made += 1
        if made == 20:
            raise KeyboardInterrupt
        return run_drawn(*arguments, **named)

    monkeypatch.setattr("diembft.simulation.shrinking.run_drawn", run)
    file = tmp_path / "small.json"
    status, out, err = diembft(capsys, *ONE, "-o", str(file))
    assert status == 130
    assert err == "diembft: interrupted; 1 scenarios were run\n"
    assert "19 scenarios executed: " in out
    assert "there may be a smaller one" in out
    assert read_case(file).bugs == ("unsigned_certificates",)
    assert diembft(capsys, "fuzz", "--replay", str(file)).status == 0
