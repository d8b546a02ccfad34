"""Twins scenarios on DistAlgo: what `testexec.da` is asked for, how one is executed, and what is told of it.

An executor process stands between the replicas, which are processes of their own. All that they send goes to it, and
it alone decides, by the round of a message, who gets it and when: the executor of `diembft.twins` is that process, with
its virtual clock, and judges by the same oracles. So a scenario ends in the same verdict here as there. Real is the
limit on time: a scenario that takes longer than its `timeout` is ended (`timed out`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct, structs
from typing_extensions import override

from diembft.consensus.effects import Commit
from diembft.consensus.replica import Replica
from diembft.crypto.interface import Crypto
from diembft.distalgo.arguments import OneLineParser
from diembft.distalgo.folder import RUNS, new_folder, write_json
from diembft.distalgo.stepping import Answer, Ask, RemoteSystem, decode_event, decode_recovered, encode
from diembft.errors import InputError
from diembft.faults.registry import BUGS
from diembft.judge.expected import EXPECT, Expect, expects_violation
from diembft.protocols.diembft.protocol import DIEMBFT
from diembft.protocols.diembft.system import DiemBftSystem
from diembft.twins.runs import judging
from diembft.twins.runs.judging import Judgement
from diembft.twins.runs.nodes import system_of
from diembft.twins.runs.record import Ending, RunRecord
from diembft.twins.runs.timed import TimedRun, script_of, time_limit
from diembft.twins.runs.timed_nodes import Effects, Event
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.scenario_files import read_scenarios

log = logging.getLogger(__name__)

STEP_S: Final = 20.0
"""How long one step of a node may take before something has gone wrong: messages there and back, and a busy machine."""

SLACK_S: Final = 60.0
"""How much longer than its scenarios a run may take, for making processes."""

VERDICTS: Final = "verdicts.json"

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Scenario)


class RunTerms(NamedTuple):
    """How scenarios are executed and judged. Every process is given it."""

    expect: Expect | None
    delayed: bool
    crypto: Crypto
    folder: Path
    bound_s: float
    """In how many seconds all must be over, whatever hangs."""


class ScenarioJob(NamedTuple):
    """What a command line asks for."""

    scenarios: tuple[Scenario, ...]
    terms: RunTerms

    @property
    def nodes(self) -> int:
        """How many processes are needed for the largest cast."""
        return max([len(scenario.nodes) for scenario in self.scenarios])


class ScenarioOutcome(Struct, frozen=True):
    """What came of one scenario: `violated` maps oracles to what they found."""

    name: str
    as_expected: bool
    ending: str
    violated: dict[str, str]
    undecided: tuple[str, ...]
    told: str
    """The same in one line."""
    real_s: float


def read_job(arguments: Sequence[str]) -> ScenarioJob:
    """What the arguments of `testexec.da` ask for; the file is read and found in order. Raises InputError."""
    parser = OneLineParser(prog="testexec.da", description="Execute Twins scenarios on DistAlgo.")
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of scenarios, of any kind")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="the first scenario, counted from 0")
    parser.add_argument("--count", type=int, metavar="N", help="how many (default: all that follow)")
    parser.add_argument("--expect", choices=EXPECT, help="of every scenario (default: violation if a bug is planted)")
    parser.add_argument("--undelivered", choices=["drop", "delay"], default="drop", help="what partitions keep apart")
    parser.add_argument("--bug", action="append", choices=list(BUGS), help="plant a bug, in place of the file's")
    parser.add_argument("--crypto", choices=["ed25519", "symbolic"], default="ed25519", help="signatures")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where the folders of runs are made")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="the folder of the run, which is there and empty")
    asked = parser.parse_args(arguments)
    if asked.first < 0 or (asked.count is not None and asked.count < 1):
        raise InputError("testexec.da: --first, --count: must not be negative, and count at least 1")
    scenarios = read_scenarios(asked.file)
    last = len(scenarios) if asked.count is None else asked.first + asked.count
    chosen = tuple(scenarios[asked.first : last])
    if not chosen:
        raise InputError(f"{asked.file}: --first: {asked.first}, but there are {len(scenarios)} scenarios")
    if asked.bug is not None:
        bugs = tuple(asked.bug)
        chosen = tuple([structs.replace(scenario, bugs=bugs) for scenario in chosen])
    for scenario in chosen:
        try:
            _check(scenario, asked.crypto)
        except InputError as error:
            raise InputError(f"{asked.file}: {scenario.name}: {error}") from None
    folder = asked.folder or new_folder(asked.runs, asked.file.name.partition(".")[0])
    bound_s = sum([bound_of(scenario) for scenario in chosen]) + SLACK_S
    delayed = asked.undelivered == "delay"
    return ScenarioJob(chosen, RunTerms(asked.expect, delayed, asked.crypto, folder.absolute(), bound_s))


def _check(scenario: Scenario, crypto: Crypto) -> None:
    """Raises InputError, before any process is made, for what does not run here."""
    if scenario.model != "timed":
        raise InputError(f"model: {scenario.model!r} is for the simulator alone: processes have messages and timers")
    _system_of(scenario, crypto)


def bound_of(scenario: Scenario) -> float:
    """In how many seconds a scenario must be over."""
    return scenario.timeout_s + 2 * STEP_S


# --- the processes of nodes


class TwinsNode:
    """One process: a copy of a replica in one scenario after the other."""

    def __init__(self) -> None:
        self._system: DiemBftSystem | None = None
        self._node = 0
        self._replica: Replica | None = None

    def begin(self, node: int, data: bytes, crypto: Crypto) -> None:
        """Play node `node` of a scenario from now on."""
        scenario = decode_scenario(data)
        self._system = _system_of(scenario, crypto)
        script_of(scenario, self._system)  # tells the system who leads
        self._node = node
        self._replica = None
        log.info("%s: this is %s", scenario.name, scenario.nodes[node])

    def answer(self, question: str, data: bytes) -> Answer:
        """Do what an executor asks for (see `stepping.Ask`), and say what came of it."""
        assert self._system is not None, "because a scenario has begun"
        if question == "restart":
            self._replica = self._system.node(self._node, decode_recovered(data))
            return Answer(0, encode([]))
        replica = self._replica
        assert replica is not None, "because it was started before"
        before = replica.current_round
        effects = replica.step(decode_event(data))
        if replica.current_round != before:
            log.info("round %d", replica.current_round)
        for effect in effects:
            if isinstance(effect, Commit):
                log.info("committed block %d, of round %d", effect.height, effect.block.round)
        return Answer(replica.current_round, encode(effects))


def encode_scenario(scenario: Scenario) -> bytes:
    """A scenario as bytes."""
    return _encoder.encode(scenario)


def decode_scenario(data: bytes) -> Scenario:
    """The scenario in these bytes."""
    return _decoder.decode(data)


def _system_of(scenario: Scenario, crypto: Crypto) -> DiemBftSystem:
    """The nodes of a scenario. Raises InputError if it is of another protocol, or names a bug that there is not."""
    system = system_of(scenario, crypto)
    if not isinstance(system, DiemBftSystem):
        raise InputError(f"protocol: {scenario.protocol!r} is for the simulator alone")
    return system


# --- the executor


class _OutOfTime(Exception):
    """The scenario took longer than it may, in real time."""


class _RemoteRun(TimedRun):
    """Nodes step elsewhere, and whoever asks them limits how long that takes."""

    @override
    def react(self, node: int, event: Event) -> tuple[Any, Effects]:
        replica = self.replicas[node]
        assert replica is not None, "because the caller has looked"
        return replica, replica.step(event)


def execute(terms: RunTerms, scenario: Scenario, ask: Ask) -> ScenarioOutcome:
    """Execute one scenario by asking nodes, and judge it."""
    began_s = monotonic()

    def ask_in_time(node: int, question: str, data: bytes) -> Answer:
        if monotonic() > began_s + scenario.timeout_s:
            raise _OutOfTime
        return ask(node, question, data)

    system = RemoteSystem(_system_of(scenario, terms.crypto), ask_in_time)
    script, after = script_of(scenario, system)
    execution = _RemoteRun(
        DIEMBFT,
        system,
        script,
        len(script),
        after=after,
        delayed=terms.delayed,
        limit=time_limit(scenario),
        crashes=any(routes.crash or routes.restart for routes in script.values()),
    )
    record: RunRecord
    try:
        record = execution.run()
    except _OutOfTime:
        record = execution.record._replace(ending=Ending.TIMED_OUT, end=execution.now)
    judgement = judging.judge(record, judging.terms(scenario, delayed=terms.delayed, crypto=terms.crypto))
    result = _result(terms, scenario, judgement, monotonic() - began_s)
    log.info("%s", result.told)
    return result


def _result(terms: RunTerms, scenario: Scenario, judgement: Judgement, real_s: float) -> ScenarioOutcome:
    expected = expects_violation(terms.expect, scenario.bugs)
    violations = judgement.violations
    as_expected = bool(violations) if expected else not violations and not judgement.breaks_promise
    outcome = "violated" if violations else "held"
    if as_expected:
        outcome += " as expected"
    elif expected:
        outcome += " and should be violated"
    elif violations:
        outcome += " and should not be"
    else:
        outcome += ", but liveness, which it promises, is undecided"
    if judgement.ending is Ending.TIMED_OUT:
        outcome += " (timed out)"
    word = "PASS" if as_expected else "FAIL"
    found = [f"{finding.oracle}: {finding.detail}" for finding in violations]
    return ScenarioOutcome(
        scenario.name,
        as_expected,
        judgement.ending.value,
        {finding.oracle: finding.detail for finding in violations},
        judgement.undecided,
        "\n  ".join([f"{word} {scenario.name}: {outcome}", *found]),
        real_s,
    )


def conclude(job: ScenarioJob, results: Sequence[ScenarioOutcome]) -> None:
    """Write the verdicts."""
    write_json(job.terms.folder / VERDICTS, results)
