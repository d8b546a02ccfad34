"""What an exploration says of cores that somebody changed: each case once made it say that no scenario of any length
violates anything.

With 20 seeds each: `python -m tools.changed_cores`.
"""

from __future__ import annotations

import pytest
from tools.changed_cores import CASES, EDITS, FOUND, Case
from tools.edited_cores import Exploration, edited_core


@pytest.mark.parametrize("case", [case for case in CASES if case.suite_seed is not None], ids=lambda case: case.name)
def test_what_is_said_of_a_changed_core_is_right(case: Case) -> None:
    with edited_core(EDITS[case.edit]) as core:
        answer = case.explored_by_suite(core)
    assert case.wrong(answer) == [], answer.statement


RIGHT = Exploration(
    1, ("agreement",), 4, True, "", 1.0, "A scenario of 4 rounds violates agreement, and no shorter one."
)
GAP = Case("gap", "a gap of one", (), FOUND, "agreement")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ""),
        ({"status": 0}, "exit status 0"),
        ({"status": None}, "exit status None"),
        ({"statement": "No scenario of any length violates agreement."}, "of any length"),
        ({"traceback": "AssertionError"}, "AssertionError"),
        ({"confirmed": False}, "the executor does not find agreement violated"),
        ({"confirmed": None}, "no counterexample"),
        ({"oracles": ("commit_order",)}, "commit_order rather than agreement"),
        ({"rounds": 6}, "no scenario of fewer than 6 rounds"),
    ],
)
def test_a_wrong_answer_is_noticed(changes: dict[str, object], wrong: str) -> None:
    noticed = GAP.wrong(RIGHT.changed(**changes))
    assert len(noticed) == bool(wrong)
    assert all(wrong in one for one in noticed)
