"""One of the seed's test cases, whatever driver runs it: its configuration, its clients, and what the verdict needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import assert_never

from msgspec import Struct

from diembft.client.client import Client, ClientConfig, Flood, Retransmit, Timed
from diembft.client.client import Workload as ClientWorkload
from diembft.consensus.config import Config
from diembft.host.assembly import ClientSpec, operation
from diembft.host.keys import Keychain
from diembft.host.watch import Watch
from diembft.messages.digests import Digests
from diembft.testcase.case import TestCase
from diembft.testcase.failures import RuleCount
from diembft.testcase.latency import Span
from diembft.testcase.outcome import CaseReason, CaseVerdict, ClientOutcome, judge
from diembft.testcase.types import WorkloadType
from diembft.testcase.workload import ClientPlan
from diembft.trace.records import Committed, Header, Record, SetAttribute

FIRST_WAIT_DELTAS = 10
"""After how many delay bounds a client sends a request again for the first time: an undisturbed commit takes less."""


SETTLING_DELTA_S = 0.05
"""For as many delay bounds a run goes on after its clients have ended. One that is longer than this, and than messages
take, would be waited for in vain: see `settling_delta_s`."""


class CaseFigures(Struct, frozen=True, kw_only=True):
    """What a run amounted to; the same for the same case."""

    rounds: int
    """The highest round that a replica reached."""
    commits: int
    """The length of the longest committed chain of a correct replica."""
    timeouts: int
    """Timeouts that replicas sent, repeated ones included."""
    messages: int
    """Messages between replicas, one for each receiver."""
    dropped: int
    """Messages that did not arrive, those of clients included."""
    virtual_s: float


class CaseResult(Struct, frozen=True, kw_only=True):
    """The verdict on one run of a test case, and what it amounted to."""

    case: TestCase
    verdict: CaseVerdict
    figures: CaseFigures
    rules: tuple[RuleCount, ...]
    """How often each failure rule of the case struck, in their order."""
    real_s: float
    trace: tuple[Record, ...]
    """The records of the run; empty unless asked for."""


def case_config(case: TestCase, plans: list[ClientPlan]) -> Config:
    """The configuration of the replicas of a test case: limits on what waits never stand in the way of a workload."""
    default = Config(n=case.num_replicas)
    return Config(
        n=case.num_replicas,
        max_block_requests=case.block_size or default.max_block_requests,
        delta_s=case.delay_bound_s,
        max_timer_s=max(default.max_timer_s, 5 * case.delay_bound_s),
        max_waiting_requests=max(default.max_waiting_requests, sum([plan.count for plan in plans])),
        max_waiting_per_client=max([default.max_waiting_per_client, *[plan.count for plan in plans]]),
    )


def settling_delta_s(case: TestCase, local: Span) -> float:
    """What counts as a delay bound where only messages under way are waited for, and no timers, in seconds.

    A generous bound says little about how long messages take in a network that takes no more than `local` by itself.
    """
    return min(case.delay_bound_s, max(SETTLING_DELTA_S, case.latencies.longest_s(local)))


def case_client(case: TestCase, plan: ClientPlan, keys: Keychain) -> ClientSpec:
    """The client that carries out a plan."""
    workload: ClientWorkload
    match plan.type:
        case WorkloadType.retransmit:
            wait_s = FIRST_WAIT_DELTAS * case.delay_bound_s
            workload = Retransmit(wait_s, max_wait_s=max(60.0, wait_s))
        case WorkloadType.flood:
            workload = Flood()
        case WorkloadType.timed:
            workload = Timed(plan.delays_s)
        case _:
            assert_never(plan.type)
    config = ClientConfig(
        client=plan.client,
        n=case.num_replicas,
        workload=workload,
        count=plan.count,
        timeout_s=plan.timeout_s,
        seed=case.seed,
    )
    default = Config(n=case.num_replicas)
    digests = Digests(default.chain_id, default.epoch)
    return ClientSpec(Client(config, keys.clients[plan.client], digests, partial(operation, plan.client)))


class Account:
    """What the verdict on a run needs to know, from its records."""

    def __init__(self, head: Header, *, keep: bool) -> None:
        self.watch = Watch(head, keep=keep, judge=True)
        self._observe = self.watch.observer
        self._replicas = {node.name: node.replica for node in head.nodes}
        self._heights = {node.name: 0 for node in head.nodes}
        self._executions: dict[str, dict[tuple[str, int], int]] = {node.name: {} for node in head.nodes}
        self._byzantine: dict[str, None] = {}

    @property
    def byzantine(self) -> tuple[int, ...]:
        """The replicas on which a SetAttr fired."""
        return tuple([self._replicas[node] for node in self._byzantine])

    @property
    def longest(self) -> int:
        """The length of the longest chain of a correct replica."""
        return self._heights[self._furthest()]

    def observe(self, record: Record) -> None:
        """Take the next record."""
        assert self._observe is not None, "because the run is judged"
        self._observe(record)
        # By the identity of the kind: to be no instance of a Struct costs several times as much, and most are neither.
        if type(record) is Committed:
            self._heights[record.node] = record.height
            executions = self._executions[record.node]
            for client, number, _ in record.executed or ():
                key = client, number  # a client of a test case has one session
                executions[key] = executions.get(key, 0) + 1
        elif type(record) is SetAttribute:
            self._byzantine[record.node] = None

    def verdict(self, case: TestCase, plans: Sequence[ClientPlan], completed: Sequence[int]) -> CaseVerdict:
        """The verdict on the run, whose clients completed so many requests in time."""
        return judge(
            case,
            [self._outcome(plan, done) for plan, done in zip(plans, completed, strict=True)],
            [CaseReason(violated.property, violated.detail) for violated in self.watch.violations],
            self.byzantine,
            commits=self.longest,
        )

    def _outcome(self, plan: ClientPlan, completed: int) -> ClientOutcome:
        executions = self._executions[self._furthest()]
        times = tuple([executions.get((plan.client, number), 0) for number in range(plan.count)])
        return ClientOutcome(plan, completed, times)

    def _furthest(self) -> str:
        """The correct replica with the longest chain; if none is correct, any has to do."""
        correct = [node for node in self._heights if node not in self._byzantine]
        return max(correct or self._heights, key=self._heights.__getitem__)
