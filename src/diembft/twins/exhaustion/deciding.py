"""An exploration from the question to what may be said: search, walk, execute what was found.

The search is a conjecture: that its key merges only what behaves alike follows from the rules of the protocol, hence
from the code (docs/exhaustion.md). So before anything is said of scenarios of any length, it is looked whether the code
that runs is one that was checked (`cores`); every search is held against walks, which assume nothing of the key
(`walks`); what the key cannot answer for is decided without one, as far as that goes (`unkeyed`); and whatever is found
is executed before it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import nullcontext
from pathlib import Path

import msgspec

from diembft.errors import require, require_moment, require_type, require_whole
from diembft.judge import crash
from diembft.twins.exhaustion import confirmation, unkeyed
from diembft.twins.exhaustion.checkpoint import SearchLevel
from diembft.twins.exhaustion.cores import Core, core_of, digest_here
from diembft.twins.exhaustion.decision import Counterexample, Decision, FoundBy
from diembft.twins.exhaustion.differences import shrunk
from diembft.twins.exhaustion.expansion import ChoicePath, FoundViolation
from diembft.twins.exhaustion.paths import scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import NO_LIMITS, LevelProgress, Limits, Searched, SearchEnding, search
from diembft.twins.exhaustion.smaller import smaller
from diembft.twins.exhaustion.stepping import violation_on
from diembft.twins.exhaustion.unkeyed import Unkeyed
from diembft.twins.exhaustion.walking import Walked, WalkPlan, walk_on
from diembft.twins.exhaustion.walks import rounds_of
from diembft.twins.runs.watchdog import hurried
from diembft.twins.scenarios.text import format_scenario

STEPS_OF_A_CHECKED_CORE = 1000
"""How many steps of walks follow a search of a core that was checked."""

WALK_SECONDS = 20.0
"""How long walks follow a search of any other core at least; as long as the search took, if that was longer."""

UNKEYED_SHARE = 0.1
"""For how much of that time scenarios are decided without a key before."""

SHRINK_SECONDS = 10.0
"""How long what walks found is made smaller."""


def explore(
    question: Question,
    *,
    limits: Limits = NO_LIMITS,
    walk_seconds: float | None = None,
    seed: int = 0,
    executor: Executor | None = None,
    jobs: int = 1,
    checkpoint: str | Path | None = None,
    on_level: Callable[[SearchLevel], None] = lambda level: None,
    on_progress: Callable[[LevelProgress], None] = lambda progress: None,
    on_walks: Callable[[Walked], None] = lambda walked: None,
) -> Decision:
    """Decide the question as far as the limits allow, and test what the search takes for true.

    `limits` are those of the search; `walk_seconds` is how long walks take (None: see the module's constants), `seed`
    draws them, in as many streams as there are `jobs`. With `checkpoint`, a search goes on from that file if it is
    there, and is saved to it after each level. Raises InputError if the file belongs to another question.

    >>> from diembft import Question, explore
    >>> explore(Question(quorum_filter=True, bugs=("conflicting_votes",))).found.oracles
    ('certified_uniqueness', 'honest_vote_once')
    """
    _check(question, limits, walk_seconds, seed, executor, jobs)
    _check_callbacks(on_level=on_level, on_progress=on_progress, on_walks=on_walks)
    file = _file(checkpoint)
    core = _in_model(core_of(question.protocol, question.bugs), question.model)
    attest = None if core.record is None else digest_here
    told = {"on_level": on_level, "on_progress": on_progress}
    searched = search(question, limits=limits, executor=executor, attest=attest, checkpoint=file, **told)  # type: ignore[arg-type]  # by name
    seconds = max(WALK_SECONDS, searched.levels[-1].seconds) if walk_seconds is None else walk_seconds
    core = _attested(core, searched.cores)
    decision = Decision(searched, core, _unkeyed(searched, core, seconds * UNKEYED_SHARE, executor))
    if decision.unkeyed.found is not None:
        return _executed(decision, decision.unkeyed.found, FoundBy.UNKEYED)
    if searched.found is not None:
        return _executed(decision, searched.found, FoundBy.SEARCH)
    if seconds == 0:
        return decision
    plan = WalkPlan(rounds_of(decision.followed_rounds), seed, None, seconds, jobs, attest)
    if core.record is not None and walk_seconds is None:
        plan = plan._replace(steps=STEPS_OF_A_CHECKED_CORE, seconds=None)
    return _walked(decision, walk_on(question, plan, searched.conjecture, executor, on_walks))


def _walked(decision: Decision, walked: Walked) -> Decision:
    """What walks make of a decision."""
    searched = decision.searched
    decision = decision._replace(walked=walked, core=_attested(decision.core, walked.cores))
    if walked.found is not None:
        return _executed(decision, walked.found, FoundBy.WALKS)
    if walked.difference is None or searched.ending is SearchEnding.KEY:
        return decision
    return _differing(decision)


def _check(
    question: Question, limits: Limits, walk_seconds: float | None, seed: int, executor: Executor | None, jobs: int
) -> None:
    require_type(question, Question, "explore")
    require_type(limits, Limits, "explore: limits")
    if walk_seconds is not None:
        require_moment(walk_seconds, "walk_seconds")
    require_type(seed, int, "explore: seed")
    if executor is not None:
        require_type(executor, Executor, "explore: executor")
    require_whole(jobs, "explore: jobs", 1)


def _check_callbacks(**callbacks: object) -> None:
    for name, callback in callbacks.items():
        require(callable(callback), f"explore: {name}", callback, "cannot be called")


def _file(checkpoint: str | Path | None) -> Path | None:
    if checkpoint is None:
        return None
    require_type(checkpoint, (str, Path), "explore: checkpoint")
    name = str(checkpoint)
    require(name not in ("", ".") and "\0" not in name, "explore: checkpoint", name, "is no name of a file")
    return Path(checkpoint)


def _in_model(core: Core, model: str) -> Core:
    """The core, if it was checked in this network model: the key may be right in one and wrong in another."""
    if core.record is None or model in (models := [checked.model for checked in core.record.questions]):
        return core
    return core._replace(record=None, because=f"it was checked in {' and '.join(models)}, not in {model}")


def _attested(core: Core, others: frozenset[str]) -> Core:
    """The core, if that is what all workers ran: elsewhere, and before a checkpoint, there may have been other code."""
    if core.record is None or others <= {core.digest}:
        return core
    return core._replace(record=None, because="a worker, or the search before a checkpoint, ran other code")


def _unkeyed(searched: Searched, core: Core, seconds: float, executor: Executor | None) -> Unkeyed:
    """What can be decided without a key: of a checked core nothing needs to be; and nothing as long as a violation that
    is known already."""
    if core.record is not None and searched.ending is not SearchEnding.KEY:
        return Unkeyed(0, 0)
    rounds = None if searched.found is None else len(searched.found.path) - 2
    return unkeyed.decide(searched.question, seconds, rounds=rounds, executor=executor)


def _executed(decision: Decision, found: FoundViolation, by: FoundBy) -> Decision:
    """A violation, executed; that of a long walk is made smaller first."""
    with hurried() if crash.NAME in found.oracles else nullcontext():  # what is known to hang is waited for less
        if by is FoundBy.WALKS:
            found = _shrunk(decision.question, found)
        findings = confirmation.objections(decision.question, found.path)
    confirmed = tuple([finding.oracle for finding in findings])
    example = Counterexample(found, by, confirmed, tuple([finding.detail for finding in findings]))
    scenario = format_scenario(scenario_of(decision.question, found.path), one_line=True)
    return decision._replace(counterexample=example, scenario=scenario)


def _shrunk(question: Question, found: FoundViolation) -> FoundViolation:
    """The scenario of a walk, as short and plain as it gets: some step of it must still violate one of the oracles, or,
    if only the judge of the whole saw it, the scenario must."""
    of_a_step = violation_on(question, found.path) is not None
    oracles = set(found.oracles)

    def end_of(path: ChoicePath) -> ChoicePath | None:
        if of_a_step:
            again = violation_on(question, path)
            return again.path if again is not None and oracles & set(again.oracles) else None
        return path if oracles & {finding.oracle for finding in confirmation.objections(question, path)} else None

    path = smaller(question.engine().model.choices, found.path, end_of, SHRINK_SECONDS)
    return msgspec.structs.replace(found, path=path)


def _differing(decision: Decision) -> Decision:
    """A difference, made smaller."""
    walked = decision.walked
    assert walked is not None, "because walks found it"
    assert walked.difference is not None, "because walks found it"
    question, conjecture = decision.question, decision.searched.conjecture
    difference = shrunk(question, conjecture, walked.difference, SHRINK_SECONDS)
    scenario = format_scenario(scenario_of(question, difference.path), one_line=True)
    return decision._replace(difference=difference, scenario=scenario)
