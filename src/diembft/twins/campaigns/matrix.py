"""The kill matrix: which oracle sees which planted bug, where, after how much.

A *cell* asks one question: plant these bugs, search here, until this oracle is violated. `PLAN` holds the cells whose
answers are known, those that must find something and those that must not, each of the latter with its reason; so the
matrix is a test of the testers too. Where one looks:

- `regression`: the smallest known scenario (`twins.scenarios.regressions`), executed;
- `executor`, and with exceptions `executor, drops` or crashes `executor, crashes`: samples of all scenarios of seven
  rounds, executed in virtual time; what is found is made smaller, which says how many rounds it takes;
- a network model: all scenarios, breadth first over states, so that what is found is the shortest there is;
- `fuzz`: random systems in the simulator with Byzantine actors, judged by the invariants of traces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

from diembft.faults.registry import plant
from diembft.judge.verdict import Finding
from diembft.simulation.fuzz import run_index
from diembft.twins.campaigns.shrink import shrink
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, SearchEnding, search
from diembft.twins.runs.judging import run
from diembft.twins.runs.models import MODELS
from diembft.twins.scenarios.regressions import regression
from diembft.twins.scenarios.scenario import MessageType, Scenario
from diembft.twins.scenarios.space import Space

REGRESSION: Final = "regression"
EXECUTOR: Final = "executor"
DROPS: Final = "executor, drops"
CRASHES: Final = "executor, crashes"
FUZZ: Final = "fuzz"
TWO_PHASE: Final = "two-phase"
BARRIER: Final = "barrier"

_ALL_TYPES: Final[tuple[MessageType, ...]] = ("proposal", "vote", "timeout", "*")


class Cell(Struct, frozen=True):
    """One question, with the answer that is expected."""

    bugs: tuple[str, ...]
    where: str
    oracle: str
    """Until this one is violated. Of fuzzing: the invariant."""
    found: bool | None = True
    """Whether it is; None: it is not known."""
    reason: str = ""
    """Why it is not."""
    quick: bool = True
    """Whether a look of a second will do."""
    regression: str = ""
    """The name of the regression, where that is where one looks."""


class Effort(Struct, frozen=True):
    """How long to look."""

    seeds: int
    scenarios: int
    """At most so many of each sample."""
    fuzzed: int
    states: int
    """At most so many in an exploration."""
    seconds: float | None
    """At most so long in an exploration."""


QUICK: Final = Effort(seeds=3, scenarios=120, fuzzed=16, states=500, seconds=None)
FULL: Final = Effort(seeds=5, scenarios=3000, fuzzed=60, states=20_000, seconds=120)


class MatrixRow(Struct, frozen=True, omit_defaults=True):
    """The answer to a cell. Numbers are medians over the seeds that found something."""

    bug: str
    where: str
    oracle: str | None
    """None: nothing was found."""
    as_expected: bool
    rounds: float | None = None
    """Of what was found, when it is as small as it gets; of an exploration that found nothing: decided ones."""
    scenarios: float | None = None
    """Until it was found, or how many were tried."""
    states: int | None = None
    seeds: str = ""
    """How many of the seeds found it, as in `2 of 3`."""
    note: str = ""


def _all(bug: str, oracle: str, *places: str, quick: bool = True) -> list[Cell]:
    return [Cell((bug,), where, oracle, quick=quick) for where in places]


def _never(bugs: str, oracle: str, where: str, reason: str, *, quick: bool = True) -> Cell:
    return Cell(tuple(bugs.split("+")), where, oracle, found=False, reason=reason, quick=quick)


def _known(name: str, oracle: str) -> Cell:
    return Cell(regression(name).bugs, REGRESSION, oracle, regression=name)


_TOLD = "what one holds, sync tells to all in its set"
_CHECKED = "whoever checks q >= max(tmo_high_qc_rounds) refuses the block"

PLAN: Final[tuple[Cell, ...]] = (
    _known("conflicting_votes", "honest_vote_once"),
    *_all("conflicting_votes", "honest_vote_once", EXECUTOR, BARRIER, FUZZ),
    *_all("conflicting_votes", "certified_uniqueness", EXECUTOR),
    *_all("conflicting_votes", "honest_vote_once", TWO_PHASE, quick=False),
    _known("small_quorum", "agreement"),
    _known("small_quorum_of_three", "quorum_progress"),
    *_all("small_quorum", "quorum_progress", EXECUTOR, BARRIER),
    *_all("small_quorum", "agreement", EXECUTOR),
    *_all("small_quorum", "certificates", FUZZ),
    _known("vote_leader_current_round", "liveness_bound"),
    _never("vote_leader_current_round", "liveness_bound", EXECUTOR, "one replica leads the whole synchronous suffix"),
    _known("long_commit_chain", "commit_order"),
    *_all("long_commit_chain", "commit_order", EXECUTOR, FUZZ),
    *_all("long_commit_chain", "execution", EXECUTOR),
    _known("no_vote_lock", "honest_vote_once"),
    *_all("no_vote_lock", "honest_vote_once", EXECUTOR, BARRIER, FUZZ),
    *_all("no_vote_lock", "certified_uniqueness", EXECUTOR),
    *_all("no_vote_lock", "honest_vote_once", TWO_PHASE, quick=False),
    _known("no_timeout_lock", "honest_vote_once"),
    *_all("no_timeout_lock", "honest_vote_once", EXECUTOR, BARRIER, FUZZ),
    *_all("no_timeout_lock", "honest_vote_once", TWO_PHASE, quick=False),
    _known("one_chain_commit", "agreement"),
    *_all("one_chain_commit", "agreement", DROPS, FUZZ, quick=False),
    *_all("one_chain_commit", "agreement", TWO_PHASE, quick=False),
    _never("one_chain_commit", "agreement", BARRIER, _TOLD),
    _known("gap_commit", "agreement"),
    _never("gap_commit", "agreement", BARRIER, _TOLD),
    *_all("gap_commit", "certificates", FUZZ),
    _never("ignore_tc_high_qc", "agreement", EXECUTOR, "no correct leader proposes such a block, nor does a twin"),
    _never("stale_leader", "agreement", EXECUTOR, _CHECKED),
    _known("stale_leader_unchecked", "commit_chain"),
    Cell(("ignore_tc_high_qc", "stale_leader"), EXECUTOR, "commit_chain", quick=False),
    _known("count_messages", "quorum_progress"),
    *_all("count_messages", "quorum_progress", EXECUTOR, BARRIER),
    *_all("count_messages", "certificates", FUZZ),
    _known("forgets_on_restart", "durability"),
    *_all("forgets_on_restart", "durability", CRASHES),
    *_all("forgets_on_restart", "monotonicity", FUZZ),
    _never("forgets_on_restart", "durability", EXECUTOR, "nobody restarts"),
    _never("unsigned_certificates", "agreement", EXECUTOR, "twins never forge"),
    *_all("unsigned_certificates", "certificates", FUZZ),
    _never("late_replay", "execution", EXECUTOR, "clients are not executed: no request is ever repeated"),
    *_all("late_replay", "execution", FUZZ),
)
"""What must be found, where, and what cannot be. Every planted bug is in it."""


def cells(*, quick: bool) -> tuple[Cell, ...]:
    """The cells of a quick matrix; or all of them, and for each bug and network model one more if there is none."""
    if quick:
        return tuple([cell for cell in PLAN if cell.quick])
    asked = {(cell.bugs, cell.where) for cell in PLAN}
    bugs = dict.fromkeys([cell.bugs for cell in PLAN])
    more = [
        Cell(planted, model, "any", found=None)
        for planted in bugs
        for model in MODELS
        if planted and (planted, model) not in asked
    ]
    order = list(bugs)
    return tuple(sorted([*PLAN, *more], key=lambda cell: order.index(cell.bugs)))


def matrix(asked: Iterable[Cell], effort: Effort, executor: Executor) -> Iterator[MatrixRow]:
    """The rows of cells, in their order, each as soon as it is known. An executor of any kind does the work."""
    waiting: list[Future[MatrixRow]] = [executor.submit(answer, cell, effort) for cell in asked]
    try:
        for future in waiting:
            yield future.result()
    finally:
        for future in waiting:
            future.cancel()


def answer(cell: Cell, effort: Effort) -> MatrixRow:
    """Look, and say what was found."""
    match cell.where:
        case "regression":
            row = _of_regression(cell)
        case "fuzz":
            row = _fuzzed(cell, effort)
        case "executor" | "executor, drops" | "executor, crashes":
            row = _sampled(cell, effort)
        case _:
            row = _explored(cell, effort)
    as_expected = cell.found is None or cell.found == (row.oracle is not None)
    return msgspec.structs.replace(row, as_expected=as_expected)


def _row(cell: Cell, found: bool, **figures: object) -> MatrixRow:
    note = "" if found else cell.reason
    return MatrixRow("+".join(cell.bugs), cell.where, cell.oracle if found else None, True, note=note, **figures)  # type: ignore[arg-type]  # each is a field of MatrixRow


def _of_regression(cell: Cell) -> MatrixRow:
    scenario = regression(cell.regression)
    found = _of_oracle(cell.oracle, scenario) is not None
    return _row(cell, found, rounds=len(scenario.rounds), scenarios=1)


def _sampled(cell: Cell, effort: Effort) -> MatrixRow:
    """One sample for each seed."""
    space = Space(
        replicas=4,
        faulty=1,
        sets=2,
        rounds=7,
        drops=2 if cell.where == DROPS else 0,
        drop_types=_ALL_TYPES,
        crashes=cell.where == CRASHES,
        bugs=cell.bugs,
    )
    tried: list[int] = []
    rounds: list[int] = []
    for seed in range(effort.seeds):
        for number, rank in enumerate(space.ranks(0, effort.scenarios, seed=seed), 1):
            scenario = space.scenario(rank)
            if _of_oracle(cell.oracle, scenario) is not None:
                tried.append(number)
                rounds.append(len(shrink(scenario, cell.oracle).scenario.rounds))
                break
    if not tried:
        return _row(cell, False, scenarios=effort.seeds * effort.scenarios)
    return _row(cell, True, rounds=median(rounds), scenarios=median(tried), seeds=f"{len(tried)} of {effort.seeds}")


def _of_oracle(oracle: str, scenario: Scenario) -> Finding | None:
    """The violation of this oracle, if there is one."""
    return next((finding for finding in run(scenario).violations if finding.oracle == oracle), None)


def _fuzzed(cell: Cell, effort: Effort) -> MatrixRow:
    tried: list[int] = []
    for seed in range(1, effort.seeds + 1):
        for index in range(effort.fuzzed):
            violations = run_index(seed, index, bugs=plant(cell.bugs)).violations
            if any(violated.property == cell.oracle for violated in violations):
                tried.append(index + 1)
                break
    if not tried:
        return _row(cell, False, scenarios=effort.seeds * effort.fuzzed)
    return _row(cell, True, scenarios=median(tried), seeds=f"{len(tried)} of {effort.seeds}")


def _explored(cell: Cell, effort: Effort) -> MatrixRow:
    question = Question(cell.where, quorum_filter=True, bugs=cell.bugs, crashes="forgets_on_restart" in cell.bugs)
    result = search(question, limits=Limits(states=effort.states, seconds=effort.seconds))
    if result.found is not None:
        oracles = result.found.oracles
        oracle = cell.oracle if cell.oracle in oracles else ", ".join(oracles)
        row = _row(cell, True, rounds=len(result.found.path) - 1, states=len(result.conjecture))
        return msgspec.structs.replace(row, oracle=oracle)
    if result.ending is SearchEnding.FIXED_POINT:
        row = _row(cell, False, states=len(result.conjecture))
        closes = "the search closes without it"
        return msgspec.structs.replace(row, note=f"{closes}; {row.note}" if row.note else closes)
    note = f"the search followed {result.levels[-1].round - 1} rounds"
    return msgspec.structs.replace(_row(cell, False, states=len(result.conjecture)), note=note)
