"""The replicas of a scenario: the real core, with scripted leaders and markers as payload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from typing_extensions import override

from diembft.consensus.config import Config
from diembft.consensus.effects import Persist, Reason
from diembft.consensus.genesis import Genesis
from diembft.consensus.quorums import Quorums
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.consensus.verification import VerifiedRequests, Verifier
from diembft.crypto.interface import Crypto, KeyRing
from diembft.faults.planting import Planting
from diembft.host.keys import make_keys
from diembft.host.storage import Storage
from diembft.messages.digests import Digests
from diembft.messages.types import Message, ProposalMsg, Request, TimeoutMsg, VoteMsg
from diembft.protocols.cast import Cast
from diembft.protocols.diembft.scripted import MarkerMachine, MarkerPayload, ScriptedLeaders
from diembft.protocols.interface import Leaders, NodeStorage, System

CHAIN_ID = "twins"

REMEMBERED_ANSWERS = 4096


class JudgesOnce(Verifier):
    """Checks each message once for all nodes that share it. Whether a message is right depends on nothing else."""

    __slots__ = ("_answers",)

    def __init__(self, config: Config, digests: Digests, genesis: Genesis, keys: KeyRing, quorums: Quorums) -> None:
        super().__init__(config, digests, genesis, keys, quorums)
        self._answers: dict[Message, Reason | None] = {}

    @override
    def proposal(self, message: ProposalMsg, held: VerifiedRequests) -> Reason | None:
        answers = self._answers
        if message not in answers:
            self._remember(message, super().proposal(message, held))
        return answers[message]

    @override
    def vote(self, message: VoteMsg) -> Reason | None:
        answers = self._answers
        if message not in answers:
            self._remember(message, super().vote(message))
        return answers[message]

    @override
    def timeout(self, message: TimeoutMsg) -> Reason | None:
        answers = self._answers
        if message not in answers:
            self._remember(message, super().timeout(message))
        return answers[message]

    def _remember(self, message: Message, answer: Reason | None) -> None:
        if len(self._answers) >= REMEMBERED_ANSWERS:
            self._answers.clear()
        self._answers[message] = answer


class DiskOfNode(NodeStorage):
    """The simulated disk of one node."""

    def __init__(self, kept_commits: int) -> None:
        self._disk = Storage()
        self._kept_commits = kept_commits

    @override
    def persist(self, effect: Persist) -> None:
        self._disk.persist(effect)

    @override
    def recover(self) -> Recovered | None:
        return self._disk.recover(self._kept_commits)


class DiemBftSystem(System):
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
        config: Config | None = None,
    ) -> None:
        self.cast = cast
        self.planting = planting
        self.crypto = crypto
        self.config = config or Config(
            n=cast.n, chain_id=CHAIN_ID, delta_s=delay_bound_s, timer_growth=1.0, rest=False, sync_batch=1000
        )
        self.delay_bound_s = delay_bound_s
        self.leaders = Leaders()
        self._keychain = make_keys(crypto, cast.n, cast.names, int(seed))
        """The clients are the markers of the nodes."""
        self.keys = self._keychain.ring
        self.public_keys = self._keychain.public
        self.election = planting.mixed(ScriptedLeaders)(self.config, self.leaders)
        digests = Digests(self.config.chain_id, self.config.epoch)
        self._signed: Callable[[Request], bool] = lru_cache(maxsize=4096)(
            lambda request: self.keys.verify_client(request.client, digests.request(request), request.signature)
        )
        self._verifier: Verifier | None = None
        self._new = [self._make(node, None) for node in range(len(cast.names))]

    @override
    def node(self, node: int, recovered: Recovered | None = None) -> Replica:
        return self._new[node].fork() if recovered is None else self._make(node, recovered)

    @override
    def storage(self) -> DiskOfNode:
        return DiskOfNode(self.config.kept_commits)

    @override
    def signed(self, request: Any) -> bool:
        return self._signed(request)

    def _make(self, node: int, recovered: Recovered | None) -> Replica:
        identity, name = self.cast.identity[node], self.cast.names[node]
        payload = self.planting.mixed(MarkerPayload)
        kit = replace(
            self.planting.kit,
            verifier=self.planting.mixed(JudgesOnce),
            leader_election=lambda _config: self.election,
            mempool=lambda config: payload(config, name, self._keychain.clients[name]),
        )
        machine = self.planting.machine(MarkerMachine())
        replica = self.planting.replica(
            self.config, identity, self._keychain.replicas[identity], self.keys, machine, kit, recovered
        )
        self._verifier = self._verifier or replica.verifier
        replica.verifier = self._verifier
        return replica
