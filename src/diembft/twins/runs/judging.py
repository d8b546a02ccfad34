"""One scenario executed and judged."""

from __future__ import annotations

from typing import NamedTuple

from diembft.errors import require_callable, require_one_of, require_type
from diembft.judge.liveness import LIVENESS_BOUND
from diembft.judge.verdict import Finding, Verdict
from diembft.protocols.interface import CRYPTO, Crypto
from diembft.twins.runs.by_model import check_options, in_order
from diembft.twins.runs.by_model import execute as execute_model
from diembft.twins.runs.nodes import system_of
from diembft.twins.runs.oracles import judge_all
from diembft.twins.runs.oracles.facts import facts_of
from diembft.twins.runs.oracles.terms import Terms, terms_of
from diembft.twins.runs.record import Ending, RunRecord
from diembft.twins.runs.timed import execute
from diembft.twins.runs.timed_nodes import RunObserver
from diembft.twins.scenarios.scenario import Scenario


class Judgement(NamedTuple):
    """What the oracles say of one scenario."""

    findings: tuple[Finding, ...]
    """One of each oracle, in their order."""
    ending: Ending
    end: int
    """The tick at which the execution ended."""
    promises_liveness: bool
    """Whether an undecided liveness oracle is a failure."""

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings of violated oracles."""
        return tuple([finding for finding in self.findings if finding.verdict is Verdict.VIOLATED])

    @property
    def undecided(self) -> tuple[str, ...]:
        """The names of the oracles that could not tell."""
        return tuple([finding.oracle for finding in self.findings if finding.verdict is Verdict.UNDECIDED])

    @property
    def breaks_promise(self) -> bool:
        """Whether liveness is undecided though the scenario promises it."""
        return self.promises_liveness and LIVENESS_BOUND in self.undecided


def run(
    scenario: Scenario, *, delayed: bool = False, crypto: Crypto = "symbolic", observer: RunObserver | None = None
) -> Judgement:
    """Execute a scenario and judge it: under the network model that it names, or in virtual time.

    Raises InputError for a bug that there is not, and for what the scenario's model does not have.

    >>> from diembft import parse_scenario, run_scenario
    >>> text = "scenario: replicas=a,b,c,d twins=a' gst=1 bugs=conflicting_votes; 1: a leads a,b,c,d,a'"
    >>> [finding.oracle for finding in run_scenario(parse_scenario(text)).violations]
    ['certified_uniqueness', 'honest_vote_once']
    """
    require_type(scenario, Scenario, "run_scenario", "parse_scenario makes one")
    require_type(delayed, bool, "delayed")
    require_one_of(crypto, CRYPTO, "crypto")
    require_callable(observer, "observer")
    if scenario.model != "timed":
        check_options(scenario, delayed=delayed, crypto=crypto)
        scenario = in_order(scenario)
        by = terms(scenario)  # first, for it looks whether there is such a system
        return judge(execute_model(scenario, observer=observer), by)
    record = execute(scenario, delayed=delayed, crypto=crypto, observer=observer)
    return judge(record, terms(scenario, delayed=delayed, crypto=crypto))


def judge(record: RunRecord, terms: Terms) -> Judgement:
    """Judge a record."""
    findings = judge_all(facts_of(record, terms), terms)
    return Judgement(findings, record.ending, record.end, terms.promises_liveness)


def terms(scenario: Scenario, *, delayed: bool = False, crypto: Crypto = "symbolic") -> Terms:
    """The terms on which a scenario is judged."""
    return terms_of(scenario, system_of(scenario, crypto), delayed=delayed)
