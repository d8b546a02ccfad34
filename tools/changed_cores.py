"""What an exploration must make of cores that somebody changed: a campaign over seeds.

    python -m tools.changed_cores              explore each with 20 seeds; exit status 1 if an answer is wrong
    python -m tools.changed_cores --seeds 3    with fewer
    python -m tools.changed_cores --only gap   only cases whose name contains this

The changes are those of changed_cores.txt, and a planted bug. Each once made an exploration say that no scenario of any
length violates anything, while some do. Full runs take an hour on two cores; the suite runs each case with one seed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tools.edited_cores import (
    CHANGED_CORES,
    NOTHING_FOUND,
    RUNNING,
    UNCHANGED,
    VIOLATED,
    WRONG_KEY,
    EditedCore,
    Ended,
    Exploration,
    edited_core,
    explored,
    read_edits,
)

EDITS = {UNCHANGED.name: UNCHANGED, **read_edits(CHANGED_CORES.read_text(encoding="utf-8"))}

BARRIER = ("--model", "barrier", "--quorum-filter")
TWO_PHASE = ("--model", "two-phase", "--quorum-filter", "--leaders", "twins")

GAP_SHOWS_AFTER = 4
"""In how many rounds a gap in the commit rule violates agreement, in the model two-phase."""


@dataclass(frozen=True)
class Case:
    """A changed core, what is asked of it, and what the answer may be."""

    name: str
    edit: str
    options: tuple[str, ...]
    right: frozenset[int]
    """The exit statuses that are right."""
    oracle: str = ""
    """What a counterexample violates, if it is known."""
    search_s: float = 30.0
    """How long the search may take, whose answer is a conjecture."""
    walk_s: float = 10.0
    suite_seed: int | None = 1
    """With which walks come early upon what there is, so that the suite needs not walk for long; None: the suite leaves
    the case out, for it takes too long."""
    suite_walk_s: float = 30.0
    """Walks end with a violation, but go on after a difference."""

    def explored(self, core: EditedCore, seed: int) -> Exploration:
        """Explore the changed core."""
        return self._explored(core, seed, self.walk_s)

    def explored_by_suite(self, core: EditedCore) -> Exploration:
        """Explore the changed core with the seed and for the time of the suite."""
        assert self.suite_seed is not None, "because the suite has this case"
        return self._explored(core, self.suite_seed, self.suite_walk_s)

    def _explored(self, core: EditedCore, seed: int, walk_s: float) -> Exploration:
        return explored(
            core,
            *self.options,
            *("--time", str(self.search_s), "--walk-seconds", str(walk_s), "--seed", str(seed)),
            limit_s=60 + 4 * (self.search_s + walk_s),
        )

    def wrong(self, answer: Exploration) -> list[str]:
        """What is wrong with an answer."""
        wrong = []
        if answer.status not in self.right:
            wrong.append(f"exit status {answer.status}")
        if answer.of_any_length:
            wrong.append("says that something holds for scenarios of any length")
        if answer.traceback:
            wrong.append(answer.traceback)
        if answer.confirmed is False:
            wrong.append(f"the executor does not find {', '.join(answer.oracles)} violated")
        if answer.status == VIOLATED and answer.confirmed is None:
            wrong.append("no counterexample")
        if answer.status == VIOLATED and self.oracle and self.oracle not in answer.oracles:
            wrong.append(f"{', '.join(answer.oracles)} rather than {self.oracle}")
        if answer.rounds > GAP_SHOWS_AFTER and self.edit == "a gap of one" and "no shorter" in answer.statement:
            wrong.append(f"says that no scenario of fewer than {answer.rounds} rounds shows it, while some do")
        return wrong


FOUND = frozenset({VIOLATED})
OBJECTED = frozenset({VIOLATED, WRONG_KEY})

CASES = (
    Case("votes across rounds, barrier", "votes across rounds", BARRIER, FOUND, "certified_uniqueness"),
    Case("votes across rounds, two-phase", "votes across rounds", TWO_PHASE, FOUND, search_s=2),
    Case(
        "a commit takes others along, barrier", "a commit takes others along", BARRIER, FOUND, "agreement", search_s=2
    ),
    Case("a commit takes others along, two-phase", "a commit takes others along", TWO_PHASE, FOUND, search_s=2),
    # Walks need some 5,000 steps for it.
    Case("a gap of one", "a gap of one", TWO_PHASE, FOUND, "agreement", search_s=2, walk_s=60, suite_seed=6),
    Case("a gap of one, searched", "a gap of one", TWO_PHASE, FOUND, "agreement", search_s=300, suite_seed=None),
    # Nothing is wrong with it, but that a state may be a wrong stand-in for others of its key.
    Case("a late leader", "a late leader", BARRIER, frozenset({NOTHING_FOUND, WRONG_KEY}), search_s=2, suite_walk_s=2),
    Case(
        "stale_leader",
        UNCHANGED.name,
        (*BARRIER, "--bug", "stale_leader"),
        frozenset({WRONG_KEY}),
        suite_seed=9,
        suite_walk_s=8,
    ),
    Case("a step without end, barrier", "a step without end", BARRIER, FOUND, "crash"),
    Case("a step without end, two-phase", "a step without end", TWO_PHASE, FOUND, "crash", search_s=10),
    Case("answers without end", "answers without end", BARRIER, FOUND, "crash"),
    Case("no vote lock from round 12 on", "no vote lock from round 12 on", BARRIER, OBJECTED),
    Case("no vote lock for one replica", "no vote lock for one replica", BARRIER, OBJECTED, "honest_vote_once"),
    Case("a field unlocks a vote", "a field unlocks a vote", BARRIER, OBJECTED, search_s=2),
)


def answered(case: Case, seed: int) -> tuple[str, list[str]]:
    """What an exploration says of a case, in a few words, and what is wrong with it."""
    with edited_core(EDITS[case.edit]) as core:
        answer = case.explored(core, seed)
    said = f"{answer.status} {', '.join(answer.oracles)}, {answer.rounds} rounds, {answer.seconds:.1f} s"
    return said, case.wrong(answer)


def main(arguments: Sequence[str]) -> int:
    """Explore all cases with all seeds; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name contains this")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, from 1 on (default 20)")
    parser.add_argument("--jobs", type=int, default=2, help="how many explorations at once (default 2)")
    options = parser.parse_args(arguments)
    chosen = [case for case in CASES if options.only in case.name]
    if not chosen:
        print(f"no case's name contains {options.only!r}", file=sys.stderr)
        return 2
    work = [(case, seed) for case in chosen for seed in range(1, options.seeds + 1)]
    right: Counter[str] = Counter()
    pool = ThreadPoolExecutor(options.jobs)
    try:
        for (case, seed), (said, wrong) in zip(work, pool.map(answered, *zip(*work, strict=True)), strict=True):
            right[case.name] += not wrong
            print(f"{'wrong' if wrong else 'right'}  {case.name}, seed {seed}: {said}{': ' if wrong else ''}", end="")
            print("; ".join(wrong), flush=True)
    except (KeyboardInterrupt, Ended):
        RUNNING.end()
        return 130
    finally:
        pool.shutdown(cancel_futures=True)
    for case in chosen:
        print(f"{right[case.name]} of {options.seeds} seeds right: {case.name}")
    return 0 if right.total() == len(work) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
