"""Runs that end, that do not, and that leave something behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

from diembft.distalgo.runtime.launch import end_session, launch, processes_of, wait_until_gone

LEAVES_A_CHILD = """
import os, time
if os.fork() == 0:
    time.sleep(60)
print("parent ends", flush=True)
"""

WAITS_WITH_A_CHILD = """
import os, time
os.fork()
time.sleep(60)
"""


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_in_order() -> None:
    outcome = launch(
        ["argument"],
        front=[
            "-c",
            "import os, sys; print(sys.argv[1], os.environ['NAME']); print('e', file=sys.stderr); sys.exit(3)",
        ],
        timeout_s=30,
        env={"NAME": "value"},
    )
    assert (outcome.status, outcome.stdout, outcome.stderr, outcome.left) == (3, "argument value\n", "e\n", ())
    assert outcome.in_time
    assert 0 < outcome.seconds < 30


def test_a_run_that_takes_too_long_is_ended_with_its_children() -> None:
    began = time.monotonic()
    outcome = launch([], front=["-c", WAITS_WITH_A_CHILD], timeout_s=0.5)
    assert outcome.status is None
    assert not outcome.in_time
    assert time.monotonic() - began < 20


def test_what_a_run_leaves_is_named_and_ended() -> None:
    outcome = launch([], front=["-c", LEAVES_A_CHILD], timeout_s=30)
    assert (outcome.status, outcome.stdout) == (0, "parent ends\n")
    assert len(outcome.left) == 1
    assert not outcome.in_time
    assert not is_alive(outcome.left[0])


LAUNCHES = """
import sys
from diembft.distalgo.runtime.launch import launch
told = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(60)"
launch([sys.argv[1]], front=["-c", told], timeout_s=60)
"""


def test_a_run_ends_with_whoever_launched_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with subprocess.Popen([sys.executable, "-c", LAUNCHES, str(told)]) as launcher:
        until = time.monotonic() + 30
        while not told.exists() or not told.read_text():
            assert time.monotonic() < until
            time.sleep(0.02)
        run = int(told.read_text())
        try:
            assert processes_of(run) == (run,)
            launcher.kill()
            launcher.wait()
            assert wait_until_gone(run, 5.0) == ()
        finally:
            end_session(run)


def test_processes_are_found_by_their_session() -> None:
    assert os.getpid() in processes_of(os.getsid(0))
