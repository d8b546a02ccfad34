"""The parts of a simulated system: keys, replicas, clients, and the header of its trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from diembft.client.client import Client
from diembft.consensus.config import Config
from diembft.consensus.effects import Effect
from diembft.consensus.events import Event
from diembft.consensus.replica import Recovered
from diembft.consensus.state_machine import StateMachine
from diembft.crypto.ed25519 import Ed25519KeyRing, derived_signer
from diembft.crypto.interface import KeyRing, Signer
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from diembft.faults.actors.actor import MakeActor
from diembft.faults.planting import NO_BUGS, Planting
from diembft.ledger.key_value import KeyValueStore
from diembft.ledger.sessions import Sessions
from diembft.trace.records import Header, Node

Crypto: TypeAlias = Literal["symbolic", "ed25519"]


class Machine(Protocol):
    """What the simulator drives as a replica: a Replica, or something that plays one."""

    def step(self, event: Event) -> list[Effect]:
        """See Replica.step."""
        ...


Start: TypeAlias = Callable[[Recovered | None], Machine]
"""Makes the machine of a node, from what its storage holds after a crash."""


class NodeSpec(Struct, frozen=True):
    """One node of a run: a copy of a validator."""

    name: str
    replica: int
    """The identity whose key it holds. Several nodes may share one: twins."""
    start: Start
    correct: bool = True
    clock_rate: float = 1.0
    """How fast its timers run out, as a factor on their delays: 0.9 is a clock that is fast by a tenth."""

    def __post_init__(self) -> None:
        assert self.clock_rate > 0, "because clocks go forwards"


class ClientSpec(Struct, frozen=True):
    """One client of a run."""

    client: Client
    start_s: float = 0.0

    @property
    def name(self) -> str:
        """Its name, as the validators know it."""
        return self.client.config.client


class Keys(Struct, frozen=True):
    """The keys of one system: who signs, and how everybody verifies."""

    crypto: Crypto
    replicas: tuple[Signer, ...]
    clients: dict[str, Signer]
    ring: KeyRing
    public: dict[str, bytes]
    """As in the header of a trace."""


def make_keys(crypto: Crypto, n: int, clients: Sequence[str], seed: int) -> Keys:
    """The keys of `n` validators and these clients; with Ed25519 they follow from the seed."""
    if crypto == "symbolic":
        return Keys(
            crypto,
            tuple([replica_signer(replica) for replica in range(n)]),
            {client: client_signer(client) for client in clients},
            SymbolicKeyRing(n, tuple(clients)),
            {},
        )
    replica_keys = [derived_signer(replica_name(replica), seed) for replica in range(n)]
    client_keys = {client: derived_signer(client, seed) for client in clients}
    public = {replica_name(replica): signer.public_key for replica, signer in enumerate(replica_keys)}
    client_public = {client: signer.public_key for client, signer in client_keys.items()}
    return Keys(
        crypto,
        tuple(replica_keys),
        dict(client_keys),
        Ed25519KeyRing(tuple(public.values()), client_public),
        public | client_public,
    )


def replica_name(replica: int) -> str:
    """The name of a validator in configurations and traces."""
    return f"replica{replica}"


def key_value_machine() -> StateMachine:
    """The state machine of simulations, unless said otherwise: the key-value store."""
    return Sessions(KeyValueStore())


def replica_node(
    config: Config,
    replica: int,
    keys: Keys,
    machine: StateMachine,
    *,
    bugs: Planting = NO_BUGS,
    actor: MakeActor | None = None,
    seed: int = 0,
    name: str = "",
    correct: bool = True,
    clock_rate: float = 1.0,
) -> NodeSpec:
    """A node that runs the protocol with these planted bugs, or a Byzantine actor (whose choices follow from the seed).

    Bugs in the state machine are the caller's to plant (`bugs.machine`). A node with bugs counts as correct unless said
    otherwise, an actor never does.
    """
    kind, kit = bugs.replica, bugs.kit

    def start(recovered: Recovered | None) -> Machine:
        made = kind(config, replica, keys.replicas[replica], keys.ring, machine, kit, recovered)
        return made if actor is None else actor(made, seed)

    return NodeSpec(name or replica_name(replica), replica, start, correct and actor is None, clock_rate)


def header(
    config: Config,
    nodes: Sequence[NodeSpec],
    keys: Keys,
    *,
    runtime: str = "simulator",
    seed: str = "",
    replay: str = "",
    description: str = "",
) -> Header:
    """The header of the trace of a run."""
    return Header(
        runtime=runtime,
        nodes=tuple([Node(node.name, node.replica, node.correct) for node in nodes]),
        n=config.n,
        chain_id=config.chain_id,
        epoch=config.epoch,
        crypto=keys.crypto,
        delta_s=config.delta_s,
        clients=tuple(keys.clients),
        public_keys=dict(keys.public),
        seed=seed,
        replay=replay,
        description=description,
    )
