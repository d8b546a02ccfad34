"""The driver of the core in virtual time: an event heap, and the effects carried out.

One thread, one seed: the order of events follows from their times, then from what they are (incidents of the schedule,
deliveries in the order of sending, timers), never from anything outside. The same arguments give the same trace, byte
for byte. With no observer nothing is recorded, and the cost beside the core's own is a few microseconds a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import assert_never

from typing_extensions import override

from diembft.client import events as client_events
from diembft.consensus.config import Config
from diembft.consensus.events import Connected, Event, Started
from diembft.consensus.recovery import Unrecoverable
from diembft.faults.tampering import Tampered
from diembft.host import recording
from diembft.host.assembly import ClientSpec, NodeSpec
from diembft.host.recording import CRASHED, Observer
from diembft.simulation.carrying import Carrying
from diembft.simulation.network import Network, SeededNetwork
from diembft.simulation.post import ACTION, TIMERS
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
from diembft.simulation.timers import TIMER
from diembft.trace import records


class Simulator(Carrying):
    """One run of a system of nodes and clients.

    `observe` takes the records of the trace, but not the header, which the caller makes. `stop` ends the run from
    within an observer. With `notice_connections`, nodes are told when a partition heals or a peer restarts.
    """

    def __init__(
        self,
        config: Config,
        nodes: Sequence[NodeSpec],
        network: Network,
        *,
        clients: Sequence[ClientSpec] = (),
        schedule: Iterable[Incident] = (),
        observe: Observer | None = None,
        notice_connections: bool = False,
    ) -> None:
        super().__init__(config, nodes, network, clients, observe)
        self._notice = notice_connections
        for node in range(len(self.nodes)):
            self.call_at(0.0, partial(self._start, node))
        for index, client in enumerate(self.clients):
            self.call_at(client.start_s, partial(self._client_step, index, client_events.Started()))
        for incident in schedule:
            self.call_at(incident.at_s, partial(self.befall, incident))

    # --- what callers use

    def run(self, until_s: float = inf) -> None:
        """Go on until this virtual time, or until `stop`, or until nothing is left to happen."""
        self._stopped = False
        queue, heap, steps, observe = self._queue, self._heap, self._steps, self.observe
        nodes, delivered = len(self.nodes), 0
        while not self._stopped:
            if queue:
                entry = heappop(heap) if heap and heap[0] < queue[0] else queue.popleft()
            elif heap:
                entry = heappop(heap)
            else:
                break
            now_s, _, target, what, number = entry
            if now_s > until_s:
                heappush(heap, entry)
                break
            self.now_s = now_s
            if 0 <= target < nodes:
                step = steps[target]
                if step is None:
                    self._wait_or_drop(target, what, number)
                    continue
                delivered += 1
                effects = step(what)
                if observe is not None:
                    self._record_delivery(target, number, effects)
                if effects:
                    self._carry_out(target, effects)
            elif target == TIMER:
                self._timer_due(what)
            elif target == ACTION:
                what()
            else:
                self._client_received(target - nodes, what, number)
        self.figures.delivered += delivered
        if not self._stopped and until_s < inf:
            self.now_s = max(self.now_s, until_s)

    def run_until_height(self, height: int, until_s: float = inf) -> None:
        """Go on until some node has committed so many blocks."""
        self._stop_height = height
        self.run(until_s)
        self._stop_height = None

    def run_until_clients_end(self, until_s: float = inf) -> None:
        """Go on until every client has completed its workload or given up."""
        if self._open_clients:
            self._stop_with_clients = True
            self.run(until_s)
            self._stop_with_clients = False

    @property
    def clients_ended(self) -> bool:
        """Whether every client has completed its workload or given up."""
        return self._open_clients == 0

    @property
    def highest_round(self) -> int:
        """The highest round that a node is in."""
        return max([self.round_of(node) for node in range(len(self.nodes))])

    def set_attribute(self, node: int, attribute: str, value: int) -> None:
        """Failure injection: make a node Byzantine by changing its state, once its step under way is done."""
        self.call_at(self.now_s, partial(self._set_attribute, node, attribute, value))

    # --- what befalls nodes and network

    def befall(self, incident: Incident) -> None:
        """Let something befall the system now, whatever time the incident names."""
        match incident:
            case Crash(node=node, mid_step=mid_step):
                if mid_step:
                    self._crash_in_step[node] = self.machines[node] is not None
                else:
                    self._crash(node)
            case Restart(node=node):
                self._restart(node)
            case Pause(node=node):
                self._pause(node)
            case Resume(node=node):
                self._resume(node)
            case Partition(sets=sets):
                self._partition(sets)
            case Heal():
                self._partition((tuple(range(len(self.nodes))),))
            case Change(conditions=conditions):
                self._seeded_network().conditions = conditions
            case Stabilise(delta_s=delta_s):
                if self.observe is not None:
                    self.observe(records.Synchronous(self.now_s, delta_s))
            case _:
                assert_never(incident)

    def _seeded_network(self) -> SeededNetwork:
        network = self.network
        assert isinstance(network, SeededNetwork), "because only this network has conditions and partitions"
        return network

    def _start(self, node: int) -> None:
        """The node runs, for the first time or again."""
        spec = self.nodes[node]
        try:
            machine = spec.start(self.storages[node].recover(self.config.kept_commits))
        except Unrecoverable as error:
            self._stays_down(node, error)
            return
        self.machines[node] = machine
        self._steps[node] = machine.step
        self._states[node] = ()
        self._carry_out(node, machine.step(Started()))

    def _stays_down(self, node: int, error: Unrecoverable) -> None:
        """The node found in its storage what must not be trusted, says so and stops."""
        self.figures.evidence += 1
        if self.observe is not None:
            self.observe(recording.unrecoverable(self.now_s, self._names[node], error))
            self.observe(records.Crashed(self.now_s, self._names[node]))

    @override
    def _crash(self, node: int) -> None:
        if self.machines[node] is None:
            return
        self._crash_in_step[node] = False
        self.machines[node] = None
        self._steps[node] = None
        for slot in range(node * len(TIMERS), (node + 1) * len(TIMERS)):
            self._timers.cancel(slot)
        self.outlet.crashed(node)
        self.figures.crashes += 1
        if self.observe is not None:
            self.observe(records.Crashed(self.now_s, self._names[node]))
        waiting, self._inboxes[node] = self._inboxes[node], None
        for what, number in waiting or ():
            if not isinstance(what, int):
                self._drop(node, number, CRASHED)

    def _restart(self, node: int) -> None:
        self._crash_in_step[node] = False
        if self.machines[node] is not None:
            return
        self.figures.restarts += 1
        if self.observe is not None:
            self.observe(records.Restarted(self.now_s, self._names[node]))
        self._start(node)
        if self._notice and self.machines[node] is not None:
            for other in self._others[node]:
                self._notice_connection(other, node)

    def _pause(self, node: int) -> None:
        if self.machines[node] is None or self._inboxes[node] is not None:
            return
        self._steps[node] = None
        self._inboxes[node] = []
        if self.observe is not None:
            self.observe(records.Paused(self.now_s, self._names[node]))

    def _resume(self, node: int) -> None:
        inbox, self._inboxes[node] = self._inboxes[node], None
        if inbox is None:
            return
        machine = self.machines[node]
        assert machine is not None, "because a paused node that crashes is no longer paused"
        if self.observe is not None:
            self.observe(records.Resumed(self.now_s, self._names[node]))
        self._steps[node] = machine.step
        for what, number in inbox:
            if self.machines[node] is not machine:  # it crashed in the step before
                if not isinstance(what, int):
                    self._drop(node, number, CRASHED)
            elif not isinstance(what, int):
                self._deliver(node, what, number)
            elif self._timers.expired(what, self.now_s):
                self._fire(node, what)

    def _partition(self, sets: tuple[tuple[int, ...], ...]) -> None:
        network = self._seeded_network()
        pairs = [(first, second) for first in range(len(self.nodes)) for second in self._others[first]]
        parted = [pair for pair in pairs if not network.connected(*pair)]
        network.partition(sets)
        if self.observe is not None:
            named = tuple([tuple([self._names[node] for node in members]) for members in sets])
            self.observe(records.Partitioned(self.now_s, named))
        if self._notice:
            for first, second in parted:
                if network.connected(first, second):
                    self._notice_connection(first, second)

    def _notice_connection(self, node: int, peer: int) -> None:
        """Tell a node that runs that it reaches a peer again."""
        step = self._steps[node]
        if step is None:
            return
        if self.observe is not None:
            self.observe(records.PeerConnected(self.now_s, self._names[node], self._names[peer]))
        self._carry_out(node, step(Connected(self._identities[peer])))

    def _set_attribute(self, node: int, attribute: str, value: int) -> None:
        machine = self.machines[node]
        if not isinstance(machine, Tampered):
            return  # it is down, or something that plays a replica
        machine.set_attribute(attribute, value)
        if self.observe is not None:
            self.observe(records.SetAttribute(self.now_s, self._names[node], attribute, value))
            self._record_state(node)

    def _wait_or_drop(self, node: int, event: Event, number: int) -> None:
        """A message reaches a node that does not run."""
        inbox = self._inboxes[node]
        if inbox is None:
            self._drop(node, number, CRASHED)
        else:
            inbox.append((event, number))

    def _deliver(self, node: int, event: Event, number: int) -> None:
        machine = self.machines[node]
        assert machine is not None, "because the caller has looked"
        self.figures.delivered += 1
        effects = machine.step(event)
        self._record_delivery(node, number, effects)
        self._carry_out(node, effects)
