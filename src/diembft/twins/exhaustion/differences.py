"""Where the search's key is wrong for the code that runs: a step of a walk that leads where the search has nothing."""

from __future__ import annotations

from typing import NamedTuple

from diembft.twins.exhaustion.conjecture import Conjecture
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.smaller import smaller
from diembft.twins.exhaustion.stepping import Stepper
from diembft.twins.exhaustion.walks import KeyFailure, Walk, key_of


class Difference(NamedTuple):
    """The last choice of a path leads where the search has nothing, or where its key cannot say what there is."""

    path: ChoicePath
    detail: str


NO_SUCCESSOR = "the search has no such successor of the state before"


def difference_of(conjecture: Conjecture, one: Walk) -> Difference | None:
    """Where a walk first went where the search has nothing."""
    if not conjecture.begins(one.initial):
        return Difference(one.path[:1], one.failure or "the search does not begin so")
    for edge in one.edges:
        if conjecture.leads(edge.before, edge.after) is False:
            return Difference(one.path_of(edge), NO_SUCCESSOR)
    return Difference(one.path, one.failure) if one.failure else None


def shrunk(question: Question, conjecture: Conjecture, difference: Difference, seconds: float) -> Difference:
    """A difference as short and as plain as it gets in this time."""

    def end_of(path: ChoicePath) -> ChoicePath | None:
        found = difference_on(question, conjecture, path)
        return None if found is None else found.path

    path = smaller(Stepper(question).model.choices, difference.path, end_of, seconds)
    return difference_on(question, conjecture, path) or difference


def difference_on(question: Question, conjecture: Conjecture, path: ChoicePath) -> Difference | None:
    """The first difference on a path."""
    stepper = Stepper(question)
    state = stepper.initial(path[0])
    position = 1
    try:
        key = key_of(stepper, state)
        if not conjecture.begins(key):
            return Difference(path[:1], "the search does not begin so")
        for position, choice in enumerate(path[1:], 2):
            state, faults = stepper.step(state, stepper.model.choices[choice])
            if faults:
                return None
            before, key = key, key_of(stepper, state)
            if conjecture.leads(before, key) is False:
                return Difference(path[:position], NO_SUCCESSOR)
    except KeyFailure as error:
        return Difference(path[:position], str(error))
    return None
