"""Messages on their way in virtual time: who is there, what was sent, and when it arrives.

The order of events follows from their times, then from what they are (incidents of the schedule, deliveries in the
order of sending, timers), never from anything outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappush
from itertools import count
from typing import Final

from msgspec import Struct

from diembft.client import events as client_events
from diembft.consensus.config import Config
from diembft.consensus.events import Received, Requests, Timer
from diembft.host import recording
from diembft.host.assembly import ClientSpec, NodeSpec
from diembft.host.clock import dated
from diembft.host.recording import Observer
from diembft.messages.types import Message, Reply, Request, TimeoutMsg
from diembft.simulation.network import Carried, Network
from diembft.simulation.timers import Entry
from diembft.testcase.failures import CLIENT
from diembft.trace import diembft as neutral
from diembft.trace import records

ACTION: Final = -2
"""The target of an entry that is a call; `what` is called."""
_BEFORE_DELIVERIES: Final = -(1 << 60)
"""Added to the order of incidents: at equal times they precede all else."""

TIMERS: Final = tuple(Timer)
TIMER_SLOT: Final = {timer.value: slot for slot, timer in enumerate(TIMERS)}
"""By the timer's value: the hash of a member of an Enum costs a call. `_value_` is the value without a call, which
`value` costs in Python 3.11."""
CLIENT_TIMERS: Final = tuple(client_events.Timer)
CLIENT_TIMER_SLOT: Final = {timer.value: slot for slot, timer in enumerate(CLIENT_TIMERS)}


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


class Post:
    """The nodes and clients of one run, and the messages among them. A message has a number, counted from 1."""

    def __init__(
        self,
        config: Config,
        nodes: Sequence[NodeSpec],
        network: Network,
        clients: Sequence[ClientSpec],
        observe: Observer | None,
    ) -> None:
        self.config = config
        self.nodes = tuple(nodes)
        self.network = network
        self.clients = tuple(clients)
        self.observe = observe
        self.now_s = 0.0
        self.figures = Figures()

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
        self._names_of: dict[tuple[int, ...], tuple[str, ...]] = {}
        """Of each set of receivers that a message went to."""
        self._client_index = {client.name: index for index, client in enumerate(self.clients)}

        self._heap: list[Entry] = []
        self._queue: deque[Entry] = deque()
        """Deliveries after a constant delay: already in order."""
        self._order = count(1)
        self._incidents = count(_BEFORE_DELIVERIES)
        self._number = 0

    def call_at(self, at_s: float, action: Callable[[], None]) -> None:
        """Call this at a virtual time, before whatever else happens then."""
        heappush(self._heap, (at_s, next(self._incidents), ACTION, action, 0))

    def submit(self, request: Request, nodes: Sequence[int], attempt: int = 1) -> None:
        """Send a client's request to these nodes."""
        self._number = number = self._number + 1
        if self.observe is not None:
            to = tuple([self._names[node] for node in nodes])
            self.observe(recording.submitted(self.now_s, request, attempt, number, to))
        event = Requests((request,))
        for node in nodes:
            self._carry(CLIENT, node, node, request, event, number)

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
            to = self._names_of.get(receivers) or self._name_all(receivers)
            self.observe(records.Sent(now_s, self._names[node], number, to, neutral.message(message)))
        self.figures.sent += len(receivers)
        delay_s = self.network.constant_delay_s
        if delay_s is None:
            event = Received(self._identities[node], message)
            for receiver in receivers:
                self._carry(node, receiver, receiver, message, event, number)
            return
        at_s, order, queue = now_s + delay_s, self._order, self._queue
        event = Received(self._identities[node], message, int(at_s * 1000))  # `milliseconds`, without the call
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
            at_s = self.now_s + delay_s
            heappush(self._heap, (at_s, next(self._order), target, dated(what, at_s), number))

    def _drop(self, target: int, number: int, reason: str) -> None:
        self.figures.dropped += 1
        if self.observe is not None:
            self.observe(records.Dropped(self.now_s, number, self._name(target), reason))

    def _name_all(self, receivers: tuple[int, ...]) -> tuple[str, ...]:
        """The names of these nodes, which are some of few sets."""
        names = self._names_of[receivers] = tuple([self._names[receiver] for receiver in receivers])
        return names

    def _name(self, target: int) -> str:
        nodes = len(self.nodes)
        return self._names[target] if target < nodes else self.clients[target - nodes].name

    def _reply(self, node: int, reply: Reply) -> None:
        self._number = number = self._number + 1
        if self.observe is not None:
            self.observe(recording.replied(self.now_s, self._names[node], reply, number))
        client = self._client_index.get(reply.client)
        if client is not None:
            event = client_events.ReplyReceived(self._identities[node], reply)
            self._carry(node, CLIENT, len(self.nodes) + client, reply, event, number)
