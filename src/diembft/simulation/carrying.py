"""What nodes and clients of a simulation want done: their effects carried out in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias, assert_never

from typing_extensions import override

from diembft.client import events as client_events
from diembft.consensus.config import Config
from diembft.consensus.effects import (
    Broadcast,
    CancelTimer,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Persist,
    ReadBlocks,
    Send,
    SendReply,
    SetTimer,
)
from diembft.consensus.events import BlocksRead, Event, TimerFired
from diembft.consensus.genesis import genesis
from diembft.consensus.replica import Replica
from diembft.faults.actors.actor import Actor
from diembft.host import recording
from diembft.host.assembly import ClientSpec, Machine, NodeSpec
from diembft.host.clock import milliseconds
from diembft.host.outlet import Outlet, carry_out
from diembft.host.recording import Observer
from diembft.host.storage import Storage
from diembft.messages.digests import Digests
from diembft.messages.types import Message
from diembft.simulation.network import Network
from diembft.simulation.post import CLIENT_TIMER_SLOT, CLIENT_TIMERS, TIMER_SLOT, TIMERS, Post
from diembft.simulation.timers import Timers
from diembft.trace import records

Player: TypeAlias = Replica | Actor
"""Who has a round and a state to record. Named, for to make the union costs more than to ask."""


class Carrying(Post, Outlet):
    """Carries effects out. Nodes run here; what befalls them is the simulator's business."""

    def __init__(
        self,
        config: Config,
        nodes: Sequence[NodeSpec],
        network: Network,
        clients: Sequence[ClientSpec],
        observe: Observer | None,
    ) -> None:
        super().__init__(config, nodes, network, clients, observe)
        self.outlet: Outlet = self
        """Where effects go: here, or through something that stands in front (`diembft.host.outlet`)."""
        self.storages = tuple([Storage() for _ in nodes])
        self.machines: list[Machine | None] = [None for _ in nodes]
        """The running machine of each node; None while it is down."""
        self._steps: list[Callable[[Event], list[Effect]] | None] = [None for _ in nodes]
        """How a node handles an event; None while it is down or paused."""
        self._inboxes: list[list[tuple[Event | int, int]] | None] = [None for _ in nodes]
        """What waits for a paused node: events, and slots of timers; None if it is not paused."""
        self._crash_in_step = [False for _ in nodes]
        self._states: list[tuple[object, ...]] = [() for _ in nodes]
        self._genesis_id = genesis(Digests(config.chain_id, config.epoch)).block.id
        self._clock_rates = tuple([node.clock_rate for node in nodes])
        self._client_slots = len(self.nodes) * len(TIMERS)
        self._timers = Timers(self._client_slots + len(self.clients) * len(CLIENT_TIMERS), self._heap)
        self._open_clients = len(self.clients)
        self._first_sent_s: dict[tuple[str, int], float] = {}
        """When each request that is not accepted yet was sent first."""
        self._stopped = False
        self._stop_height: int | None = None
        self._stop_with_clients = False

    def stop(self) -> None:
        """End the run after the event under way."""
        self._stopped = True

    def round_of(self, node: int) -> int:
        """The round that a node is in; 0 if it is down."""
        machine = self.machines[node]
        return machine.current_round if isinstance(machine, Player) else 0

    def leader(self, node: int, round_: int) -> int | None:
        """Who leads a round, as far as a node knows; None if it is down."""
        machine = self.machines[node]
        return machine.leader(round_) if isinstance(machine, Player) else None

    # --- effects of replicas

    def _carry_out(self, node: int, effects: list[Effect]) -> None:
        """Carry out the effects of one step."""
        if self._crash_in_step[node] and effects and isinstance(effects[0], Persist):
            self._crash_in_step[node] = False
            # The write was made, and commits are part of it; the power went before anything else was done.
            carry_out(self.outlet, node, [effect for effect in effects if isinstance(effect, Persist | Commit)])
            self._crash(node)
            return
        carry_out(self.outlet, node, effects)
        if self.observe is not None:
            self._record_state(node)

    def _crash(self, node: int) -> None:
        raise NotImplementedError

    @override
    def send(self, node: int, effect: Send[Message]) -> None:
        to = effect.to
        self._send(node, self._routes[node][to], effect.message, own=to == self._identities[node])

    @override
    def broadcast(self, node: int, effect: Broadcast[Message]) -> None:
        self._send(node, self._others[node], effect.message, own=True)

    @override
    def persist(self, node: int, effect: Persist) -> None:
        self.storages[node].persist(effect)
        if self.observe is not None:
            self.observe(recording.persisted(self.now_s, self._names[node], effect))

    @override
    def commit(self, node: int, effect: Commit) -> None:
        self.figures.commits += 1
        if effect.height == self._stop_height:
            self._stopped = True
        if self.observe is not None:
            self.observe(recording.committed(self.now_s, self._names[node], effect))

    @override
    def set_timer(self, node: int, effect: SetTimer) -> None:
        timer = effect.timer._value_
        slot = node * len(TIMERS) + TIMER_SLOT[timer]
        delay_s = effect.delay_s * self._clock_rates[node]
        self._timers.start(slot, self.now_s + delay_s, effect.round)
        if self.observe is not None:
            self.observe(records.TimerSet(self.now_s, self._names[node], timer, delay_s, effect.round))

    @override
    def cancel_timer(self, node: int, effect: CancelTimer) -> None:
        timer = effect.timer._value_
        self._timers.cancel(node * len(TIMERS) + TIMER_SLOT[timer])
        if self.observe is not None:
            self.observe(records.TimerCancelled(self.now_s, self._names[node], timer))

    @override
    def reply(self, node: int, effect: SendReply) -> None:
        self._reply(node, effect.reply)

    @override
    def read_blocks(self, node: int, effect: ReadBlocks) -> None:
        machine = self.machines[node]
        assert machine is not None, "because nothing of a crashed node is carried out"
        self.call_at(self.now_s, partial(self._read_blocks, node, machine, effect))

    @override
    def report(self, node: int, effect: Equivocation | Divergence) -> None:
        self.figures.evidence += 1
        if self.observe is not None:
            self.observe(recording.evidence(self.now_s, self._names[node], effect))

    def _read_blocks(self, node: int, machine: Machine, request: ReadBlocks) -> None:
        """Answer from storage: what happens next."""
        if self.machines[node] is not machine:
            return  # it crashed in between
        blocks = self.storages[node].read(request.after, request.count, request.max_bytes, self._genesis_id)
        self.figures.fetches += bool(blocks)
        if self.observe is not None:
            self.observe(records.BlocksRead(self.now_s, self._names[node], request.peer, len(blocks)))
        self._carry_out(node, machine.step(BlocksRead(request.peer, request.round, blocks, milliseconds(self.now_s))))

    # --- timers

    def _timer_due(self, slot: int) -> None:
        if not self._timers.came_due(slot, self.now_s):
            return
        if slot >= self._client_slots:
            index, kind = divmod(slot - self._client_slots, len(CLIENT_TIMERS))
            detail = self._timers.take(slot)
            self._client_step(index, client_events.TimerFired(CLIENT_TIMERS[kind], detail))
            return
        node = slot // len(TIMERS)
        inbox = self._inboxes[node]
        if inbox is not None:
            inbox.append((slot, 0))
            return
        self._fire(node, slot)

    def _fire(self, node: int, slot: int) -> None:
        timer = TIMERS[slot % len(TIMERS)]
        round_ = self._timers.take(slot)
        if self.observe is not None:
            self.observe(records.Fired(self.now_s, self._names[node], timer._value_, round_))
        machine = self.machines[node]
        assert machine is not None, "because the timers of a crashed node were cancelled"
        self._carry_out(node, machine.step(TimerFired(timer, round_, milliseconds(self.now_s))))

    # --- clients

    def _client_received(self, index: int, reply: client_events.ReplyReceived, number: int) -> None:
        if self.observe is not None:
            self.observe(records.Delivered(self.now_s, self.clients[index].name, number))
        self._client_step(index, reply)

    def _client_step(self, index: int, event: client_events.ClientEvent) -> None:
        spec, observe = self.clients[index], self.observe
        first_slot = self._client_slots + index * len(CLIENT_TIMERS)
        for effect in spec.client.step(event):
            match effect:
                case client_events.Submit(request, attempt):
                    self._first_sent_s.setdefault((spec.name, request.number), self.now_s)
                    self.submit(request, range(len(self.nodes)), attempt)
                case client_events.SetTimer(timer, delay_s, number):
                    self._timers.start(first_slot + CLIENT_TIMER_SLOT[timer._value_], self.now_s + delay_s, number)
                case client_events.CancelTimer(timer):
                    self._timers.cancel(first_slot + CLIENT_TIMER_SLOT[timer._value_])
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

    # --- records

    def _record_delivery(self, node: int, number: int, effects: list[Effect]) -> None:
        if self.observe is not None:
            self.observe(recording.delivered(self.now_s, self._names[node], number, effects))

    def _record_state(self, node: int) -> None:
        """Record what changed in the state of a node, as far as it has one."""
        machine, observe = self.machines[node], self.observe
        if observe is None or not isinstance(machine, Player):
            return
        state = recording.snapshot(machine)
        if state != self._states[node]:
            self._states[node] = state
            observe(recording.state(self.now_s, self._names[node], state))
