"""One task of a search: states on the frontier, computed anew from their choices, and what follows them."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from diembft.twins.exhaustion.engine import Engine, GlobalState, digest
from diembft.twins.exhaustion.question import Question

MAX_NODES = 60_000
"""Distinct states of nodes after which a worker starts with an empty memory."""

ChoicePath = tuple[int, ...]
"""A frontier state: which initial state, then the choice of each step."""


class FoundViolation(msgspec.Struct, frozen=True):
    """A violation: the choices that lead to it, and what the oracles say."""

    path: tuple[int, ...]
    oracles: tuple[str, ...]
    details: tuple[str, ...]


class Expanded(NamedTuple):
    """What a task comes to: for each of its states the new states as (choice, digest), and the violations."""

    successors: list[list[tuple[int, bytes]]]
    distinct: int
    """Successors that are not the very same node for node."""
    found: list[FoundViolation]


_engines: dict[Question, Engine] = {}


def expand(question: Question, paths: list[ChoicePath]) -> Expanded:
    """One task. States that occur in it before are left out; violations end their scenario."""
    engine = _engines.get(question)
    if engine is None or engine.size > MAX_NODES:
        engine = _engines[question] = question.engine()
    initial = engine.initial()
    states: dict[ChoicePath, GlobalState] = {}

    def state_of(path: ChoicePath) -> GlobalState:
        if len(path) == 1:
            return initial[path[0]]
        known = states.get(path)
        if known is None:
            known = states[path] = engine.apply(state_of(path[:-1]), path[-1]).state
        return known

    seen: set[bytes] = set()
    result = Expanded([], 0, [])
    distinct = 0
    for path in paths:
        new: list[tuple[int, bytes]] = []
        engine.trim()
        for successor in engine.successors(state_of(path)):
            distinct += 1
            if successor.faults:
                faults = engine.apply(state_of(path), successor.choice).faults
                assert faults, "because a rebuilt state behaves as the state that it was rebuilt from"
                result.found.append(
                    FoundViolation(
                        (*path, successor.choice),
                        tuple(dict.fromkeys([fault.oracle for fault in faults])),
                        tuple(dict.fromkeys([fault.detail for fault in faults])),
                    )
                )
                return result  # the search ends with it, and what else this state leads to may take long
            if successor.key is None:
                continue
            key = digest(successor.key)
            if key not in seen:
                seen.add(key)
                new.append((successor.choice, key))
        result.successors.append(new)
    return result._replace(distinct=distinct)
