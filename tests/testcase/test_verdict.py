from functools import partial

import msgspec
import pytest

from diembft.testcase import outcome
from diembft.testcase.case import TestCase
from diembft.testcase.failures import RuleCount
from diembft.testcase.outcome import CaseReason, CaseVerdict, ClientOutcome, remarks
from diembft.testcase.types import WorkloadType
from diembft.testcase.workload import ClientPlan
from tests.testcase.samples import case, workload

AGREEMENT = CaseReason("agreement", "replica0 and replica1 differ at height 3")


def client(name: str, completed: int, executions: tuple[int, ...], workload: int = 0) -> ClientOutcome:
    plan = ClientPlan(name, workload, WorkloadType.flood, len(executions), 2.5, ())
    return ClientOutcome(plan, completed, executions)


def kinds(verdict: CaseVerdict) -> list[str]:
    return [reason.kind for reason in verdict.reasons]


GOOD = client("client0", 2, (1, 1))

judge = partial(outcome.judge, commits=2)


def test_a_run_without_a_flaw_passes() -> None:
    verdict = judge(case(), [GOOD])
    assert verdict == CaseVerdict("sample", True, (), None, ())
    assert str(verdict) == "PASS sample"


def test_a_workload_that_is_late_fails_once_and_names_its_first_late_client() -> None:
    late = [client("client1", 1, (1, 1)), client("client2", 0, (1, 1)), client("client3", 0, (1, 1), 1)]
    verdict = judge(case(), [GOOD, *late])
    assert not verdict.passed
    assert verdict.reasons == (
        CaseReason(
            "workload_timeout",
            "workload 0 (flood): client1 completed 1 of 2 requests within 2.5 s (and 1 more client)",
        ),
        CaseReason("workload_timeout", "workload 1 (flood): client3 completed 0 of 2 requests within 2.5 s"),
    )


def test_a_violated_invariant_fails() -> None:
    verdict = judge(case(), [GOOD], [AGREEMENT])
    assert not verdict.passed
    assert str(verdict) == "FAIL sample: agreement: replica0 and replica1 differ at height 3"


@pytest.mark.parametrize(
    ("executions", "text"),
    [
        ((1, 0), "client0's request 1 was executed 0 times"),
        ((2, 1), "client0's request 0 was executed 2 times"),
        ((1, 0, 3, 0), "client0's request 1 was executed 0 times (and 2 more requests)"),
    ],
)
def test_a_request_that_is_not_executed_exactly_once_fails(executions: tuple[int, ...], text: str) -> None:
    verdict = judge(case(), [client("client0", len(executions), executions)])
    assert not verdict.passed
    assert verdict.reasons == (CaseReason("exactly_once", text),)


def test_up_to_f_byzantine_replicas_are_within_the_fault_model() -> None:
    verdict = judge(case(num_replicas=7), [GOOD], byzantine=[5, 2])
    assert verdict.passed
    assert verdict.byzantine == (2, 5)


def test_more_than_f_byzantine_replicas_are_said_and_fail() -> None:
    verdict = judge(case(num_replicas=4), [GOOD], byzantine=[3, 0, 3])
    assert not verdict.passed
    assert str(verdict) == (
        "FAIL sample: outside_fault_model: 2 Byzantine replicas (replica0, replica3), more than f = 1 of 4"
    )


def test_f_comes_from_the_number_of_replicas_not_from_what_the_case_calls_faulty() -> None:
    assert not judge(case(num_replicas=4, num_faulty=2), [GOOD], byzantine=[0, 1]).passed


@pytest.fixture
def expecting() -> TestCase:
    return case(expect="agreement")


def test_an_expected_failure_passes_whatever_else_fails(expecting: TestCase) -> None:
    verdict = judge(expecting, [client("client0", 0, (1,))], [AGREEMENT], byzantine=[0, 1])
    assert verdict.passed
    assert kinds(verdict) == ["outside_fault_model", "agreement", "workload_timeout"]
    assert str(verdict).startswith("PASS sample: failed as expected (agreement); outside_fault_model: ")


def test_an_expected_failure_that_does_not_come_fails(expecting: TestCase) -> None:
    verdict = judge(expecting, [GOOD], byzantine=[0, 1])
    assert not verdict.passed
    assert str(verdict).startswith("FAIL sample: did not fail as expected (agreement); outside_fault_model: ")
    assert not judge(expecting, [GOOD]).passed


def test_a_verdict_goes_through_json() -> None:
    verdict = judge(case(), [GOOD], [AGREEMENT], byzantine=[2])
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=CaseVerdict) == verdict


def test_every_request_must_be_accounted_for() -> None:
    with pytest.raises(AssertionError, match="accounted for"):
        ClientOutcome(ClientPlan("client0", 0, WorkloadType.flood, 2, 1.0, ()), 2, (1,))


def test_a_run_in_which_nothing_was_executed_fails() -> None:
    for clients in ([], [client("client0", 0, ())]):
        verdict = judge(case(), clients, commits=0)
        assert kinds(verdict) == ["nothing_executed"]
        assert not verdict.passed
        assert judge(case(expect="nothing_executed"), clients, commits=0).passed
    assert judge(case(), [], commits=1).passed
    assert kinds(judge(case(), [client("client0", 0, (0,))], commits=0)) == ["workload_timeout", "exactly_once"]


def test_what_was_not_exercised_is_remarked() -> None:
    counts = [RuleCount("Failure(1)", 2), RuleCount("Failure(2)", 0)]
    assert remarks(case(workloads=[workload()]), counts) == ["never struck: Failure(2)"]
    for none in ([], [workload(num_clients=0)], [workload(count=0)]):
        assert remarks(case(workloads=none), ()) == ["no workloads: no client sent a request"]
