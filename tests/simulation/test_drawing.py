from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from diembft.client.client import Flood, Retransmit, Timed
from diembft.simulation.drawing import DELTA_S, TWIN, DrawnRun, draw_run
from diembft.simulation.network import Constant, Exponential, LogNormal, Uniform, longest_s
from diembft.simulation.schedule import Change, Crash, Heal, Partition, Pause, Restart, Resume, Stabilise

COUNT = 600


@pytest.fixture(scope="module")
def runs() -> list[DrawnRun]:
    return [draw_run(3, index) for index in range(COUNT)]


def test_seed_and_index_fix_the_run(runs: list[DrawnRun]) -> None:
    assert draw_run(3, 17) == runs[17]
    assert draw_run(4, 17) != runs[17]
    assert len({repr(run) for run in runs}) == COUNT


def test_sizes(runs: list[DrawnRun]) -> None:
    sizes = Counter([run.config.n for run in runs])
    assert set(sizes) == {1, 2, 3, 4, 5, 6, 7, 8, 10, 13}
    assert sizes[4] + sizes[7] > COUNT / 2


def test_everything_is_drawn(runs: list[DrawnRun]) -> None:
    drawn: set[object] = set()
    for run in runs:
        drawn |= {type(incident) for incident in run.schedule}
        drawn |= {type(plan.workload) for plan in run.clients}
        drawn |= {type(run.before.latency)} | {actor for _, actor in run.byzantine}
        drawn |= {bool(run.before.loss), bool(run.clients), run.notice_connections}
    kinds = {Change, Crash, Heal, Partition, Pause, Restart, Resume, Stabilise}
    kinds |= {Retransmit, Flood, Timed} | {Constant, Uniform, Exponential, LogNormal}
    assert kinds <= drawn
    assert {TWIN, "forger", "silent", "equivocating_leader", True, False} <= drawn


def test_never_more_byzantine_validators_than_f(runs: list[DrawnRun]) -> None:
    for run in runs:
        config = run.config
        replicas = [replica for replica, _ in run.byzantine]
        assert len(set(replicas)) == len(replicas) <= config.f
        twins = [replica for replica, actor in run.byzantine if actor == TWIN]
        assert run.nodes == (*range(config.n), *twins)
        assert len(run.clock_rates) == len(run.nodes)


def test_faults_end_at_gst(runs: list[DrawnRun]) -> None:
    for run in runs:
        times = [incident.at_s for incident in run.schedule]
        assert all(one <= next_ for one, next_ in pairwise(times))
        down: set[int] = set()
        paused: set[int] = set()
        whole = True
        conditions = run.before
        slowest_s = conditions.longest_s
        for incident in run.schedule:
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
                    if incident.at_s < run.gst_s:
                        slowest_s = max(slowest_s, conditions.longest_s)
                case Stabilise():
                    assert incident.at_s >= run.gst_s + slowest_s
                    assert incident.delta_s == DELTA_S == run.config.delta_s
                    assert incident is run.schedule[-1]
        assert whole
        assert not down | paused
        assert conditions.loss == conditions.reordering == 0
        assert longest_s(conditions.latency) <= DELTA_S
