"""One simulation in a few lines, for scripts and notebooks.

    from diembft import Conditions, Crash, Restart, Settings, Uniform, simulate

    outcome = simulate(
        Settings(
            n=7,
            seed=1,
            requests=100,
            conditions=Conditions(latency=Uniform(0.01, 0.05), loss=0.02),
            schedule=(Crash(1.0, node=3), Restart(2.0, node=3)),
        )
    )
    print(outcome.held, outcome.blocks, outcome.rounds, outcome.virtual_s)

The same settings give the same outcome, and the same trace byte for byte.
"""

from __future__ import annotations

from random import Random
from time import perf_counter
from typing import assert_never

from msgspec import Struct, structs

from diembft.client.client import Client, ClientConfig, Retransmit, Timed
from diembft.client.client import Workload as ClientWorkload
from diembft.consensus.config import Config
from diembft.crypto.interface import Crypto
from diembft.errors import require, require_seconds, require_type, require_types, require_whole
from diembft.faults.registry import plant
from diembft.host.assembly import ClientSpec, header, key_value_machine, replica_node
from diembft.host.keys import Keychain, make_keys
from diembft.host.watch import Watch
from diembft.ledger.key_value import Put, encode
from diembft.messages.digests import Digests
from diembft.simulation.network import Conditions, SeededNetwork
from diembft.simulation.post import Figures
from diembft.simulation.schedule import (
    Change,
    Crash,
    Heal,
    Incident,
    Partition,
    Pause,
    Restart,
    Resume,
    Stabilise,
)
from diembft.simulation.simulator import Simulator
from diembft.trace.records import Ended, Record, Violated

MOST_REPLICAS = 1000
"""How many replicas a simulation has at most."""

MOST_CLIENTS = 100_000
"""How many clients a simulation has at most."""

MOST = 10**9
"""How many requests of each client, and how many blocks, one can ask for at most."""

MOST_TIMERS = 1000
"""How many times the assumed delay bound the longest delay is at most: the bound may be wrong, but not by more."""

LONGEST_RETRY_S = 60.0
"""How long a client that is given no workload waits at most before it sends a request again, in seconds; four times the
delay bound, if that is longer."""


class Settings(Struct, frozen=True, kw_only=True):
    """What is simulated. Times are in seconds of virtual time.

    >>> from diembft import Settings
    >>> Settings(n=7, requests=10).seed
    0
    """

    n: int = 4
    """Number of replicas."""
    seed: int = 0
    crypto: Crypto = "symbolic"
    clients: int = 1
    requests: int = 0
    """How many requests each client sends. With none, replicas propose empty blocks."""
    workload: ClientWorkload | None = None
    """How they are sent: by default one after the other, again after four times the longest delay."""
    conditions: Conditions = Conditions()
    schedule: tuple[Incident, ...] = ()
    """What befalls the system. If nothing does and no message is lost, liveness is judged from the start."""
    bugs: tuple[str, ...] = ()
    """Names of planted bugs (`diembft.faults.registry.BUGS`), to see what they break."""
    delta_s: float | None = None
    """The delay bound that replicas assume: by default the longest delay of `conditions`."""
    blocks: int | None = None
    """Stop when some replica has committed so many blocks; 100 if neither this nor `requests` is given."""
    until_s: float = 3600.0
    """Stop at this time in any case; clients that are not done have failed."""
    invariants: bool = True
    """Whether the invariants are asserted after every event. Off is faster."""
    trace: bool = False
    """Whether the records of the run are kept in memory."""

    def __post_init__(self) -> None:
        require_types(self)
        require_whole(self.n, "Settings.n", 1, MOST_REPLICAS)
        require_whole(self.clients, "Settings.clients", 0, MOST_CLIENTS)
        require_whole(self.requests, "Settings.requests", 0, MOST)
        require(self.clients > 0 or not self.requests, "Settings.clients", self.clients, "is nobody to send requests")
        if self.blocks is not None:
            require_whole(self.blocks, "Settings.blocks", 1, MOST)
        require_seconds(self.until_s, "Settings.until_s")
        if self.delta_s is not None:
            require_seconds(self.delta_s, "Settings.delta_s")
            least_s = self.conditions.longest_s / MOST_TIMERS
            right = f"is less than {least_s:g}: before one message arrived, timers would run out very often"
            require(self.delta_s >= least_s, "Settings.delta_s", self.delta_s, right)
        if isinstance(self.workload, Timed) and self.requests:
            pauses = len(self.workload.pauses_s)
            right = f"has {pauses} pauses, and between {self.requests} requests lie {self.requests - 1}"
            require(pauses == self.requests - 1, "Settings.workload", self.workload, right)
        for incident in self.schedule:
            for node in _nodes_of(incident):
                require(0 <= node < self.n, "Settings.schedule", incident, f"names node {node} of {self.n}")


def _nodes_of(incident: Incident) -> tuple[int, ...]:
    match incident:
        case Crash() | Restart() | Pause() | Resume():
            return (incident.node,)
        case Partition():
            return tuple([node for members in incident.sets for node in members])
        case Heal() | Change() | Stabilise():
            return ()
        case _:
            assert_never(incident)


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a simulation."""

    held: bool
    """Whether no invariant was violated and every client completed."""
    violations: tuple[Violated, ...]
    completed: int
    """How many requests were accepted by their clients as executed."""
    blocks: int
    """The length of the longest committed chain."""
    rounds: int
    """The highest round that a replica reached."""
    figures: Figures
    virtual_s: float
    real_s: float
    trace: tuple[Record, ...]
    """For `diembft.trace.files.write_trace`; empty unless asked for."""


def simulate(settings: Settings) -> Outcome:
    """Run one simulation. Raises InputError if there is no planted bug of a name.

    >>> from diembft import Settings, simulate
    >>> outcome = simulate(Settings(n=4, requests=3, seed=1))
    >>> outcome.held, outcome.completed
    (True, 3)
    """
    require_type(settings, Settings, "simulate")
    bugs = plant(settings.bugs)
    delta_s = settings.delta_s or settings.conditions.longest_s or 1.0
    config = Config(n=settings.n, delta_s=delta_s, rest=settings.requests > 0 or settings.n == 1)
    names = [f"client{number}" for number in range(settings.clients if settings.requests else 0)]
    keys = make_keys(settings.crypto, settings.n, names, settings.seed)
    machine = bugs.machine(key_value_machine())
    nodes = [replica_node(config, replica, keys, machine, bugs=bugs) for replica in range(settings.n)]
    clients = [_client(settings, config, keys, name) for name in names]
    head = header(config, nodes, keys, seed=str(settings.seed), bugs=bugs.names)
    watch = Watch(head, keep=settings.trace, judge=settings.invariants, stop_at_violation=True)
    simulator = Simulator(
        config,
        nodes,
        SeededNetwork(settings.n, settings.conditions, Random(settings.seed)),
        clients=clients,
        schedule=settings.schedule or _calm(settings.conditions),
        observe=watch.observer,
    )
    watch.attach(simulator)
    began_s = perf_counter()
    if settings.blocks is None and clients:
        simulator.run_until_clients_end(settings.until_s)
    else:
        simulator.run_until_height(settings.blocks or 100, settings.until_s)
    watch.judge_end(simulator.now_s)
    done = all(spec.client.executed == settings.requests for spec in clients)
    held = not watch.violations and done
    watch.finish(Ended(simulator.now_s, held, tuple([violated.detail for violated in watch.violations])))
    return Outcome(
        held=held,
        violations=tuple(watch.violations),
        completed=sum([spec.client.executed for spec in clients]),
        blocks=max([storage.height for storage in simulator.storages]),
        rounds=simulator.highest_round,
        figures=structs.replace(simulator.figures),
        virtual_s=simulator.now_s,
        real_s=perf_counter() - began_s,
        trace=tuple(watch.records),
    )


def _calm(conditions: Conditions) -> tuple[Incident, ...]:
    return () if conditions.loss else (Stabilise(0.0, conditions.longest_s),)


def _client(settings: Settings, config: Config, keys: Keychain, name: str) -> ClientSpec:
    wait_s = 4 * config.delta_s
    workload = settings.workload or Retransmit(wait_s, max_wait_s=max(LONGEST_RETRY_S, wait_s))
    plan = ClientConfig(
        client=name,
        n=config.n,
        workload=workload,
        count=settings.requests,
        timeout_s=settings.until_s,
        seed=settings.seed,
    )
    digests = Digests(config.chain_id, config.epoch)
    return ClientSpec(Client(plan, keys.clients[name], digests, lambda number: operation(name, number)))


def operation(client: str, number: int) -> bytes:
    """The operation of a simulated client's request: it puts the number under one of a few keys of its own."""
    return encode(Put(f"{client}/{number % 16}".encode(), str(number).encode()))
