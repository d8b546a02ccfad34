"""Runs one of the seed's test cases in the simulator, and judges it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import inf
from random import Random
from time import perf_counter

from typing_extensions import override

from diembft.consensus.config import Config
from diembft.crypto.interface import Crypto
from diembft.errors import require_type
from diembft.faults.planting import NO_BUGS, Planting
from diembft.host.assembly import NodeSpec, header, replica_node
from diembft.host.cases import Account, CaseFigures, CaseResult, case_client, case_config, settling_delta_s
from diembft.host.keys import Keychain, make_keys
from diembft.host.recording import LOSS
from diembft.ledger.key_value import KeyValueStore
from diembft.ledger.sessions import DEFAULT_WINDOW, Sessions
from diembft.messages.types import Message, Reply, Request, kind_of, round_of
from diembft.simulation.network import Arrivals, Carried, Network
from diembft.simulation.schedule import Stabilise
from diembft.simulation.simulator import Simulator
from diembft.testcase.case import FailureRule, Rounds, SetsAttribute, TestCase
from diembft.testcase.failures import CLIENT, UNTOUCHED, FailureRules, counted
from diembft.testcase.latency import LOCAL, Links
from diembft.testcase.outcome import CaseVerdict
from diembft.testcase.types import MsgType
from diembft.testcase.workload import ClientPlan, client_plans
from diembft.trace.records import Ended

SETTLE_DELTAS = 50
"""How many delay bounds a run goes on after its clients have ended, so that laggards and late faults show."""

LIMIT_S = 3600.0
"""How long a workload without a timeout may take, in seconds of virtual time."""

_REQUEST, _REPLY = MsgType.Request.value, MsgType.Reply.value


def run_case(
    case: TestCase,
    *,
    crypto: Crypto = "symbolic",
    bugs: Planting = NO_BUGS,
    keep_trace: bool = False,
    replay: str = "",
) -> CaseResult:
    """Run a test case in virtual time.

    The seeds of the case fix everything but `real_s`. `bugs` are planted in all replicas, which count as correct all
    the same. `replay` is the command that runs the same again, for the trace.

    >>> from diembft import load_case, run_case
    >>> result = run_case(load_case("faulty_dropouts"))
    >>> result.verdict.passed, result.figures.timeouts > 0
    (True, True)
    """
    _check(case, bugs, keep_trace, replay)
    began_s = perf_counter()
    plans = client_plans(case.workloads, LIMIT_S)
    config = case_config(case, plans)
    keys = make_keys(crypto, config.n, [plan.client for plan in plans], 0)
    nodes = _nodes(case, plans, config, keys, bugs)
    clients = [case_client(case, plan, keys) for plan in plans]
    seed, title = f"{case.seed!r}, failures {case.failure_seed!r}", f"{case.name}: {case.description}"
    head = header(config, nodes, keys, seed=seed, replay=replay, title=title, bugs=bugs.names)
    account = Account(head, keep=keep_trace)
    network = CaseNetwork(case)
    simulator = Simulator(config, nodes, network, clients=clients, observe=account.observe)
    network.attach(simulator)
    simulator.run_until_clients_end()
    simulator.run(simulator.now_s + _settle_s(case))
    account.watch.judge_end(simulator.now_s)
    verdict = account.verdict(case, plans, [spec.client.executed for spec in clients])
    figures = _figures(simulator, commits=account.longest)
    account.watch.finish(_ended(verdict, figures))
    return CaseResult(
        case=case,
        verdict=verdict,
        figures=figures,
        rules=counted(case.failures, network.struck),
        real_s=perf_counter() - began_s,
        trace=tuple(account.watch.records),
    )


def _check(case: TestCase, bugs: Planting, keep_trace: bool, replay: str) -> None:
    require_type(case, TestCase, "run_case", "load_case makes one")
    require_type(bugs, Planting, "run_case: bugs", "diembft.faults.registry.plant makes one")
    require_type(keep_trace, bool, "run_case: keep_trace")
    require_type(replay, str, "run_case: replay")


def _settle_s(case: TestCase) -> float:
    """How long a run goes on after its clients have ended, in seconds: failures leave laggards, who wait for timers."""
    return SETTLE_DELTAS * (case.delay_bound_s if case.failures else settling_delta_s(case, LOCAL))


def _nodes(
    case: TestCase, plans: Sequence[ClientPlan], config: Config, keys: Keychain, bugs: Planting
) -> list[NodeSpec]:
    """The replicas. Their sessions have room for all that any client sends."""
    machine = bugs.machine(Sessions(KeyValueStore(), max([DEFAULT_WINDOW, *[plan.count for plan in plans]])))
    tampers = any(isinstance(rule.action, SetsAttribute) for rule in case.failures)
    return [
        replica_node(config, replica, keys, machine, bugs=bugs, can_be_tampered_with=tampers)
        for replica in range(config.n)
    ]


def _figures(simulator: Simulator, commits: int) -> CaseFigures:
    return CaseFigures(
        rounds=simulator.highest_round,
        commits=commits,
        timeouts=simulator.figures.timeouts,
        messages=simulator.figures.sent,
        dropped=simulator.figures.dropped,
        virtual_s=simulator.now_s,
    )


def _ended(verdict: CaseVerdict, figures: CaseFigures) -> Ended:
    """The last record of a trace."""
    return Ended(
        figures.virtual_s,
        verdict.passed,
        tuple([f"{reason.kind}: {reason.text}" for reason in verdict.reasons]),
        {name: getattr(figures, name) for name in figures.__struct_fields__},
    )


class CaseNetwork(Network):
    """The network of a test case: the latency of each message, then the failure rules.

    Both are drawn from the seed of the failures. Once every replica has left the rounds in which failures can strike,
    and what was delayed has arrived, the network is synchronous, and liveness is judged; but not if its own latency is
    beyond the bound.
    """

    constant_delay_s: float | None = None

    def __init__(self, case: TestCase) -> None:
        self._rng = Random(case.failure_seed)
        self._bound_s = case.delay_bound_s
        local = LOCAL.at_most(case.delay_bound_s)
        self._links = Links(case.latencies, local)
        self._rules = FailureRules(case.failures)
        in_time = case.latencies.longest_s(local) <= case.delay_bound_s
        self._last_round = last_failing_round(case.failures) if in_time else inf
        self._last_arrival_s = 0.0
        self._simulator: Simulator | None = None

    @property
    def struck(self) -> list[int]:
        """How often each failure rule struck so far."""
        return self._rules.struck

    def attach(self, simulator: Simulator) -> None:
        """The simulator that asks, which knows who leads and in which round replicas are."""
        self._simulator = simulator
        if self._last_round < inf:
            simulator.call_at(0.0, self._stabilise)

    @override
    def arrivals(self, src: int, dest: int, message: Carried) -> Arrivals:
        delay_s = self._links.draw_s(src, dest, self._rng)
        if self._rules.active:
            kind, round_ = self._kind_and_round(src, dest, message)
            fate = self._rules.fate(src, dest, kind, round_, partial(self._leader, src), self._rng)
            if fate is not UNTOUCHED:
                self._set_attributes(src, fate.sets)
                if fate.lost:
                    return LOSS
                delay_s += fate.delay_s
        arrival_s = self._attached().now_s + delay_s
        if arrival_s > self._last_arrival_s:
            self._last_arrival_s = arrival_s
        return (delay_s,)

    @override
    def own_copy(self, node: int, message: Message) -> None:
        if self._rules.active:
            leader_of = partial(self._leader, node)
            fate = self._rules.fate(node, node, kind_of(message), round_of(message), leader_of, self._rng)
            self._set_attributes(node, fate.sets)

    def _kind_and_round(self, src: int, dest: int, message: Carried) -> tuple[str, int]:
        """A message of a client belongs to the round that its replica is in."""
        if type(message) is Request:
            return _REQUEST, self._attached().round_of(dest)
        if type(message) is Reply:
            return _REPLY, self._attached().round_of(src)
        return kind_of(message), round_of(message)

    def _leader(self, node: int, round_: int) -> int | None:
        return None if node == CLIENT else self._attached().leader(node, round_)

    def _set_attributes(self, node: int, sets: tuple[tuple[str, int], ...]) -> None:
        if node != CLIENT:
            for attribute, value in sets:
                self._attached().set_attribute(node, attribute, value)

    def _stabilise(self) -> None:
        """Look now and then whether failures are over."""
        simulator = self._attached()
        rounds = [simulator.round_of(node) for node in range(len(simulator.nodes))]
        if min(rounds) > self._last_round:
            simulator.call_at(self._last_arrival_s, partial(simulator.befall, Stabilise(0.0, self._bound_s)))
        elif not simulator.clients_ended:
            simulator.call_at(simulator.now_s + 5 * self._bound_s, self._stabilise)

    def _attached(self) -> Simulator:
        assert self._simulator is not None, "because a network without a simulator carries nothing"
        return self._simulator


def last_failing_round(failures: tuple[FailureRule, ...]) -> float:
    """The last round whose messages can be lost or late; infinite if there is none, 0 if that can never be."""
    last = 0.0
    for rule in failures:
        if rule.prob > 0 and not isinstance(rule.action, SetsAttribute):
            last = max(last, inf if rule.rounds is None else _last(rule.rounds))
    return last


def _last(rounds: Rounds) -> int:
    if isinstance(rounds, range):  # which may be huge
        return max(rounds[0], rounds[-1]) if rounds else 0
    return max(rounds, default=0)
