"""Paused executions: forks are independent, and remembered steps are those of the same replica and message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import Struct

from diembft.machine.events import Received
from diembft.protocols.by_name import protocol_of
from diembft.protocols.cast import cast_of
from diembft.twins.runs.alike import alike
from diembft.twins.runs.shared import SharedRun
from diembft.twins.runs.timed import execute, script_of, time_limit
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.space import Space

PROTOCOLS = ["diembft", "hotstuff", "fast-hotstuff"]


def started(scenario: Scenario) -> SharedRun:
    """An execution with a system of its own, which pauses as long as there are rounds."""
    protocol = protocol_of(scenario.protocol)
    system = protocol.system(
        cast_of(scenario.replicas, scenario.twins), scenario.bugs, delay_bound_s=scenario.delay_bound_s
    )
    script, after = script_of(scenario, system)
    last = len(script)
    return SharedRun(protocol, system, script, last, after=after, limit=time_limit(scenario), pauses=last)


def scenarios(count: int, protocol: str = "diembft") -> Iterator[Scenario]:
    space = Space(replicas=4, faulty=1, sets=2, rounds=5, protocol=protocol)
    return map(space.scenario, space.ranks(0, count, seed=6))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pausing_and_forking_change_nothing(protocol: str) -> None:
    for scenario in scenarios(12, protocol):
        execution = started(scenario)
        pauses = 0
        while execution.go_on():
            pauses += 1
            beside = execution.fork()
            beside.go_on()  # goes its own way
            execution = execution.fork()
        assert pauses >= 1
        assert execution.record == execute(scenario)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_execution_from_each_of_its_pauses_ends_alike(protocol: str) -> None:
    scenario = next(scenarios(1, protocol))
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


class Careless(Struct, frozen=True, eq=False):
    """A message whose own equality leaves something out."""

    id: int
    content: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Careless) and self.id == other.id

    def __hash__(self) -> int:
        return self.id


def test_a_message_that_its_protocol_takes_for_another_makes_a_step_of_its_own() -> None:
    """What is sent is not what was remembered, though the code says that it is equal."""
    one, other = Careless(1, "one"), Careless(1, "other")
    assert one == other
    heard = []

    class Hearing:
        current_round = 0

        def step(self, event: Any) -> list[Any]:
            heard.append(event.message.content)
            return []

        def fork(self) -> Hearing:
            return self

    execution = started(next(scenarios(1)))
    execution._locals[0].replica = Hearing()
    for message in (one, other, Careless(1, "one"), one):
        beside = execution.fork()
        beside.react(0, Received(1, message))
    assert heard == ["one", "other"]


class Pair(Struct, frozen=True):
    left: Any
    right: Any


class Other(Struct, frozen=True):
    left: Any
    right: Any


class Open(Struct, frozen=True, dict=True):
    left: Any


@dataclass(frozen=True)
class Data:
    left: int


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Pair(1, (b"x", "y", None, True)), Pair(1, (b"x", "y", None, True)), True),
        (Pair(1, 2), Pair(1, 3), False),
        (Pair(1, 2), Other(1, 2), False),
        (Pair(1, Pair(1, 2)), Pair(1, Other(1, 2)), False),
        (Pair(1, 2), Pair(True, 2), False),
        (Pair(1, 2), Pair(1.0, 2), False),
        ((1, 2), (1, 2, 3), False),
        (Pair(Careless(1, "one"), 0), Pair(Careless(1, "other"), 0), False),
        (Pair(Careless(1, "one"), 0), Pair(Careless(1, "one"), 0), True),
        (Open(1), Open(1), False),  # it may have more than it shows
        (Data(1), Data(1), False),
        (frozenset({1}), frozenset({2}), False),
    ],
)
def test_values_are_alike_if_every_part_is(one: Any, other: Any, *, expected: bool) -> None:
    assert alike(one, other) is expected
    assert alike(one, one)


def test_what_cannot_be_seen_is_alike_if_it_is_one_object() -> None:
    data = Data(1)
    assert alike(Pair(data, 1), Pair(data, 1))


def test_chains_that_share_blocks_are_looked_at_once() -> None:
    one = other = Pair(0, 0)
    for _ in range(100):
        one, other = Pair(one, one), Pair(other, other)
    assert alike(one, other)
    assert not alike(one, Pair(other, 0))
