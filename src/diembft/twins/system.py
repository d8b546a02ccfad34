"""The replicas of a scenario: the real core, with scripted leaders and markers as payload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Literal, TypeAlias

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.replica import Recovered, Replica
from diembft.consensus.verification import Verifier
from diembft.crypto.ed25519 import Ed25519KeyRing, derived_signer
from diembft.crypto.interface import KeyRing, Signer
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from diembft.faults.planting import Planting
from diembft.faults.registry import plant
from diembft.messages.digests import Digests
from diembft.messages.types import Request
from diembft.twins.parts import MarkerMachine, MarkerPayload, ScriptedLeaders
from diembft.twins.record import Cast, cast_of
from diembft.twins.scenario import Scenario

Crypto: TypeAlias = Literal["symbolic", "ed25519"]


class OutOfScript(Exception):
    """Somebody asked for a round that is not scripted yet; `round` says which."""

    def __init__(self, round_: int) -> None:
        super().__init__(round_)
        self.round = round_


class ScenarioLeaders(ScriptedLeaders):
    """Leaders by the scenario; after its last round that round's. Asked beyond a script that is not complete:
    OutOfScript."""

    __slots__ = ()

    def leader(self, round_: int, tree: BlockTree) -> int:
        """See LeaderElection."""
        leader = self.leaders.get(round_)
        if leader is None:
            leader = self.leaders.get(AFTER_THE_LAST)
            if leader is None:
                raise OutOfScript(round_)
        return leader


AFTER_THE_LAST = 0
"""In the table of leaders: who leads after the last scripted round; not there while the script is not complete."""


class System:
    """Makes the nodes of one cast, of the correct core or with planted bugs.

    `leaders` is the script that all nodes share: the driver fills it. All nodes share one verifier, since what it
    remembers never changes an answer.
    """

    def __init__(
        self, cast: Cast, planting: Planting, delay_bound_s: float, crypto: Crypto = "symbolic", seed: int | float = 0
    ) -> None:
        self.cast = cast
        self.planting = planting
        self.crypto = crypto
        self.config = Config(
            n=cast.n, chain_id="twins", delta_s=delay_bound_s, timer_growth=1.0, rest=False, sync_batch=1000
        )
        self.leaders: dict[int, int] = {}
        self.public_keys: dict[str, bytes] = {}
        """As in the header of a trace."""
        self._signers, self._markers, self.keys = self._make_keys(seed)
        self._election = planting.mixed(ScenarioLeaders)(self.config, self.leaders)
        digests = Digests(self.config.chain_id, self.config.epoch)
        self.signed: Callable[[Request], bool] = lru_cache(maxsize=4096)(
            lambda request: self.keys.verify_client(request.client, digests.request_of(request), request.signature)
        )
        """Whether a request's client signed it."""
        self._verifier: Verifier | None = None
        self._new = [self._make(node, None) for node in range(len(cast.names))]

    def node(self, node: int, recovered: Recovered | None = None) -> Replica:
        """A new copy of the replica whose key this node holds, after a crash with what it had persisted."""
        return self._new[node].fork() if recovered is None else self._make(node, recovered)

    def _make(self, node: int, recovered: Recovered | None) -> Replica:
        identity = self.cast.identity[node]
        payload = self.planting.mixed(MarkerPayload)
        kit = replace(
            self.planting.kit,
            leader_election=lambda _config: self._election,
            mempool=lambda config: payload(config, self.cast.names[node], self._markers[node]),
        )
        machine = self.planting.machine(MarkerMachine())
        replica = self.planting.replica(
            self.config, identity, self._signers[identity], self.keys, machine, kit, recovered
        )
        self._verifier = self._verifier or replica.verifier
        replica.verifier = self._verifier
        return replica

    def _make_keys(self, seed: int | float) -> tuple[list[Signer], list[Signer], KeyRing]:
        """Signers of the replicas and of the nodes' markers, and the keys of all."""
        cast = self.cast
        if self.crypto == "symbolic":
            signers: list[Signer] = [replica_signer(replica) for replica in range(cast.n)]
            return signers, [client_signer(name) for name in cast.names], SymbolicKeyRing(cast.n, cast.names)
        replicas = {f"replica{replica}": derived_signer(f"replica{replica}", int(seed)) for replica in range(cast.n)}
        markers = {name: derived_signer(name, int(seed)) for name in cast.names}
        public = {name: signer.public_key for name, signer in (replicas | markers).items()}
        ring = Ed25519KeyRing([public[name] for name in replicas], {name: public[name] for name in markers})
        self.public_keys = public
        return list(replicas.values()), list(markers.values()), ring


@lru_cache(maxsize=64)
def _system(cast: Cast, bugs: tuple[str, ...], delay_bound_s: float, crypto: Crypto, seed: int | float) -> System:
    return System(cast, plant(bugs), delay_bound_s, crypto, seed)


def system_of(scenario: Scenario, crypto: Crypto = "symbolic") -> System:
    """The system that a scenario is about; scenarios that differ in their rounds alone share one. Raises InputError."""
    cast = cast_of(scenario.replicas, scenario.twins)
    seed = scenario.seed if crypto == "ed25519" else 0
    return _system(cast, scenario.bugs, scenario.delay_bound_s, crypto, seed)
