"""The trace of an execution: the records of `diembft.trace`, for replay, the explorer and the invariants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from typing_extensions import override

from diembft.judge.verdict import Finding
from diembft.machine.effects import CancelTimer, SetTimer
from diembft.machine.events import Timer
from diembft.protocols.by_name import protocol_of
from diembft.protocols.cast import Cast
from diembft.protocols.default_showing import Shown
from diembft.protocols.interface import Crypto, Replica, Showing, System
from diembft.trace import records
from diembft.trace.records import Record
from diembft.twins.runs.by_model import check_options, in_order
from diembft.twins.runs.by_model import execute as execute_model
from diembft.twins.runs.judging import Judgement, judge, terms
from diembft.twins.runs.nodes import system_of
from diembft.twins.runs.record import TICKS_PER_BOUND, RunRecord
from diembft.twins.runs.timed import execute
from diembft.twins.runs.timed_nodes import RunObserver
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import format_scenario

RUNTIME = "twins"


class TraceObserver(RunObserver):
    """Writes down all that happens; times become seconds."""

    def __init__(self, scenario: Scenario, system: System, showing: Showing) -> None:
        self.records: list[Record] = []
        self._showing = showing
        self._identity = system.cast.identity
        self._names = system.cast.names
        self._tick_s = scenario.delay_bound_s / TICKS_PER_BOUND
        self._states: list[tuple[object, ...]] = [() for _ in self._names]

    def _at(self, tick: int) -> float:
        return tick * self._tick_s

    def _members(self, mask: int) -> tuple[str, ...]:
        return tuple([name for node, name in enumerate(self._names) if mask >> node & 1])

    @override
    def sent(self, tick: int, node: int, number: int, to: int, message: Any) -> None:
        shown = self._showing.message(message, self._identity[node])
        self.records.append(records.Sent(self._at(tick), self._names[node], number, self._members(to), shown))

    @override
    def dropped(self, tick: int, number: int, receivers: int, reason: str) -> None:
        for name in self._members(receivers):
            self.records.append(records.Dropped(self._at(tick), number, name, reason))

    @override
    def delivered(self, tick: int, node: int, number: int, effects: Sequence[Any]) -> None:
        rejected, ignored = self._showing.refusals(effects)
        self.records.append(records.Delivered(self._at(tick), self._names[node], number, rejected, ignored))

    @override
    def fired(self, tick: int, node: int, timer: Timer, round_: int) -> None:
        self.records.append(records.Fired(self._at(tick), self._names[node], timer.value, round_))

    @override
    def stepped(self, tick: int, node: int, replica: Replica, effects: Sequence[Any]) -> None:
        at, name = self._at(tick), self._names[node]
        for effect in effects:
            record = self._effect(at, name, effect)
            if record is not None:
                self.records.append(record)
        state = self._showing.state(name, replica)
        if state != self._states[node]:
            self._states[node] = state
            self.records.append(records.State(at, name, *state))

    @override
    def crashed(self, tick: int, node: int) -> None:
        self._states[node] = ()
        self.records.append(records.Crashed(self._at(tick), self._names[node]))

    @override
    def restarted(self, tick: int, node: int) -> None:
        self.records.append(records.Restarted(self._at(tick), self._names[node]))

    def _effect(self, at: float, name: str, effect: Any) -> Record | None:
        """The record of an effect; messages are recorded as they are sent, refusals as messages are delivered."""
        match effect:
            case SetTimer():
                return records.TimerSet(at, name, effect.timer.value, effect.delay_s, effect.round)
            case CancelTimer():
                return records.TimerCancelled(at, name, effect.timer.value)
            case _:
                return self._showing.effect(at, name, effect)


def showing_of(scenario: Scenario) -> Showing:
    """How a trace shows an execution of a scenario."""
    leaders = [scenario.replicas.index(round_.leader) for round_ in scenario.rounds] or [0]
    protocol = protocol_of(scenario.protocol)
    return protocol.showing or Shown(protocol, lambda round_: leaders[min(round_, len(leaders)) - 1])


def _at(record: Record) -> float:
    assert not isinstance(record, records.Header), "because the header stands apart"
    return record.at


def _shown(judgement: Judgement, record: RunRecord, cast: Cast, showing: Showing) -> Judgement:
    """The findings in the terms of a trace."""

    def signer(message: Any) -> int:
        return next(cast.identity[node] for _, node, sent in record.sent if sent == message)

    def shown(finding: Finding) -> Finding:
        certificates = tuple([showing.certificate(certificate) for certificate in finding.certificates])
        signed = tuple([showing.message(message, signer(message)) for message in finding.signed])
        return structs.replace(finding, certificates=certificates, signed=signed)

    return judgement._replace(findings=tuple([shown(finding) for finding in judgement.findings]))


def traced(
    scenario: Scenario, *, delayed: bool = False, crypto: Crypto = "symbolic", replay: str = ""
) -> tuple[Judgement, list[Record]]:
    """Execute and judge a scenario, and give the whole trace: header, records, what was violated, and the end.

    Findings show certificates and messages as the trace does. `replay` is the command that runs the same again.
    """
    timed = scenario.model == "timed"
    if not timed:
        check_options(scenario, delayed=delayed, crypto=crypto)
        scenario = in_order(scenario)
    system = system_of(scenario, crypto)
    cast, showing = system.cast, showing_of(scenario)
    observer = TraceObserver(scenario, system, showing)
    if timed:
        record = execute(scenario, delayed=delayed, crypto=crypto, observer=observer)
    else:
        record = execute_model(scenario, observer=observer)
        observer.records.sort(key=_at)
    judgement = _shown(judge(record, terms(scenario, delayed=delayed, crypto=crypto)), record, cast, showing)
    header = _header(scenario, system, showing, replay)
    at = judgement.end * scenario.delay_bound_s / TICKS_PER_BOUND
    violated = [_violated(at, finding) for finding in judgement.violations]
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


def _header(scenario: Scenario, system: System, showing: Showing, replay: str) -> records.Header:
    cast, protocol = system.cast, protocol_of(scenario.protocol)
    return records.Header(
        runtime=RUNTIME,
        protocol=protocol.name,
        nodes=tuple(
            [records.Node(name, cast.identity[node], node in cast.correct) for node, name in enumerate(cast.names)]
        ),
        n=cast.n,
        quorum=cast.quorum,
        chain=protocol.chain,
        delta_s=scenario.delay_bound_s,
        clients=cast.names,
        seed=repr(scenario.seed),
        replay=replay,
        title=f"Scenario {scenario.name}" if scenario.name else "A scenario",
        scenario=format_scenario(scenario, one_line=True),
        bugs=scenario.bugs,
        detail=showing.header(system),
    )


def _violated(at: float, finding: Finding) -> records.Violated:
    shown, signed = finding.certificates, finding.signed
    return records.Violated(at, finding.oracle, finding.detail, finding.nodes, finding.round, shown, signed)
