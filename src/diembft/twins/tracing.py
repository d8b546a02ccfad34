"""The trace of an execution: the records of `diembft.trace`, for replay, the explorer and the invariants."""

from __future__ import annotations

from diembft.consensus.effects import (
    CancelTimer,
    Commit,
    Divergence,
    Effect,
    Equivocation,
    Ignored,
    Persist,
    Rejected,
    SetTimer,
)
from diembft.consensus.events import Timer
from diembft.consensus.replica import Replica
from diembft.messages.types import QC, Message, VoteMsg
from diembft.trace import records
from diembft.trace.records import Record
from diembft.twins.executor import Observer, execute
from diembft.twins.explore.execution import check_options, in_order
from diembft.twins.explore.execution import execute as execute_model
from diembft.twins.record import TICKS_PER_BOUND
from diembft.twins.scenario import Scenario
from diembft.twins.system import Crypto, System, system_of
from diembft.twins.text import format_scenario
from diembft.twins.verdict import Judgement, judge, terms

RUNTIME = "twins"


class TraceObserver(Observer):
    """Writes down all that happens; times become seconds."""

    def __init__(self, scenario: Scenario, system: System) -> None:
        self.records: list[Record] = []
        self._names = system.cast.names
        self._tick_s = scenario.delay_bound_s / TICKS_PER_BOUND
        self._states: list[tuple[object, ...]] = [() for _ in self._names]

    def _at(self, tick: int) -> float:
        return tick * self._tick_s

    def _members(self, mask: int) -> tuple[str, ...]:
        return tuple([name for node, name in enumerate(self._names) if mask >> node & 1])

    def sent(self, tick: int, node: int, number: int, to: int, message: Message) -> None:
        """See Observer."""
        self.records.append(records.Sent(self._at(tick), self._names[node], number, self._members(to), message))

    def dropped(self, tick: int, number: int, receivers: int, reason: str) -> None:
        """See Observer."""
        for name in self._members(receivers):
            self.records.append(records.Dropped(self._at(tick), number, name, reason))

    def delivered(self, tick: int, node: int, number: int, effects: list[Effect]) -> None:
        """See Observer."""
        rejected = next((effect.reason.value for effect in effects if isinstance(effect, Rejected)), None)
        ignored = next((effect.reason.value for effect in effects if isinstance(effect, Ignored)), None)
        self.records.append(records.Delivered(self._at(tick), self._names[node], number, rejected, ignored))

    def fired(self, tick: int, node: int, timer: Timer, round_: int) -> None:
        """See Observer."""
        self.records.append(records.Fired(self._at(tick), self._names[node], timer.value, round_))

    def stepped(self, tick: int, node: int, replica: Replica, effects: list[Effect]) -> None:
        """See Observer."""
        at, name = self._at(tick), self._names[node]
        for effect in effects:
            record = self._effect(at, name, effect)
            if record is not None:
                self.records.append(record)
        tree, safety, round_ = replica.tree, replica.safety, replica.current_round
        state = (
            round_,
            replica.leader(round_),
            safety.highest_vote_round,
            safety.highest_qc_round,
            tree.high_qc,
            tree.high_commit_qc,
            replica.pacemaker.last_round_tc,
            tree.height,
        )
        if state != self._states[node]:
            self._states[node] = state
            self.records.append(records.State(at, name, *state))

    def crashed(self, tick: int, node: int) -> None:
        """See Observer."""
        self._states[node] = ()
        self.records.append(records.Crashed(self._at(tick), self._names[node]))

    def restarted(self, tick: int, node: int) -> None:
        """See Observer."""
        self.records.append(records.Restarted(self._at(tick), self._names[node]))

    def _effect(self, at: float, name: str, effect: Effect) -> Record | None:
        """The record of an effect; messages are recorded as they are sent, refusals as messages are delivered."""
        match effect:
            case Persist(record=record, blocks=blocks, committed=committed):
                return records.Persisted(
                    at,
                    name,
                    record.highest_vote_round,
                    record.highest_qc_round,
                    record.last_sent,
                    tuple([block.id for block in blocks]),
                    committed,
                )
            case SetTimer():
                return records.TimerSet(at, name, effect.timer.value, effect.delay_s, effect.round)
            case CancelTimer():
                return records.TimerCancelled(at, name, effect.timer.value)
            case Commit():
                executed = tuple([(request.client, request.number) for request in effect.block.payload])
                return records.Committed(
                    at, name, effect.height, effect.block, effect.state_id, executed, effect.certificate
                )
            case Equivocation():
                messages = (effect.first, effect.second)
                return records.Evidence(at, name, "equivocation", effect.culprit, messages)
            case Divergence():
                return records.Evidence(at, name, "divergence", None, (), effect.certificate)
            case _:
                return None


def _at(record: Record) -> float:
    assert not isinstance(record, records.Header), "because the header stands apart"
    return record.at


def traced(
    scenario: Scenario, *, delayed: bool = False, crypto: Crypto = "symbolic", replay: str = ""
) -> tuple[Judgement, list[Record]]:
    """Execute and judge a scenario, and give the whole trace: header, records, what was violated, and the end.

    `replay` is the command that runs the same again.
    """
    timed = scenario.model == "timed"
    if not timed:
        check_options(scenario, delayed=delayed, crypto=crypto)
        scenario = in_order(scenario)
    system = system_of(scenario, crypto)
    cast = system.cast
    observer = TraceObserver(scenario, system)
    if timed:
        record = execute(scenario, delayed=delayed, crypto=crypto, observer=observer)
    else:
        record = execute_model(scenario, observer=observer)
        observer.records.sort(key=_at)
    judgement = judge(record, terms(scenario, delayed=delayed, crypto=crypto))
    header = records.Header(
        runtime=RUNTIME,
        nodes=tuple(
            [records.Node(name, cast.identity[node], node in cast.correct) for node, name in enumerate(cast.names)]
        ),
        n=cast.n,
        chain_id=system.config.chain_id,
        epoch=system.config.epoch,
        crypto=crypto,
        delta_s=scenario.delay_bound_s,
        clients=cast.names,
        public_keys=system.public_keys,
        seed=repr(scenario.seed),
        replay=replay,
        description=format_scenario(scenario),
    )
    at = judgement.end * scenario.delay_bound_s / TICKS_PER_BOUND
    violated = [
        records.Violated(
            at,
            finding.oracle,
            finding.detail,
            finding.nodes,
            finding.round,
            tuple([certificate for certificate in finding.certificates if isinstance(certificate, QC)]),
            tuple([message for message in finding.signed if isinstance(message, VoteMsg)]),
        )
        for finding in judgement.violations
    ]
    ended = records.Ended(
        at,
        not violated,
        tuple([f"{finding.oracle}: {finding.detail}" for finding in judgement.violations]),
        {"ending": judgement.ending.value},
    )
    partitions: list[Record] = [
        records.Partitioned(0.0, round_.partition, number) for number, round_ in enumerate(scenario.rounds, 1)
    ]
    return judgement, [header, *partitions, *observer.records, *violated, ended]
