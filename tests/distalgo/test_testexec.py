"""The seed's command for Twins scenarios, with real processes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from diembft.distalgo.runtime.launch import ProgramRun, end_session, launch, wait_until_gone
from diembft.distalgo.twins_scenarios import ScenarioOutcome
from diembft.twins.scenarios.scenario_files import read_scenarios, write_seed_file
from tests.distalgo.test_run import OPTIONS, VERBATIM, errors

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path, options: tuple[str, ...] = OPTIONS) -> ProgramRun:
    outcome = launch([*options, "src/testexec.da", *arguments], timeout_s=150, front=VERBATIM, cwd=ROOT)
    assert outcome.in_time, outcome
    return outcome


@pytest.mark.parametrize("options", [OPTIONS, OPTIONS[:2]])  # the seed's command is without --no-log
def test_a_python_file(options: tuple[str, ...], tmp_path: Path) -> None:
    outcome = run("executor_configs/conflicting_votes_bug.py", "--runs", tmp_path, options=options)
    assert outcome.status == 0, outcome
    lines = outcome.stdout.splitlines()
    assert lines[0] == "PASS with_bug: violated as expected"
    assert lines[-1] == "PASS without_bug: held as expected"
    assert {line.split(":")[0].strip() for line in lines[1:-1]} >= {"honest_vote_once", "certified_uniqueness"}
    folder = tmp_path / "conflicting_votes_bug-1"
    results = msgspec.json.decode((folder / "verdicts.json").read_bytes(), type=list[ScenarioOutcome])
    assert [(result.name, result.as_expected) for result in results] == [("with_bug", True), ("without_bug", True)]
    logs = sorted(path.name for path in folder.glob("*.log"))
    assert logs == ["executor.log", *[f"node{number}.log" for number in range(5)]]
    assert "without_bug: this is d'" in (folder / "node4.log").read_text()
    assert "committed block 1, of round 1" in (folder / "node0.log").read_text()
    assert "PASS without_bug: held as expected" in (folder / "executor.log").read_text()


def test_crashes_and_restarts(tmp_path: Path) -> None:
    outcome = run("executor_configs/forgets_on_restart_bug.py", "--runs", tmp_path)
    assert outcome.status == 0, outcome
    assert re.search(r"^  durability: ", outcome.stdout, re.MULTILINE)


def test_a_generated_file(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    scenarios = read_scenarios(ROOT / "executor_configs" / "selected_scenario.py")
    write_seed_file(file, [scenario for scenario in scenarios if scenario.twins and not scenario.bugs])
    outcome = run(file, "--first", "1", "--count", "2", "--runs", tmp_path / "runs")
    assert outcome.status == 0, outcome
    assert outcome.stdout.splitlines() == ["PASS some#1: held as expected", "PASS some#2: held as expected"]


def test_an_interrupt_leaves_no_process_and_no_half_of_the_verdicts(tmp_path: Path) -> None:
    file = tmp_path / "many.json"
    scenarios = read_scenarios(ROOT / "executor_configs" / "selected_scenario.py")
    write_seed_file(file, 500 * [scenario for scenario in scenarios if scenario.twins and not scenario.bugs])
    command = [sys.executable, *VERBATIM, *OPTIONS, "src/testexec.da", str(file), "--runs", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"PASS many#0: held as expected\n"
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(20) == 1
            assert wait_until_gone(process.pid, 5.0) == ()
        finally:
            end_session(process.pid)
    assert all(path.suffix == ".log" for path in (tmp_path / "many-1").iterdir())


def test_too_many_twins(tmp_path: Path) -> None:
    file = "executor_configs/must_fail/too_many_twins.py"
    outcome = run(file, "--runs", tmp_path)
    assert outcome.status == 1
    assert outcome.stdout.startswith("FAIL two_histories: violated and should not be\n  agreement: ")
    assert run(file, "--expect", "violation", "--runs", tmp_path).status == 0


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("executor_configs/none.py", "executor_configs/none.py: No such file or directory"),
        ("src/testconfig.py", "src/testconfig.py: test_cases: is not defined"),
    ],
)
def test_bad_input_is_one_line(file: str, complaint: str, tmp_path: Path) -> None:
    outcome = run(file, "--runs", tmp_path)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert errors(outcome) == [complaint]
    assert list(tmp_path.iterdir()) == []


def test_a_message_that_does_not_fit_fails_loudly(tmp_path: Path) -> None:
    small = ("--message-buffer-size", "4096", "--no-log")
    outcome = run("executor_configs/conflicting_votes_bug.py", "--runs", tmp_path, options=small)
    assert outcome.status == 1
    assert re.match(r"FAIL with_bug: <\w+:\w+>: \w+: InputError: .*: \d+ bytes do not fit", outcome.stdout)
