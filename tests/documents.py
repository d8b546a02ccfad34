"""Executes what the documentation shows, and compares it with what it says.

In a Markdown file,

- a `console` block is a session: a line that begins with `$ ` is a command, what follows is its output. A command must
  end with status 0 (one that shows a failure says so: `...; echo "exit status $?"`);
- a `python` block is run if a `text` block with its output follows it;
- an `sh` block sets something up, and is run only where everything is fresh (`--set-up`).

A line `...` in an output stands for any number of lines. Times and rates differ from run to run, and are
not compared; nor are the digest of the core and how much was walked.

    python tests/documents.py README.md             run it here, in a copy of the project
    python tests/documents.py --update README.md    write what comes out into the file, and the pictures that are made
    python tests/documents.py --set-up README.md    in a fresh clone: set up as the file says, then run it

Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

TIMEOUT_S = 300
"""No command of the documentation may take longer."""

_FENCE = re.compile(r"```(\S*)\s*$")

_PICTURE = re.compile(r"!\[[^]]*\]\(((?:docs/)?pictures/[^)]+)\)")

_VARYING = (
    (re.compile(r" +\d+\.\d\d$"), " #"),  # the column "real s"
    (re.compile(r"\bin \d[\d,.]* s\b"), "in # s"),
    (re.compile(r"\b\d[\d,.]* (scenarios )?a second\b"), "# a second"),
    (re.compile(r"\bfor core [0-9a-f]+\b"), "for core #"),
    (re.compile(r"\b\d[\d,]* (unreduced steps|more now|walks of)\b"), r"# \1"),
    (re.compile(r"\b(not )?all scenarios of (up to )?\d+ rounds?\b"), "all scenarios of up to # rounds"),
    (re.compile(r"\bfewer than 1 of \d[\d,]*\b"), "fewer than 1 of #"),
)

_NOT_SET_UP = (
    "./run_tests.sh",  # runs these checks, among others
    "source ",  # would change this process alone; PATH is set instead
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a Markdown file."""

    language: str
    lines: tuple[str, ...]
    first: int
    """The index of its first line in the file."""


@dataclass(frozen=True)
class Shown:
    """Something that a file shows: a command and its output."""

    command: str
    """For the shell."""
    output: tuple[str, ...]
    first: int
    """The index in the file of the first line of the output."""


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown file."""
    language, first = None, 0
    lines = text.splitlines()
    for index, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if language is None:
            language, first = fence[1], index + 1
        else:
            yield Block(language, tuple(lines[first:index]), first)
            language = None
    if language is not None:
        raise ValueError(f"line {first}: this block has no end")


def set_up(text: str) -> list[str]:
    """The commands that set up what the sessions need, in a fresh clone."""
    lines = [line for block in blocks(text) if block.language == "sh" for line in block.lines]
    return [line for line in lines if line.strip() and not line.startswith(_NOT_SET_UP)]


def shown(text: str) -> list[Shown]:
    """All that the file shows, in order."""
    found: list[Shown] = []
    program: str | None = None
    for block in blocks(text):
        if block.language == "console":
            found += _session(block)
        elif block.language == "text" and program is not None:
            found.append(Shown(f"python -c {shlex.quote(program)}", block.lines, block.first))
        program = "\n".join(block.lines) if block.language == "python" else None
    return found


def pictures(text: str) -> list[str]:
    """The pictures that the file shows, relative to it. Its commands make each under its bare name where they run, so
    that who tries them changes nothing of the project."""
    return _PICTURE.findall(text)


def _session(block: Block) -> Iterator[Shown]:
    starts = [index for index, line in enumerate(block.lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        output = list(block.lines[start + 1 : end])
        while output and not output[-1]:
            output.pop()
        yield Shown(block.lines[start].removeprefix("$ "), tuple(output), block.first + start + 1)


def run(command: str, folder: Path, programs: Path) -> tuple[int, list[str]]:
    """Run a command with these programs first in the search path: its status and all that it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    environment |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, [line.rstrip() for line in printed.splitlines()]


def comparable(lines: Sequence[str]) -> list[str]:
    """The lines without what differs from run to run."""
    result = []
    for line in lines:
        line = line.rstrip()
        for pattern, instead in _VARYING:
            line = pattern.sub(instead, line)
        result.append(line)
    return result


def agrees(expected: Sequence[str], actual: Sequence[str]) -> bool:
    """Whether an output is the one that is shown, in which `...` stands for any number of lines."""
    pattern = "".join([r"(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in comparable(expected)])
    return re.fullmatch(pattern, "".join([line + "\n" for line in comparable(actual)])) is not None


def copy_of_project(folder: Path) -> Path:
    """A copy of the project's files in which commands may write what they like."""
    copy = folder / "diembft"
    made = (".*", "__pycache__")
    made_at_root = (*made, "generated_tests", "runs", "dist", "build")  # a package may be called so, deeper down

    def ignored(folder: str, names: list[str]) -> set[str]:
        return shutil.ignore_patterns(*(made_at_root if Path(folder) == ROOT else made))(folder, names)

    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def problems(text: str, folder: Path, programs: Path) -> Iterator[str]:
    """What is not as the file says, when its commands are run one after the other in a folder."""
    for one in shown(text):
        status, output = run(one.command, folder, programs)
        if status != 0:
            yield f"line {one.first}: {one.command}\nexit status {status}:\n" + "\n".join(output)
        elif not agrees(one.output, output):
            yield f"line {one.first}: {one.command}\nprints something else:\n" + "\n".join(output)


def update(text: str, folder: Path, programs: Path) -> str:
    """The file with the outputs that came out where they disagree with those shown."""
    lines = text.splitlines()
    moved = 0
    for one in shown(text):
        status, output = run(one.command, folder, programs)
        if status != 0:
            raise SystemExit(f"{one.command}: exit status {status}:\n" + "\n".join(output))
        if not agrees(one.output, output):
            start = one.first + moved
            lines[start : start + len(one.output)] = output
            moved += len(output) - len(one.output)
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Execute what documentation shows.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--update", action="store_true", help="write what comes out into the files")
    how.add_argument("--set-up", action="store_true", help="in a fresh clone: set up as the files say, then run them")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    failed = False
    for file in arguments.files:
        text = file.read_text(encoding="utf-8")
        if arguments.set_up:
            folder, programs = Path.cwd(), Path.cwd() / ".venv" / "bin"
            for command in set_up(text):
                print(f"$ {command}", flush=True)
                subprocess.run(["bash", "-c", command], check=True, timeout=1200)
            failed |= report(file, problems(text, folder, programs))
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder, programs = copy_of_project(Path(scratch)), Path(sys.executable).parent
            if arguments.update:
                file.write_text(update(text, folder, programs), encoding="utf-8")
                for picture in pictures(text):
                    shutil.copy(folder / Path(picture).name, file.parent / picture)
            else:
                failed |= report(file, problems(text, folder, programs))
    return 1 if failed else 0


def report(file: Path, found: Iterator[str]) -> bool:
    """Print what is wrong with a file; whether anything is."""
    wrong = False
    for problem in found:
        wrong = True
        print(f"{file}: {problem}", flush=True)
    print(f"{file}: {'FAILED' if wrong else 'all commands do what it says'}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
