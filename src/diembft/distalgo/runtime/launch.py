"""Run a DistAlgo program as a command of its own, bounded in time, and see that nothing of it stays behind.

A DistAlgo run is a main process and one process for each `new`. They are put into a session of their own, so that
they can be counted after the run, and ended together when they take too long; and they end when the process that
launched them does, however it ends. Counting reads `/proc`: Linux only.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

ADAPTED: Final = ("-m", "diembft.distalgo")
"""The arguments that make Python run a DistAlgo program through the adapter."""

GRACE_S: Final = 2.0
"""Seconds for the processes of a run to be gone after the main process: those that notice its end need a moment."""

_POLL_S: Final = 0.01

_PR_SET_PDEATHSIG: Final = 1
"""What `prctl` calls the signal that a process gets when its parent has ended."""


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """What became of one run.

    `status` is the exit status of the main process, None where it took too long and was ended. `left` are the
    processes that were still alive `GRACE_S` after it, and were ended; a run that is in order leaves none.
    """

    status: int | None
    stdout: str
    stderr: str
    seconds: float
    left: tuple[int, ...]

    @property
    def in_time(self) -> bool:
        """Whether the main process ended by itself, and every other one did."""
        return self.status is not None and not self.left


def launch(
    arguments: Sequence[str | Path],
    *,
    timeout_s: float,
    python: str | Path = sys.executable,
    front: Sequence[str] = ADAPTED,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> ProgramRun:
    """Run `python FRONT... ARGUMENTS...` for at most `timeout_s` seconds.

    The environment is this process's with `env` laid over it.
    """
    libc = ctypes.CDLL(None)
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        # Files rather than pipes: reading a pipe would wait for whoever has inherited it.
        began = time.monotonic()
        process = subprocess.Popen(
            [str(python), *front, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            # If this process is killed, nobody is left to end the session; the main process's children follow it.
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        status: int | None
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            # Also when the wait is interrupted: whatever is left must not outlive this call.
            left = () if process.returncode is None else wait_until_gone(process.pid, GRACE_S)
            end_session(process.pid)
            process.wait()
        seconds = time.monotonic() - began
        return ProgramRun(status, _text(stdout), _text(stderr), seconds, left)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def wait_until_gone(session: int, timeout_s: float) -> tuple[int, ...]:
    """The processes of a session that are still alive after `timeout_s` seconds; returns at once when none are."""
    until = time.monotonic() + timeout_s
    while True:
        left = processes_of(session)
        if not left or time.monotonic() >= until:
            return left
        time.sleep(_POLL_S)


def processes_of(session: int) -> tuple[int, ...]:
    """The living processes of a session, by id. Those that are dead and not yet collected do not count."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                # "PID (NAME) STATE PARENT GROUP SESSION ...", where NAME may hold anything.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
    return tuple(sorted(found))


def end_session(session: int) -> None:
    """Kill every process of a session that `launch`, or `start_new_session`, has made, and see them gone."""
    until = time.monotonic() + GRACE_S
    while (left := processes_of(session)) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_POLL_S)
