"""The parts of a system that some driver runs: replicas, clients, and the header of its trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from diembft.client.client import Client
from diembft.consensus.config import Config, quorum_size
from diembft.consensus.effects import Effect
from diembft.consensus.events import Event
from diembft.consensus.recovery import Recovered
from diembft.consensus.state_machine import StateMachine
from diembft.faults.actors.actor import MakeActor
from diembft.faults.planting import NO_BUGS, Planting
from diembft.faults.tampering import tampered
from diembft.host.keys import Keychain, replica_name
from diembft.ledger.key_value import KeyValueStore, Put, encode
from diembft.ledger.sessions import Sessions
from diembft.trace import diembft as neutral
from diembft.trace.records import Header, Node


class Machine(Protocol):
    """What a driver drives as a replica: a Replica, or something that plays one."""

    def step(self, event: Event) -> list[Effect]:
        """Handle one event; the effects to carry out, in their order."""
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


def key_value_machine() -> StateMachine:
    """The state machine of simulations, unless said otherwise: the key-value store."""
    return Sessions(KeyValueStore())


def replica_node(
    config: Config,
    replica: int,
    keys: Keychain,
    machine: StateMachine,
    *,
    bugs: Planting = NO_BUGS,
    actor: MakeActor | None = None,
    seed: int = 0,
    name: str = "",
    correct: bool = True,
    clock_rate: float = 1.0,
    can_be_tampered_with: bool = False,
) -> NodeSpec:
    """A node that runs the protocol with these planted bugs, or a Byzantine actor (whose choices follow from the seed).

    `can_be_tampered_with`: failure injection may set its attributes (`diembft.faults.tampering`).

    Bugs in the state machine are the caller's to plant (`bugs.machine`). A node with bugs counts as correct unless said
    otherwise, an actor never does.
    """
    kind, kit = tampered(bugs) if can_be_tampered_with else bugs.replica, bugs.kit

    def start(recovered: Recovered | None) -> Machine:
        made = kind(config, replica, keys.replicas[replica], keys.ring, machine, kit, recovered)
        return made if actor is None else actor(made, seed)

    return NodeSpec(name or replica_name(replica), replica, start, correct and actor is None, clock_rate)


def operation(client: str, number: int) -> bytes:
    """The operation of a client's request, unless said otherwise: it puts the number under one of a few keys of its
    own."""
    return encode(Put(f"{client}/{number % 16}".encode(), str(number).encode()))


def header(
    config: Config,
    nodes: Sequence[NodeSpec],
    keys: Keychain,
    *,
    runtime: str = "simulator",
    seed: str = "",
    replay: str = "",
    title: str = "",
    bugs: Sequence[str] = (),
) -> Header:
    """The header of the trace of a run."""
    return Header(
        runtime=runtime,
        protocol=neutral.PROTOCOL,
        nodes=tuple([Node(node.name, node.replica, node.correct) for node in nodes]),
        n=config.n,
        quorum=quorum_size(config.n),
        chain=neutral.CHAIN,
        delta_s=config.delta_s,
        clients=tuple(keys.clients),
        seed=seed,
        replay=replay,
        title=title,
        bugs=tuple(bugs),
        detail=neutral.header_detail(config.chain_id, config.epoch, keys.crypto, keys.public),
    )
