"""`diembft fuzz`."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from diembft.simulation.fuzz import Reached
from diembft.trace.files import read_trace
from diembft.trace.records import Header
from tests.cli.running import diembft

Capture = pytest.CaptureFixture[str]

BROKEN = ("--bug", "small_quorum")
"""A bug that shows in nearly every scenario."""


def test_scenarios_that_hold_pass_and_what_was_reached_is_counted(capsys: Capture) -> None:
    status, out, err = diembft(capsys, "fuzz", "--count", "3", "--seed", "1", "--jobs", "1")
    assert (status, err) == (0, "")
    heading, *counters, verdict = out.splitlines()
    assert heading.split() == ["reached", "times"]
    assert [line.rsplit(maxsplit=1)[0] for line in counters] == [
        name.replace("_", " ") for name in Reached.__struct_fields__
    ]
    assert verdict.startswith("PASS 3 of 3 scenarios of seed 1 held in ")


def test_as_json_and_in_any_number_of_processes(capsys: Capture) -> None:
    reports = [
        diembft(capsys, "fuzz", "--count", "4", "--seed", "2", "--json", "--jobs", jobs).json for jobs in ("1", "2")
    ]
    for report in reports:
        assert report.pop("real_s") > 0
        assert report.pop("virtual_s") > 0
    assert reports[0] == reports[1]
    assert (reports[0]["seed"], reports[0]["scenarios"], reports[0]["failures"]) == (2, 4, [])
    assert reports[0]["reached"]["blocks"] > 0
    assert reports[0]["events"] > 0


def test_a_failure_ends_the_search_and_the_command_that_is_told_repeats_it(capsys: Capture) -> None:
    outcome = diembft(capsys, "fuzz", "--count", "30", *BROKEN, "--jobs", "1", "--json")
    assert outcome.status == 0  # it is what a planted bug is for
    assert outcome.json["passed"] is True
    (failure,) = outcome.json["failures"]
    assert outcome.json["scenarios"] == failure["index"] + 1
    assert failure["violations"]
    assert failure["replay"] == f"diembft fuzz --seed 1 --index {failure['index']} --bug small_quorum"
    again = diembft(capsys, *shlex.split(failure["replay"])[1:])
    assert again.status == 0
    assert again.out.startswith(f"scenario {failure['index']} of seed 1: ")
    assert f"violated: scenario {failure['index']} of seed 1\n" in again.out
    for violation in failure["violations"]:
        assert f"  {violation}\n" in again.out
    assert f"  again: {failure['replay']}\n" in again.out


@pytest.mark.parametrize(
    ("scenarios", "said"),
    [
        (["--index", "3"], "nothing is violated, and something should be"),
        (["--count", "2"], "none of 2 scenarios is violated, and one at least should be"),
    ],
)
def test_that_nothing_was_found_is_said(capsys: Capture, scenarios: list[str], said: str) -> None:
    options = ["fuzz", *scenarios, "--expect", "violation", "--jobs", "1"]
    outcome = diembft(capsys, *options)
    assert outcome.status == 1
    assert outcome.out.splitlines()[-2] == said
    assert diembft(capsys, *options, "--json").json["shortfall"] == said


def test_the_command_that_is_told_expects_the_same(capsys: Capture, tmp_path: Path) -> None:
    file = str(tmp_path / "small.json")
    failing = ["--index", "14", "--bug", "unsigned_certificates"]
    assert diembft(capsys, "fuzz", *failing, "--output", file).status == 0
    for scenario in (failing, ["--replay", file]):
        outcome = diembft(capsys, "fuzz", *scenario, "--expect", "none", "--json")
        (failure,) = outcome.json["failures"]
        again = diembft(capsys, *shlex.split(failure["replay"])[1:])
        assert outcome.status == again.status == 1


def test_it_goes_on_after_a_failure_if_asked_to(capsys: Capture) -> None:
    report = diembft(capsys, "fuzz", "--count", "6", *BROKEN, "--keep-going", "--jobs", "2", "--json").json
    assert report["scenarios"] == 6
    indices = [failure["index"] for failure in report["failures"]]
    assert len(indices) > 1
    assert indices == sorted(indices)


def test_time_ends_the_search(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count()
    monkeypatch.setattr("diembft.cli.fuzz.perf_counter", lambda: float(next(seconds)))
    report = diembft(capsys, "fuzz", "--time", "3", "--jobs", "1", "--json").json
    # Asked before the second scenario, the third and the fourth, which is too late.
    assert report["scenarios"] == 3


def test_however_short_the_time_a_scenario_is_run(capsys: Capture) -> None:
    assert diembft(capsys, "fuzz", "--time", "0.000001", "--jobs", "1", "--json").json["scenarios"] == 1


def test_one_scenario_gives_a_trace_and_a_page(capsys: Capture, tmp_path: Path) -> None:
    trace, page = tmp_path / "trace.jsonl", tmp_path / "page.html"
    options = ("--index", "2", "--crypto", "ed25519", "--trace", str(trace), "--html", str(page))
    assert diembft(capsys, "fuzz", *options).status == 0
    header = next(iter(read_trace(trace)))
    assert isinstance(header, Header)
    assert header.replay == "diembft fuzz --seed 1 --index 2 --crypto ed25519"
    assert diembft(capsys, "check", str(trace)).status == 0
    assert page.read_text().lstrip().lower().startswith("<!doctype html")


def test_the_page_of_a_search_is_that_of_the_first_scenario_that_failed(capsys: Capture, tmp_path: Path) -> None:
    trace, page = tmp_path / "trace.jsonl", tmp_path / "page.html"
    files = ("--trace", str(trace), "--html", str(page))
    done = diembft(capsys, "fuzz", "--seed", "1", "--count", "30", "--bug", "one_chain_commit", "--jobs", "1", *files)
    assert done.status == 0
    assert done.out.endswith(f"{trace}: shows scenario 24\n{page}: shows scenario 24\n")
    header = next(iter(read_trace(trace)))
    assert isinstance(header, Header)
    assert "--index 24" in header.replay
    assert header.replay in page.read_text()


def test_without_a_failure_there_is_no_page(capsys: Capture, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = diembft(capsys, "fuzz", "--count", "1", "--jobs", "1", "--html", str(page))
    assert done.status == 0
    assert f"{page}: not written, for all held" in done.out
    assert not page.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--seed", "x"], "x"),
        (["--seed", "1.5"], "1.5"),
        (["--count", "0"], "--count"),
        (["--count", "many"], "many"),
        (["--time", "0"], "--time"),
        (["--time", "-1"], "-1"),
        (["--index", "-1"], "--index"),
        (["--index", "1", "--count", "2"], "--count"),
        (["--index", "1", "--time", "2"], "--time"),
        (["--trace", "nowhere/file"], "nowhere"),
        (["--html", "nowhere/file"], "nowhere"),
        (["--index", "1", "--trace", "nowhere/file"], "nowhere"),
        (["--index", "1", "--html", "nowhere/file"], "nowhere"),
        (["--bug", "nothing"], "nothing"),
        (["--crypto", "rsa"], "rsa"),
        (["--jobs", "0"], "--jobs"),
        (["more"], "more"),
    ],
)
def test_bad_input_is_one_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named in diembft(capsys, "fuzz", *arguments).complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_an_interrupt_ends_all_processes_and_says_what_there_is() -> None:
    """Ctrl-C on a terminal: every process of the group gets the signal."""
    command = [sys.executable, "-m", "diembft", "fuzz", "--time", "60", "--jobs", "2", "--keep-going"]
    # Python takes no notice of the signal if it was started where it is ignored, as in the background of a shell.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, ours)
    try:
        assert _until(lambda: sum("spawn_main" in line for line in _living(process.pid)) == 2)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert err.strip().startswith("diembft: interrupted; ")
        assert out == "" or "STOPPED" in out
        assert _until(lambda: _living(process.pid) == [])
    finally:
        if _living(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def _living(group: int) -> list[str]:
    """The processes of a group that are not merely waiting to be forgotten."""
    listed = subprocess.run(["ps", "-ewwo", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
    fields = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [rest[0] for pgid, state, *rest in fields if int(pgid) == group and not state.startswith("Z")]


def _until(condition: Callable[[], bool]) -> bool:
    """Wait until something is so, but not for ever."""
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
