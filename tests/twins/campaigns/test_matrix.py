"""The kill matrix: every bug is in it, what is expected comes out, and what does not fails.

That the whole quick matrix is as expected is checked where docs/twins.md shows it.
"""

from __future__ import annotations

import msgspec
import pytest

from diembft.faults.registry import BUGS
from diembft.judge.traces import PROPERTIES
from diembft.pages.results import Kill
from diembft.twins.campaigns.matrix import PLAN, QUICK, Cell, Effort, answer, cells, matrix
from diembft.twins.campaigns.workers import Inline
from diembft.twins.runs.models import MODELS
from diembft.twins.runs.oracles import ORACLES

LITTLE = Effort(seeds=2, scenarios=10, fuzzed=2, states=40, seconds=None)


def test_every_planted_bug_is_seen_somewhere_or_there_is_a_reason() -> None:
    assert {bug for cell in PLAN for bug in cell.bugs} == set(BUGS)
    for bug in BUGS:
        of_bug = [cell for cell in PLAN if cell.bugs == (bug,)]
        assert any(cell.found for cell in of_bug) or all(cell.reason for cell in of_bug)
    for cell in PLAN:
        assert bool(cell.reason) == (cell.found is False)
        assert cell.oracle in (ORACLES if cell.where != "fuzz" else PROPERTIES)


def test_what_must_be_seen_is_seen_by_the_oracle_that_the_plan_names() -> None:
    by_oracle = {(cell.bugs[0], cell.oracle) for cell in cells(quick=True) if cell.found}
    assert by_oracle >= {
        ("conflicting_votes", "honest_vote_once"),
        ("small_quorum", "quorum_progress"),
        ("small_quorum", "agreement"),
        ("vote_leader_current_round", "liveness_bound"),
        ("long_commit_chain", "commit_order"),
        ("one_chain_commit", "agreement"),
        ("gap_commit", "agreement"),
        ("count_messages", "quorum_progress"),
        ("forgets_on_restart", "durability"),
    }


def test_a_full_matrix_asks_every_model_about_every_bug() -> None:
    asked = cells(quick=False)
    assert {cell for cell in asked if cell.quick and cell.found is not None} == set(cells(quick=True))
    for bug in BUGS:
        for model in MODELS:
            assert any(cell.bugs == (bug,) and cell.where == model for cell in asked)


def test_the_same_row_on_every_run() -> None:
    cell = Cell(("long_commit_chain",), "executor", "commit_order")
    row = answer(cell, QUICK)
    assert row == answer(cell, QUICK)
    assert (row.oracle, row.rounds, row.seeds) == ("commit_order", 2, "3 of 3")
    assert row.scenarios is not None
    assert 1 <= row.scenarios <= QUICK.scenarios


@pytest.mark.parametrize(
    ("cell", "oracle"),
    [
        (Cell(("gap_commit",), "executor", "agreement"), None),
        (Cell(("late_replay",), "executor", "execution", found=False, reason="none"), None),
        (Cell(("small_quorum",), "executor", "quorum_progress", found=False, reason="none"), "quorum_progress"),
        (Cell(("small_quorum",), "barrier", "any", found=None), "quorum_progress"),
        (Cell(("stale_leader",), "barrier", "agreement", found=None), None),
        (Cell(("late_replay",), "fuzz", "agreement"), None),
        (Cell(("late_replay",), "fuzz", "execution"), "execution"),
    ],
)
def test_a_row_says_whether_it_is_as_expected(cell: Cell, oracle: str | None) -> None:
    row = answer(cell, LITTLE)
    assert row.oracle == oracle
    assert row.as_expected == (cell.found is None or cell.found == (oracle is not None))
    assert row.note or oracle or cell.found


def test_an_exploration_that_found_nothing_says_how_far_it_looked() -> None:
    fixed = answer(Cell(("one_chain_commit",), "barrier", "agreement", found=False, reason="told"), QUICK)
    assert (fixed.oracle, fixed.note) == (None, "the search closes without it; told")
    partial = answer(Cell(("stale_leader",), "barrier", "agreement", found=None), LITTLE)
    assert partial.note.startswith("the search followed ")


def test_rows_come_in_the_order_of_the_cells_and_are_what_plots_read() -> None:
    few = [cell for cell in PLAN if cell.where == "regression"]
    rows = list(matrix(few, LITTLE, Inline()))
    assert [row.bug for row in rows] == ["+".join(cell.bugs) for cell in few]
    assert all(row.oracle == cell.oracle for row, cell in zip(rows, few, strict=True))
    kills = msgspec.convert(msgspec.to_builtins(rows), list[Kill])
    assert [kill.where for kill in kills] == ["regression"] * len(few)
