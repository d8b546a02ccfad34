"""Did the system hold? The verdict on one run of a test case, from what its driver observed.

A run passes if every workload completed in time, all invariants held among the correct replicas, and every client's
request was executed exactly once. A run in which nothing was executed at all fails. More than f Byzantine replicas are
outside the fault model, where the protocol promises nothing: that is said, and fails. A case that expects a kind of
failure passes if it shows exactly that kind, whatever else fails with it.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from diembft.consensus.config import max_faulty
from diembft.testcase.case import TestCase
from diembft.testcase.failures import RuleCount
from diembft.testcase.workload import ClientPlan

WORKLOAD_TIMEOUT = "workload_timeout"
"""A workload did not complete in time."""
EXACTLY_ONCE = "exactly_once"
"""A client's request was never executed, or more than once."""
NOTHING_EXECUTED = "nothing_executed"
"""No client sent anything and no block was committed: there is nothing that could be judged."""
OUTSIDE_FAULT_MODEL = "outside_fault_model"
"""More than f replicas were made Byzantine."""


class CaseReason(Struct, frozen=True):
    """One thing that failed: one of the kinds above, or the name of the invariant that was violated."""

    kind: str
    text: str


class ClientOutcome(Struct, frozen=True):
    """How one client fared."""

    plan: ClientPlan
    completed: int
    """How many of its requests had f + 1 equal replies within `plan.timeout_s`."""
    executions: tuple[int, ...]
    """For each of its requests by number: how often the longest committed chain of a correct replica executes it."""

    def __post_init__(self) -> None:
        assert len(self.executions) == self.plan.count, "because every request of the plan must be accounted for"


class CaseVerdict(Struct, frozen=True):
    """The verdict on one run. `msgspec.to_builtins` makes plain values of it for JSON."""

    case: str
    passed: bool
    reasons: tuple[CaseReason, ...]
    """All that failed, expected or not."""
    expect_failure: str | None
    byzantine: tuple[int, ...]
    """The replicas on which a SetAttr fired, sorted."""

    def __str__(self) -> str:
        """The verdict on one line."""
        word = "PASS" if self.passed else "FAIL"
        remarks = [f"{reason.kind}: {reason.text}" for reason in self.reasons]
        if self.expect_failure is not None:
            outcome = "failed as expected" if self.passed else "did not fail as expected"
            remarks.insert(0, f"{outcome} ({self.expect_failure})")
        return f"{word} {self.case}" + (f": {'; '.join(remarks)}" if remarks else "")


def judge(
    case: TestCase,
    clients: Sequence[ClientOutcome],
    violations: Iterable[CaseReason] = (),
    byzantine: Iterable[int] = (),
    *,
    commits: int,
) -> CaseVerdict:
    """The verdict on a run of `case`.

    `clients` are the outcomes of all its clients; `violations` the invariants that were violated among the correct
    replicas, each under its name; `byzantine` the replicas on which a SetAttr fired, which are not correct; `commits`
    the length of the longest committed chain of a correct replica.
    """
    faulty = tuple(sorted(set(byzantine)))
    reasons = (
        *_outside_fault_model(case.num_replicas, faulty),
        *violations,
        *_timeouts(clients),
        *_not_exactly_once(clients),
        *_nothing_executed(clients, commits),
    )
    if case.expect_failure is None:
        passed = not reasons
    else:
        passed = any(reason.kind == case.expect_failure for reason in reasons)
    return CaseVerdict(case.name, passed, reasons, case.expect_failure, faulty)


def remarks(case: TestCase, rules: Iterable[RuleCount]) -> list[str]:
    """What a run did not exercise, one line for each: a reader might take its verdict for more than it is."""
    none = ["no workloads: no client sent a request"]
    idle = not any(workload.count and workload.num_clients for workload in case.workloads)
    return [*(none if idle else ()), *[f"never struck: {rule.rule}" for rule in rules if rule.struck == 0]]


def _outside_fault_model(num_replicas: int, byzantine: Sequence[int]) -> Iterable[CaseReason]:
    tolerated = max_faulty(num_replicas)
    if len(byzantine) > tolerated:
        names = ", ".join(f"replica{index}" for index in byzantine)
        yield CaseReason(
            OUTSIDE_FAULT_MODEL,
            f"{len(byzantine)} Byzantine replicas ({names}), more than f = {tolerated} of {num_replicas}",
        )


def _timeouts(clients: Sequence[ClientOutcome]) -> Iterable[CaseReason]:
    """One reason for each workload that did not complete, with its first client that did not."""
    late: dict[int, list[ClientOutcome]] = {}
    for client in clients:
        if client.completed < client.plan.count:
            late.setdefault(client.plan.workload, []).append(client)
    for workload, outcomes in late.items():
        first, plan = outcomes[0], outcomes[0].plan
        yield CaseReason(
            WORKLOAD_TIMEOUT,
            f"workload {workload} ({plan.type}): {plan.client} completed {first.completed} of {plan.count} "
            f"requests within {plan.timeout_s:g} s{_and_more(len(outcomes) - 1, 'client')}",
        )


def _not_exactly_once(clients: Sequence[ClientOutcome]) -> Iterable[CaseReason]:
    """One reason for each client with such a request."""
    for client in clients:
        wrong = [(number, times) for number, times in enumerate(client.executions) if times != 1]
        if wrong:
            number, times = wrong[0]
            yield CaseReason(
                EXACTLY_ONCE,
                f"{client.plan.client}'s request {number} was executed {times} times"
                f"{_and_more(len(wrong) - 1, 'request')}",
            )


def _nothing_executed(clients: Sequence[ClientOutcome], commits: int) -> Iterable[CaseReason]:
    if commits == 0 and not any(client.plan.count for client in clients):
        yield CaseReason(NOTHING_EXECUTED, "no workload and no block: nothing was executed, and so nothing was judged")


def _and_more(count: int, noun: str) -> str:
    return f" (and {count} more {noun}{'s' if count > 1 else ''})" if count else ""
