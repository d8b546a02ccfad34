"""Cores that somebody changed: the edits fit, run, and do what they are said to do when scenarios are executed.

What an exploration must make of them is in test_changed_cores.py.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest
from tools.changed_cores import CASES
from tools.edited_cores import CHANGED_CORES, UNCHANGED, Edit, edited_core, explored, read_edits, run_limited, violated
from tools.mutation import Mutant

SOURCE = Path(__file__).parents[3] / "src" / "diembft"
EDITS = read_edits(CHANGED_CORES.read_text(encoding="utf-8"))

HEAD = "scenario: replicas=a,b,c,d twins=a'"
WHOLE = "a leads a,b,c,d,a'"


def rounds(*lines: str) -> str:
    return "; ".join([f"{number}: {line}" for number, line in enumerate(lines, 1)])


ACROSS_ROUNDS_TWO_PHASE = f"{HEAD} gst=3 model=two-phase; " + rounds(
    "a leads a,d|b,c,a' timeouts=a,b,c,d,a'",
    "a leads a,b|c,d,a' timeouts=a,b,c,d|a'",
    "a leads a,b,c,d|a' timeouts=a,b,c|d,a'",
)
ACROSS_ROUNDS_BARRIER = f"{HEAD} gst=3 model=barrier; " + rounds(
    "c leads a,d|b,c,a'", "d leads a,b,c,d,a'", "a leads a,b,d|c,a'"
)
OTHERS_ALONG = f"{HEAD} gst=1 model=barrier; " + rounds("a leads a,c,d|b,a'")
GAP_OF_ONE = f"{HEAD} gst=4 model=two-phase; " + rounds(
    "a leads a,b,c,d|a' timeouts=a,b,c,d,a'",
    "a leads a,b|c,d,a' timeouts=a,b,c,d,a'",
    "a leads a,b,c,d|a' timeouts=a,b|c,d,a'",
    "a leads a,b|c,d,a' timeouts=a,b,c|d,a'",
    WHOLE,
)
ELEVEN_ROUNDS = f"{HEAD} gst=11 model=barrier; " + rounds(*[WHOLE] * 10, "b leads a,b,c,d,a'")
TWELVE_ROUNDS = f"{HEAD} gst=12 model=barrier; " + rounds(*[WHOLE] * 12)
TO_ONE_REPLICA = f"{HEAD} gst=1 model=barrier; " + rounds("a leads a,d,a'|b,c")
TO_ANOTHER = f"{HEAD} gst=1 model=barrier; " + rounds("a leads a,c,a'|b,d")
AFTER_TIMEOUTS = f"{HEAD} gst=4 model=barrier; " + rounds(*["d leads a,b,c,a'|d"] * 3, "a leads a,b,c,a'|d")
ONE_PROPOSES_THEN = f"{HEAD} gst=4 model=barrier; " + rounds(*["d leads a,b,c,a'|d"] * 3, "b leads a,b,c,a'|d")

ENDLESS = {"a step without end", "answers without end"}

VIOLATIONS = [
    ("votes across rounds", ACROSS_ROUNDS_TWO_PHASE, {"agreement", "certified_uniqueness"}),
    ("votes across rounds", ACROSS_ROUNDS_BARRIER, {"certified_uniqueness"}),
    ("a commit takes others along", OTHERS_ALONG, {"agreement", "commit_order"}),
    ("a gap of one", GAP_OF_ONE, {"agreement"}),
    ("a late leader", ONE_PROPOSES_THEN, set()),
    ("no vote lock from round 12 on", ELEVEN_ROUNDS, set()),
    ("no vote lock from round 12 on", TWELVE_ROUNDS, {"honest_vote_once"}),
    ("no vote lock for one replica", TO_ONE_REPLICA, {"honest_vote_once"}),
    ("no vote lock for one replica", TO_ANOTHER, set()),
    ("a field unlocks a vote", ONE_PROPOSES_THEN, set()),
    ("a field unlocks a vote", AFTER_TIMEOUTS, {"honest_vote_once"}),
]
"""What scenarios show of a changed core when they are executed, of the oracles that explorations judge."""

JUDGED = {"agreement", "certified_uniqueness", "honest_vote_once", "commit_order", "quorum_progress"}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_fits_the_source(name: str) -> None:
    edit = EDITS[name]
    for file in edit.files:
        source = changed = (SOURCE / file).read_text(encoding="utf-8")
        for part in edit.parts:
            if part.file == file:
                assert changed.count(part.old) == 1
                changed = changed.replace(part.old, part.new)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


def test_each_edit_has_a_case_and_scenarios_that_show_what_it_does() -> None:
    assert EDITS.keys() | {UNCHANGED.name} == {case.edit for case in CASES}
    assert EDITS.keys() - ENDLESS == {name for name, _, _ in VIOLATIONS}


@pytest.mark.parametrize("name", sorted(EDITS.keys() - ENDLESS))
def test_an_edit_does_what_it_is_said_to_do(name: str) -> None:
    expected = [(scenario, oracles) for edit, scenario, oracles in VIOLATIONS if edit == name]
    with edited_core(EDITS[name]) as core:
        run = core.execute(*[scenario for scenario, _ in expected])
    shown: dict[int, set[str]] = {index: set() for index in range(len(expected))}
    for result in run.told["unexpected"]:
        shown[result["index"]] = {violation["oracle"] for violation in result.get("violations", ())} & JUDGED
    for index, (_, oracles) in enumerate(expected):
        assert shown[index] >= oracles
        assert bool(shown[index]) == bool(oracles)


def test_without_an_edit_none_of_the_scenarios_shows_anything() -> None:
    with edited_core(UNCHANGED) as core:
        run = core.execute(*[scenario for _, scenario, _ in VIOLATIONS])
    assert run.told["scenarios"] == len(VIOLATIONS)
    assert violated(run) == frozenset()


def test_a_late_leader_proposes_again_and_nothing_is_violated() -> None:
    said = Mutant(
        "a late leader",
        "consensus/main.py",
        (),
        ("         if gave_up:", "+            raise RuntimeError('it proposes again')"),
    )
    edit = EDITS["a late leader"]
    with edited_core(edit) as core:
        assert violated(core.execute(ONE_PROPOSES_THEN)) == frozenset()
    with edited_core(Edit(edit.name, (*edit.parts, said))) as core:
        assert violated(core.execute(ONE_PROPOSES_THEN)) == {"crash"}


def test_what_runs_is_the_copy_and_nothing_of_it_stays() -> None:
    change = ("-__all__ = [", '+raise SystemExit(f"run from {__file__}")', "+__all__ = [")
    with edited_core(Edit("says where", (Mutant("says where", "__init__.py", (), change),))) as core:
        folder = core.folder
        run = core.run("list")
        assert f"run from {folder}" in run.stderr
        assert run.status == 1
    assert not folder.exists()


def test_an_edit_that_does_not_fit_is_refused() -> None:
    lost = Edit("lost", (Mutant("lost", "consensus/quorums.py", (), ("-no such line", "+")),))
    with pytest.raises(ValueError, match="lost: its lines occur 0 times"), edited_core(lost):
        pass


def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = "sleep 60.25 & echo begun; wait"
    run = run_limited(["sh", "-c", script], tmp_path, {"PATH": "/usr/bin:/bin"}, 0.3)
    assert (run.status, run.stdout, run.told) == (None, "begun\n", {})
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 60.25" not in listed


def test_a_counterexample_is_executed_in_the_same_copy() -> None:
    with edited_core(EDITS["no vote lock for one replica"]) as core:
        answer = explored(core, "--model", "barrier", "--quorum-filter", "--rounds", "1")
    assert (answer.status, answer.rounds, answer.confirmed, answer.traceback) == (1, 1, True, "")
    assert "honest_vote_once" in answer.oracles
