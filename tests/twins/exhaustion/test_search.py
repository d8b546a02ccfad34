"""What a search decides: fixed points, limits, resuming, any number of workers, bugs and where they are invisible."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from diembft.errors import InputError
from diembft.twins.campaigns.workers import Processes
from diembft.twins.exhaustion.checkpoint import SearchLevel
from diembft.twins.exhaustion.conjecture import Conjecture
from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.exhaustion.paths import path_of, scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import (
    BYTES_A_STATE,
    CHUNK,
    LevelProgress,
    Limits,
    Searched,
    SearchEnding,
    search,
)
from diembft.twins.runs.judging import run

BARRIER = Question("barrier", quorum_filter=True)
LAZY = Question("lazy", quorum_filter=True)
TWO_PHASE = Question("two-phase", quorum_filter=True)


def with_bugs(question: Question, *bugs: str, crashes: bool = False) -> Question:
    return msgspec.structs.replace(question, bugs=bugs, crashes=crashes)


def without_times(result: Searched) -> tuple[object, ...]:
    levels = [msgspec.structs.replace(level, seconds=0.0) for level in result.levels]
    keys, successors = result.conjecture.keys, result.conjecture.successors
    return (levels, result.ending, result.found, result.transitions, keys, successors)


@pytest.fixture(scope="module")
def whole() -> object:
    """What an uninterrupted search comes to."""
    return without_times(search(BARRIER))


def followed(result: Searched) -> int:
    """Scenarios of up to how many rounds were followed."""
    return result.levels[-1].round - 1


def test_barrier_has_a_fixed_point_without_violation() -> None:
    result = search(BARRIER)
    assert result.ending is SearchEnding.FIXED_POINT
    assert (len(result.conjecture), followed(result)) == (227, 8)


def test_barrier_with_three_sets_and_no_quorum_filter_has_a_fixed_point() -> None:
    result = search(Question("barrier", sets=3))
    assert (result.ending, result.choices, len(result.conjecture), followed(result)) == (
        SearchEnding.FIXED_POINT,
        164,
        433,
        10,
    )


def test_lazy_where_twins_lead_has_a_fixed_point() -> None:
    result = search(msgspec.structs.replace(LAZY, twins_lead=True))
    assert result.ending is SearchEnding.FIXED_POINT


def test_two_phase_where_twins_lead_holds_for_two_rounds() -> None:
    result = search(msgspec.structs.replace(TWO_PHASE, twins_lead=True), limits=Limits(rounds=2))
    assert (result.ending, result.found) == (SearchEnding.DEPTH, None)


def test_without_twins_little_can_happen() -> None:
    result = search(Question("barrier", faulty=0, sets=2))
    assert result.ending is SearchEnding.FIXED_POINT


@pytest.mark.parametrize("model", ["barrier", "lazy"])
def test_the_clean_core_holds_where_nodes_crash(model: str) -> None:
    result = search(Question(model, quorum_filter=True, crashes=True), limits=Limits(rounds=2))
    assert (result.ending, result.found) == (SearchEnding.DEPTH, None)


@pytest.mark.parametrize(
    ("question", "oracle"),
    [
        (with_bugs(BARRIER, "conflicting_votes"), "honest_vote_once"),
        (with_bugs(BARRIER, "small_quorum"), "quorum_progress"),
        (with_bugs(BARRIER, "no_vote_lock"), "honest_vote_once"),
        (with_bugs(BARRIER, "no_timeout_lock"), "honest_vote_once"),
        (with_bugs(BARRIER, "count_messages"), "quorum_progress"),
        (with_bugs(LAZY, "conflicting_votes"), "honest_vote_once"),
        (with_bugs(LAZY, "count_messages"), "quorum_progress"),
        (with_bugs(TWO_PHASE, "no_timeout_lock"), "honest_vote_once"),
        (with_bugs(TWO_PHASE, "one_chain_commit"), "agreement"),
        (with_bugs(TWO_PHASE, "forgets_on_restart", crashes=True), "honest_vote_once"),
    ],
)
def test_a_counterexample_is_executed_to_the_same_violation(question: Question, oracle: str) -> None:
    result = search(question)
    assert result.ending is SearchEnding.VIOLATION
    assert result.found is not None
    assert oracle in result.found.oracles
    scenario = scenario_of(question, result.found.path)
    violated = {finding.oracle for finding in run(scenario).violations}
    assert violated.issuperset(result.found.oracles)
    assert path_of(question, scenario) == result.found.path


@pytest.mark.parametrize(
    ("bugs", "path"),
    [
        (("gap_commit",), (0, 52, 312, 76, 324)),  # 4 rounds, after 188 states
        (("ignore_tc_high_qc", "stale_leader"), (0, 2, 56, 96, 336, 336, 12)),  # 6 rounds, after 3,337 states
    ],
)
def test_what_a_long_search_found_is_executed_to_the_same_violation(bugs: tuple[str, ...], path: ChoicePath) -> None:
    question = msgspec.structs.replace(TWO_PHASE, twins_lead=True, bugs=bugs)
    engine = question.engine()
    state = engine.initial()[path[0]]
    for choice in path[1:-1]:
        successor = engine.apply(state, choice)
        assert successor.faults == ()
        state = successor.state
    assert {fault.oracle for fault in engine.apply(state, path[-1]).faults} == {"agreement"}
    violations = run(scenario_of(question, path)).violations
    assert "agreement" in {finding.oracle for finding in violations}


@pytest.mark.parametrize("bug", ["one_chain_commit", "gap_commit", "ignore_tc_high_qc", "stale_leader"])
def test_where_one_set_learns_together_some_bugs_are_invisible_at_any_length(bug: str) -> None:
    assert search(with_bugs(BARRIER, bug)).ending is SearchEnding.FIXED_POINT


@pytest.mark.parametrize("jobs", [2, 4])
def test_any_number_of_workers_comes_to_the_same(jobs: int) -> None:
    question = msgspec.structs.replace(BARRIER, twins_lead=True)
    with Processes(jobs) as executor:
        assert without_times(search(question, executor=executor)) == without_times(search(question))


def test_a_search_that_is_resumed_comes_to_the_same(tmp_path: Path, whole: object) -> None:
    checkpoint = tmp_path / "search"
    shown: list[SearchLevel] = []
    first = search(BARRIER, limits=Limits(rounds=3), checkpoint=checkpoint)
    assert first.ending is SearchEnding.DEPTH
    resumed = search(BARRIER, checkpoint=checkpoint, on_level=shown.append)
    assert without_times(resumed) == whole
    assert shown == resumed.levels[len(first.levels) :]


class _Interrupts:
    """Interrupts a search when so many states of a round were followed."""

    def __init__(self, round_: int, done: int) -> None:
        self.at = (round_, done)
        self.levels: list[LevelProgress] = []

    def __call__(self, progress: LevelProgress) -> None:
        self.levels.append(progress)
        if (progress.round, progress.done) >= self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("round_", "done"), [(1, 1), (3, 20), (4, 40)])
def test_a_search_that_was_interrupted_within_a_level_goes_on_there(
    tmp_path: Path, whole: object, round_: int, done: int
) -> None:
    checkpoint = tmp_path / "search"
    interrupts = _Interrupts(round_, done)
    with pytest.raises(KeyboardInterrupt):
        search(BARRIER, checkpoint=checkpoint, on_progress=interrupts)
    followed: list[LevelProgress] = []
    resumed = search(BARRIER, checkpoint=checkpoint, on_progress=followed.append)
    last, first = interrupts.levels[-1], followed[0]
    assert last.done < first.done <= last.done + CHUNK or first.round == last.round + 1
    assert without_times(resumed) == whole


def test_what_a_limit_cuts_is_in_the_checkpoint(tmp_path: Path, whole: object) -> None:
    checkpoint = tmp_path / "search"
    cut = search(BARRIER, limits=Limits(states=125), checkpoint=checkpoint)
    assert cut.ending is SearchEnding.STATES
    followed: list[LevelProgress] = []
    resumed = search(BARRIER, checkpoint=checkpoint, on_progress=followed.append)
    assert followed[0].round == cut.levels[-1].round
    assert followed[0].done > CHUNK
    assert without_times(resumed) == whole


def test_a_search_is_saved_every_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr("diembft.twins.exhaustion.search.save", lambda path, what: saved.append(what.part.followed))
    search(BARRIER, limits=Limits(rounds=4), checkpoint=tmp_path / "search")
    assert set(saved) == {0}
    monkeypatch.setattr("diembft.twins.exhaustion.search.SAVE_SECONDS", 0.0)
    search(BARRIER, limits=Limits(rounds=4), checkpoint=tmp_path / "search")
    assert CHUNK in saved


def test_what_was_half_taken_when_it_was_interrupted_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: object
) -> None:
    checkpoint = tmp_path / "search"
    follow, calls = Conjecture.follow, 0

    def interrupted(self: Conjecture, successors: Iterable[bytes]) -> None:
        nonlocal calls
        calls += 1
        if calls == 60:
            raise KeyboardInterrupt
        follow(self, successors)

    with monkeypatch.context() as patched:
        patched.setattr(Conjecture, "follow", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(BARRIER, checkpoint=checkpoint)
    assert without_times(search(BARRIER, checkpoint=checkpoint)) == whole


def test_a_checkpoint_belongs_to_its_question(tmp_path: Path) -> None:
    checkpoint = tmp_path / "search"
    search(BARRIER, limits=Limits(rounds=1), checkpoint=checkpoint)
    with pytest.raises(InputError, match="belongs to another question"):
        search(LAZY, checkpoint=checkpoint)
    older = msgspec.msgpack.decode(checkpoint.read_bytes())
    checkpoint.write_bytes(msgspec.msgpack.encode({**older, "version": 1}))
    with pytest.raises(InputError, match="is of version 1"):
        search(BARRIER, checkpoint=checkpoint)
    checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="not a checkpoint"):
        search(BARRIER, checkpoint=checkpoint)


@pytest.mark.parametrize(
    ("limits", "ending"),
    [
        (Limits(states=60), SearchEnding.STATES),
        (Limits(seconds=1e-9), SearchEnding.TIME),
        (Limits(memory_bytes=60 * BYTES_A_STATE), SearchEnding.MEMORY),
    ],
)
def test_a_limit_stops_a_search_which_says_what_it_decided(limits: Limits, ending: SearchEnding) -> None:
    result = search(BARRIER, limits=limits)
    assert result.ending is ending
    rounds = followed(result)
    assert rounds == len(result.levels) - 1
    assert len(result.conjecture.successors) == sum(level.states for level in result.levels[:-1])
    assert len(result.conjecture) == sum(level.states for level in result.levels)


def test_scenarios_are_counted_exactly() -> None:
    result = search(BARRIER)
    assert [int(level.scenarios) for level in result.levels] == [4 * 52**rounds for rounds in range(9)]
