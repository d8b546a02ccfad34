"""Every mutant of mutants.txt explored, against random scenarios: what is said of a core must hold for what runs.

    python -m tools.explored_mutants --results FILE   explore all; exit status 1 if a rule below is broken
    ... --only TEXT                                   only those whose name contains this
    ... --seconds 20 40                               for how long in the models barrier and two-phase
    ... --table                                       print the table of what FILE has, run nothing

Each mutant is explored in `barrier`, and in `two-phase` where twins lead: half of the time is for the search, the rest
for walks. In a copy of the sources with the same change random scenarios are executed, in virtual time and in both
models. What came of a mutant is added to FILE as one line of JSON; run again, the command goes on. Rules:

- nothing is said of scenarios of any length, for no mutant is a checked core;
- no command ends with a traceback, or does not end;
- the executor confirms every counterexample;
- where random scenarios violate what explorations judge, the exploration of their model reports a violation, or that
  the search's key is wrong; for those in virtual time one of the two does.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from diembft.protocols.by_name import DEFAULT_PROTOCOL
from diembft.twins.exhaustion.core_files import core_files
from diembft.twins.exhaustion.core_tokens import token_digest
from tools import explored_table
from tools.edited_cores import (
    RUNNING,
    Edit,
    EditedCore,
    Ended,
    Exploration,
    edited_core,
    explored,
    read_edits,
)
from tools.explored_table import Record, Sampled
from tools.mutation import MUTANTS, ROOT

SCENARIOS = {
    "timed": ("--quorum-filter",),
    "barrier": ("--model", "barrier", "--quorum-filter"),
    "two-phase": ("--model", "two-phase", "--quorum-filter", "--leaders", "twins"),
}
"""How random scenarios are drawn; in the models, of the space that is explored."""

SEARCH, WALKS = 0.5, 0.4
"""Shares of the time of an exploration. The rest is for rounds decided without a key, a tenth of the walks' time, and
for starting."""

SLOWEST = 4
"""An exploration that takes so many times as long as it may, and a minute, does not end."""


class Plan(msgspec.Struct, frozen=True):
    """What is done with each mutant."""

    barrier_s: float = 20.0
    two_phase_s: float = 40.0
    scenarios: int = 500
    seed: int = 1

    def record(self, edit: Edit, source: Path, sources: str) -> Record:
        """Explore and sample one mutant."""
        with edited_core(edit, source) as core:
            return Record(
                edit.name,
                edit.files,
                msgspec.to_builtins(self),
                sources,
                {
                    "barrier": self.explored(core, "barrier", self.barrier_s),
                    "two-phase": self.explored(core, "two-phase", self.two_phase_s),
                },
                {model: self.sampled(core, model) for model in SCENARIOS},
            )

    def explored(self, core: EditedCore, model: str, seconds: float) -> Exploration:
        """What an exploration says that may take so long."""
        return explored(
            core,
            *SCENARIOS[model],
            *("--time", f"{SEARCH * seconds:g}"),
            *("--walk-seconds", f"{WALKS * seconds:g}", "--seed", str(self.seed)),
            limit_s=60 + SLOWEST * seconds,
        )

    def sampled(self, core: EditedCore, model: str) -> Sampled:
        """What random scenarios come to."""
        run = core.run(
            *("twins", "run", *SCENARIOS[model], "--count", str(self.scenarios), "--seed", str(self.seed)),
            *("--jobs", "1", "--json"),
            limit_s=60 + self.scenarios / 10,
        )
        told = run.told
        return Sampled(
            run.status, told.get("violated", 0), told.get("oracles", {}), run.traceback, round(run.seconds, 1)
        )


def digest_of(source: Path, mutants: str) -> str:
    """What results stand for: the core that is changed, all that explores it, and the list of changes."""
    package = source / "diembft"
    core = core_files(DEFAULT_PROTOCOL, package)
    digest = hashlib.blake2b(f"{core.digest}\n{mutants}".encode(), digest_size=8)
    for path in sorted((package / "twins").rglob("*.py")):
        if not path.is_relative_to(package / "twins" / "campaigns"):
            digest.update(token_digest(path.read_text(encoding="utf-8")))
    return digest.hexdigest()


def read_results(path: Path) -> list[Record]:
    """The records of a file; a last line that was not finished is left out."""
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    return [msgspec.json.decode(line, type=Record) for line in lines[:-1]]


def completed(
    edits: Sequence[Edit], plan: Plan, source: Path, sources: str, results: Path, jobs: int
) -> Iterator[Record]:
    """The records of these mutants as they are made; each is in the file before it is given out."""
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [pool.submit(plan.record, edit, source, sources) for edit in edits]
        for future in as_completed(futures):
            record = future.result()
            with results.open("ab") as file:
                file.write(msgspec.json.encode(record) + b"\n")
            yield record
    except BaseException:
        RUNNING.end()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def cut_unfinished(path: Path) -> None:
    """Take away a last line that was not finished, so that the next one begins where lines begin."""
    if path.exists():
        data = path.read_bytes()
        path.write_bytes(data[: data.rfind(b"\n") + 1])


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, metavar="FILE", help="a line of JSON for each mutant")
    parser.add_argument("--only", default="", metavar="TEXT", help="only mutants whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants at once (default 2)")
    plan = Plan()
    parser.add_argument(
        "--seconds",
        type=float,
        nargs=2,
        default=(plan.barrier_s, plan.two_phase_s),
        metavar=("BARRIER", "TWO_PHASE"),
        help="how long an exploration may take (default 20 40)",
    )
    parser.add_argument("--scenarios", type=int, default=plan.scenarios, help="how many random ones (default 500)")
    parser.add_argument("--seed", type=int, default=plan.seed, help="of walks and of random scenarios (default 1)")
    parser.add_argument("--table", action="store_true", help="print the table of what there is, run nothing")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Explore, or print the table; the exit status."""
    options = parsed(arguments)
    barrier_s, two_phase_s = options.seconds
    plan = Plan(barrier_s, two_phase_s, options.scenarios, options.seed)
    mutants = MUTANTS.read_text(encoding="utf-8")
    edits = [edit for name, edit in read_edits(mutants).items() if options.only in name]
    if not edits:
        print(f"no mutant's name contains {options.only!r}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="explored-mutants-") as folder:
        # The sources as they are now, whatever becomes of them while this runs.
        source = Path(shutil.copytree(ROOT / "src", Path(folder) / "src", ignore=shutil.ignore_patterns("*.pyc.*")))
        sources = digest_of(source, mutants)
        known = {
            record.name: record
            for record in read_results(options.results)
            if (record.sources, record.plan) == (sources, msgspec.to_builtins(plan))
        }
        left = [] if options.table else [edit for edit in edits if edit.name not in known]
        cut_unfinished(options.results)
        try:
            for record in completed(left, plan, source, sources, options.results, options.jobs):
                known[record.name] = record
                print(f"{len(known):4}  {explored_table.line(record)}", file=sys.stderr, flush=True)
        except (KeyboardInterrupt, Ended):
            return 130
    records = [known[edit.name] for edit in edits if edit.name in known]
    print(explored_table.table(records))
    print(explored_table.summary(records))
    if len(records) < len(edits):
        print(f"{len(edits) - len(records)} of {len(edits)} mutants are left to explore.")
    return 1 if len(records) < len(edits) or any(explored_table.broken(record) for record in records) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
