"""Scenarios decided without any key: every one of them executed, none merged with another.

It is slow, by a factor of the number of choices for each round, and says what it says of whatever code runs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import NamedTuple

from diembft.twins.exhaustion.expansion import ChoicePath, FoundViolation, found_violation
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.stepping import Stepper, WholeState

TASKS_AHEAD = 16

CHUNK = 64
"""Choices of a task."""


class Part(NamedTuple):
    """What a task comes to."""

    steps: int
    complete: bool
    found: FoundViolation | None


class Unkeyed(NamedTuple):
    """What was decided without a key."""

    rounds: int
    """All scenarios of up to so many rounds hold, or were decided before the violation was found."""
    steps: int
    found: FoundViolation | None = None
    """The first violation of the round after these."""


def decide(
    question: Question, seconds: float, *, rounds: int | None = None, executor: Executor | None = None
) -> Unkeyed:
    """Decide as many rounds as the time suffices for; `rounds`: no more than these."""
    deadline = time.monotonic() + seconds
    stepper = Stepper(question)
    leaders, choices = len(stepper.leaders), len(stepper.model.choices)
    decided = Unkeyed(0, 0)
    a_step_s = 0.0
    while rounds is None or decided.rounds < rounds:
        depth = decided.rounds + 1
        began = time.monotonic()
        if began + a_step_s * leaders * choices**depth > deadline:
            return decided  # it would not be finished
        steps = 0
        for part in _parts(question, depth, leaders, choices, deadline, executor):
            steps += part.steps
            if part.found is not None:
                return Unkeyed(decided.rounds, decided.steps + steps, part.found)
            if not part.complete:
                return decided
        a_step_s = (time.monotonic() - began) / max(steps, 1)
        decided = Unkeyed(depth, decided.steps + steps)
    return decided


def decide_part(question: Question, prefix: ChoicePath, begin: int, end: int, depth: int, seconds: float) -> Part:
    """One task: all scenarios of `depth` rounds that begin so, and go on with one of these choices."""
    deadline = time.monotonic() + seconds
    stepper = Stepper(question)
    choices = stepper.model.choices
    state = stepper.initial(prefix[0])
    for choice in prefix[1:]:
        state, _ = stepper.step(state, choices[choice])
    steps = 0

    def below(state: WholeState, path: ChoicePath, some: range) -> FoundViolation | None:
        nonlocal steps
        for choice in some:
            if time.monotonic() > deadline:
                raise TimeoutError
            after, faults = stepper.step(state, choices[choice])
            steps += 1
            if faults:
                # A scenario of fewer rounds, if there is one, was found before: depths are decided one by one.
                return found_violation((*path, choice), faults)
            if len(path) < depth:
                found = below(after, (*path, choice), range(len(choices)))
                if found is not None:
                    return found
        return None

    try:
        return Part(steps, True, below(state, prefix, range(begin, end)))._replace(steps=steps)
    except TimeoutError:
        return Part(steps, False, None)


def _parts(
    question: Question, depth: int, leaders: int, choices: int, deadline: float, executor: Executor | None
) -> Iterator[Part]:
    """The outcomes of the tasks of a depth, in order."""
    heads = [(leader,) for leader in range(leaders)]
    prefixes: list[ChoicePath] = (
        list(heads) if depth < 3 else [(*head, first) for head in heads for first in range(choices)]
    )
    tasks = iter(
        [
            (question, prefix, begin, min(begin + CHUNK, choices), depth)
            for prefix in prefixes
            for begin in range(0, choices, CHUNK)
        ]
    )
    if executor is None:
        for task in tasks:
            yield decide_part(*task, deadline - time.monotonic())
        return
    under_way: deque[Future[Part]] = deque()
    try:
        while True:
            for task in islice(tasks, TASKS_AHEAD - len(under_way)):
                under_way.append(executor.submit(decide_part, *task, deadline - time.monotonic()))
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
