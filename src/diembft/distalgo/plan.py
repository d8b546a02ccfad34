"""A test case as DistAlgo processes carry it out: which processes there are, and what each of them is made of.

A plan is a small frozen value that every process is given; each makes the same keys and limits of it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from msgspec import Struct

from diembft.client.client import Client
from diembft.consensus.config import Config
from diembft.crypto.interface import Crypto
from diembft.distalgo.limits import fitted
from diembft.faults.planting import Planting
from diembft.faults.registry import plant
from diembft.faults.tampering import Tampered, tampered
from diembft.host.assembly import header, replica_node
from diembft.host.cases import case_client, case_config
from diembft.host.keys import Keychain, make_keys, replica_name
from diembft.ledger.key_value import KeyValueStore
from diembft.ledger.sessions import DEFAULT_WINDOW, Sessions
from diembft.testcase.case import TestCase
from diembft.testcase.workload import ClientPlan, client_plans
from diembft.trace.records import Header

MAX_HOSTS: Final = 16
"""At most so many processes run clients; with more clients than that, a process runs several."""

LIMIT_S: Final = 600.0
"""How long a workload without a timeout may take, in seconds."""


class Plan(Struct, frozen=True, dict=True):
    """What is run. Endpoints are numbered: the replicas, then the hosts of clients.

    Raises InputError, when it is made, for a bug that there is not, and where certificates alone would not fit.
    """

    case: TestCase
    payload_limit: int
    """How many bytes a message can carry."""
    crypto: Crypto = "ed25519"
    bugs: tuple[str, ...] = ()
    """Planted in all replicas."""
    asked_for: str = ""
    """The name or file by which the case was asked for, to ask for it again."""
    changes: tuple[str, ...] = ()
    """The options that change the case, but for its seeds."""

    def __post_init__(self) -> None:
        # What can be wrong with the user's wishes is found out before any process is made.
        _ = self.config, self._planting

    @cached_property
    def client_plans(self) -> list[ClientPlan]:
        """Of all clients."""
        return client_plans(self.case.workloads, LIMIT_S)

    @cached_property
    def config(self) -> Config:
        """Of all replicas."""
        return fitted(case_config(self.case, self.client_plans), self.payload_limit)

    @property
    def hosts(self) -> int:
        """How many processes run clients."""
        return min(len(self.client_plans), MAX_HOSTS)

    @property
    def endpoints(self) -> int:
        """How many processes there are."""
        return self.config.n + self.hosts

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the endpoints, for logs and traces; a host is named after its first client."""
        replicas = [replica_name(replica) for replica in range(self.config.n)]
        return (*replicas, *[plan.client for plan in self.client_plans[: self.hosts]])

    @cached_property
    def host_of(self) -> dict[str, int]:
        """The endpoint that runs each client."""
        return {plan.client: self.config.n + number % self.hosts for number, plan in enumerate(self.client_plans)}

    @cached_property
    def _keys(self) -> Keychain:
        return make_keys(self.crypto, self.config.n, [plan.client for plan in self.client_plans], 0)

    @cached_property
    def _planting(self) -> Planting:
        return plant(self.bugs)

    def replica(self, index: int) -> Tampered:
        """A new replica, whose attributes a failure may set."""
        window = max([DEFAULT_WINDOW, *[plan.count for plan in self.client_plans]])
        machine = self._planting.machine(Sessions(KeyValueStore(), window))
        signer = self._keys.replicas[index]
        return tampered(self._planting)(self.config, index, signer, self._keys.ring, machine, self._planting.kit)

    def clients_of(self, endpoint: int) -> list[Client]:
        """The clients that an endpoint runs, new."""
        mine = [plan for plan in self.client_plans if self.host_of[plan.client] == endpoint]
        return [case_client(self.case, plan, self._keys).client for plan in mine]

    def header(self, replay: str = "") -> Header:
        """The header of the trace of a run; `replay` is the command that runs the same again."""
        machine = Sessions(KeyValueStore())
        case = self.case
        return header(
            self.config,
            [replica_node(self.config, replica, self._keys, machine) for replica in range(self.config.n)],
            self._keys,
            runtime="distalgo",
            seed=f"{case.seed!r}, failures {case.failure_seed!r}",
            replay=replay,
            title=f"{case.name}: {case.description}",
            bugs=self.bugs,
        )
