"""The driver of the core in virtual time: an event heap, and the effects carried out.

One thread, one seed: the order of events follows from their times, then from what they are (incidents of the schedule,
deliveries in the order of sending, timers), never from anything outside. The same arguments give the same trace, byte
for byte. With no observer nothing is recorded, and the cost beside the core's own is a few microseconds a message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import TypeAlias, assert_never

from msgspec import Struct

from diembft.client import events as client_events
from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    ReadBlocks,
    Rejected,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Connected, Event, Received, Requests, Started, Timer, TimerFired
from diembft.consensus.genesis import genesis
from diembft.consensus.replica import Replica
from diembft.faults.actors.actor import Actor
from diembft.host import recording
from diembft.host.assembly import ClientSpec, Machine, NodeSpec
from diembft.host.storage import Storage
from diembft.messages.digests import Digests
from diembft.messages.types import Message, Reply, Request, TimeoutMsg
from diembft.simulation.network import CLIENT, Carried, Network, SeededNetwork
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
from diembft.simulation.timers import TIMER, Entry, Timers
from diembft.trace import records
from diembft.trace.records import Record

Observer: TypeAlias = Callable[[Record], None]
"""Takes every record of a run, in order, as it comes about."""

CRASHED = "crashed"
"""Dropped because the receiver is down."""

_ACTION = -2
"""The target of an entry that is a call; `what` is called."""
_BEFORE_DELIVERIES = -(1 << 60)
"""Added to the order of incidents: at equal times they precede all else."""

_TIMERS = tuple(Timer)
_TIMER_SLOT = {timer: slot for slot, timer in enumerate(_TIMERS)}
_CLIENT_TIMERS = tuple(client_events.Timer)
_CLIENT_TIMER_SLOT = {timer: slot for slot, timer in enumerate(_CLIENT_TIMERS)}


class Figures(Struct):
    """What a run counts."""

    sent: int = 0
    """Messages between replicas, one for each receiver."""
    dropped: int = 0
    """Of those, the ones that did not arrive."""
    delivered: int = 0
    """Events handled by replicas: messages of replicas and clients, duplicates too."""
    timeouts: int = 0
    """Timeout messages that replicas signed or repeated, one for each broadcast."""
    commits: int = 0
    """Blocks delivered, summed over all replicas."""
    crashes: int = 0
    restarts: int = 0
    fetches: int = 0
    """Answers with blocks that were read from storage."""
    evidence: int = 0
    """Equivocations and divergences reported."""


class Simulator:
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
        self.config = config
        self.nodes = tuple(nodes)
        self.network = network
        self.clients = tuple(clients)
        self.observe = observe
        self.now_s = 0.0
        self.figures = Figures()
        self.storages = tuple([Storage() for _ in nodes])
        self.machines: list[Machine | None] = [None for _ in nodes]
        """The running machine of each node; None while it is down."""

        self._notice = notice_connections
        self._stopped = False
        self._stop_height = -1
        self._stop_with_clients = False
        self._reads: list[tuple[int, ReadBlocks]] = []
        self._genesis_id = genesis(Digests(config.chain_id, config.epoch)).block.id
        self._names = tuple([node.name for node in nodes])
        self._identities = tuple([node.replica for node in nodes])
        everybody = range(len(self.nodes))
        self._others = tuple([tuple([other for other in everybody if other != node]) for node in everybody])
        self._routes = tuple(
            [
                tuple([tuple([o for o in others if self._identities[o] == replica]) for replica in range(config.n)])
                for others in self._others
            ]
        )
        """For each node and identity: the nodes that a message to that identity reaches, itself left out."""
        self._clock_rates = tuple([node.clock_rate for node in nodes])
        self._client_index = {client.name: index for index, client in enumerate(self.clients)}
        self._open_clients = len(self.clients)
        self._first_sent_s: dict[tuple[str, int], float] = {}
        """When each request that is not accepted yet was sent first."""

        self._heap: list[Entry] = []
        self._queue: deque[Entry] = deque()
        """Deliveries after a constant delay: already in order."""
        self._order = count(1)
        self._incidents = count(_BEFORE_DELIVERIES)
        self._number = 0
        self._client_slots = len(self.nodes) * len(_TIMERS)
        self._timers = Timers(self._client_slots + len(self.clients) * len(_CLIENT_TIMERS), self._heap)
        self._steps: list[Callable[[Event], list[Effect]] | None] = [None for _ in nodes]
        """How a node handles an event; None while it is down or paused."""
        self._inboxes: list[list[tuple[Event | int, int]] | None] = [None for _ in nodes]
        """What waits for a paused node: events, and slots of timers; None if it is not paused."""
        self._crash_in_step = [False for _ in nodes]
        self._states: list[tuple[object, ...]] = [() for _ in nodes]

        for node in everybody:
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
            elif target == _ACTION:
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
        self._stop_height = -1

    def run_until_clients_end(self, until_s: float = inf) -> None:
        """Go on until every client has completed its workload or given up."""
        if self._open_clients:
            self._stop_with_clients = True
            self.run(until_s)
            self._stop_with_clients = False

    def stop(self) -> None:
        """End the run after the event under way."""
        self._stopped = True

    def call_at(self, at_s: float, action: Callable[[], None]) -> None:
        """Call this at a virtual time, before whatever else happens then."""
        heappush(self._heap, (at_s, next(self._incidents), _ACTION, action, 0))

    @property
    def clients_ended(self) -> bool:
        """Whether every client has completed its workload or given up."""
        return self._open_clients == 0

    @property
    def highest_round(self) -> int:
        """The highest round that a node is in."""
        return max([self.round_of(node) for node in range(len(self.nodes))])

    def submit(self, request: Request, nodes: Sequence[int], attempt: int = 1) -> None:
        """Send a client's request to these nodes."""
        self._number = number = self._number + 1
        if self.observe is not None:
            to = tuple([self._names[node] for node in nodes])
            self.observe(records.Submitted(self.now_s, request.client, request, attempt, number, to))
        event = Requests((request,))
        for node in nodes:
            self._carry(CLIENT, node, node, request, event, number)

    def set_attribute(self, node: int, attribute: str, value: int) -> None:
        """Failure injection: make a node Byzantine by changing its state, once its step under way is done."""
        self.call_at(self.now_s, partial(self._set_attribute, node, attribute, value))

    def round_of(self, node: int) -> int:
        """The round that a node is in; 0 if it is down."""
        machine = self.machines[node]
        return machine.current_round if isinstance(machine, Replica | Actor) else 0

    def leader(self, node: int, round_: int) -> int | None:
        """Who leads a round, as far as a node knows; None if it is down."""
        machine = self.machines[node]
        return machine.leader(round_) if isinstance(machine, Replica | Actor) else None

    # --- effects of replicas

    def _carry_out(self, node: int, effects: list[Effect]) -> None:
        if self._crash_in_step[node] and effects and isinstance(effects[0], Persist):
            self._crash_in_step[node] = False
            self._carry_out(node, [effect for effect in effects if isinstance(effect, Persist | Commit)])
            self._crash(node)
            return
        observe = self.observe
        last_commit: Commit | None = None
        for effect in effects:
            # The five frequent kinds, by the identity of their class: a match costs several times as much.
            if type(effect) is Send:
                to = effect.to
                self._send(node, self._routes[node][to], effect.message, own=to == self._identities[node])
            elif type(effect) is Persist:
                self.storages[node].persist(effect)
                if observe is not None:
                    observe(recording.persisted(self.now_s, self._names[node], effect))
            elif type(effect) is SetTimer:
                self._set_timer(node, effect)
            elif type(effect) is Commit:
                last_commit = effect
                self.figures.commits += 1
                if effect.height == self._stop_height:
                    self._stopped = True
                if observe is not None:
                    observe(recording.committed(self.now_s, self._names[node], effect))
            elif type(effect) is Broadcast:
                self._send(node, self._others[node], effect.message, own=True)
            else:
                self._carry_out_rare(node, effect)
        if last_commit is not None:
            self.storages[node].save_ledger(last_commit.state_id, last_commit.ledger)
        if observe is not None:
            self._record_state(node)
        while self._reads:
            self._read_blocks(*self._reads.pop(0))

    def _carry_out_rare(self, node: int, effect: Effect) -> None:
        observe = self.observe
        match effect:
            case SendReply():
                self._reply(node, effect.reply)
            case CancelTimer():
                self._timers.cancel(node * len(_TIMERS) + _TIMER_SLOT[effect.timer])
                if observe is not None:
                    observe(records.TimerCancelled(self.now_s, self._names[node], effect.timer.value))
            case Rejected() | Ignored():
                pass  # stands in the record of the delivery
            case ReadBlocks():
                self._reads.append((node, effect))
            case Equivocation() | Divergence():
                self.figures.evidence += 1
                if observe is not None:
                    observe(recording.evidence(self.now_s, self._names[node], effect))
            case Send() | Persist() | SetTimer() | Commit() | Broadcast():
                raise AssertionError("because these were carried out by the caller")
            case _:
                assert_never(effect)

    def _send(self, node: int, receivers: tuple[int, ...], message: Message, *, own: bool) -> None:
        """Put a message on its way. `own`: the sender has handled a copy of its own."""
        now_s = self.now_s
        if own:
            self.network.own_copy(node, message)
            if not receivers:
                return
        if type(message) is TimeoutMsg:
            self.figures.timeouts += 1
        self._number = number = self._number + 1
        if self.observe is not None:
            to = tuple([self._names[receiver] for receiver in receivers])
            self.observe(records.Sent(now_s, self._names[node], number, to, message))
        self.figures.sent += len(receivers)
        event = Received(self._identities[node], message)
        delay_s = self.network.constant_delay_s
        if delay_s is None:
            for receiver in receivers:
                self._carry(node, receiver, receiver, message, event, number)
            return
        at_s, order, queue = now_s + delay_s, self._order, self._queue
        if queue and queue[-1][0] > at_s:  # sent earlier, when messages took longer
            for receiver in receivers:
                heappush(self._heap, (at_s, next(order), receiver, event, number))
            return
        for receiver in receivers:
            queue.append((at_s, next(order), receiver, event, number))

    def _carry(self, src: int, dest: int, target: int, carried: Carried, what: object, number: int) -> None:
        """Ask the network for the fate of one message to one receiver. `src` and `dest` as in Network."""
        arrivals = self.network.arrivals(src, dest, carried)
        if isinstance(arrivals, str):
            self._drop(target, number, arrivals)
            return
        for delay_s in arrivals:
            heappush(self._heap, (self.now_s + delay_s, next(self._order), target, what, number))

    def _drop(self, target: int, number: int, reason: str) -> None:
        self.figures.dropped += 1
        if self.observe is not None:
            self.observe(records.Dropped(self.now_s, number, self._name(target), reason))

    def _name(self, target: int) -> str:
        nodes = len(self.nodes)
        return self._names[target] if target < nodes else self.clients[target - nodes].name

    def _reply(self, node: int, reply: Reply) -> None:
        self._number = number = self._number + 1
        if self.observe is not None:
            self.observe(records.Replied(self.now_s, self._names[node], reply, number))
        client = self._client_index.get(reply.client)
        if client is not None:
            event = client_events.ReplyReceived(self._identities[node], reply)
            self._carry(node, CLIENT, len(self.nodes) + client, reply, event, number)

    def _read_blocks(self, node: int, request: ReadBlocks) -> None:
        """Answer from storage at once: the next event of this node."""
        machine = self.machines[node]
        assert machine is not None, "because it asked in this very step"
        blocks = self.storages[node].read(request.after, request.count, request.max_bytes, self._genesis_id)
        self.figures.fetches += bool(blocks)
        if self.observe is not None:
            self.observe(records.BlocksRead(self.now_s, self._names[node], request.peer, len(blocks)))
        self._carry_out(node, machine.step(BlocksRead(request.peer, request.round, blocks)))

    # --- timers

    def _set_timer(self, node: int, effect: SetTimer) -> None:
        slot = node * len(_TIMERS) + _TIMER_SLOT[effect.timer]
        delay_s = effect.delay_s * self._clock_rates[node]
        self._timers.start(slot, self.now_s + delay_s, effect.round)
        if self.observe is not None:
            self.observe(records.TimerSet(self.now_s, self._names[node], effect.timer.value, delay_s, effect.round))

    def _timer_due(self, slot: int) -> None:
        if not self._timers.came_due(slot, self.now_s):
            return
        if slot >= self._client_slots:
            index, kind = divmod(slot - self._client_slots, len(_CLIENT_TIMERS))
            detail = self._timers.take(slot)
            self._client_step(index, client_events.TimerFired(_CLIENT_TIMERS[kind], detail))
            return
        node = slot // len(_TIMERS)
        inbox = self._inboxes[node]
        if inbox is not None:
            inbox.append((slot, 0))
            return
        self._fire(node, slot)

    def _fire(self, node: int, slot: int) -> None:
        timer = _TIMERS[slot % len(_TIMERS)]
        round_ = self._timers.take(slot)
        if self.observe is not None:
            self.observe(records.Fired(self.now_s, self._names[node], timer.value, round_))
        machine = self.machines[node]
        assert machine is not None, "because the timers of a crashed node were cancelled"
        self._carry_out(node, machine.step(TimerFired(timer, round_)))

    # --- clients

    def _client_received(self, index: int, reply: client_events.ReplyReceived, number: int) -> None:
        if self.observe is not None:
            self.observe(records.Delivered(self.now_s, self.clients[index].name, number))
        self._client_step(index, reply)

    def _client_step(self, index: int, event: client_events.ClientEvent) -> None:
        spec, observe = self.clients[index], self.observe
        first_slot = self._client_slots + index * len(_CLIENT_TIMERS)
        for effect in spec.client.step(event):
            match effect:
                case client_events.Submit(request, attempt):
                    self._first_sent_s.setdefault((spec.name, request.number), self.now_s)
                    self.submit(request, range(len(self.nodes)), attempt)
                case client_events.SetTimer(timer, delay_s, number):
                    self._timers.start(first_slot + _CLIENT_TIMER_SLOT[timer], self.now_s + delay_s, number)
                case client_events.CancelTimer(timer):
                    self._timers.cancel(first_slot + _CLIENT_TIMER_SLOT[timer])
                case client_events.Accepted(number, reply, _, _):
                    sent_s = self._first_sent_s.pop((spec.name, number))
                    if observe is not None:
                        latency_s = self.now_s - sent_s
                        observe(records.Accepted(self.now_s, spec.name, number, reply.status, latency_s))
                case client_events.Ended(completed):
                    self._open_clients -= 1
                    if observe is not None:
                        observe(records.WorkloadEnded(self.now_s, spec.name, completed))
                    if not self._open_clients and self._stop_with_clients:
                        self.stop()
                case _:
                    assert_never(effect)

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
        machine = spec.start(self.storages[node].recover(self.config.kept_commits))
        self.machines[node] = machine
        self._steps[node] = machine.step
        self._states[node] = ()
        self._carry_out(node, machine.step(Started()))

    def _crash(self, node: int) -> None:
        if self.machines[node] is None:
            return
        self._crash_in_step[node] = False
        self.machines[node] = None
        self._steps[node] = None
        for slot in range(node * len(_TIMERS), (node + 1) * len(_TIMERS)):
            self._timers.cancel(slot)
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
        if self._notice:
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
        if not isinstance(machine, Replica):
            return
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

    # --- records

    def _record_delivery(self, node: int, number: int, effects: list[Effect]) -> None:
        if self.observe is not None:
            self.observe(recording.delivered(self.now_s, self._names[node], number, effects))

    def _record_state(self, node: int) -> None:
        """Record what changed in the state of a node, as far as it has one."""
        machine, observe = self.machines[node], self.observe
        if observe is None or not isinstance(machine, Replica | Actor):
            return
        state = recording.state_of(machine)
        if state != self._states[node]:
            self._states[node] = state
            observe(records.State(self.now_s, self._names[node], *state))
