"""What is said of mutants of the core holds: a dozen of them explored, and the rules by which all are judged.

All of them, which takes some hours: `python -m tools.explored_mutants --results FILE`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from tools import explored_mutants, explored_table
from tools.edited_cores import Exploration, edited_core, read_edits
from tools.explored_mutants import Plan
from tools.explored_table import Record, Sampled
from tools.mutation import MUTANTS, ROOT

EDITS = read_edits(MUTANTS.read_text(encoding="utf-8"))

SECONDS = 4.0
"""How long an exploration of the dozen may take."""

DOZEN = {
    "safety: vote above highest_vote_round, not at it": {1},
    "safety: a timeout stops votes of its round": {1},
    "block tree: votes are counted as signers, not as messages": {1},
    "block tree: all uncommitted ancestors are committed": {1},
    "pacemaker: a sender counts once": {1},
    "trap 8: each block once": {1},
    "main: the leader proposes, nobody else": {1, 3},
    "main: a completed QC is processed": {0, 3},
    "certificates: signers are distinct": {0, 3},
    "leaders: two rounds a leader": {0, 3},
    "trap 5: no proposal is signed but the one voted for": {0, 3},
    "trap 14: the quorum is n - f": {0, 3},
}
"""Exit statuses that are right in barrier. What breaks nothing there may do so elsewhere, and may need another key."""


@pytest.mark.parametrize("name", DOZEN)
def test_what_is_said_of_a_mutant_breaks_no_rule(name: str) -> None:
    edit, plan = EDITS[name], Plan()
    with edited_core(edit) as core:
        answer = plan.explored(core, "barrier", SECONDS)
    assert explored_table.broken(record({"barrier": answer})) == []
    assert answer.status in DOZEN[name], answer.statement


NOTHING = Exploration(0, (), 0, None, "", 1.0, "Nothing is proved for any length.")
FOUND = Exploration(1, ("agreement",), 2, True, "", 1.0, "A scenario of 2 rounds violates agreement.")
WRONG_KEY = Exploration(3, (), 0, None, "", 1.0, "The search's key is wrong for this code.")
QUIET = Sampled(0, 0, {}, "", 1.0)
WITHOUT_END = Sampled(None, 0, {}, "", 1.0)


def record(
    explorations: dict[str, Exploration],
    random: dict[str, Sampled] | None = None,
    files: tuple[str, ...] = ("consensus/main.py",),
) -> Record:
    return Record("some", files, msgspec.to_builtins(Plan()), "", explorations, random or {})


def drawn(**oracles: int) -> Sampled:
    return Sampled(1, sum(oracles.values()), oracles, "", 1.0)


@pytest.mark.parametrize("said", [NOTHING, FOUND, WRONG_KEY])
def test_right_answers_break_no_rule(said: Exploration) -> None:
    assert explored_table.broken(record({"barrier": said}, {"barrier": QUIET})) == []


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (NOTHING.changed(statement="No scenario of any length violates agreement."), "scenarios of any length"),
        (NOTHING.changed(traceback="AssertionError: because"), "AssertionError: because"),
        (NOTHING.changed(status=2), "exit status 2"),
        (NOTHING.changed(status=None), "no end"),
        (FOUND.changed(confirmed=False), "does not confirm agreement"),
        (FOUND.changed(status=3, confirmed=False), "does not confirm agreement"),
        (FOUND.changed(oracles=(), confirmed=None), "without a counterexample"),
    ],
)
def test_wrong_answers_break_a_rule(said: Exploration, rule: str) -> None:
    (broken,) = explored_table.broken(record({"barrier": said}))
    assert rule in broken


def test_a_core_that_differs_where_no_scenario_goes_is_the_checked_one() -> None:
    said = NOTHING.changed(statement="No scenario of any length violates agreement.")
    assert explored_table.broken(record({"barrier": said}, files=("ledger/sessions.py",))) == []


@pytest.mark.parametrize(
    ("barrier", "two_phase", "model", "broken"),
    [
        (NOTHING, NOTHING, "timed", True),
        (FOUND, NOTHING, "timed", False),
        (NOTHING, WRONG_KEY, "timed", False),
        (FOUND, NOTHING, "barrier", False),
        (NOTHING, FOUND, "barrier", True),
        (NOTHING, FOUND, "two-phase", False),
        (WRONG_KEY, NOTHING, "two-phase", True),
    ],
)
def test_what_random_scenarios_violate_is_reported_in_their_model(
    barrier: Exploration, two_phase: Exploration, model: str, broken: bool
) -> None:
    explorations = {"barrier": barrier, "two-phase": two_phase}
    assert bool(explored_table.broken(record(explorations, {model: drawn(agreement=3)}))) == broken
    assert bool(explored_table.broken(record(explorations, {model: WITHOUT_END}))) == broken
    assert explored_table.broken(record(explorations, {model: drawn(liveness_bound=3)})) == []


def test_results_are_gone_on_with(tmp_path: Path) -> None:
    results = tmp_path / "results"
    one = record({"barrier": FOUND}, {"barrier": QUIET})
    assert explored_mutants.read_results(results) == []
    line = msgspec.json.encode(one)
    results.write_bytes(line + b"\n" + line[:40])
    assert explored_mutants.read_results(results) == [one]
    explored_mutants.cut_unfinished(results)
    assert results.read_bytes() == line + b"\n"


def test_the_table_shows_what_was_found_and_counts_the_rest() -> None:
    quiet = dict.fromkeys(explored_mutants.SCENARIOS, QUIET)
    explorations = {"barrier": FOUND, "two-phase": WRONG_KEY}
    loud = record(explorations, {**quiet, "timed": drawn(agreement=3, liveness_bound=1)})
    still = record({"barrier": NOTHING, "two-phase": NOTHING}, quiet)
    assert explored_table.table([loud, still]).splitlines()[2:] == [
        "| some | agreement, 2 rounds | wrong key | agreement 3 | - | - |",
        "",
        "Of 1 more mutant nothing is reported, and no random scenario violates.",
    ]
    assert explored_table.summary([loud, still]).splitlines() == [
        "barrier: 1 nothing, 1 violation; 1 of 1 counterexamples confirmed; 2 s",
        "two-phase: 1 nothing, 1 wrong key; 0 of 0 counterexamples confirmed; 2 s",
        "2 mutants explored, 0 break a rule.",
    ]


def test_a_mutant_is_known_by_the_core_by_what_explores_it_and_by_the_list(tmp_path: Path) -> None:
    source = Path(shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__")))
    first = explored_mutants.digest_of(source, "list")
    assert explored_mutants.digest_of(source, "list") == first
    assert explored_mutants.digest_of(source, "another list") != first
    for file, counts in (
        ("cli/main.py", False),
        ("consensus/safety.py", True),
        ("twins/exhaustion/deciding.py", True),
    ):
        path = source / "diembft" / file
        text = path.read_text()
        path.write_text(f"# A comment\n{text}")
        assert explored_mutants.digest_of(source, "list") == first
        path.write_text(f"{text}\nX = 1\n")
        assert (explored_mutants.digest_of(source, "list") != first) == counts
        path.write_text(text)
