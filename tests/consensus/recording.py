"""Writes down what a rig does, as a trace, and judges it by the invariants of the protocol as it goes."""

from __future__ import annotations

from diembft.consensus.effects import (
    Broadcast,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    Rejected,
    Send,
    SendReply,
)
from diembft.consensus.events import Event, Received, Requests
from diembft.judge.traces import Checker
from diembft.messages.types import OK
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
            Header("rig", nodes, config.n, config.chain_id, config.epoch, "symbolic", config.delta_s, CLIENTS)
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
        self._feed(
            records.State(
                0.0,
                name,
                replica.current_round,
                replica.leader(replica.current_round),
                replica.safety.highest_vote_round,
                replica.safety.highest_qc_round,
                replica.tree.high_qc,
                replica.tree.high_commit_qc,
                replica.pacemaker.last_round_tc,
                replica.tree.height,
            )
        )

    def _delivered(self, name: str, event: Event, effects: list[Effect]) -> None:
        if isinstance(event, Requests):
            for request in event.requests:
                self._number += 1
                self._feed(records.Submitted(0.0, request.client, request, 1, self._number, (name,)))
        elif isinstance(event, Received):
            self._number += 1
        else:
            return
        rejected = next((effect.reason.value for effect in effects if isinstance(effect, Rejected)), None)
        ignored = next((effect.reason.value for effect in effects if isinstance(effect, Ignored)), None)
        self._feed(records.Delivered(0.0, name, self._number, rejected, ignored))

    def _record(self, name: str, index: int, effect: Effect) -> Record | None:
        match effect:
            case Send(to, message):
                return records.Sent(0.0, name, 0, (f"validator{to}",), message)
            case Broadcast(message):
                return records.Sent(0.0, name, 0, ("all",), message)
            case Persist(record, blocks, committed):
                return records.Persisted(
                    0.0,
                    name,
                    record.highest_vote_round,
                    record.highest_qc_round,
                    record.last_sent,
                    tuple(block.id for block in blocks),
                    committed,
                )
            case Commit():
                executed = tuple(
                    (request.client, request.number)
                    for request, reply in zip(effect.block.payload, effect.results, strict=True)
                    if reply is not None and reply.status == OK
                )
                return records.Committed(
                    0.0, name, effect.height, effect.block, effect.state_id, executed, effect.certificate
                )
            case SendReply(reply):
                return records.Replied(0.0, name, reply)
            case Equivocation(culprit, first, second):
                return records.Evidence(0.0, name, "equivocation", culprit, (first, second))
            case Divergence(certificate=certificate):
                return records.Evidence(0.0, name, "divergence", None, (), certificate)
            case _:
                return None
