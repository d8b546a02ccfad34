"""What an exploration came to, and what may be said of it: no more than holds for the code that ran."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from diembft.protocols.by_name import DEFAULT_PROTOCOL
from diembft.twins.exhaustion.checkpoint import SearchLevel
from diembft.twins.exhaustion.core_records import CheckedQuestion, CoreRecord
from diembft.twins.exhaustion.cores import Core
from diembft.twins.exhaustion.differences import Difference
from diembft.twins.exhaustion.expansion import ChoicePath, FoundViolation
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Searched, SearchEnding
from diembft.twins.exhaustion.unkeyed import Unkeyed
from diembft.twins.exhaustion.walking import Walked

ORACLES = "agreement, certified_uniqueness, honest_vote_once, commit_order, crash and certificates of distinct signers"
"""What is judged, in a sentence."""

NOT_COVERED = (
    "Not covered: liveness, commit_chain, drops inside a set, messages that arrive in a later round, "
    "other network models."
)


class Outcome(Enum):
    """What came of an exploration."""

    HOLDS = "holds"
    """Nothing was found; what that says depends on whether the core is a checked one."""
    VIOLATED = "violated"
    """A scenario violates an oracle, and the executor says so too."""
    WRONG_KEY = "wrong key"
    """Walks went where the search has nothing, or the key failed: what the search says does not hold for this code."""
    UNCONFIRMED = "unconfirmed"
    """A scenario that the exploration found violates nothing when it is executed: our own error."""


class FoundBy(Enum):
    """Which part of an exploration found a violation."""

    SEARCH = "search"
    UNKEYED = "without a key"
    WALKS = "walks"


class Counterexample(NamedTuple):
    """A violation as it was found, and as it was executed."""

    found: FoundViolation
    by: FoundBy
    confirmed: tuple[str, ...]
    """The oracles that object when the scenario is executed, of those that an exploration answers for."""
    details: tuple[str, ...]
    """What they say."""


class Decision(NamedTuple):
    """What was decided, and how."""

    searched: Searched
    core: Core
    unkeyed: Unkeyed
    """What was decided without a key."""
    walked: Walked | None = None
    """None: there were no walks, because there was a violation already."""
    counterexample: Counterexample | None = None
    difference: Difference | None = None
    scenario: str = ""
    """The scenario of the counterexample or of the difference, in one line."""

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.searched.question

    @property
    def choices(self) -> int:
        """Of a round."""
        return self.searched.choices

    @property
    def levels(self) -> list[SearchLevel]:
        """The levels of the search."""
        return self.searched.levels

    @property
    def ending(self) -> SearchEnding:
        """How the search ended."""
        return self.searched.ending

    @property
    def transitions(self) -> int:
        """Of the search."""
        return self.searched.transitions

    @property
    def visited(self) -> int:
        """States of the search."""
        return len(self.searched.conjecture)

    @property
    def followed_rounds(self) -> int:
        """Scenarios of up to so many rounds were followed by the search; all of them at a fixed point."""
        return self.searched.levels[-1].round - 1

    @property
    def found(self) -> FoundViolation | None:
        """The violation, if there is one that the executor confirms."""
        example = self.counterexample
        if example is None or not example.confirmed:
            return None
        return FoundViolation(example.found.path, example.confirmed, example.details)

    @property
    def path(self) -> ChoicePath | None:
        """Of the counterexample, or of the difference."""
        if self.counterexample is not None:
            return self.counterexample.found.path
        return None if self.difference is None else self.difference.path

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        if self.counterexample is not None:
            return Outcome.VIOLATED if self.counterexample.confirmed else Outcome.UNCONFIRMED
        if self.difference is not None or self.ending is SearchEnding.KEY:
            return Outcome.WRONG_KEY
        return Outcome.HOLDS

    @property
    def holds_for_any_length(self) -> bool:
        """Whether no scenario of any length violates anything: only of a checked core, at a fixed point."""
        fixed = self.ending is SearchEnding.FIXED_POINT
        return self.outcome is Outcome.HOLDS and self.core.record is not None and fixed

    def statement(self) -> str:
        """What was decided, in a few sentences, and what it does not cover."""
        match self.outcome:
            case Outcome.HOLDS if self.core.record is not None:
                text = _of_a_checked_core(self, self.core.record)
            case Outcome.HOLDS:
                text = _of_another_core(self)
            case Outcome.VIOLATED:
                text = _of_a_violation(self)
            case Outcome.WRONG_KEY:
                text = _of_a_wrong_key(self)
            case Outcome.UNCONFIRMED:
                text = _of_our_own_error(self)
        return f"{text} {NOT_COVERED}"


def space(question: Question) -> str:
    """The scenarios that a question is about, in words."""
    return (
        f"{'' if question.protocol == DEFAULT_PROTOCOL else f'protocol {question.protocol}, '}"
        f"model {question.model}: {question.replicas} replicas, {question.faulty} with a twin, "
        f"up to {question.sets} sets{' of which one holds a quorum' if question.quorum_filter else ''}, "
        f"{'twins lead' if question.twins_lead else 'all may lead'}"
        f"{', one correct node may crash and restart in each round' if question.crashes else ''}"
        f"{', bugs ' + ', '.join(question.bugs) if question.bugs else ''}"
    )


def _of_a_checked_core(decision: Decision, record: CoreRecord) -> str:
    walked, question = decision.walked, decision.question
    length = "any length"
    how = f"fixed point, {decision.visited:,} states, by the argument of docs/exhaustion.md"
    if decision.ending is not SearchEnding.FIXED_POINT:
        length = f"up to {_rounds(decision.followed_rounds)}"
        how = f"{decision.ending.value}, {decision.visited:,} states, by the argument of docs/exhaustion.md"
    asked = [checked for checked in record.questions if checked.model == question.model]
    steps = sum([checked.steps for checked in asked])
    recorded = f"recorded: {steps:,} unreduced steps without a difference"
    if (question.replicas, question.crashes) not in {(_replicas(checked), _crashes(checked)) for checked in asked}:
        recorded = f"{recorded}, of another size; that it holds for this one rests on the argument"
    more = 0 if walked is None else walked.steps
    return (
        f"No scenario of {length} violates {ORACLES} in {space(question)}: {how}, for core "
        f"{decision.core.digest[:12]}, which is this code ({recorded}; {more:,} more now)."
    )


def _of_another_core(decision: Decision) -> str:
    """What holds of code that nobody checked: what was executed, and no more."""
    searched = (
        f"The search closes at {decision.visited:,} states"
        if decision.ending is SearchEnding.FIXED_POINT
        else f"The search followed {_rounds(decision.followed_rounds)}, {decision.visited:,} states "
        f"({decision.ending.value})"
    )
    return (
        f"Nothing is proved for any length: this core is not a checked one ({decision.core.because}). {searched}, if "
        f"its key is right here. Without a key: {_executed(decision)} without violation or "
        f"difference{_chance(decision)}, of {ORACLES} in {space(decision.question)}."
    )


def _replicas(checked: CheckedQuestion) -> int:
    return int(checked.options.get("replicas", Question().replicas))


def _crashes(checked: CheckedQuestion) -> bool:
    return bool(checked.options.get("crashes", False))


def _executed(decision: Decision) -> str:
    walked = decision.walked
    walks = f"{walked.walks:,} walks of {_rounds(walked.rounds)}" if walked is not None else "no walks"
    return f"{_unkeyed(decision)}, and {walks}"


def _unkeyed(decision: Decision) -> str:
    rounds = decision.unkeyed.rounds
    return f"all scenarios of up to {_rounds(rounds)}" if rounds else "not all scenarios of 1 round"


def _chance(decision: Decision) -> str:
    """The rule of three: what did not happen in n independent trials happens, at 95 %, in fewer than 3 of n."""
    walks = 0 if decision.walked is None else decision.walked.walks
    return f" (95 %: fewer than 1 of {walks // 3:,} such walks would show one)" if walks >= 6 else ""


def _of_a_violation(decision: Decision) -> str:
    example = decision.counterexample
    assert example is not None, "because there is a violation"
    rounds = len(example.found.path) - 1
    text = f"A scenario of {_rounds(rounds)} violates {', '.join(example.confirmed)}, confirmed by the executor"
    followed = decision.ending is SearchEnding.FIXED_POINT or rounds <= decision.followed_rounds
    if example.by is not FoundBy.SEARCH:
        if followed:
            text += "; the search had missed it"
        else:
            text += f"; the search had followed {_rounds(decision.followed_rounds)}"
    if decision.unkeyed.rounds >= rounds - 1 or (decision.core.record and example.by is FoundBy.SEARCH):
        text += ", and no shorter one does"
    else:
        text += f"; decided without a key: {_unkeyed(decision)}"
    return f"{text}, in {space(decision.question)}."


def _of_a_wrong_key(decision: Decision) -> str:
    walked = decision.walked
    where = (
        f"{decision.scenario} leads where it did not" if decision.difference is not None else decision.searched.failure
    )
    walks = "" if walked is None else f", and {walked.walks:,} walks of {_rounds(walked.rounds)} violated nothing"
    return (
        f"The search's key is wrong for this code: {where}. Decided without a key: "
        f"{_unkeyed(decision)}{walks}, in {space(decision.question)}."
    )


def _of_our_own_error(decision: Decision) -> str:
    example = decision.counterexample
    assert example is not None, "because something was found"
    return (
        f"This is an error of diembft itself: the exploration says that {decision.scenario} violates "
        f"{', '.join(example.found.oracles)}, and executed it violates none of these. Decided "
        f"without a key: {_unkeyed(decision)}, in {space(decision.question)}."
    )


def _rounds(number: int) -> str:
    return f"{number} round{'' if number == 1 else 's'}"
