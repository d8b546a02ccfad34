"""The rigs of the drivers that there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from random import Random
from types import ModuleType
from typing import Any
from unittest.mock import patch

import tiny_driver
from typing_extensions import override

from diembft.consensus.config import Config
from diembft.consensus.events import Event, Received, Started
from diembft.consensus.kit import CORRECT
from diembft.consensus.recovery import Recovered
from diembft.consensus.replica import Replica
from diembft.distalgo.endpoint import Wires
from diembft.distalgo.plan import Plan
from diembft.distalgo.replica_node import ReplicaNode
from diembft.faults.planting import Planted, Planting
from diembft.host.assembly import Machine, NodeSpec
from diembft.host.keys import make_keys
from diembft.host.outlet import Outlet
from diembft.ledger.append_log import AppendLog
from diembft.ledger.sessions import Sessions
from diembft.messages.codec import Malformed, decode
from diembft.messages.types import Message, Reply
from diembft.protocols.cast import cast_of
from diembft.protocols.diembft.protocol import DIEMBFT
from diembft.protocols.diembft.system import CHAIN_ID, DiemBftSystem
from diembft.protocols.states import NOTHING_SIGNED, NodeState
from diembft.simulation.network import Arrivals, Carried, Conditions, Constant, SeededNetwork
from diembft.simulation.schedule import Crash, Restart
from diembft.simulation.simulator import Simulator
from diembft.testcase.failures import CLIENT
from diembft.testcase.latency import NOTHING, Latencies, Links, Span
from diembft.twins.runs.group import Group
from diembft.twins.runs.routes import whole
from diembft.twins.runs.timed import TimedRun
from diembft.twins.runs.timed_nodes import NEVER, NO_MESSAGE
from diembft.twins.runs.world import World
from tests.distalgo.rig import Clock, case_of
from tests.host.contract.rig import N, Rig


def config_of(delta_s: float) -> Config:
    """Blocks that a peer lacks are read from storage soon."""
    return Config(n=N, delta_s=delta_s, sync_batch=2, window_size=1)


class SimulatorRig(Rig):
    """`diembft.simulation`, with a second copy of validator 0."""

    identities: tuple[int, ...] = (0, 1, 2, 3, 0)

    class _Network(SeededNetwork):
        __slots__ = ("rig",)

        def __init__(self, rig: SimulatorRig) -> None:
            super().__init__(len(rig.identities), Conditions(latency=Constant(rig.delay_s)), Random(0))
            self.rig = rig
            self.constant_delay_s = None

        @override
        def arrivals(self, src: int, dest: int, message: Carried) -> Arrivals:
            if src != CLIENT and not isinstance(message, Reply):
                self.rig.crossed(src, message)
            return super().arrivals(src, dest, message)

    def __init__(self, kind: type[Replica]) -> None:
        super().__init__(kind)
        self.config = config_of(2 * self.delay_s)
        self._keys = make_keys("symbolic", N, [self.client], 0)
        self._machine = Sessions(AppendLog())
        self._last: tuple[int, object] = (-1, None)
        nodes = [
            NodeSpec(f"node{node}", replica, partial(self._made, replica))
            for node, replica in enumerate(self.identities)
        ]
        self.simulator = Simulator(self.config, nodes, self._Network(self))
        self.simulator._heap.clear()  # nodes are started by the test
        self._started: set[int] = set()

    def _made(self, replica: int, recovered: Recovered | None) -> Machine:
        keys = self._keys
        return self.kind(self.config, replica, keys.replicas[replica], keys.ring, self._machine, CORRECT, recovered)

    def crossed(self, node: int, message: Any) -> None:
        """The network is asked once for each receiver."""
        if self._last != (node, id(message)):
            self._last = (node, id(message))
            self.leaves(node, message)

    @override
    def start(self, node: int) -> None:
        if node in self._started:
            self.simulator.befall(Restart(self.simulator.now_s, node))
        else:
            self._started.add(node)
            self.simulator._start(node)

    @override
    def crash(self, node: int) -> None:
        self.simulator.befall(Crash(self.simulator.now_s, node))

    @override
    def hand(self, node: int, event: Event) -> None:
        step = self.simulator._steps[node]
        assert step is not None
        self.simulator._carry_out(node, step(event))

    @override
    def run(self, seconds: float) -> None:
        self.simulator.run(self.simulator.now_s + seconds)

    @override
    def machine(self, node: int) -> Any:
        return self.simulator.machines[node]

    @override
    def durable(self, node: int) -> Recovered | None:
        return self.simulator.storages[node].recover(self.config.kept_commits)

    @override
    def put_in_front(self, make: Callable[[Outlet], Outlet]) -> None:
        self.simulator.outlet = make(self.simulator.outlet)


class SimulatorWithoutCopiesRig(SimulatorRig):
    """The same with one copy of each."""

    identities = tuple(range(N))


class DistAlgoRig(Rig):
    """`diembft.distalgo.replica_node`, with wires made by hand and a clock that is set."""

    client = "client0"

    def __init__(self, kind: type[Replica]) -> None:
        super().__init__(kind)
        self.clock = Clock()
        self._plan = Plan(case_of(), 1 << 20, "symbolic")
        self.config = config_of(2 * self.delay_s)
        self._keys = make_keys("symbolic", N, [self.client], 0)
        self._machine = Sessions(AppendLog())
        self._make: Callable[[Outlet], Outlet] = lambda outlet: outlet
        self._nodes: list[ReplicaNode | None] = [None] * N
        self._storages: list[Any] = [None] * N

    def _leaves(self, node: int, data: bytes, what: str) -> bytes:
        frame = decode(data)
        assert not isinstance(frame, Malformed)
        if not isinstance(frame, Reply):
            self.leaves(node, frame)  # type: ignore[arg-type]  # what a replica sends is a message or a reply
        return data

    @override
    def start(self, node: int) -> None:
        wires = Wires(self._plan.endpoints, self.clock.now_s - self.clock(), partial(self._leaves, node), self.clock)
        made = ReplicaNode(self._plan, node, wires)
        made._links = Links(Latencies(Span(0.0, self.delay_s)), NOTHING)
        if self._storages[node] is None:
            self._storages[node] = made._storage
        made._storage = self._storages[node]
        keys, recovered = self._keys, self.durable(node)
        made.replica = self.kind(  # type: ignore[assignment]  # what the suite gives can be tampered with
            self.config, node, keys.replicas[node], keys.ring, self._machine, CORRECT, recovered
        )
        made.outlet = self._make(made)
        self._nodes[node] = made
        made.start()

    @override
    def crash(self, node: int) -> None:
        running = self._nodes[node]
        assert running is not None
        self._nodes[node] = None
        running.outlet.crashed(node)

    @override
    def hand(self, node: int, event: Event) -> None:
        running = self._nodes[node]
        assert running is not None
        running._step(event)

    @override
    def run(self, seconds: float) -> None:
        until_s = self.clock.now_s + seconds
        while True:
            for node in self._nodes:
                if node is not None:
                    node.work()
                    self._carry(node)
            running = [node for node in self._nodes if node is not None]
            if any(node.has_mail for node in running):
                continue
            wait_s = max(1e-9, min([node.wait_s for node in running], default=inf))
            if self.clock.now_s + wait_s > until_s:
                self.clock.now_s = until_s
                return
            self.clock.now_s += wait_s

    def _carry(self, node: ReplicaNode) -> None:
        for to, number, data in node.take():
            receiver = self._nodes[to] if to < N else None
            if receiver is not None:
                receiver.arrived(node.index, number, data)

    @override
    def machine(self, node: int) -> Any:
        running = self._nodes[node]
        return None if running is None else running.replica

    @override
    def durable(self, node: int) -> Recovered | None:
        storage = self._storages[node]
        return None if storage is None else storage.recover(self.config.kept_commits)

    @override
    def put_in_front(self, make: Callable[[Outlet], Outlet]) -> None:
        self._make = make


class TinyRig(Rig):
    """`examples/tiny_driver.py`."""

    class _Driver(tiny_driver.Driver):
        def __init__(self, rig: TinyRig) -> None:
            super().__init__()
            self._rig = rig
            self._last: tuple[int, int] = (-1, -1)

        @override
        def _schedule(self, delay_s: float, me: int, event: Event) -> int:
            if isinstance(event, Received) and self._last != (event.peer, id(event.message)):
                self._last = (event.peer, id(event.message))
                self._rig.leaves(event.peer, event.message)
            return super()._schedule(delay_s, me, event)

    delay_s = tiny_driver.DELAY_S

    def __init__(self, kind: type[Replica]) -> None:
        super().__init__(kind)
        self.config = config_of(2 * self.delay_s)
        self.driver = self._Driver(self)

    @override
    def start(self, node: int) -> None:
        module: ModuleType = tiny_driver
        with patch.multiple(module, Replica=self.kind, CONFIG=self.config):
            self.driver.start(node)

    @override
    def crash(self, node: int) -> None:
        self.driver.crash(node)

    @override
    def hand(self, node: int, event: Event) -> None:
        self.driver._handle(node, event)

    @override
    def run(self, seconds: float) -> None:
        self.driver.run(seconds)

    @override
    def machine(self, node: int) -> Any:
        return self.driver.replicas[node]

    @override
    def durable(self, node: int) -> Recovered | None:
        return self.driver.disks[node].recover(self.config.kept_commits)

    @override
    def put_in_front(self, make: Callable[[Outlet], Outlet]) -> None:
        self.driver.outlet = make(self.driver.outlet)


def watched(kind: type[Replica]) -> Planting:
    """Machines of this class where a system of Twins makes its replicas."""
    return Planting((Planted("watched", "what the suite runs", (kind,)),))


class TimedRig(Rig):
    """`diembft.twins.runs.timed`, with a twin of replica 0. Replicas propose markers of their own."""

    identities: tuple[int, ...] = (0, 1, 2, 3, 0)
    reads = False
    requests = False

    class _Observer:
        """The RunObserver that tells what was sent."""

        def __init__(self, rig: TimedRig) -> None:
            self.rig = rig

        def sent(self, tick: int, node: int, number: int, to: int, message: Message) -> None:
            self.rig.leaves(node, message)

        def dropped(self, tick: int, number: int, receivers: int, reason: str) -> None: ...
        def delivered(self, tick: int, node: int, number: int, effects: Any) -> None: ...
        def fired(self, tick: int, node: int, timer: Any, round_: int) -> None: ...
        def stepped(self, tick: int, node: int, replica: Any, effects: Any) -> None: ...
        def crashed(self, tick: int, node: int) -> None: ...
        def restarted(self, tick: int, node: int) -> None: ...

    def __init__(self, kind: type[Replica]) -> None:
        super().__init__(kind)
        names = tuple([f"replica{replica}" for replica in range(N)])
        cast = cast_of(names, tuple([names[replica] + "'" for replica in self.identities[N:]]))
        system = DiemBftSystem(cast, watched(kind), 4 * self.tick_s)
        self.config = system.config
        system.leaders.update({round_: round_ // 2 % N for round_ in range(1, 2000)})
        self.timed = TimedRun(
            DIEMBFT, system, {}, NEVER, after=whole(cast, 0), crashes=True, observer=self._Observer(self)
        )
        self._system = system
        self.timed._started = len(self.identities)
        self._down = set(range(len(self.identities)))
        self._tick_end = 0

    @override
    def start(self, node: int) -> None:
        timed = self.timed
        if node in self._down:
            self._down.discard(node)
            timed._step(node, Started(), NO_MESSAGE)
        else:
            timed._restart(node)

    @override
    def crash(self, node: int) -> None:
        self.timed._crash(node)

    @override
    def hand(self, node: int, event: Event) -> None:
        self.timed._step(node, event, NO_MESSAGE)

    @override
    def run(self, seconds: float) -> None:
        timed = self.timed
        timed.limit = self._tick_end = self._tick_end + round(seconds / self.tick_s)
        while True:
            timed.changed_at = timed.limit  # it is never stuck
            timed.run()
            if timed.now >= timed.limit or not timed._queue:
                break
        timed.now = timed.limit

    @override
    def machine(self, node: int) -> Any:
        return self.timed.replicas[node]

    @override
    def durable(self, node: int) -> Recovered | None:
        storages = self.timed.storages
        assert storages is not None
        recovered: Recovered | None = storages[node].recover()
        return recovered

    @override
    def put_in_front(self, make: Callable[[Outlet], Outlet]) -> None:
        self.timed.in_front = make(self.timed)


class TimedWithoutTwinsRig(TimedRig):
    """The same without twins."""

    identities = tuple(range(N))


class GroupRig(Rig):
    """`diembft.twins.runs.group.Group`, what the network models make their steps of: no time goes by in it."""

    identities = (0, 1, 2, 3, 0)
    timers = False
    reads = False
    requests = False
    outlet = False  # a model's step is one moment: no write takes time in it

    class _Group(Group):
        rig: GroupRig

        @override
        def _emit(self, sender: int, to: int, message: Message) -> None:
            self.rig.leaves(sender, message)
            super()._emit(sender, to, message)

    def __init__(self, kind: type[Replica]) -> None:
        super().__init__(kind)
        names = tuple([f"replica{replica}" for replica in range(N)])
        self.world = world = World(DIEMBFT, cast_of(names, (names[0] + "'",)), crashes=True)
        world.system = DiemBftSystem(world.cast, watched(kind), 1.0, config=world.system.config)  # type: ignore[attr-defined]
        world.leaders = world.system.leaders
        world.leaders[1] = 0
        self.config = world.system.config
        assert self.config.chain_id == CHAIN_ID
        states = {node: NodeState(world.system.node(node), (), None, NOTHING_SIGNED) for node in range(world.nodes)}
        self.group = self._Group(world, 1, states, 1, {})
        self.group.rig = self

    @override
    def start(self, node: int) -> None:
        if self.machine(node) is None:
            self.group.replicas[node] = self.world.recovered(node, self.group.durable[node])
        self.group.step(node, Started())

    @override
    def crash(self, node: int) -> None:
        self.group.replicas[node] = None

    @override
    def hand(self, node: int, event: Event) -> None:
        self.group.step(node, event)

    @override
    def run(self, seconds: float) -> None:
        self.group.deliver()

    @override
    def machine(self, node: int) -> Any:
        return self.group.replicas[node]

    @override
    def durable(self, node: int) -> Recovered | None:
        durable = self.group.durable[node]
        return None if durable is None else self.world.exploring.recovered(durable)


RIGS: tuple[type[Rig], ...] = (SimulatorRig, DistAlgoRig, TimedRig, GroupRig, TinyRig)

WHOLE_RIGS: tuple[type[Rig], ...] = (SimulatorWithoutCopiesRig, DistAlgoRig, TimedWithoutTwinsRig, TinyRig)
"""Those in which time goes by, and of each validator one copy runs: they run real replicas for long."""
