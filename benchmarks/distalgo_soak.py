"""Does any run of a DistAlgo program hang, or lose a message?

Runs each of pyDistAlgo's named example programs many times through the adapter, one run after another, and checks
every outcome, that every process has ended, and how long it took. From the project's root:

    python -m benchmarks.distalgo_soak                 # each example 50 times
    python -m benchmarks.distalgo_soak -n 200 pingpong
    python -m benchmarks.distalgo_soak --without-repairs

The last shows what the repairs are for: pyDistAlgo 1.1.0 as it is, adapted to this Python and nothing more. Ends
with status 1 when a run was lost, and names it with all that it printed.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.distalgo.examples import EXAMPLES, TIMEOUT_S, Example, require_known_outcome, run

from diembft.distalgo.runtime.launch import ADAPTED

WITHOUT_REPAIRS: Final = (
    "-c",
    "import sys; sys.argv[0] = 'unrepaired'; from diembft.distalgo.runtime import repairs; repairs.REPAIRS = (); "
    "from diembft.distalgo.__main__ import main; sys.exit(main())",
)


class Tally(NamedTuple):
    """What many runs of one example came to."""

    example: Example
    seconds: list[float]
    lost: list[str]


def soak(example: Example, runs: int, front: Sequence[str]) -> Tally:
    """Run one example so many times; a run that is lost does not stop the others."""
    seconds, lost = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(example, Path(folder), front=front)
        seconds.append(outcome.seconds)
        try:
            require_known_outcome(example, outcome)
        except AssertionError as error:
            lost.append(str(error))
    return Tally(example, seconds, lost)


def chosen(names: Sequence[str], parser: argparse.ArgumentParser) -> list[Example]:
    """The examples whose names begin with one of `names`; all when there are none."""
    for name in names:
        if not any(example.name.startswith(name) for example in EXAMPLES):
            known = ", ".join(example.name for example in EXAMPLES)
            parser.error(f"NAME: no example is called {name!r}; there are {known}")
    return [example for example in EXAMPLES if not names or example.name.startswith(tuple(names))]


def main() -> int:
    """Soak what the command line names, print a line for each, and say what was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.distalgo_soak", description="Run pyDistAlgo's example programs many times."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="an example, or how its name begins")
    parser.add_argument("-n", "--runs", type=int, default=50, help="runs of each (%(default)s)")
    parser.add_argument("--without-repairs", action="store_true", help="leave the faults of 1.1.0 as they are")
    arguments = parser.parse_args()
    examples = chosen(arguments.names, parser)
    front = WITHOUT_REPAIRS if arguments.without_repairs else ADAPTED
    print(f"Python {sys.version.split()[0]}, each run bounded by {TIMEOUT_S:g} s")
    print(f"{'example':24}{'runs':>6}{'lost':>6}{'median s':>10}{'worst s':>10}", flush=True)
    lost: list[str] = []
    for example in examples:
        tally = soak(example, arguments.runs, front)
        lost += tally.lost
        print(
            f"{example.name:24}{len(tally.seconds):6}{len(tally.lost):6}"
            f"{statistics.median(tally.seconds):10.2f}{max(tally.seconds):10.2f}",
            flush=True,
        )
    for report in lost:
        print(f"\nlost: {report}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
