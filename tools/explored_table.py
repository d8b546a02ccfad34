"""What came of an explored mutant, which rules that breaks, and the table of all (see explored_mutants.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from tools.edited_cores import NOTHING_FOUND, VIOLATED, WRONG_KEY, Exploration

JUDGED = frozenset(
    {
        "agreement",
        "certified_uniqueness",
        "honest_vote_once",
        "commit_order",
        "quorum_progress",
        "crash",
        "durability",
    }
)
"""Oracles that explorations judge, too."""

NOT_RUN = ("ledger/",)
"""Where no scenario of Twins goes: a core that differs there alone is the checked one."""

STATUSES = {NOTHING_FOUND: "nothing", VIOLATED: "violation", WRONG_KEY: "wrong key", None: "no end"}


class Sampled(msgspec.Struct, frozen=True):
    """What random scenarios came to."""

    status: int | None
    violated: int
    oracles: dict[str, int]
    traceback: str
    seconds: float

    @property
    def judged(self) -> dict[str, int]:
        """How often oracles were violated that explorations judge."""
        return {oracle: times for oracle, times in sorted(self.oracles.items()) if oracle in JUDGED}


class Record(msgspec.Struct, frozen=True):
    """What came of one mutant: one line of the results."""

    name: str
    files: tuple[str, ...]
    plan: dict[str, float]
    sources: str
    explorations: dict[str, Exploration]
    """By model."""
    random: dict[str, Sampled]
    """Random scenarios, by the model in which they were executed."""


def broken(record: Record) -> list[str]:
    """The rules that a mutant breaks."""
    return [*_broken_by_exploring(record), *_broken_by_sampling(record)]


def _broken_by_exploring(record: Record) -> Iterator[str]:
    runs = not all(file.startswith(NOT_RUN) for file in record.files)
    for model, explored in record.explorations.items():
        if explored.of_any_length and runs:
            yield f"{model}: something is said of scenarios of any length"
        if explored.traceback:
            yield f"{model}: {explored.traceback}"
        if explored.confirmed is False:
            yield f"{model}: the executor does not confirm {', '.join(explored.oracles)}"
        if explored.status == VIOLATED and explored.confirmed is None and not explored.traceback:
            yield f"{model}: a violation without a counterexample"
        if explored.status not in STATUSES or explored.status is None:
            yield f"{model}: {_status(explored)}"


def _broken_by_sampling(record: Record) -> Iterator[str]:
    for model, sampled in record.random.items():
        asked = [explored for name, explored in record.explorations.items() if model in (name, "timed")]
        # Hundreds of scenarios may take too long where each has a step that does not end: that is a finding, too.
        if (sampled.judged or sampled.status is None) and not any(explored.reports for explored in asked):
            yield f"{model}: {_drawn(sampled)} of random scenarios, of which exploring says nothing"
        if sampled.traceback:
            yield f"{model}, executed: {sampled.traceback}"


def _status(explored: Exploration) -> str:
    return STATUSES.get(explored.status, f"exit status {explored.status}")


def _counted(oracles: dict[str, int]) -> str:
    return ", ".join([f"{oracle} {times}" for oracle, times in oracles.items()])


def _said(explored: Exploration) -> str:
    """An exploration in a cell of the table."""
    if not explored.oracles:
        return _status(explored)
    rounds = f"{explored.rounds} round{'' if explored.rounds == 1 else 's'}"
    said = f"{', '.join(explored.oracles)}, {rounds}"
    said = said if explored.status == VIOLATED else f"{_status(explored)}: {said}"
    return said if explored.confirmed else f"{said}, not confirmed"


def _drawn(sampled: Sampled) -> str:
    """Random scenarios in a cell of the table."""
    if sampled.status is None:
        return "no end"
    if sampled.traceback:
        return "traceback"
    return _counted(sampled.judged) or "-"


def line(record: Record) -> str:
    """A mutant in one line."""
    explorations = "; ".join([f"{model}: {_said(said)}" for model, said in record.explorations.items()])
    rules = broken(record)
    return f"{record.name}: {explorations}{'  BROKEN ' if rules else ''}{'; '.join(rules)}"


def table(records: Sequence[Record]) -> str:
    """All mutants to which something objects, as a table of Markdown; the others are counted."""
    heads = ("mutant", "barrier", "two-phase", "random, timed", "random, barrier", "random, two-phase")
    rows = [heads, tuple(["---"] * len(heads))]
    quiet = 0
    for record in records:
        drawn = [_drawn(record.random[model]) for model in ("timed", "barrier", "two-phase")]
        said = [_said(explored) for explored in record.explorations.values()]
        if {*said, *drawn} == {"nothing", "-"} and not broken(record):
            quiet += 1
        else:
            rows.append((record.name.replace("|", "\\|"), *said, *drawn))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    mutants = "mutant" if quiet == 1 else "mutants"
    return "\n".join([*lines, "", f"Of {quiet} more {mutants} nothing is reported, and no random scenario violates."])


def summary(records: Sequence[Record]) -> str:
    """How many broke which rule, and how the explorations ended."""
    lines = []
    for model in ("barrier", "two-phase"):
        said = [record.explorations[model] for record in records]
        statuses = Counter(_status(explored) for explored in said)
        seconds = sum([explored.seconds for explored in said])
        found = [explored for explored in said if explored.confirmed is not None]
        confirmed = sum([bool(explored.confirmed) for explored in found])
        counted = ", ".join([f"{number} {status}" for status, number in sorted(statuses.items())])
        lines.append(f"{model}: {counted}; {confirmed} of {len(found)} counterexamples confirmed; {seconds:.0f} s")
    wrong = [(record.name, rule) for record in records for rule in broken(record)]
    lines += [f"BROKEN {name}: {rule}" for name, rule in wrong]
    lines.append(f"{len(records)} mutants explored, {len({name for name, _ in wrong})} break a rule.")
    return "\n".join(lines)
