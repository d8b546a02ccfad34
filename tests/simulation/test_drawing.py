from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from diembft.client.client import Flood, Retransmit, Timed
from diembft.simulation.drawing import DELTA_S, TWIN, Scenario, draw_scenario
from diembft.simulation.network import Constant, Exponential, LogNormal, Uniform, longest_s
from diembft.simulation.schedule import Change, Crash, Heal, Partition, Pause, Restart, Resume, Stabilise

COUNT = 600


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    return [draw_scenario(3, index) for index in range(COUNT)]


def test_seed_and_index_fix_the_scenario(scenarios: list[Scenario]) -> None:
    assert draw_scenario(3, 17) == scenarios[17]
    assert draw_scenario(4, 17) != scenarios[17]
    assert len({repr(scenario) for scenario in scenarios}) == COUNT


def test_sizes(scenarios: list[Scenario]) -> None:
    sizes = Counter([scenario.config.n for scenario in scenarios])
    assert set(sizes) == {1, 2, 3, 4, 5, 6, 7, 8, 10, 13}
    assert sizes[4] + sizes[7] > COUNT / 2


def test_everything_is_drawn(scenarios: list[Scenario]) -> None:
    drawn: set[object] = set()
    for scenario in scenarios:
        drawn |= {type(incident) for incident in scenario.schedule}
        drawn |= {type(plan.workload) for plan in scenario.clients}
        drawn |= {type(scenario.before.latency)} | {actor for _, actor in scenario.byzantine}
        drawn |= {bool(scenario.before.loss), bool(scenario.clients), scenario.notice_connections}
    kinds = {Change, Crash, Heal, Partition, Pause, Restart, Resume, Stabilise}
    kinds |= {Retransmit, Flood, Timed} | {Constant, Uniform, Exponential, LogNormal}
    assert kinds <= drawn
    assert {TWIN, "forger", "silent", "equivocating_leader", True, False} <= drawn


def test_never_more_byzantine_validators_than_f(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        config = scenario.config
        replicas = [replica for replica, _ in scenario.byzantine]
        assert len(set(replicas)) == len(replicas) <= config.f
        twins = [replica for replica, actor in scenario.byzantine if actor == TWIN]
        assert scenario.nodes == (*range(config.n), *twins)
        assert len(scenario.clock_rates) == len(scenario.nodes)


def test_faults_end_at_gst(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        times = [incident.at_s for incident in scenario.schedule]
        assert all(one <= next_ for one, next_ in pairwise(times))
        down: set[int] = set()
        paused: set[int] = set()
        whole = True
        conditions = scenario.before
        slowest_s = conditions.longest_s
        for incident in scenario.schedule:
            match incident:
                case Crash(node=node):
                    down.add(node)
                case Restart(node=node):
                    down.discard(node)
                case Pause(node=node):
                    paused.add(node)
                case Resume(node=node):
                    paused.discard(node)
                case Partition():
                    whole = False
                case Heal():
                    whole = True
                case Change():
                    conditions = incident.conditions
                    if incident.at_s < scenario.gst_s:
                        slowest_s = max(slowest_s, conditions.longest_s)
                case Stabilise():
                    assert incident.at_s >= scenario.gst_s + slowest_s
                    assert incident.delta_s == DELTA_S == scenario.config.delta_s
                    assert incident is scenario.schedule[-1]
        assert whole
        assert not down | paused
        assert conditions.loss == conditions.reordering == 0
        assert longest_s(conditions.latency) <= DELTA_S
