"""What a summary is rebuilt to leads where the states lead that it stands for."""

from __future__ import annotations

import random

import pytest

from diembft.twins.exhaustion.engine import Engine, GlobalState
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.question import Question

TWO_PHASE = Question("two-phase", quorum_filter=True, twins_lead=True)

PATHS: dict[str, tuple[Question, ChoicePath]] = {
    # The twin is a round behind and has a block that its own certificates do not point at: when it gets a proposal on
    # that block it votes, and does not propose in the round itself, as it would had it to fetch the block first.
    "a block of others": (TWO_PHASE, (0, 312, 52, 316, 58)),
    "two proposals": (TWO_PHASE, (0, 312, 52)),
}


def at(engine: Engine, path: ChoicePath) -> GlobalState:
    state = engine.initial()[path[0]]
    for choice in path[1:]:
        state = engine.apply(state, choice).state
    return state


def assert_same(engine: Engine, state: GlobalState) -> None:
    """The state itself and what its summary is rebuilt to have successors of the same keys."""
    of_the_state = {successor.key for successor in engine._successors(state, frozenset(), None)}
    assert {successor.key for successor in engine.successors(state)} == of_the_state


@pytest.mark.parametrize("name", PATHS)
def test_known_states(name: str) -> None:
    question, path = PATHS[name]
    engine = question.engine()
    state = at(engine, path)
    found = engine.summary(state)
    assert found is not None
    ordered, _ = found.sorted(engine.world.cast)
    rebuilt = engine._rebuilt(ordered)
    assert rebuilt is not None
    assert engine.summary(rebuilt) == ordered
    assert_same(engine, state)


@pytest.mark.parametrize(
    "question", [TWO_PHASE, Question("barrier", quorum_filter=True), Question("lazy", quorum_filter=True)], ids=str
)
def test_states_met_on_random_walks(question: Question) -> None:
    engine, rng = question.engine(), random.Random(7)
    for _ in range(2):
        state = engine.initial()[0]
        for _ in range(6):
            assert_same(engine, state)
            successor = engine.apply(state, rng.randrange(len(engine.model.choices)))
            if successor.key is None:
                break
            state = successor.state
