"""The process of one or several clients: their state machines, and what they send and receive."""

from __future__ import annotations

import logging
from typing import TypeAlias, assert_never

from diembft.client.events import (
    Accepted,
    CancelTimer,
    ClientEvent,
    Ended,
    ReplyReceived,
    SetTimer,
    Started,
    Submit,
    Timer,
    TimerFired,
)
from diembft.distalgo.endpoint import Endpoint, Wires
from diembft.distalgo.plan import Plan
from diembft.host import recording
from diembft.messages import codec
from diembft.messages.codec import Frame
from diembft.messages.types import Reply, Request
from diembft.trace import records

log = logging.getLogger(__name__)

ClientTimer: TypeAlias = tuple[str, Timer]
"""The name of a client, and which of its timers."""


class ClientHost(Endpoint[ClientTimer]):
    """The clients of endpoint `index` of a test case."""

    def __init__(self, plan: Plan, index: int, wires: Wires) -> None:
        super().__init__(index, wires)
        self.name = plan.names[index]
        self.clients = {client.config.client: client for client in plan.clients_of(index)}
        self._replicas = plan.names[: plan.config.n]
        self._first_sent_s: dict[tuple[str, int], float] = {}
        """When each request that is not accepted yet was sent first."""

    @property
    def ended(self) -> bool:
        """Whether every client has completed its workload or given up."""
        return all(client.ended for client in self.clients.values())

    @property
    def completed(self) -> dict[str, int]:
        """How many requests each client got executed in time."""
        return {name: client.executed for name, client in self.clients.items()}

    def start(self) -> None:
        """The first event of every client."""
        for name in self.clients:
            self._step(name, Started())

    def _received(self, sender: int, number: int, frame: Frame) -> None:
        assert isinstance(frame, Reply), "because replicas send nothing else to clients"
        self.records.append(records.Delivered(self.now_s, frame.client, number))
        self._step(frame.client, ReplyReceived(sender, frame))

    def _fired(self, timer: ClientTimer, detail: int) -> None:
        name, which = timer
        self._step(name, TimerFired(which, detail))

    def _step(self, name: str, event: ClientEvent) -> None:
        for effect in self.clients[name].step(event):
            match effect:
                case Submit(request, attempt):
                    self._submit(request, attempt)
                case SetTimer(timer, delay_s, number):
                    self._start_timer((name, timer), delay_s, number)
                case CancelTimer(timer):
                    self._cancel_timer((name, timer))
                case Accepted(number, reply, _, _):
                    latency_s = self.now_s - self._first_sent_s.pop((name, number))
                    self.records.append(
                        records.Accepted(self.now_s, name, number, reply.status, latency_s, reply.session)
                    )
                    log.info("%s: request %d accepted after %.3f s", name, number, latency_s)
                case Ended(completed):
                    self.records.append(records.WorkloadEnded(self.now_s, name, completed))
                    log.info("%s: workload %s", name, "completed" if completed else "timed out")
                case _:
                    assert_never(effect)

    def _submit(self, request: Request, attempt: int) -> None:
        """Send a request to all replicas, at once: the network's share is drawn by the receivers."""
        number = self._next_number()
        now_s = self.now_s
        self._first_sent_s.setdefault((request.client, request.number), now_s)
        self.records.append(recording.submitted(now_s, request, attempt, number, self._replicas))
        data = self._encoded(codec.Submit(request), f"request {request.number} of {request.client}")
        for replica in range(len(self._replicas)):
            self._post(replica, number, data)
