"""What an exploration objects to is what the one judge says of the scenario, whatever was done to the core."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from diembft.twins.exhaustion.engine import Engine
from diembft.twins.exhaustion.paths import scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, SearchEnding, search
from diembft.twins.runs.judging import run
from diembft.twins.runs.world import Fault
from tests.twins.edits import EDITS, Edit

ROUNDS = 7


def walked(engine: Engine, seed: int) -> tuple[tuple[int, ...], tuple[Fault, ...]]:
    """A path of random choices, to the first objection, and what that is. Nothing is rebuilt on it."""
    rng = random.Random(seed)
    initial = engine.initial()
    path = [rng.randrange(len(initial))]
    state = initial[path[0]]
    for _ in range(ROUNDS):
        choice = rng.randrange(len(engine.model.choices))
        successor = engine.apply(state, choice)
        path.append(choice)
        if successor.faults:
            return tuple(path), successor.faults
        if successor.key is None:
            break
        state = successor.state
    return tuple(path), ()


def objections(question: Question, walks: int) -> Counter[str]:
    """How often which oracles object, each of which the judge confirms."""
    counted: Counter[str] = Counter()
    engine = question.engine()
    for seed in range(walks):
        path, faults = walked(engine, seed)
        violated = {finding.oracle for finding in run(scenario_of(question, path)).violations}
        objected = {fault.oracle for fault in faults}
        assert objected <= violated, (seed, faults)
        counted.update(objected)
    return counted


@pytest.mark.parametrize(
    ("edit", "model", "crashes", "expected"),
    [
        ("late_leader", "barrier", False, set()),
        ("late_leader", "two-phase", True, set()),
        ("votes_again", "two-phase", False, set()),
        ("votes_again", "lazy", True, set()),
        ("no_vote_lock", "two-phase", True, {"honest_vote_once", "durability"}),
        ("commits_others", "barrier", False, {"commit_order"}),
        ("forgets_its_lock", "two-phase", False, set()),
        ("forgets_its_lock", "two-phase", True, {"durability"}),
    ],
)
def test_edits_are_objected_to_as_the_judge_does(
    edit: Edit, model: str, crashes: bool, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    EDITS[edit](monkeypatch)
    walks = 40 if expected == {"durability"} else 12  # what was forgotten shows seldom
    found = objections(Question(model, quorum_filter=True, twins_lead=crashes, crashes=crashes), walks)
    assert expected <= set(found)
    assert bool(expected) == bool(found)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question("two-phase", quorum_filter=True, twins_lead=True, crashes=True), set()),
        (Question("lazy", quorum_filter=True, crashes=True), set()),
        (Question("barrier", faulty=3, quorum_filter=True), {"certified_uniqueness"}),
        (Question("barrier", quorum_filter=True, bugs=("small_quorum",)), {"quorum_progress"}),
        (
            Question("two-phase", quorum_filter=True, twins_lead=True, bugs=("forgets_on_restart",), crashes=True),
            {"honest_vote_once", "durability"},
        ),
    ],
    ids=["two-phase", "lazy", "three twins", "small_quorum", "forgets_on_restart"],
)
def test_bugs_and_too_many_twins_are_objected_to_as_the_judge_does(question: Question, expected: set[str]) -> None:
    assert set(objections(question, walks=12)) >= expected


def test_a_late_leader_that_votes_again_is_objected_to_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the search goes on from a state that it rebuilt: what was signed there is what is signed again."""
    EDITS["late_leader"](monkeypatch)
    result = search(Question(quorum_filter=True), limits=Limits(rounds=2))
    assert (result.found, result.ending) == (None, SearchEnding.DEPTH)
