"""Second reading of a trace: its window, as steps, messages, blocks and certificates."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import assert_never

from diembft.errors import InputError
from diembft.pages import data
from diembft.pages.catalogue import Catalogue
from diembft.pages.causes import Cause, client_text, kind_of, persisted_text, text_of
from diembft.pages.contents import Carrier, describe, moment, number_of, receivers
from diembft.pages.data import NONE
from diembft.trace.records import (
    Accepted,
    BlocksRead,
    Committed,
    Crashed,
    Delivered,
    Dropped,
    Ended,
    Evidence,
    Fired,
    Header,
    Partitioned,
    Paused,
    PeerConnected,
    Persisted,
    Record,
    Replied,
    Restarted,
    Resumed,
    Sent,
    SetAttribute,
    State,
    Submitted,
    Synchronous,
    TimerCancelled,
    TimerSet,
    Violated,
    WorkloadEnded,
)

VIRTUAL = ("simulator", "twins")
"""The runtimes whose time is virtual."""

_KEPT_COMMITS = 50
"""How many of the blocks that a node committed before the window are remembered."""


def clients_of(header: Header) -> tuple[str, ...]:
    """The clients that are no nodes: in Twins runs a node makes requests in its own name."""
    nodes = {node.name for node in header.nodes}
    return tuple(name for name in header.clients if name not in nodes)


class _Names(dict[str, int]):
    """The index of every node and client of the header."""

    def __missing__(self, name: str) -> int:
        raise InputError(f"the trace names {name!r}, which is no node or client of its header")


class Reader:
    """Takes the records of a trace in order, and keeps those of a window (`start` <= at < `end`) for a page."""

    def __init__(self, header: Header, start: float, end: float) -> None:
        names = [node.name for node in header.nodes]
        self.index = _Names((name, number) for number, name in enumerate([*names, *clients_of(header)]))
        self.node_count = len(names)
        self.catalogue = Catalogue(self.node_count)
        self.steps: list[data.PageStep] = []
        self.messages: list[data.PageMessage] = []
        self.round_sets: dict[int, list[list[int]]] = {}
        """Partitions of single rounds."""
        self.violations: list[tuple[int, Violated]] = []
        self.start_states: list[data.PageState | None] = [None] * self.node_count
        self.start_status = ["up"] * self.node_count
        self.steps_before = 0
        self.steps_after = 0
        self._virtual = header.runtime in VIRTUAL
        self._start = start
        self._end = end
        self._partitions: dict[int | None, Partitioned] = {}
        self._last_states: dict[int, State] = {}
        self._committed: list[deque[bytes]] = [deque(maxlen=_KEPT_COMMITS) for _ in names]
        self._carriers: dict[int, tuple[Carrier, int]] = {}
        """Messages from before the window that may still arrive, with how many receivers they have left."""
        self._numbers: dict[int, int] = {}
        self._latest: dict[int, int] = {}
        """The last step of each node: what it does next belongs to it."""
        self._begun = False

    def read(self, trace: Iterable[Record]) -> None:
        """Read a whole trace."""
        for record in trace:
            if isinstance(record, Header):
                continue
            if record.at < self._start:
                self._before(record)
            elif record.at < self._end:
                if not self._begun:
                    self._begin()
                self._within(record)
            else:
                self._after(record)
        if not self._begun:
            self._begin()
        self.catalogue.name_blocks()

    def _before(self, record: Record) -> None:
        match record:
            case Sent() | Submitted() | Replied():
                self._carriers[number_of(record)] = (record, len(receivers(record)))
            case Delivered() | Dropped():
                carrier, left = self._carriers.get(record.number, (None, 0))
                if carrier is None or left <= 1:
                    self._carriers.pop(record.number, None)
                else:
                    self._carriers[record.number] = (carrier, left - 1)
                self.steps_before += isinstance(record, Delivered)
            case State():
                self._last_states[self.index[record.node]] = record
            case Committed():
                self._committed[self.index[record.node]].append(record.block.id)
            case Crashed():
                self.start_status[self.index[record.node]] = "crashed"
            case Paused():
                self.start_status[self.index[record.node]] = "paused"
            case Restarted() | Resumed():
                self.start_status[self.index[record.node]] = "up"
            case Partitioned():
                self._partitions[record.round] = record
            case Fired():
                self.steps_before += 1
            case _:
                pass

    def _begin(self) -> None:
        """The window begins: show what holds at its start."""
        self._begun = True
        for node, record in sorted(self._last_states.items()):
            state = self._state(record)
            self.start_states[node] = state
            self._learn_state(node, state, 0)
        for partition in self._partitions.values():
            self._partition(partition, max(self._start, 0.0))

    def _within(self, record: Record) -> None:
        match record:
            case Sent() | Submitted() | Replied():
                self._carry(record)
            case Delivered() | Dropped():
                self._fate(record)
            case State() | Persisted() | TimerSet() | TimerCancelled() | Committed() | Evidence() | BlocksRead():
                self._effect(record)
            case Header():
                raise AssertionError("because the header was skipped")
            case (
                Fired()
                | Crashed()
                | Restarted()
                | Paused()
                | Resumed()
                | Partitioned()
                | Synchronous()
                | PeerConnected()
                | SetAttribute()
                | Accepted()
                | WorkloadEnded()
                | Violated()
                | Ended()
            ):
                self._cause(record)
            case _:
                assert_never(record)

    def _after(self, record: Record) -> None:
        """Only what becomes of the window's messages, and what was found wrong in the end."""
        match record:
            case Delivered() | Dropped():
                self.steps_after += isinstance(record, Delivered)
                number = self._numbers.get(record.number)
                if number is not None:
                    self._settle(number, record)
            case Fired():
                self.steps_after += 1
            case Violated():
                self._violated(record, self._end)
            case _:
                pass

    def _new_step(self, step: data.PageStep) -> int:
        number = len(self.steps)
        self.steps.append(step)
        if step.node != NONE:
            self._latest[step.node] = number
        return number

    def _step_of(self, node: int, at: float) -> int:
        """The step that an effect of this node belongs to: its last, whose effects take no virtual time."""
        number = self._latest.get(node)
        if number is None:
            return self._new_step(data.PageStep(moment(at), "started", node))
        if self._virtual and self.steps[number].at != moment(at):
            return self._new_step(data.PageStep(moment(at), "acted", node))
        return number

    def _cause(self, record: Cause) -> None:
        """What is a step of its own."""
        match record:
            case Partitioned():
                self._partition(record, record.at)
            case Violated():
                self._violated(record, record.at)
            case Accepted() | WorkloadEnded():
                text = client_text(record)
                self._new_step(data.PageStep(moment(record.at), kind_of(record), self.index[record.client], text=text))
            case Synchronous() | Ended():
                self._new_step(data.PageStep(moment(record.at), kind_of(record), text=text_of(record)))
            case Fired():
                node = self.index[record.node]
                step = data.PageStep(moment(record.at), "fired", node, text=record.timer, round=record.round)
                self._new_step(step)
            case _:
                node = self.index[record.node]
                self._new_step(data.PageStep(moment(record.at), kind_of(record), node, text=text_of(record)))

    def _violated(self, record: Violated, at: float) -> None:
        round_ = NONE if record.round is None else record.round
        step = self._new_step(data.PageStep(moment(at), "violated", text=record.property, round=round_))
        for certificate in record.certificates:
            self.catalogue.certificate(certificate)
        self.violations.append((step, record))

    def _partition(self, record: Partitioned, at: float) -> None:
        sets = [[self.index[name] for name in nodes] for nodes in record.sets if nodes]
        in_sets = {node for members in sets for node in members}
        sets += [[node] for node in range(self.node_count) if node not in in_sets]
        if record.round is None:
            self._new_step(data.PageStep(moment(at), "partitioned", sets=sets))
        else:
            self.round_sets[record.round] = sets

    def _effect(
        self, record: State | Persisted | TimerSet | TimerCancelled | Committed | Evidence | BlocksRead
    ) -> None:
        node = self.index[record.node]
        number = self._step_of(node, record.at)
        step = self.steps[number]
        match record:
            case State():
                step.state = self._state(record)
                self._learn_state(node, step.state, number)
            case Persisted():
                step.persisted = persisted_text(record)
                for block_id in record.blocks:
                    self._know_block(node, self.catalogue.find(block_id), number)
            case TimerSet():
                change = data.PageTimerChange(record.timer, moment(record.delay_s), record.round)
                step.timers = [*step.timers, change]
            case TimerCancelled():
                step.timers = [*step.timers, data.PageTimerChange(record.timer)]
            case Committed():
                block = self.catalogue.block(record.block)
                certificate = self.catalogue.certificate(record.certificate)
                step.commits = [*step.commits, data.PageCommit(block, record.height, certificate)]
                self._know_block(node, block, number)
                self._know_certificate(node, certificate, number)
                committed = self.catalogue.blocks[block].committed
                committed[node] = number if committed[node] == NONE else committed[node]
            case Evidence():
                culprit = "" if record.culprit is None else f" by replica {record.culprit}"
                messages = ", ".join(f"{message.kind} of round {message.round}" for message in record.messages)
                step.evidence = [*step.evidence, f"{record.kind}{culprit}" + (f": {messages}" if messages else "")]
            case BlocksRead():
                step.persisted = f"{record.count} blocks read from storage"
            case _:
                assert_never(record)

    def _state(self, record: State) -> data.PageState:
        return data.PageState(
            record.current_round,
            record.leader,
            record.voted_round,
            NONE if record.locked_round is None else record.locked_round,
            self.catalogue.certificate(record.high),
            self.catalogue.certificate(record.committed_by),
            self.catalogue.round_given_up(record.given_up),
            record.height,
        )

    def _carry(self, record: Carrier, step: int | None = None) -> int:
        """Enter a message; `step` only if it was sent before the window."""
        message = describe(self.catalogue, self.index, record)
        number = len(self.messages)
        self.messages.append(message)
        self._numbers[number_of(record)] = number
        if step is None:
            if isinstance(record, Submitted):
                text = f"request {record.number}" + (f", attempt {record.attempt}" if record.attempt > 1 else "")
                step = self._new_step(data.PageStep(message.at, "submitted", message.node, text=text))
            else:
                step = self._step_of(message.node, record.at)
            self.steps[step].sent = [*self.steps[step].sent, number]
            message.step = step
            if message.node < self.node_count:
                self._learn(message.node, message, step)
        return number

    def _fate(self, record: Delivered | Dropped) -> None:
        number = self._numbers.get(record.number)
        if number is None:
            carrier, _ = self._carriers.pop(record.number, (None, 0))
            if carrier is None:
                return
            number = self._carry(carrier, step=NONE)
        delivery = self._settle(number, record)
        if isinstance(record, Delivered):
            message = self.messages[number]
            node = self.index[record.node]
            step = self._new_step(
                data.PageStep(moment(record.at), "delivered", node, message=number, delivery=delivery)
            )
            message.deliveries[delivery].step = step
            if record.rejected is None and node < self.node_count:
                self._learn(node, message, step, blocks=record.ignored is None)

    def _settle(self, number: int, record: Delivered | Dropped) -> int:
        """Note what became of a message on its way to one receiver; gives the delivery's index."""
        message = self.messages[number]
        match record:
            case Delivered():
                to = self.index[record.node]
                reason = record.rejected or record.ignored or ""
                fate = "rejected" if record.rejected else "ignored" if record.ignored else "delivered"
            case Dropped():
                to, fate, reason = self.index[record.to], "lost", record.reason
            case _:
                assert_never(record)
        delivery = data.PageDelivery(to, fate, moment(record.at), reason)
        for index, known in enumerate(message.deliveries):
            if known.to == to and known.fate == "in flight":
                message.deliveries[index] = delivery
                return index
        message.deliveries.append(delivery)
        return len(message.deliveries) - 1

    def _learn(self, node: int, message: data.PageMessage, step: int, blocks: bool = True) -> None:
        """A node has what a message carries: its certificates, and its blocks unless they were of no use."""
        for index in (message.certificate, *message.certificates):
            self._know_certificate(node, index, step)
        if blocks and message.kind == "proposal":
            self._know_block(node, message.block, step)
        for block in message.blocks if blocks else ():
            self._know_block(node, block, step)

    def _learn_state(self, node: int, state: data.PageState, step: int) -> None:
        self._know_certificate(node, state.high, step)
        self._know_certificate(node, state.committed_by, step)

    def _know_block(self, node: int, block: int, step: int) -> None:
        if block != NONE:
            known = self.catalogue.blocks[block].known
            if known[node] == NONE:
                known[node] = step
                self._know_certificate(node, self.catalogue.blocks[block].certificate, step)

    def _know_certificate(self, node: int, certificate: int, step: int) -> None:
        if certificate != NONE:
            known = self.catalogue.certificates[certificate].known
            if known[node] == NONE:
                known[node] = step

    def mark_earlier_commits(self) -> None:
        """Blocks shown that a node had committed before the window begins."""
        for node, ids in enumerate(self._committed):
            for block_id in ids:
                block = self.catalogue.find(block_id)
                if block != NONE:
                    self.catalogue.blocks[block].committed[node] = 0
                    self._know_block(node, block, 0)
