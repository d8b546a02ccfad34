"""Random configurations and schedules, run with every invariant asserted after every event.

`run_index(seed, index)` draws one run and makes it; the same seed and index give the same one. `fuzz` runs a range
of them. What was reached is counted, for a search that never meets a timeout certificate proves little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from traceback import extract_tb

from msgspec import Struct
from msgspec.structs import replace

from diembft.client.client import Client, ClientConfig, Retransmit
from diembft.client.requests import session_of, signed_request
from diembft.consensus.config import Config
from diembft.crypto.interface import Crypto
from diembft.faults.planting import NO_BUGS, Planting
from diembft.faults.registry import ACTORS
from diembft.host.assembly import ClientSpec, NodeSpec, header, key_value_machine, operation, replica_node
from diembft.host.keys import Keychain, make_keys, replica_name
from diembft.host.recording import Observer
from diembft.host.watch import Watch
from diembft.judge.waiting import NAME as LIVENESS
from diembft.messages.digests import Digests
from diembft.messages.types import Request
from diembft.simulation.drawing import DELTA_S, DrawnRun, Stray, draw_run
from diembft.simulation.network import SeededNetwork
from diembft.simulation.simulator import Simulator
from diembft.trace.records import (
    Committed,
    Delivered,
    Ended,
    Evidence,
    Partitioned,
    Record,
    Restarted,
    Sent,
    State,
    Violated,
)
from diembft.trace.values import Message

PATIENCE_DELTAS = 3000
"""For how long after GST, in units of delta, clients that retransmit may take: far longer than they do."""
STRAY = "stray"
"""The name of the client behind stray requests."""
HASTE_DELTAS = 100
"""The same for other clients, whose requests may be lost."""

EXCEPTION = "exception"
"""What is violated when the core, or what drives it, raises an exception."""


class Reached(Struct):
    """How often a run, or many, reached what matters."""

    blocks: int = 0
    """Committed by some correct replica."""
    timeout_certificates: int = 0
    """Rounds that a correct replica left by a TC."""
    restarts: int = 0
    syncs: int = 0
    """Answers with blocks that a correct replica took."""
    equivocations: int = 0
    """Reported by correct replicas, with both messages as evidence."""
    leader_changes: int = 0
    """Rounds led by somebody else than the round before."""
    reputation_leaders: int = 0
    """Rounds led by somebody else than round robin would have."""
    commits_after_heal: int = 0
    """Blocks committed first after a partition had healed."""
    byzantine: int = 0
    """Runs with Byzantine validators."""

    def add(self, other: Reached) -> None:
        """Add the counts of another run."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class FuzzResult(Struct, frozen=True, kw_only=True):
    """What one run showed."""

    seed: int
    index: int
    violations: tuple[Violated, ...]
    reached: Reached
    events: int
    """Handled by replicas."""
    virtual_s: float
    trace: tuple[Record, ...]
    """Empty unless asked for."""

    @property
    def held(self) -> bool:
        """Whether nothing was violated."""
        return not self.violations


def fuzz(
    count: int,
    seed: int,
    *,
    first: int = 0,
    bugs: Planting = NO_BUGS,
    crypto: Crypto = "symbolic",
) -> Iterator[FuzzResult]:
    """The results of `count` runs of a seed, from index `first` on, in order.

    Indices can be cut into ranges at will.
    """
    for index in range(first, first + count):
        yield run_index(seed, index, bugs=bugs, crypto=crypto)


def run_index(
    seed: int,
    index: int,
    *,
    bugs: Planting = NO_BUGS,
    crypto: Crypto = "symbolic",
    keep_trace: bool = False,
    replay: str = "",
) -> FuzzResult:
    """Draw one run and make it.

    `bugs` are planted in all replicas, which count as correct all the same. The run ends at the first violation.
    `replay` is the command that runs the same again, for the trace.
    """
    drawn = draw_run(seed, index)
    return run_drawn(drawn, bugs=bugs, crypto=crypto, keep_trace=keep_trace, replay=replay)


def run_drawn(
    drawn: DrawnRun,
    *,
    bugs: Planting = NO_BUGS,
    crypto: Crypto = "symbolic",
    keep_trace: bool = False,
    replay: str = "",
    title: str = "",
) -> FuzzResult:
    """Make a run that was drawn; see `run_index`. `title` is what the trace calls it, if not by its number."""
    config = drawn.config
    names = [f"client{number}" for number in range(len(drawn.clients))]
    keys = make_keys(crypto, config.n, [*names, STRAY], drawn.seed)
    nodes = _nodes(drawn, keys, bugs)
    clients = [_client(drawn, number, keys) for number in range(len(drawn.clients))]
    seed, title = f"{drawn.seed}, scenario {drawn.index}", title or f"scenario {drawn.index} of seed {drawn.seed}"
    head = header(config, nodes, keys, seed=seed, replay=replay, title=title, bugs=bugs.names)
    watch = Watch(head, keep=keep_trace, judge=True, stop_at_violation=True)
    counter = _Counter(drawn, nodes, watch.observe)
    simulator = Simulator(
        config,
        nodes,
        SeededNetwork(len(nodes), drawn.before, Random(f"{drawn.seed}/{drawn.index}/network")),
        clients=clients,
        schedule=drawn.schedule,
        observe=counter.observe,
        notice_connections=drawn.notice_connections,
    )
    watch.attach(simulator)
    for stray in drawn.strays:
        simulator.call_at(stray.at_s, partial(simulator.submit, _stray_request(stray, keys, config), stray.nodes))
    try:
        _drive(drawn, simulator, watch)
    except Exception as error:  # whatever it is, it is a finding, and the other runs go on
        watch.add(EXCEPTION, _shown(error))
    watch.finish(Ended(simulator.now_s, not watch.violations, tuple([found.detail for found in watch.violations])))
    return FuzzResult(
        seed=drawn.seed,
        index=drawn.index,
        violations=tuple(watch.violations),
        reached=counter.reached,
        events=simulator.figures.delivered,
        virtual_s=simulator.now_s,
        trace=tuple(watch.records),
    )


def _drive(drawn: DrawnRun, simulator: Simulator, watch: Watch) -> None:
    """Run to GST, until the clients have ended, and until laggards must have caught up; then judge how it ended."""
    correct = [node for node, spec in enumerate(simulator.nodes) if spec.correct]
    storages = simulator.storages
    simulator.run(drawn.gst_s)
    if not watch.violations:
        simulator.run_until_clients_end(drawn.gst_s + PATIENCE_DELTAS * DELTA_S)
    target = max([storages[node].height for node in correct])
    if not watch.violations:
        settle_s = _settle_deltas(drawn.config) * DELTA_S
        simulator.run(max(simulator.now_s, drawn.schedule[-1].at_s) + settle_s)
    if not watch.violations:
        watch.judge_end(simulator.now_s)
        for spec in simulator.clients:
            client = spec.client
            if isinstance(client.config.workload, Retransmit) and client.executed < client.config.count:
                watch.add(LIVENESS, f"{spec.name} completed {client.executed} of {client.config.count} requests")
        for node in correct:
            if storages[node].height < target:
                name = simulator.nodes[node].name
                detail = f"{name} committed {storages[node].height} of {target} blocks long after GST"
                watch.add(LIVENESS, detail, (name,))


def _shown(error: Exception) -> str:
    """An error on one line, with the place that raised it."""
    place = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno}, in {place.name})"


def _settle_deltas(config: Config) -> float:
    """For how long laggards may take, in units of delta.

    At rest a peer tells one other after the other what it knows, every 20 delta.
    """
    return 60 + (25 * config.n if config.rest else 0)


def _nodes(drawn: DrawnRun, keys: Keychain, bugs: Planting) -> list[NodeSpec]:
    config, machine = drawn.config, bugs.machine(key_value_machine())
    byzantine = dict(drawn.byzantine)
    return [
        replica_node(
            config,
            replica,
            keys,
            machine,
            bugs=bugs,
            actor=ACTORS.get(byzantine.get(replica, "")),
            seed=drawn.index,
            name=replica_name(replica) + ("'" if node >= config.n else ""),
            correct=replica not in byzantine,
            clock_rate=drawn.clock_rates[node],
        )
        for node, replica in enumerate(drawn.nodes)
    ]


def _client(drawn: DrawnRun, number: int, keys: Keychain) -> ClientSpec:
    plan = drawn.clients[number]
    name = f"client{number}"
    patience = PATIENCE_DELTAS if isinstance(plan.workload, Retransmit) else HASTE_DELTAS
    config = ClientConfig(
        client=name,
        n=drawn.config.n,
        workload=plan.workload,
        count=plan.count,
        timeout_s=drawn.gst_s + patience * DELTA_S,
        seed=drawn.seed,
    )
    digests = Digests(drawn.config.chain_id, drawn.config.epoch)
    return ClientSpec(Client(config, keys.clients[name], digests, partial(operation, name)))


def _stray_request(stray: Stray, keys: Keychain, config: Config) -> Request:
    digests = Digests(config.chain_id, config.epoch)
    operations = (operation(STRAY, stray.variant),)
    request = signed_request(keys.clients[STRAY], digests, STRAY, session_of(STRAY), stray.number, operations)
    return request if stray.signed else replace(request, signature=b"forged")


class _Counter:
    """Counts what a run reaches, on the way of its records to the watch."""

    def __init__(self, drawn: DrawnRun, nodes: Sequence[NodeSpec], observe: Observer) -> None:
        self.reached = Reached(byzantine=bool(drawn.byzantine))
        self._observe = observe
        self._n = drawn.config.n
        self._correct = {node.name: node.correct for node in nodes}
        self._answers: dict[int, None] = {}
        """Messages that carry blocks."""
        self._round = 0
        self._leader: int | None = None
        self._tc_round = 0
        self._height = 0
        self._parted = self._healed = False

    def observe(self, record: Record) -> None:
        """Count a record, and pass it on."""
        self._observe(record)
        reached = self.reached
        match record:
            case Sent(message=Message(kind="blocks", blocks=blocks)) if blocks:
                self._answers[record.number] = None
            case Delivered(node=node, number=number):
                if number in self._answers and not (record.rejected or record.ignored) and self._correct[node]:
                    reached.syncs += 1
            case State() if self._correct[record.node]:
                self._state(record)
            case Committed() if self._correct[record.node] and record.height > self._height:
                self._height = record.height
                reached.blocks += 1
                reached.commits_after_heal += self._healed
            case Evidence(kind="equivocation") if self._correct[record.node]:
                reached.equivocations += 1
            case Restarted() if self._correct[record.node]:
                reached.restarts += 1
            case Partitioned(sets=sets):
                whole = len(sets) == 1 and len(sets[0]) == len(self._correct)
                self._healed = whole and self._parted
                self._parted = self._parted or not whole
            case _:
                pass

    def _state(self, record: State) -> None:
        tc = record.given_up
        if tc is not None and tc.round > self._tc_round:
            self._tc_round = tc.round
            self.reached.timeout_certificates += 1
        if record.current_round > self._round:
            self._round = record.current_round
            self.reached.leader_changes += self._leader not in (None, record.leader)
            self._leader = record.leader
            self.reached.reputation_leaders += record.leader != (self._round // 2) % self._n
