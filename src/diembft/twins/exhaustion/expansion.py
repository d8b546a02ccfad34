"""One task of a search: states on the frontier, computed anew from their choices, and what follows them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from diembft.twins.exhaustion.conjecture import NOBODY_LEFT
from diembft.twins.exhaustion.engine import Engine, GlobalState, digest
from diembft.twins.exhaustion.question import Question
from diembft.twins.runs.world import Fault

MAX_NODES = 60_000
"""Distinct states of nodes after which a worker starts with an empty memory."""

ChoicePath = tuple[int, ...]
"""A frontier state: which initial state, then the choice of each step."""


Attest: TypeAlias = Callable[[str], str]
"""Says, in a worker, which code of a protocol it runs."""


class FoundViolation(msgspec.Struct, frozen=True):
    """A violation: the choices that lead to it, and what the oracles say."""

    path: tuple[int, ...]
    oracles: tuple[str, ...]
    details: tuple[str, ...]


def found_violation(path: ChoicePath, faults: Sequence[Fault]) -> FoundViolation:
    """What oracles object to at the end of a path, each of them and each detail once."""
    oracles = tuple(dict.fromkeys([fault.oracle for fault in faults]))
    return FoundViolation(path, oracles, tuple(dict.fromkeys([fault.detail for fault in faults])))


class Expanded(NamedTuple):
    """What a task comes to: for each of its states, as far as the time sufficed, the keys that it leads to, each with
    the first choice that does; and the violations."""

    successors: list[list[tuple[int, bytes]]]
    distinct: int
    """Successors that are not the very same node for node."""
    found: list[FoundViolation]
    failure: str = ""
    """What went wrong with the key, if something did: then it is wrong for this code."""
    complete: bool = True
    """Whether the time sufficed."""
    core: str = ""
    """What stands for the code that the worker runs, if that was asked for: see `cores.digest_here`."""


_engines: dict[Question, Engine] = {}


def expand(
    question: Question, paths: list[ChoicePath], seconds: float | None = None, attest: Attest | None = None
) -> Expanded:
    """One task. Violations end their scenario; what the time did not suffice for is left out."""
    result = Expanded([], 0, [], core="" if attest is None else attest(question.protocol))
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        return _expanded(_States(question), paths, deadline, result)
    except Exception as error:  # replicas' own errors are faults by now: this is the key's
        return result._replace(failure=told(error))


class _States:
    """The states of a task, computed anew from their paths."""

    def __init__(self, question: Question) -> None:
        engine = _engines.get(question)
        if engine is None or engine.size > MAX_NODES:
            engine = _engines[question] = question.engine()
        self.engine = engine
        self._initial = engine.initial()
        self._known: dict[ChoicePath, GlobalState] = {}

    def at(self, path: ChoicePath) -> GlobalState:
        """The state that a path leads to."""
        if len(path) == 1:
            return self._initial[path[0]]
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self.engine.apply(self.at(path[:-1]), path[-1]).state
        return known


def _expanded(states: _States, paths: list[ChoicePath], deadline: float | None, result: Expanded) -> Expanded:
    engine = states.engine
    distinct = 0
    for path in paths:
        new: dict[bytes, int] = {}
        engine.trim()
        for successor in engine.successors(states.at(path)):
            if deadline is not None and time.monotonic() > deadline:
                return result._replace(distinct=distinct, complete=False)
            distinct += 1
            if successor.faults:
                result.found.append(_found(states, (*path, successor.choice)))
                return result  # the search ends with it, and what else this state leads to may take long
            key = NOBODY_LEFT if successor.key is None else digest(successor.key)
            new.setdefault(key, successor.choice)
        result.successors.append([(choice, key) for key, choice in new.items()])
    return result._replace(distinct=distinct)


def _found(states: _States, path: ChoicePath) -> FoundViolation:
    """A violation, computed from the scenario's own states: a state that was rebuilt from a key may be another."""
    faults = states.engine.apply(states.at(path[:-1]), path[-1]).faults
    if not faults:
        raise AssertionError("a state that was rebuilt from its key violates what the state itself does not")
    return found_violation(path, faults)


def told(error: Exception) -> str:
    """An error of the key in one line, with the innermost place."""
    *_, place = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno} in {place.name})"
