"""Interrupts, full disks, dead workers, overwritten inputs and closed pipes, for every command.

A command is tested by standing in COMMANDS; that none is missing there is a test too.
"""

from __future__ import annotations

import io
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from diembft.cli import matrix
from diembft.cli.main import cli, main
from diembft.distalgo.runtime.launch import end_session, wait_until_gone
from diembft.trace.files import write_trace
from diembft.twins.campaigns.matrix import Cell, cells
from diembft.twins.campaigns.results_file import read_results
from tests.cli.running import Outcome, diembft
from tests.cli.test_run import case
from tests.pages.traces import fault_free

Capture = pytest.CaptureFixture[str]

NODES = "a,b,c,d,a'"
SCENARIO = f"scenario: replicas=a,b,c,d twins=a' gst=2 bugs=conflicting_votes; 1: a leads {NODES}; 2: b leads {NODES}"
LEVELS = '{"question": {"model": "barrier", "replicas": 4, "faulty": 1, "sets": 2}, "ending": "x", "levels": []}'
LEVELS = LEVELS.replace("[]", '[{"round": 1, "states": 5}, {"round": 2, "states": 0}]')


class Writes(NamedTuple):
    """An option that names a file, with what makes the command write it."""

    option: str
    """Empty: the argument of the command."""
    file: str
    ends: str = ""
    """What makes the command write it, if not what is soon done anyway."""
    inside: str = ""
    """If it is a folder: what is written in it."""

    @property
    def place(self) -> Path:
        """What is written."""
        return Path(self.file, self.inside)


class Command(NamedTuple):
    """One command, and how to handle it."""

    name: str
    ends: str
    """Arguments with which it is soon done."""
    during: str
    """The function in which it is interrupted: when it is called first."""
    lasts: str = ""
    """Arguments with which it takes long, if not those."""
    writes: tuple[Writes, ...] = ()
    needs: bool = False
    """Whether it must be told where to write."""
    reads: str = ""
    """The argument that is a file which it reads."""
    works: str = ""
    """Arguments with which two workers do the work."""
    silent: bool = False
    """Whether it prints nothing if all is well."""

    @property
    def line(self) -> list[str]:
        """A command line that is soon done."""
        return [*self.words(self.ends), *(self.to(self.writes[0], self.writes[0].file) if self.needs else [])]

    def words(self, arguments: str) -> list[str]:
        return [*self.name.split(), *shlex.split(arguments)]

    def to(self, written: Writes, file: str) -> list[str]:
        return [*([written.option] if written.option else []), file]

    def writing(self, written: Writes, file: str) -> list[str]:
        return [*self.words(written.ends or self.ends), *self.to(written, file)]


TRACE, HTML = Writes("--trace", "new.jsonl"), Writes("--html", "new.html")
FINDS = "--quorum-filter --bug conflicting_votes -j 1 --walk-seconds 0.1"

COMMANDS = (
    Command("run", "case.da", "run_case", writes=(TRACE, HTML), reads="case.da", works="case.da --runs 6 -j 2"),
    Command(
        "test",
        "cases -j 1",
        "run_case",
        writes=(Writes("--junitxml", "new.xml"), Writes("--failed", "failures", "failing -j 1", "case.jsonl")),
        works="cases -j 2",
    ),
    Command("list", "cases", "case_files"),
    Command(
        "fuzz",
        "--index 0",
        "_add",
        "--time 600 -j 2 --keep-going",
        (TRACE, HTML, Writes("-o", "new.json", "--index 14 --bug unsigned_certificates")),
        works="--count 6 -j 2",
    ),
    Command(
        "view", "run.jsonl", "prepare", writes=(Writes("-o", "new.html"),), needs=True, reads="run.jsonl", silent=True
    ),
    Command(
        "plot",
        "levels.json",
        "read_results",
        writes=(Writes("-o", "new.svg"),),
        needs=True,
        reads="levels.json",
        silent=True,
    ),
    Command("check", "run.jsonl", "Trial.violated"),
    Command("check-protocol", "hotstuff", "report"),
    Command(
        "twins generate",
        "--count 200",
        "Space.write",
        "long.jsonl --count 100000000",
        (Writes("", "new.jsonl"),),
        needs=True,
    ),
    Command(
        "twins run",
        "scenarios.txt -j 1",
        "ResultsBook.add",
        "--count 10000000 --rounds 2 --seed 1 -j 2",
        (Writes("--results", "results.jsonl"), HTML),
        reads="scenarios.txt",
        works="--rounds 1 --count 64 --quorum-filter -j 2",
    ),
    Command(
        "twins explore",
        FINDS,
        "_explore_watched.<locals>.on_progress",
        "-j 2",
        (Writes("-o", "new.jsonl"), HTML, Writes("--checkpoint", "saved", "--rounds 1 --walk-seconds 0 -j 1")),
        works="--rounds 1 --walk-seconds 0 -j 2",
    ),
    Command("twins check-key", "--brute-rounds 1 --walks 0 --pairs 0", "brute_force", "--brute-rounds 6"),
    Command("twins matrix", "--quick -j 1", "Progress.update", "-j 2", works="--quick -j 2"),
    Command("twins replay", "scenarios.txt", "traced", writes=(TRACE, HTML), reads="scenarios.txt"),
    Command(
        "twins shrink",
        "scenarios.txt",
        "_shrunk.<locals>.on_smaller",
        writes=(Writes("-o", "new.txt"),),
        reads="scenarios.txt",
    ),
)

WRITING = [(command, written) for command in COMMANDS for written in command.writes]
READING = [(command, written) for command, written in WRITING if command.reads]
WORKING = [command for command in COMMANDS if command.works]


def named(command: object) -> str:
    match command:
        case Command():
            return command.name
        case Writes():
            return command.option or "FILE"
        case _:
            return str(command)


def known_cells(*, quick: bool) -> tuple[Cell, ...]:
    """Those of the kill matrix that take no time."""
    return tuple([cell for cell in cells(quick=quick) if cell.where == "regression"][:4])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with all that commands read."""
    monkeypatch.chdir(tmp_path)
    case(tmp_path)
    (tmp_path / "cases").mkdir()
    for name in ("one", "two"):
        shutil.copy("case.da", f"cases/{name}.da")
    (tmp_path / "failing").mkdir()
    case(tmp_path / "failing", timeout=0.001)
    write_trace("run.jsonl", fault_free(rounds=5))
    Path("levels.json").write_text(LEVELS)
    Path("scenarios.txt").write_text(SCENARIO.replace("; ", "\n") + "\n")
    Path("notes.md").write_text("# Notes\n")
    monkeypatch.setattr(matrix, "cells", known_cells)
    return tmp_path


def leaves(group: click.Group, name: str = "") -> Iterator[str]:
    context = click.Context(group)
    for one in group.list_commands(context):
        command = group.get_command(context, one)
        if isinstance(command, click.Group):
            yield from leaves(command, f"{name}{one} ")
        else:
            yield f"{name}{one}"


def test_every_command_is_handled_roughly() -> None:
    assert sorted(leaves(cli)) == sorted(command.name for command in COMMANDS)


def test_every_option_that_names_a_file_to_write_is() -> None:
    """They are those of a path that need not exist."""
    for command in COMMANDS:
        found: click.Command = cli
        for word in command.name.split():
            assert isinstance(found, click.Group)
            following = found.get_command(click.Context(found), word)
            assert following is not None
            found = following
        options = {
            name
            for parameter in found.params
            if isinstance(parameter, click.Option)
            and isinstance(parameter.type, click.Path)
            and not parameter.type.exists
            for name in parameter.opts[-1:]
        }
        listed = {written.option.replace("-o", "--output") for written in command.writes if written.option}
        assert {name.replace("-o", "--output") if name == "-o" else name for name in options} == listed, command.name


# --- standard output


def printed_to(stream: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch, capsys: Capture, line: list[str]) -> Outcome:
    """What a command does whose standard output this is."""
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        status = main(line)
        stream.close()
    return Outcome(status, *capsys.readouterr())


@pytest.mark.parametrize("command", COMMANDS, ids=named)
@pytest.mark.usefixtures("folder")
def test_a_full_standard_output_is_one_line(command: Command, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115  # it is closed where it is printed to
    outcome = printed_to(full, monkeypatch, capsys, command.line)
    if command.silent:
        assert outcome == (0, "", "")
    else:
        assert outcome == (3, "", "diembft: standard output: cannot be written: No space left on device\n")


@pytest.mark.parametrize("command", COMMANDS, ids=named)
@pytest.mark.usefixtures("folder")
def test_a_closed_pipe_is_quiet(command: Command, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outcome = printed_to(os.fdopen(writing, "w", encoding="utf-8"), monkeypatch, capsys, command.line)
    assert outcome == (0 if command.silent else 141, "", "")


AS_IT_GOES = ("twins generate", "twins explore")
"""Commands that print before they know anything, and end when nobody reads that."""


@pytest.mark.parametrize(("command", "written"), WRITING, ids=named)
@pytest.mark.usefixtures("folder")
def test_files_are_written_although_nobody_reads_what_is_printed(
    command: Command, written: Writes, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `diembft run ... --trace FILE | head -n 1`."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="utf-8")
    outcome = printed_to(stream, monkeypatch, capsys, command.writing(written, written.file))
    assert outcome == (0 if command.silent else 141, "", "")
    assert written.place.exists() or command.name in AS_IT_GOES


@pytest.mark.parametrize("command", COMMANDS, ids=named)
@pytest.mark.usefixtures("folder")
def test_what_a_terminal_cannot_show_is_a_mark(
    command: Command, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = diembft(capsys, *command.line).status
    for written in command.writes:
        Path(written.file).unlink(missing_ok=True)
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    outcome = printed_to(ascii_only, monkeypatch, capsys, command.line)
    assert (outcome.status, outcome.err) == (expected, "")


@pytest.mark.parametrize(("pipe", "status"), [("> /dev/full", 3), ("| true", 141), (">&-", 0)])
def test_so_it_is_where_the_interpreter_ends(pipe: str, status: int) -> None:
    """What remains in a buffer is written at the very end, where Python complains in its own way."""
    told = {3: "diembft: standard output: cannot be written: No space left on device\n"}
    for arguments in ("--version", "list", "list --json"):
        line = f"set -o pipefail; {shlex.quote(sys.executable)} -m diembft {arguments} {pipe}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
        if "true" in pipe and done.returncode == 0:
            continue  # it was quicker than the other
        assert done.returncode == status, arguments
        assert done.stderr == told.get(status, "")


# --- files


@contextmanager
def full_disk(limit: int = 64) -> Iterator[None]:
    """No file may be longer; a disk that is full fails in the same way, but for the words.

    What Python compiles meanwhile is not kept: it would be cut off at the limit, without an error, and whoever imports
    the module later could not.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "dont_write_bytecode", True)
        patched.setenv("PYTHONDONTWRITEBYTECODE", "1")
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("command", "written"), WRITING, ids=named)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    command: Command, written: Writes, folder: Path, capsys: Capture
) -> None:
    before = set(folder.rglob("*"))
    with full_disk():
        status, out, err = diembft(capsys, *command.writing(written, written.file))
    assert (status, err.count("\n")) == (3, 1)
    assert err.startswith(f"diembft: {written.place}: cannot be written: File too large")
    assert out or command.silent or written.option in ("--checkpoint", "--results")
    left = set(folder.rglob("*")) - before
    kept = {"results.jsonl", "generated_tests", "failures"}
    assert {path.name for path in left} <= kept, "a campaign goes on with what it has"


# A picture goes by its suffix, a folder is no device, and what is gone on with must be there again.
TO_DEVICES = [
    (command, written)
    for command, written in WRITING
    if not (written.file.endswith(".svg") or written.inside or written.option in ("--checkpoint", "--results"))
]


@pytest.mark.parametrize(("command", "written"), TO_DEVICES, ids=named)
@pytest.mark.usefixtures("folder")
def test_devices_are_never_refused(command: Command, written: Writes, capsys: Capture) -> None:
    expected = diembft(capsys, *command.writing(written, written.file)).status
    assert diembft(capsys, *command.writing(written, "/dev/null")).status == expected
    assert diembft(capsys, *command.writing(written, "/dev/full")).status == 3
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(("command", "written"), WRITING, ids=named)
@pytest.mark.usefixtures("folder")
def test_a_file_of_another_kind_is_not_written_over(command: Command, written: Writes, capsys: Capture) -> None:
    if written.inside:
        written.place.parent.mkdir()
        shutil.copy("notes.md", written.place)
    name = written.file if written.inside else "notes.md"
    complaint = diembft(capsys, *command.writing(written, name)).complaint
    assert f"{name}/{written.inside}".rstrip("/") + ": is no " in complaint
    assert Path(name, written.inside).read_text() == "# Notes\n"


@pytest.mark.parametrize(("command", "written"), WRITING, ids=named)
@pytest.mark.usefixtures("folder")
def test_a_file_of_the_same_kind_is(command: Command, written: Writes, capsys: Capture) -> None:
    first = diembft(capsys, *command.writing(written, written.file))
    content = written.place.read_bytes()
    assert content
    again = diembft(capsys, *command.writing(written, written.file))
    assert (again.status, again.err) == (first.status, "")
    assert written.place.exists()


@pytest.mark.parametrize(("command", "written"), READING, ids=named)
@pytest.mark.usefixtures("folder")
def test_what_is_read_is_not_written_over(command: Command, written: Writes, capsys: Capture) -> None:
    content = Path(command.reads).read_bytes()
    Path("link").symlink_to(command.reads)
    for name in (command.reads, f"./{command.reads}", "link"):
        assert "is what this command reads" in diembft(capsys, *command.writing(written, name)).complaint
    assert Path(command.reads).read_bytes() == content


@pytest.mark.parametrize("command", [command for command in COMMANDS if len(command.writes) > 1], ids=named)
@pytest.mark.usefixtures("folder")
def test_two_outputs_are_two_files(command: Command, capsys: Capture) -> None:
    one, other = command.writes[:2]
    line = [*command.writing(one, "same"), *command.to(other, "./same")]
    assert f"is what {one.option} writes".replace("-o ", "--output ") in diembft(capsys, *line).complaint
    assert not Path("same").exists()


@pytest.mark.parametrize(("command", "written"), WRITING, ids=named)
@pytest.mark.usefixtures("folder")
def test_no_file_is_called_as_standard_input(command: Command, written: Writes, capsys: Capture) -> None:
    assert "-: is what commands read: name a file" in diembft(capsys, *command.writing(written, "-")).complaint
    assert not Path("-").exists()


@pytest.mark.parametrize(("command", "written"), WRITING, ids=named)
@pytest.mark.usefixtures("folder")
def test_files_are_tried_before_the_work(command: Command, written: Writes, capsys: Capture) -> None:
    """Also for root, to whom permissions say nothing."""
    name = f"/proc/{written.file}"
    assert f"{name}: cannot be written: " in diembft(capsys, *command.writing(written, name)).complaint


@pytest.mark.usefixtures("folder")
def test_results_that_were_cut_by_a_full_disk_are_gone_on_with(capsys: Capture) -> None:
    line = ["twins", "run", "--rounds", "2", "--count", "220", "--quorum-filter", "--seed", "1", "-j", "1", "--results"]
    whole = diembft(capsys, *line, "whole")
    with full_disk(Path("whole").stat().st_size - 10):
        status, out, err = diembft(capsys, *line, "cut")
    assert status == 3
    assert "STOPPED 200 of 200 scenarios as expected" in out
    assert "cut: cannot be written: File too large; 200 of 220 scenarios were judged; the same command goes on" in err
    again = diembft(capsys, *line, "cut")
    assert (again.status, read_results(Path("cut"))) == (whole.status, read_results(Path("whole")))


def test_a_violation_is_told_wherever_it_cannot_be_written(folder: Path, capsys: Capture) -> None:
    (folder / "generated_tests").write_text("no folder")
    status, out, err = diembft(capsys, "twins", "explore", *shlex.split(FINDS))
    assert (status, err.count("\n")) == (0, 1)
    assert "generated_tests" in err
    again = next(line for line in out.splitlines() if "again: " in line).partition("again: ")[2]
    assert diembft(capsys, *shlex.split(again)[1:]).status == 0


@pytest.mark.usefixtures("folder")
def test_the_file_of_a_counterexample_is_named_after_the_protocol(capsys: Capture) -> None:
    """Those of two protocols are two files."""
    assert diembft(capsys, "twins", "explore", *shlex.split(FINDS)).status == 0
    assert Path("generated_tests", "counterexample-diembft-barrier-conflicting_votes.jsonl").is_file()


# --- interrupts, and workers that die

DRIVEN = """
import multiprocessing, os, signal, sys, threading, time
from diembft.cli import matrix
from diembft.cli.main import main
from tests.cli.test_rough_handling import known_cells

def interrupt(frame, event, argument):
    if event == "call" and frame.f_code.co_qualname == during:
        sys.setprofile(None)
        os.killpg(0, signal.SIGINT)

def kill():
    while not multiprocessing.active_children():
        time.sleep(0.001)
    multiprocessing.active_children()[0].kill()

if __name__ == "__main__":
    during, *line = sys.argv[1:]
    if during == "at work":
        matrix.cells = known_cells
        threading.Thread(target=kill, daemon=True).start()
    else:
        sys.setprofile(interrupt)
    sys.exit(main(line))
"""
"""Runs a command, and interrupts it in a function, or kills a worker when there is one."""


def driven(folder: Path, during: str, line: list[str]) -> Outcome:
    """What a command does; nothing of it stays behind."""
    (folder / "driven.py").write_text(DRIVEN)
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "driven.py", during, *line],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, ours)
    try:
        out, err = process.communicate(timeout=120)
        assert wait_until_gone(process.pid, 10.0) == ()
    finally:
        end_session(process.pid)
    return Outcome(process.returncode, out, err)


@pytest.mark.parametrize("command", COMMANDS, ids=named)
def test_an_interrupt_is_one_line_and_leaves_nothing(command: Command, folder: Path) -> None:
    before = set(folder.rglob("*"))
    line = command.words(command.lasts) if command.lasts else command.line
    status, _, err = driven(folder, command.during, line)
    assert (status, err.strip().count("\n")) == (130, 0), err
    assert err.strip().startswith("diembft: interrupted")
    left = set(folder.rglob("*")) - before
    assert {path.name for path in left} <= {"driven.py"}


@pytest.mark.parametrize("command", WORKING, ids=named)
def test_the_work_of_a_dead_worker_is_done_again(command: Command, folder: Path, capsys: Capture) -> None:
    alone = diembft(capsys, *command.words(command.works))
    status, out, err = driven(folder, "at work", command.words(command.works))
    assert (status, err) == (alone.status, "diembft: a worker process died; its work is done again\n")
    assert out.count("\n") == alone.out.count("\n")


def test_an_exploration_that_was_interrupted_goes_on(folder: Path, capsys: Capture) -> None:
    line = ["twins", "explore", "-j", "1", "--checkpoint", "saved"]
    status, out, err = driven(folder, "_explore_watched.<locals>.on_progress", line)
    assert status == 130
    assert "STOPPED the search followed all scenarios of no rounds, 2 states, and found no violation" in out
    assert err.strip() == "diembft: interrupted; the same command goes on from there (--checkpoint saved)"
    line = ["twins", "explore", "-j", "1", "--checkpoint", "saved", "--rounds", "1", "--walk-seconds", "0"]
    assert diembft(capsys, *line).status == 0


TWICE = """
import os, signal
from diembft.cli.stopping import second_interrupt_ends
with second_interrupt_ends():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("first", flush=True)
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        print("not reached", flush=True)
"""


def test_a_second_interrupt_ends_at_once() -> None:
    script = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{TWICE}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "first\n", "")
