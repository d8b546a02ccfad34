"""The helpers for `.da` files, used by one program, whose parts fail one at a time."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diembft.distalgo.runtime.launch import ADAPTED, ProgramRun, end_session, launch, wait_until_gone

PROGRAM = Path(__file__).parent / "programs" / "workers.da"

NO_LOG = ("--no-log",)


def run(*arguments: str, options: tuple[str, ...] = NO_LOG) -> ProgramRun:
    outcome = launch([*options, PROGRAM, *arguments], timeout_s=40)
    assert outcome.in_time, outcome.stderr
    return outcome


def test_nothing_wrong() -> None:
    outcome = run("nothing")
    assert outcome.status == 0
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("wrong", "function", "error"),
    [
        ("setup", "setup", "ValueError: in setup"),
        ("run", "run", "ValueError: in run"),
        ("handler", r"_Worker_handler_\d+", "ValueError: in a handler"),
        (
            "size",
            r"_Worker_handler_\d+",
            "InputError: the block: 5000 bytes do not fit --message-buffer-size 4096, which leaves 3576 bytes "
            "for a payload",
        ),
    ],
)
def test_an_exception_reaches_the_main_process(wrong: str, function: str, error: str) -> None:
    outcome = run(wrong)
    assert outcome.status == 3
    first, last = outcome.stdout.splitlines()
    assert re.fullmatch(rf"failed: <Worker:\w+>: {function}: {re.escape(error)}", first)
    assert error in last
    assert error in outcome.stderr  # at once, whoever listens, in spite of --no-log


@pytest.mark.parametrize(
    ("wrong", "status", "stderr"),
    [
        ("input", 2, "config.da: seed: 3.x is no number"),
        ("main", 1, "KeyError: 'in main'"),
        ("status", 5, None),
        ("exit", 6, None),
    ],
)
def test_the_end_of_main_is_the_exit_status(wrong: str, status: int, stderr: str | None) -> None:
    outcome = run(wrong)
    assert outcome.status == status
    lines = [line for line in outcome.stderr.splitlines() if "compiled with" not in line]
    assert lines[-1:] == ([] if stderr is None else [stderr])
    assert len(lines) == 1 or wrong != "input"


def test_a_process_that_does_not_end_is_ended() -> None:
    outcome = run("stuck")
    assert (outcome.status, outcome.stdout) == (4, "late\n")


def test_processes_left_behind_are_a_failure() -> None:
    outcome = run("left")
    assert outcome.status == 1
    assert re.search(r"^3 processes did not end and were ended: ", outcome.stderr, re.MULTILINE)


def test_the_run_is_bounded() -> None:
    outcome = run("hang")
    assert outcome.status == 7
    assert outcome.stderr.splitlines()[-1] == "given up after 1 s"
    assert outcome.seconds < 15


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_main_process_ends_all(signal_number: int) -> None:
    with subprocess.Popen(
        [sys.executable, *ADAPTED, *NO_LOG, str(PROGRAM), "interrupt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"waiting\n"
            os.kill(process.pid, signal_number)
            assert process.wait(15) != 0
            assert wait_until_gone(process.pid, 3.0) == ()
        finally:
            end_session(process.pid)


@pytest.mark.parametrize("options", [NO_LOG, ("--logconsolelevel", "error"), ()])
def test_each_process_has_its_log(options: tuple[str, ...], tmp_path: Path) -> None:
    outcome = run("nothing", str(tmp_path), options=options)
    assert outcome.status == 0
    for number in range(3):
        lines = (tmp_path / f"worker-{number}.log").read_text().splitlines()
        texts = [line.partition("workers.Worker OUTPUT: ")[2] for line in lines]
        assert [text for text in texts if text] == [f"set up {number}", "works on a piece"]
    assert outcome.stderr.count("works on a piece") == (3 if not options else 0)


def test_errors_of_distalgo_are_in_the_log(tmp_path: Path) -> None:
    # DistAlgo's own word on an exception in `setup`, which --no-log hides.
    assert run("setup", str(tmp_path)).status == 3
    assert "Exception during setup" in (tmp_path / "worker-1.log").read_text()
