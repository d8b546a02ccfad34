from __future__ import annotations

import pytest

from diembft.client.client import Flood
from diembft.crypto.interface import Crypto
from diembft.errors import InputError
from diembft.simulation import api
from diembft.simulation.api import Outcome, Settings, simulate
from diembft.simulation.network import Conditions, Constant, Uniform
from diembft.simulation.schedule import Crash, Restart
from diembft.trace.records import Ended, Header, Synchronous


def without_real_time(outcome: Outcome) -> tuple[object, ...]:
    return tuple([getattr(outcome, name) for name in outcome.__struct_fields__ if name != "real_s"])


def test_the_example_of_the_documentation() -> None:
    example = Settings(
        n=7,
        seed=1,
        requests=100,
        conditions=Conditions(latency=Uniform(0.01, 0.05), loss=0.02),
        schedule=(Crash(1.0, node=3), Restart(2.0, node=3)),
    )
    outcome = simulate(example)
    assert outcome.held
    assert (outcome.completed, outcome.violations) == (100, ())
    assert outcome.rounds > outcome.blocks > 100
    assert outcome.figures.restarts == 1
    assert without_real_time(outcome) == without_real_time(simulate(example))
    assert api.__doc__ is not None
    assert "Settings(" in api.__doc__


def test_without_requests_blocks_are_empty() -> None:
    outcome = simulate(Settings(blocks=30, trace=True))
    assert outcome.held
    assert (outcome.blocks, outcome.completed) == (30, 0)
    assert isinstance(outcome.trace[0], Header)
    assert isinstance(outcome.trace[-1], Ended)
    assert simulate(Settings()).blocks == 100


@pytest.mark.parametrize("crypto", ["symbolic", "ed25519"])
def test_both_kinds_of_signatures_commit_alike(crypto: Crypto) -> None:
    outcome = simulate(Settings(crypto=crypto, requests=5, clients=2, workload=Flood()))
    assert outcome.held
    assert outcome.completed == 10


def test_clients_that_are_not_done_in_time_have_failed() -> None:
    outcome = simulate(Settings(requests=5, until_s=0.3, invariants=False))
    assert not outcome.held
    assert outcome.completed < 5
    assert outcome.virtual_s == 0.3
    assert outcome.trace == ()


def test_a_single_validator_and_no_delay() -> None:
    outcome = simulate(Settings(n=1, requests=3, conditions=Conditions(latency=Constant(0.0)), delta_s=0.5))
    assert outcome.held
    assert outcome.completed == 3


def test_planted_bugs_show() -> None:
    outcome = simulate(Settings(requests=3, bugs=("small_quorum",)))
    assert not outcome.held
    assert outcome.violations[0].property == "certificates"
    assert outcome.completed < 3, "the run ends at the first violation"
    with pytest.raises(InputError, match="unheard_of"):
        simulate(Settings(bugs=("unheard_of",)))


def test_liveness_is_judged_in_a_calm_network() -> None:
    def judged(settings: Settings) -> bool:
        return any(isinstance(record, Synchronous) for record in simulate(settings).trace)

    assert judged(Settings(blocks=3, trace=True))
    assert not judged(Settings(blocks=3, trace=True, conditions=Conditions(loss=0.01)))
    assert not judged(Settings(blocks=3, trace=True, schedule=(Crash(0.1, 0),)))


def test_impossible_settings() -> None:
    for bad in ({"n": 0}, {"requests": -1}, {"until_s": 0.0}):
        with pytest.raises(InputError, match="Settings"):
            Settings(**bad)
