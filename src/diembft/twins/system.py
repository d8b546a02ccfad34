"""The replicas of a scenario: the real core, with scripted leaders and markers as payload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Literal, TypeAlias

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.config import Config
from diembft.consensus.effects import Reason
from diembft.consensus.genesis import Genesis
from diembft.consensus.quorums import Quorums
from diembft.consensus.replica import Recovered, Replica
from diembft.consensus.verification import HeldRequests, Verifier
from diembft.crypto.ed25519 import Ed25519KeyRing, derived_signer
from diembft.crypto.interface import KeyRing, Signer
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from diembft.errors import InputError
from diembft.faults.planting import Planting
from diembft.faults.registry import plant
from diembft.messages.digests import Digests
from diembft.messages.types import Message, ProposalMsg, Request, TimeoutMsg, VoteMsg
from diembft.twins.parts import MarkerMachine, MarkerPayload, ScriptedLeaders
from diembft.twins.record import Cast, cast_of
from diembft.twins.scenario import Scenario

Crypto: TypeAlias = Literal["symbolic", "ed25519"]


class ScenarioLeaders(ScriptedLeaders):
    """Leaders by the scenario; after its last round that round's. What is asked is noted in the list `noted`, if
    any."""

    __slots__ = ("noted",)

    def __init__(self, config: Config, leaders: dict[int, int]) -> None:
        super().__init__(config, leaders)
        self.noted: list[tuple[int, int]] | None = None

    def leader(self, round_: int, tree: BlockTree) -> int:
        """See LeaderElection."""
        leader = self.of(round_)
        if self.noted is not None:
            self.noted.append((round_, leader))
        return leader

    def of(self, round_: int) -> int:
        """The scripted leader."""
        leader = self.leaders.get(round_)
        return self.leaders[AFTER_THE_LAST] if leader is None else leader


AFTER_THE_LAST = 0
"""In the table of leaders: who leads after the last scripted round."""


REMEMBERED_ANSWERS = 4096


class JudgesOnce(Verifier):
    """Checks each message once for all nodes that share it. Whether a message is right depends on nothing else."""

    __slots__ = ("_answers",)

    def __init__(self, config: Config, digests: Digests, genesis: Genesis, keys: KeyRing, quorums: Quorums) -> None:
        super().__init__(config, digests, genesis, keys, quorums)
        self._answers: dict[Message, Reason | None] = {}

    def proposal(self, message: ProposalMsg, held: HeldRequests) -> Reason | None:
        """See Verifier."""
        answers = self._answers
        if message not in answers:
            self._remember(message, super().proposal(message, held))
        return answers[message]

    def vote(self, message: VoteMsg) -> Reason | None:
        """See Verifier."""
        answers = self._answers
        if message not in answers:
            self._remember(message, super().vote(message))
        return answers[message]

    def timeout(self, message: TimeoutMsg) -> Reason | None:
        """See Verifier."""
        answers = self._answers
        if message not in answers:
            self._remember(message, super().timeout(message))
        return answers[message]

    def _remember(self, message: Message, answer: Reason | None) -> None:
        if len(self._answers) >= REMEMBERED_ANSWERS:
            self._answers.clear()
        self._answers[message] = answer


class System:
    """Makes the nodes of one cast, of the correct core or with planted bugs.

    `leaders` is the script that all nodes share: the driver fills it. All nodes share one verifier, since what it
    remembers never changes an answer.
    """

    def __init__(
        self,
        cast: Cast,
        planting: Planting,
        delay_bound_s: float,
        crypto: Crypto = "symbolic",
        seed: int | float = 0,
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
        self.election = planting.mixed(ScenarioLeaders)(self.config, self.leaders)
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
            verifier=self.planting.mixed(JudgesOnce),
            leader_election=lambda _config: self.election,
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
    if len(scenario.replicas) < 2:
        raise InputError(f"replicas: {', '.join(scenario.replicas)} alone: a single validator never waits for anybody")
    cast = cast_of(scenario.replicas, scenario.twins)
    seed = scenario.seed if crypto == "ed25519" else 0
    return _system(cast, scenario.bugs, scenario.delay_bound_s, crypto, seed)
