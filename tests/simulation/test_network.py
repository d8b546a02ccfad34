from __future__ import annotations

from random import Random

import pytest

from diembft.errors import InputError
from diembft.host.recording import LOSS
from diembft.messages.types import Relay
from diembft.simulation.network import (
    PARTITION,
    Arrivals,
    Conditions,
    Constant,
    Exponential,
    Latency,
    LogNormal,
    SeededNetwork,
    Uniform,
    longest_s,
    sampler,
)
from diembft.testcase.failures import CLIENT

MESSAGE = Relay(1, ())
LATENCIES: tuple[Latency, ...] = (
    Constant(0.5),
    Uniform(0.2, 0.9),
    Exponential(0.1, 0.3, 0.9),
    LogNormal(0.3, 1.0, 0.9),
)


def network(conditions: Conditions, nodes: int = 4, seed: int = 1) -> SeededNetwork:
    return SeededNetwork(nodes, conditions, Random(seed))


def many(carrier: SeededNetwork, count: int = 2000) -> list[Arrivals]:
    return [carrier.arrivals(0, 1, MESSAGE) for _ in range(count)]


@pytest.mark.parametrize("latency", LATENCIES)
def test_delays_stay_within_their_bound_and_follow_the_seed(latency: Latency) -> None:
    draw = sampler(latency, Random(1))
    delays = [draw() for _ in range(2000)]
    assert 0 <= min(delays) <= max(delays) <= longest_s(latency)
    again = sampler(latency, Random(1))
    assert delays == [again() for _ in range(2000)]
    if not isinstance(latency, Constant):
        assert len(set(delays)) > 100


@pytest.mark.parametrize(
    ("latency", "mean_s"), [(Constant(0.5), 0.5), (Uniform(0.2, 0.9), 0.55), (Exponential(0.1, 0.2, 9.0), 0.3)]
)
def test_mean_delays(latency: Latency, mean_s: float) -> None:
    draw = sampler(latency, Random(2))
    assert sum([draw() for _ in range(5000)]) / 5000 == pytest.approx(mean_s, rel=0.05)


def test_the_median_of_a_log_normal_delay() -> None:
    draw = sampler(LogNormal(0.3, 0.8, 100.0), Random(2))
    assert sorted([draw() for _ in range(5001)])[2500] == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Constant(-1.0),
        lambda: Uniform(0.5, 0.4),
        lambda: Exponential(0.5, 0.1, 0.4),
        lambda: Exponential(0.1, 0.0, 0.4),
        lambda: LogNormal(0.0, 1.0, 1.0),
        lambda: LogNormal(0.1, -1.0, 1.0),
        lambda: Conditions(loss=1.1),
        lambda: Conditions(duplication=-0.1),
    ],
)
def test_impossible_values(bad: object) -> None:
    assert callable(bad)
    with pytest.raises(InputError, match=r"\w+\.\w+: "):
        bad()


def test_loss_and_duplication() -> None:
    fates = many(network(Conditions(latency=Constant(0.5), loss=0.2, duplication=0.3)))
    assert fates.count(LOSS) / len(fates) == pytest.approx(0.2, abs=0.03)
    arrived = [fate for fate in fates if not isinstance(fate, str)]
    assert len([fate for fate in arrived if len(fate) == 2]) / len(arrived) == pytest.approx(0.3, abs=0.03)
    assert set(arrived) == {(0.5,), (0.5, 0.5)}


def test_reordering_makes_some_messages_late() -> None:
    conditions = Conditions(latency=Constant(0.5), reordering=0.3)
    delays = [fate[0] for fate in many(network(conditions)) if not isinstance(fate, str)]
    late = [delay_s for delay_s in delays if delay_s > 0.5]
    assert len(late) / len(delays) == pytest.approx(0.3, abs=0.03)
    assert max(delays) <= conditions.longest_s == 2.0


def test_the_constant_delay_is_known_only_while_nothing_else_can_happen() -> None:
    carrier = network(Conditions(latency=Constant(0.5)))
    assert carrier.constant_delay_s == 0.5
    carrier.partition([(0, 1), (2, 3)])
    assert carrier.constant_delay_s is None
    carrier.partition([(0, 1, 2, 3)])
    assert carrier.constant_delay_s == 0.5
    for conditions in (Conditions(loss=0.1), Conditions(duplication=0.1), Conditions(reordering=0.1)):
        carrier.conditions = conditions
        assert carrier.constant_delay_s is None
    carrier.conditions = Conditions(latency=Uniform(0.1, 0.2))
    assert carrier.constant_delay_s is None


def test_partitions() -> None:
    carrier = network(Conditions(latency=Constant(0.5)))
    carrier.partition([(0, 1), (2,)])
    assert carrier.arrivals(0, 1, MESSAGE) == (0.5,)
    assert carrier.arrivals(0, 2, MESSAGE) == PARTITION
    assert carrier.arrivals(3, 2, MESSAGE) == PARTITION, "a node in no set hears nobody"
    assert carrier.arrivals(CLIENT, 3, MESSAGE) == (0.5,)
    assert carrier.arrivals(2, CLIENT, MESSAGE) == (0.5,)
    carrier.partition([(0, 1, 2, 3)])
    assert carrier.arrivals(0, 2, MESSAGE) == (0.5,)


def test_the_same_seed_gives_the_same_fates() -> None:
    conditions = Conditions(latency=Uniform(0.1, 0.9), loss=0.1, duplication=0.1, reordering=0.1)
    assert many(network(conditions)) == many(network(conditions))
    assert many(network(conditions)) != many(network(conditions, seed=2))
