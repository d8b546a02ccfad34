"""How a search ended, and what it decided."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec

from diembft.protocols.by_name import DEFAULT_PROTOCOL
from diembft.twins.exhaustion.expansion import FoundViolation
from diembft.twins.exhaustion.question import Question


class SearchLevel(msgspec.Struct, frozen=True):
    """One level: the states before step `round`."""

    round: int
    states: int
    """New ones."""
    visited: int
    """In all."""
    transitions: int
    """From the level before: states times choices."""
    distinct: int
    """Of these, computed: not the same by symmetry nor node for node."""
    scenarios: str
    """How many scenarios of `round - 1` rounds have been decided; a big integer."""
    seconds: float


class SearchEnding(Enum):
    """Why a search ended."""

    FIXED_POINT = "fixed point"
    VIOLATION = "violation"
    DEPTH = "depth limit"
    STATES = "state limit"
    TIME = "time limit"
    MEMORY = "memory limit"


class Decision(NamedTuple):
    """How a search ended, and what was decided."""

    question: Question
    choices: int
    levels: list[SearchLevel]
    ending: SearchEnding
    found: FoundViolation | None
    transitions: int
    visited: int

    @property
    def decided_rounds(self) -> int:
        """Scenarios of up to so many rounds are decided; all of them at a fixed point."""
        return self.levels[-1].round - 1

    def statement(self) -> str:
        """What was decided, in one sentence, and what it does not cover."""
        question = self.question
        space = (
            f"{'' if question.protocol == DEFAULT_PROTOCOL else f'protocol {question.protocol}, '}"
            f"model {question.model}: {question.replicas} replicas, {question.faulty} with a twin, "
            f"up to {question.sets} sets{' of which one holds a quorum' if question.quorum_filter else ''}, "
            f"{'twins lead' if question.twins_lead else 'all may lead'}"
            f"{', one correct node may crash and restart in each round' if question.crashes else ''}"
            f"{', bugs ' + ', '.join(question.bugs) if question.bugs else ''}"
        )
        judged = "agreement, certified_uniqueness, honest_vote_once, commit_order and certificates of distinct signers"
        match self.ending:
            case SearchEnding.FIXED_POINT:
                text = f"No scenario of any length violates {judged} in {space}."
            case SearchEnding.VIOLATION:
                assert self.found is not None, "because the search ended with it"
                text = (
                    f"A scenario of {_rounds(len(self.found.path) - 1)} violates {', '.join(self.found.oracles)}, "
                    f"and no shorter one does, in {space}."
                )
            case _:
                text = (
                    f"No scenario of up to {_rounds(self.decided_rounds)} violates {judged} in {space}; "
                    f"longer ones are not decided ({self.ending.value})."
                )
        return text + (
            " Not covered: liveness, commit_chain, drops inside a set, messages that arrive in a later round, "
            "other network models."
        )


def _rounds(number: int) -> str:
    return f"{number} round{'' if number == 1 else 's'}"
