"""Mutation check: break each rule of the protocol, and see the test that names it fail.

    python tools/mutation.py            break every rule, print what became of it; exit status 1 if one survives
    python tools/mutation.py --list     print the rules, the change that breaks each, and the tests that must notice
    python tools/mutation.py --only X   only those whose name contains X

Each mutant is one change of a copy of the sources in a temporary folder; only the tests that it names are run, in a
process of their own, so a full run takes a few minutes on two cores. The list is mutants.txt.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = Path(__file__).with_name("mutants.txt")

TIME_LIMIT_S = 120
"""A mutant that makes its tests hang counts as noticed after so many seconds."""

TESTS_FAILED = 1
"""Exit status of pytest: the tests ran, and some failed. Any other means that the mutant or the list is wrong."""


@dataclass(frozen=True)
class Mutant:
    """One broken rule."""

    name: str
    file: str
    """Below src/diembft."""
    tests: tuple[str, ...]
    """Below tests; at least one of them must fail."""
    change: tuple[str, ...]
    """Lines that begin with a blank, `-` or `+`, as in a patch."""

    @property
    def old(self) -> str:
        """What stands in the file, once."""
        return self._lines("+")

    @property
    def new(self) -> str:
        """What is put in its place."""
        return self._lines("-")

    def _lines(self, left_out: str) -> str:
        return "".join([f"{line[1:]}\n" for line in self.change if line[:1] != left_out])


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    killed: bool
    detail: str


def read_mutants(text: str) -> list[Mutant]:
    """The list; see the head of mutants.txt for its form."""
    mutants = []
    for part in text.split("\n== ")[1:]:
        name, file, *rest = part.rstrip("\n").split("\n")
        tests = tuple([line.removeprefix("by ") for line in rest if line.startswith("by ")])
        mutants.append(Mutant(name, file.removeprefix("in "), tests, tuple(rest[len(tests) :])))
    return mutants


def apply(mutant: Mutant, source: Path) -> str | None:
    """Change the copy of the sources; what is wrong with the mutant, if something is."""
    path = source / "diembft" / mutant.file
    text = path.read_text(encoding="utf-8")
    count = text.count(mutant.old)
    if count != 1:
        return f"its lines occur {count} times in {mutant.file}"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return None


def check(mutant: Mutant) -> Outcome:
    """Run the tests of one mutant."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        wrong = apply(mutant, source)
        if wrong is not None:
            return Outcome(mutant, False, wrong)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            run = subprocess.run(
                [*command, *[f"tests/{test}" for test in mutant.tests]],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(mutant, True, "its tests hang")
    if run.returncode == TESTS_FAILED:
        failed = [line.split(" ")[1] for line in run.stdout.splitlines() if line.startswith("FAILED ")]
        return Outcome(mutant, True, failed[0].removeprefix("tests/") if failed else "a test fails")
    if run.returncode == 0:
        return Outcome(mutant, False, "unnoticed by " + ", ".join(mutant.tests))
    lines = (run.stdout + run.stderr).strip().splitlines()
    return Outcome(mutant, False, f"pytest ends with status {run.returncode}: {lines[-1] if lines else ''}")


def main(arguments: list[str]) -> int:
    """Check, or list; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    parser.add_argument("--only", default="", metavar="TEXT", help="only mutants whose name contains this")
    parser.add_argument("--processes", type=int, default=2, help="how many to run at once (default 2)")
    options = parser.parse_args(arguments)
    chosen = [mutant for mutant in read_mutants(MUTANTS.read_text(encoding="utf-8")) if options.only in mutant.name]
    if not chosen:
        print(f"no mutant's name contains {options.only!r}", file=sys.stderr)
        return 2
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name}\n    {mutant.file}, noticed by {', '.join(mutant.tests)}")
            print("".join([f"    {line}\n" for line in mutant.change]))
        return 0
    survivors = 0
    with ThreadPoolExecutor(options.processes) as pool:
        for outcome in pool.map(check, chosen):
            survivors += not outcome.killed
            print(f"{'killed' if outcome.killed else 'ALIVE '}  {outcome.mutant.name}: {outcome.detail}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
