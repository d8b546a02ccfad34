"""The nodes of a scenario, made by the protocol that it names."""

from __future__ import annotations

from functools import lru_cache

from diembft.errors import InputError
from diembft.protocols.by_name import protocol_of
from diembft.protocols.cast import Cast, cast_of
from diembft.protocols.interface import Crypto, System
from diembft.twins.scenarios.scenario import Scenario


@lru_cache(maxsize=64)
def _system(
    protocol: str, cast: Cast, bugs: tuple[str, ...], delay_bound_s: float, crypto: Crypto, seed: int | float
) -> System:
    return protocol_of(protocol).system(cast, bugs, delay_bound_s=delay_bound_s, crypto=crypto, seed=seed)


def system_of(scenario: Scenario, crypto: Crypto = "symbolic") -> System:
    """The system that a scenario is about; scenarios that differ in their rounds alone share one. Raises InputError."""
    if len(scenario.replicas) < 2:
        raise InputError(f"replicas: {', '.join(scenario.replicas)} alone: a single validator never waits for anybody")
    cast = cast_of(scenario.replicas, scenario.twins)
    seed = scenario.seed if crypto == "ed25519" else 0
    return _system(scenario.protocol, cast, scenario.bugs, scenario.delay_bound_s, crypto, seed)
