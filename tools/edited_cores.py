"""Cores that somebody changed: copies of the sources with an edit, and `diembft` run in them.

An *edit* is what a regression would be, a change of the sources in one place or several: one or more mutants of one
name (see mutation.py), applied in their order. The copy is made in a temporary folder, and every command runs in
processes of its own, which find the copy before the sources that are installed. A command that does not end in its time
is ended, with all that it started: that is one of the things that an edit may do.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from itertools import count, groupby
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from tools.mutation import ROOT, Mutant, apply, read_mutants

CHANGED_CORES = Path(__file__).with_name("changed_cores.txt")

MEMORY_KIB = 6 << 20
"""What one process may take: a step without end takes all that there is."""

TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Edit:
    """A change of the sources."""

    name: str
    parts: tuple[Mutant, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it changes, below src/diembft."""
        return tuple(dict.fromkeys([part.file for part in self.parts]))


UNCHANGED = Edit("unchanged", ())


def read_edits(text: str) -> dict[str, Edit]:
    """The edits of a list, by name; parts of one name follow one another."""
    edits: dict[str, Edit] = {}
    for name, parts in groupby(read_mutants(text), lambda mutant: mutant.name):
        assert name not in edits, f"because the parts of {name} follow one another"
        edits[name] = Edit(name, tuple(parts))
    return edits


@dataclass(frozen=True)
class Run:
    """What a command came to."""

    status: int | None
    """The exit status; None if it was ended, because it did not end in its time."""
    stdout: str
    stderr: str
    seconds: float

    @property
    def told(self) -> dict[str, Any]:
        """The JSON that it printed; empty if it printed none."""
        try:
            told = json.loads(self.stdout)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    @property
    def traceback(self) -> str:
        """The last line of a traceback among its complaints; empty if there is none."""
        return self.stderr.strip().splitlines()[-1] if TRACEBACK in self.stderr else ""


class EditedCore:
    """A copy of the sources with an edit, in a folder of its own."""

    def __init__(self, edit: Edit, folder: Path, source: Path = ROOT / "src") -> None:
        self.edit = edit
        self.folder = folder
        self.source = folder / "src"
        self._files = count()
        # What is compiled is taken along, but for what other processes are writing now, and for what is changed here.
        shutil.copytree(source, self.source, ignore=shutil.ignore_patterns("*.pyc.*"))
        for file in edit.files:
            Path(cache_from_source(str(self.source / "diembft" / file))).unlink(missing_ok=True)
        for part in edit.parts:
            wrong = apply(part, self.source)
            if wrong is not None:
                raise ValueError(f"{edit.name}: {wrong}")

    def run(self, *arguments: str, limit_s: float = 120.0) -> Run:
        """Run `diembft` with these arguments on the changed core."""
        return run_limited(
            [sys.executable, "-m", "diembft", *arguments],
            self.folder,
            {**os.environ, "PYTHONPATH": str(self.source)},
            limit_s,
        )

    def new_file(self, text: str | None = None, suffix: str = ".txt") -> Path:
        """A file of the folder that there is not yet; written, if there is a text."""
        path = self.folder / f"file-{next(self._files)}{suffix}"
        if text is not None:
            path.write_text(text, encoding="utf-8")
        return path

    def execute(self, *scenarios: str, limit_s: float = 120.0) -> Run:
        """Execute and judge these scenarios, each one line of text, by `diembft twins run`."""
        file = self.new_file("".join([f"{scenario}\n" for scenario in scenarios]))
        return self.run("twins", "run", str(file), "--jobs", "1", "--json", limit_s=limit_s)


@contextmanager
def edited_core(edit: Edit, source: Path = ROOT / "src") -> Iterator[EditedCore]:
    """A copy of the sources with an edit, which is there for a while. Raises ValueError if the edit does not fit."""
    with tempfile.TemporaryDirectory(prefix="edited-core-", ignore_cleanup_errors=True) as folder:
        yield EditedCore(edit, Path(folder), source)


class Ended(Exception):
    """All commands were ended, so that what they came to tells nothing."""


class Running:
    """The commands that are under way, so that all can be ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._groups: set[int] = set()
        self.ended = False

    def add(self, process: subprocess.Popen[str]) -> None:
        """A command begins."""
        with self._lock:
            self._groups.add(process.pid)
            if self.ended:
                end_group(process.pid)

    def discard(self, process: subprocess.Popen[str]) -> None:
        """A command is over."""
        with self._lock:
            self._groups.discard(process.pid)

    def end(self) -> None:
        """End all, and what begins from now on."""
        with self._lock:
            self.ended = True
            for group in self._groups:
                end_group(group)


RUNNING = Running()


def end_group(group: int) -> None:
    """End a command that leads its own group of processes, and all that it started."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def run_limited(command: Sequence[str], folder: Path, environment: dict[str, str], limit_s: float) -> Run:
    """Run a command; end it, and all that it started, if it takes longer. Raises Ended if all were ended."""
    limited = ["/bin/sh", "-c", f'ulimit -v {MEMORY_KIB}; exec "$@"', "sh", *command]
    began = time.monotonic()
    with subprocess.Popen(
        limited,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        RUNNING.add(process)
        status: int | None = None
        try:
            stdout, stderr = process.communicate(timeout=limit_s)
            status = process.returncode
        except subprocess.TimeoutExpired:
            end_group(process.pid)
            stdout, stderr = process.communicate()
        except BaseException:
            end_group(process.pid)
            raise
        finally:
            RUNNING.discard(process)
    if RUNNING.ended:
        raise Ended
    return Run(status, stdout, stderr, time.monotonic() - began)


# --- explorations


OF_ANY_LENGTH = "of any length"
"""What is said of a checked core alone: "No scenario of any length violates ..."."""

NOTHING_FOUND, VIOLATED, WRONG_KEY = 0, 1, 3
"""Exit statuses of `diembft twins explore`: 3 also where explorer and executor disagree."""


class Exploration(msgspec.Struct, frozen=True):
    """What `diembft twins explore` says of a core, and what `diembft twins run` makes of its counterexample there."""

    status: int | None
    """The exit status; None if it did not end."""
    oracles: tuple[str, ...]
    """What its counterexample violates."""
    rounds: int
    """Of the counterexample; 0 if there is none."""
    confirmed: bool | None
    """Whether the executor finds one of these oracles violated by it; None if there is no counterexample."""
    traceback: str
    """The last line of one, the executor's too; empty if there is none."""
    seconds: float
    """Of the exploration alone."""
    statement: str

    @property
    def of_any_length(self) -> bool:
        """Whether something is said to hold for scenarios of any length."""
        return OF_ANY_LENGTH in self.statement

    @property
    def reports(self) -> bool:
        """Whether it objects to the core."""
        return self.status in (VIOLATED, WRONG_KEY)

    def changed(self, **fields: Any) -> Exploration:
        """The same but for some fields."""
        return msgspec.structs.replace(self, **fields)


def explored(core: EditedCore, *options: str, limit_s: float = 120.0) -> Exploration:
    """Explore, on one core of the machine, and execute the counterexample if there is one."""
    file = core.new_file(suffix=".jsonl")
    run = core.run("twins", "explore", *options, "--jobs", "1", "--json", "-o", str(file), limit_s=limit_s)
    found = run.told.get("found") or {}
    oracles = tuple(found.get("oracles", ()))
    confirmed: bool | None = None
    traceback = run.traceback
    if found:
        executed = core.run("twins", "run", str(file), "--jobs", "1", "--json", limit_s=limit_s)
        confirmed = not violated(executed).isdisjoint(oracles)
        traceback = traceback or executed.traceback
    return Exploration(
        run.status,
        oracles,
        max(0, len(found.get("path", ())) - 1),
        confirmed,
        traceback,
        round(run.seconds, 1),
        str(run.told.get("statement", "")),
    )


def violated(run: Run) -> frozenset[str]:
    """The oracles that a run of scenarios found violated."""
    return frozenset(run.told.get("oracles", {}))
