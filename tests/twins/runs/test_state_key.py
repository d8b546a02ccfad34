"""Paused executions: forks are independent, and keys say what still matters, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator

from diembft.faults.registry import BUGS
from diembft.protocols.by_name import default_protocol
from diembft.protocols.cast import cast_of
from diembft.twins.runs.judging import judge, terms
from diembft.twins.runs.shared import SharedRun
from diembft.twins.runs.state_key import forget_the_past, state_key
from diembft.twins.runs.timed import execute, script_of
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario

SPACE = Space(replicas=4, faulty=1, sets=2, rounds=5)


def started(scenario: Scenario) -> SharedRun:
    """An execution with a system of its own."""
    protocol = default_protocol()
    system = protocol.system(
        cast_of(scenario.replicas, scenario.twins), scenario.bugs, delay_bound_s=scenario.delay_bound_s
    )
    script, after = script_of(scenario, system)
    return SharedRun(protocol, system, script, len(script), after=after)


def key_at(scenario: Scenario, round_: int) -> bytes:
    """The key when somebody is about to enter a round."""
    execution = started(scenario)
    while execution.go_on():
        forget_the_past(execution, scenario.synchronous_from)
        if execution.pending_round == round_:
            return state_key(execution, terms(scenario))
    raise AssertionError(f"nobody enters round {round_}")


def scenarios(count: int) -> Iterator[Scenario]:
    return map(SPACE.scenario, SPACE.ranks(0, count, seed=6))


def test_pausing_and_forking_change_nothing() -> None:
    for scenario in scenarios(12):
        execution = started(scenario)
        pauses = 0
        while execution.go_on():
            pauses += 1
            beside = execution.fork()
            beside.go_on()  # goes its own way
            execution = execution.fork()
        assert pauses >= 1
        assert execution.record == execute(scenario)


def test_one_execution_from_each_of_its_pauses_ends_alike() -> None:
    scenario = next(scenarios(1))
    execution = started(scenario)
    paused = []
    while execution.go_on():
        paused.append(execution.fork())
    for fork in paused:
        while fork.go_on():
            pass
        assert fork.record == execution.record == execute(scenario)


def test_the_same_steps_are_made_once() -> None:
    execution = started(next(scenarios(1)))
    execution.go_on()
    one, other = execution.fork(), execution.fork()
    one.go_on()
    made = execution.tally.steps
    other.go_on()
    assert execution.tally.steps == made
    assert one.record == other.record


def lines(*rounds: str) -> Scenario:
    return parse_scenario("scenario: replicas=a,b,c,d twins=d'; " + "; ".join(rounds))


WHOLE = "a leads a,b,c,d,d'"


def test_what_still_matters_is_in_the_key() -> None:
    """Who holds a certificate; how the blocks are linked; which timers run."""
    knows = lines("1: a leads a,b,c,d,d'", "2: b leads a,b,c,d|d'", f"3-9: {WHOLE}")
    differs = lines("1: a leads a,b,c,d,d'", "2: b leads a,b,d,d'|c", f"3-9: {WHOLE}")
    gap = lines("1: a leads a,b,c,d,d' drop=a>_:proposal", f"2-9: {WHOLE}")
    keys = {key_at(scenario, 3) for scenario in (knows, differs, gap, lines(f"1-9: {WHOLE}"))}
    assert len(keys) == 4


def test_equal_keys_go_on_alike() -> None:
    """Of many states in one round: those with one key end with the same judgement, after the same time."""
    ends: dict[bytes, tuple[object, int]] = {}
    merged = 0
    space = Space(replicas=4, faulty=1, sets=2, rounds=2)
    for rank in space.ranks(0, 250, seed=2):
        scenario = space.scenario(rank)
        execution = started(scenario)
        key, at = None, 0
        while execution.go_on():
            if key is None and execution.pending_round > space.rounds + 1:
                forgetful = execution.fork()
                forget_the_past(forgetful, scenario.synchronous_from)
                key, at = state_key(forgetful, terms(scenario)), execution.now
        if key is None:
            continue
        judgement = judge(execution.record, terms(scenario))
        outcome = (judgement.findings, judgement.end - at)
        merged += key in ends
        assert ends.setdefault(key, outcome) == outcome
    assert merged > 20


def test_the_name_of_a_bug_is_no_part_of_a_state() -> None:
    assert "late_replay" in BUGS  # it changes nothing here
    plain = lines(f"1-9: {WHOLE}")
    bugged = parse_scenario(f"scenario: replicas=a,b,c,d twins=d' bugs=late_replay; 1-9: {WHOLE}")
    assert key_at(plain, 4) == key_at(bugged, 4)
