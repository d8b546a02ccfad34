"""Writes down what a rig does, as a trace, and judges it by the invariants of the protocol as it goes."""

from __future__ import annotations

from diembft.consensus.effects import (
    Broadcast,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Persist,
    Send,
    SendReply,
)
from diembft.consensus.events import Event, Received, Requests
from diembft.host import recording
from diembft.judge.traces import Checker
from diembft.trace import diembft as neutral
from diembft.trace import records
from diembft.trace.records import Header, Record
from tests.consensus.rig import CLIENTS, Rig


class Judge:
    """Watches a rig, and fails when what happens violates an invariant. Its twins are not correct, all others are."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        identities = [node.identity for node in rig.nodes]
        nodes = tuple(
            records.Node(self.name(node.index), node.identity, correct=identities.count(node.identity) == 1)
            for node in rig.nodes
        )
        config = rig.config
        self._checker = Checker(
            Header(
                "rig",
                neutral.PROTOCOL,
                nodes,
                config.n,
                config.quorum,
                neutral.CHAIN,
                config.delta_s,
                CLIENTS,
                detail=neutral.header_detail(config.chain_id, config.epoch, "symbolic", {}),
            )
        )
        self._number = 0
        rig.observe = self._stepped

    def name(self, index: int) -> str:
        return f"node{index}"

    def crashed(self, index: int) -> None:
        self._feed(records.Crashed(0.0, self.name(index)))

    def restarting(self, index: int) -> None:
        self._feed(records.Restarted(0.0, self.name(index)))

    def _feed(self, record: Record) -> None:
        violated = self._checker.feed(record)
        assert violated == [], violated

    def _stepped(self, index: int, event: Event, effects: list[Effect]) -> None:
        name = self.name(index)
        self._delivered(name, event, effects)
        for effect in effects:
            record = self._record(name, index, effect)
            if record is not None:
                self._feed(record)
        replica = self.rig.nodes[index].running
        self._feed(recording.state(0.0, name, recording.snapshot(replica)))

    def _delivered(self, name: str, event: Event, effects: list[Effect]) -> None:
        if isinstance(event, Requests):
            for request in event.requests:
                self._number += 1
                self._feed(recording.submitted(0.0, request, 1, self._number, (name,)))
        elif isinstance(event, Received):
            self._number += 1
        else:
            return
        self._feed(recording.delivered(0.0, name, self._number, effects))

    def _record(self, name: str, index: int, effect: Effect) -> Record | None:
        match effect:
            case Send(to, message):
                return records.Sent(0.0, name, 0, (f"validator{to}",), neutral.message(message))
            case Broadcast(message):
                return records.Sent(0.0, name, 0, ("all",), neutral.message(message))
            case Persist():
                return recording.persisted(0.0, name, effect)
            case Commit():
                return recording.committed(0.0, name, effect)
            case SendReply(reply):
                return recording.replied(0.0, name, reply, 0)
            case Equivocation() | Divergence():
                return recording.evidence(0.0, name, effect)
            case _:
                return None
