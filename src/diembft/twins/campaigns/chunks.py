"""The work of one worker at a time: a chunk of scenarios, executed and judged.

What is expected of a scenario: see `judge.expected`. One that promises liveness and gives no occasion to judge it has
not held.
"""

from __future__ import annotations

import gc
from threading import local

from msgspec import Struct

from diembft.errors import InputError
from diembft.judge.expected import Expect, expects_violation
from diembft.judge.verdict import Verdict
from diembft.protocols.by_name import BUILT_IN
from diembft.protocols.interface import Crypto
from diembft.shell import command_line
from diembft.twins.campaigns.results_file import result_line
from diembft.twins.campaigns.sources import ScenarioList, ScenarioSource, neighbourly
from diembft.twins.campaigns.summary import ScenarioResult, Violation
from diembft.twins.runs.blame import blamed
from diembft.twins.runs.judging import Judgement, run
from diembft.twins.runs.prefixes import PrefixRuns
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import format_scenario


class Manner(Struct, frozen=True):
    """How scenarios are executed and judged."""

    expect: Expect | None = None
    """What the user says that is expected."""
    sample: bool = False
    """A violation is looked for: where one is expected, it is of one scenario at least, and not of each."""
    share: bool = True
    """Execute what neighbours have in common once, where there are any. The results are the same."""
    delayed: bool = False
    """What partitions keep apart arrives when the receiver leaves the round; then nothing is shared."""
    crypto: Crypto = "symbolic"


class Chunk(Struct, frozen=True):
    """The work of one worker at a time."""

    source: ScenarioSource
    first: int
    """The index of its first scenario in the campaign."""
    manner: Manner


_mine = local()


def execute_chunk(chunk: Chunk) -> bytes:
    """The results of a chunk as lines of JSON. Workers keep what their chunks share."""
    prefix_runs = None
    if chunk.manner.share and _is_shareable(chunk):
        if not hasattr(_mine, "prefix_runs"):
            _mine.prefix_runs = PrefixRuns()
        prefix_runs = _mine.prefix_runs
    collects = gc.isenabled()
    gc.disable()  # nothing that an execution makes refers to itself
    try:
        results = [
            result_of(chunk.first + offset, scenario, _judge(scenario, chunk.manner, prefix_runs), chunk.manner)
            for offset, scenario in enumerate(chunk.source.scenarios(0, chunk.source.count))
        ]
    finally:
        if collects:
            gc.enable()
    return b"".join([result_line(result) for result in results])


def _is_shareable(chunk: Chunk) -> bool:
    """Whether sharing is possible, and worth what it costs: scenarios of a sample have little in common."""
    manner, source = chunk.manner, chunk.source
    if manner.delayed or manner.crypto != "symbolic":
        return False
    return neighbourly(source.listed) if isinstance(source, ScenarioList) else source.seed is None


def _judge(scenario: Scenario, manner: Manner, prefix_runs: PrefixRuns | None) -> Judgement:
    try:
        if prefix_runs is not None:
            return prefix_runs.run(scenario)
        delayed = manner.delayed and scenario.model == "timed"
        crypto = manner.crypto if scenario.model == "timed" else "symbolic"
        return run(scenario, delayed=delayed, crypto=crypto)
    except Exception as error:
        if scenario.protocol in BUILT_IN:
            raise
        what = blamed(error, (scenario.protocol,))
        if what is None:
            raise
        again = command_line(["diembft", "twins", "replay", format_scenario(scenario, one_line=True)])
        raise InputError(f"{what}; in scenario {scenario.name}, again: {again}") from None


def result_of(index: int, scenario: Scenario, judgement: Judgement, manner: Manner) -> ScenarioResult:
    """What results say of a scenario."""
    violations = tuple(
        [Violation(finding.oracle, finding.detail, finding.round, finding.nodes) for finding in judgement.violations]
    )
    must_fail = expects_violation(manner.expect, scenario.bugs)
    unkept = judgement.breaks_promise and not violations
    return ScenarioResult(
        index=index,
        name=scenario.name,
        as_expected=manner.sample or bool(violations) if must_fail else not violations and not unkept,
        ending=judgement.ending.name.lower(),
        violations=violations,
        undecided=tuple([f.oracle for f in judgement.findings if f.verdict is Verdict.UNDECIDED]),
        unkept=unkept,
        bugs=scenario.bugs,
    )
