"""What pyDistAlgo's own example programs must do: their arguments here, and how to tell that they did it.

The tests run each once, `benchmarks/distalgo_soak.py` many times. The outcome is read from what the processes
print, one line each, in the order in which they print it.
"""

import importlib.machinery
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from diembft.distalgo.runtime.launch import ADAPTED, ProgramRun, launch

ROOT: Final = Path(__file__).parent.parent.parent

TIMEOUT_S: Final = 60.0
"""The longest example needs ten seconds alone; the rest is for machines that do other things as well."""

_LINE: Final = re.compile(r"^\[\d+\] \w+\.(?P<kind>\w+)<(?P<process>[^>]+)>:(?P<level>\w+): (?P<text>.*)$")


class Line(NamedTuple):
    """A line that a process has printed with `output` or `error`."""

    process: str
    level: str
    text: str


class Example(NamedTuple):
    """A program, its arguments, and a check that raises AssertionError where the outcome is not the known one."""

    name: str
    file: str
    arguments: Sequence[str]
    check: Callable[[Sequence[Line]], None]


def run(
    example: Example,
    folder: Path,
    *,
    python: str = sys.executable,
    front: Sequence[str] = ADAPTED,
    env: Mapping[str, str] | None = None,
) -> ProgramRun:
    """Run a copy of the example in `folder`, so that its compiled file lands there. Does not look at the outcome."""
    program = folder / Path(example.file).name
    shutil.copy(package_folder() / "examples" / example.file, program)
    return launch(
        ["--logconsolelevel", "output", program, *example.arguments],
        timeout_s=TIMEOUT_S,
        python=python,
        front=front,
        cwd=folder,
        env=env,
    )


def require_known_outcome(example: Example, outcome: ProgramRun) -> None:
    """Raise AssertionError, with all that was printed, where a run did not do what it must."""
    report = f"{example.name}: {outcome}\n{outcome.stdout}\n{outcome.stderr}"
    assert outcome.status == 0, report
    assert not outcome.left, report
    lines = [
        Line(match["process"], match["level"], match["text"])
        for match in map(_LINE.match, outcome.stderr.splitlines())
        if match is not None
    ]
    assert [line for line in lines if line.level != "OUTPUT"] == [], report
    try:
        example.check(lines)
    except AssertionError as error:
        raise AssertionError(report) from error


def package_folder() -> Path:
    """Where pyDistAlgo is installed for this Python: the `da` that has the examples, not the one at the root."""
    for entry in sys.path:
        spec = importlib.machinery.PathFinder.find_spec("da", [entry or "."])
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent
            if (folder / "examples").is_dir():
                return folder
    raise AssertionError("the tests need pyDistAlgo")


def _texts(lines: Sequence[Line]) -> Counter[str]:
    return Counter(line.text for line in lines)


def _lamutex_orig(lines: Sequence[Line]) -> None:
    assert _texts(lines) == {"in cs": 15, "terminating": 5}


def _lamutex_spec(lines: Sequence[Line]) -> None:
    assert _texts(lines) == {"in cs": 15, "releasing cs": 15, "terminating": 5}
    sections = [line for line in lines if line.text != "terminating"]
    for entered, left in zip(sections[::2], sections[1::2], strict=True):
        # Mutual exclusion: nobody else speaks between a process's entering and its leaving.
        assert (entered.text, left.text) == ("in cs", "releasing cs")
        assert entered.process == left.process


def _lapaxos(lines: Sequence[Line]) -> None:
    learned = [line.text.rpartition(" ")[2] for line in lines if line.text.startswith("learned")]
    assert len(learned) == 3
    assert len(set(learned)) == 1
    assert _texts(lines)["terminating"] == 9
    assert _texts(lines)["done"] == 1


def _vrpaxos(lines: Sequence[Line]) -> None:
    results = [line.text.split(" ", 3) for line in lines if line.text.startswith("received result")]
    assert sorted(command for _, _, command, _ in results) == ["0", "0", "1", "1"]
    # Each result shows the operations before its own: all of them are beginnings of one sequence.
    histories = sorted((_history(result) for _, _, _, result in results), key=len)
    assert [len(history) for history in histories] == [1, 2, 3, 4]
    assert all(history == histories[-1][: len(history)] for history in histories)
    assert _texts(lines)["terminating"] == 3 + 2 + 1 + 2
    assert _texts(lines)["All clients done."] == 1


def _history(result: str) -> list[int]:
    match = re.fullmatch(r"\['result', (\d+), 'on', \[([\d, ]*)\]\]", result)
    assert match is not None
    return [*(int(number) for number in match[2].split(",") if number), int(match[1])]


def _raft(lines: Sequence[Line]) -> None:
    texts = _texts(lines)
    assert {number: texts[f"Request {number} complete."] for number in (1, 2, 3)} == {1: 2, 2: 2, 3: 2}
    assert texts["All clients done."] == 1
    applied: dict[str, set[str]] = {}
    for line in lines:
        match = re.fullmatch(r"(LogEntry:.*)  at index (\d+) applied to state machine\.", line.text)
        if match is not None:
            applied.setdefault(match[2], set()).add(match[1])
    assert len(applied) >= 6
    assert all(len(entries) == 1 for entries in applied.values())


def _commit(lines: Sequence[Line]) -> None:
    assert _texts(lines) == {"ready": 5, "commit": 6, "terminating": 1}


def _abort(lines: Sequence[Line]) -> None:
    assert _texts(lines) == {"abort": 6, "terminating": 1}


def _pingpong(lines: Sequence[Line]) -> None:
    assert _texts(lines) == {"Pinged": 9, "Ponged.": 9}


def _clpaxos(lines: Sequence[Line]) -> None:
    succeeded = Counter(line.text for line in lines if line.text.startswith("Succeeded proposing"))
    assert len(succeeded) == 1
    assert succeeded.total() == 2


EXAMPLES: Final = (
    Example("lamutex/orig", "lamutex/orig.da", ["5", "3"], _lamutex_orig),
    Example("lamutex/spec", "lamutex/spec.da", ["5", "3"], _lamutex_spec),
    Example("lapaxos", "lapaxos/orig.da", ["3", "3", "3"], _lapaxos),
    Example("vrpaxos", "vrpaxos/orig.da", ["3", "2", "1", "2", "2"], _vrpaxos),
    Example("raft", "raft/orig.da", ["3", "2", "3", "1000"], _raft),
    Example("2pcommit/commit", "2pcommit/orig.da", ["5", "-1"], _commit),
    Example("2pcommit/abort", "2pcommit/orig.da", ["5", "100"], _abort),
    Example("pingpong", "pingpong/ping.da", ["3", "3"], _pingpong),
    Example("clpaxos", "clpaxos/spec.da", ["2", "4", "1", "1"], _clpaxos),
)
