"""The project's own cases, run in the simulator: each must pass or fail as it says, for the reason that it names."""

import re
from pathlib import Path

import pytest

from diembft.simulation.run_case import run_case
from diembft.testcase.case import Lose, SetsAttribute
from diembft.testcase.loader import case_files, load
from tests.testcase.test_configs import MUST_FAIL, MUST_PASS


@pytest.mark.parametrize("path", MUST_PASS, ids=lambda path: path.stem)
def test_a_case_passes_and_its_failures_do_strike(path: Path) -> None:
    case = load(str(path))
    result = run_case(case)
    assert str(result.verdict) == f"PASS {case.name}"
    assert [count.rule for count in result.rules if not count.struck] == []
    actions = [rule.action for rule in case.failures]
    assert (result.figures.dropped > 0) == any(isinstance(action, Lose) for action in actions)
    assert bool(result.verdict.byzantine) == any(isinstance(action, SetsAttribute) for action in actions)


@pytest.mark.parametrize("path", MUST_FAIL, ids=lambda path: path.stem)
def test_a_case_that_must_fail_does_for_the_reason_that_it_names(path: Path) -> None:
    case = load(str(path))
    named = re.match(r"Must fail \((\w+)\): ", case.description)
    assert named
    verdict = run_case(case).verdict
    assert not verdict.passed
    assert named[1] in [reason.kind for reason in verdict.reasons]


def test_what_cases_with_slow_networks_show() -> None:
    figures = {name: run_case(load(name)).figures for name in ("message_delay", "near_the_bound", "normal_operation")}
    assert figures["message_delay"].timeouts > 50
    assert figures["near_the_bound"].timeouts == 0
    assert figures["near_the_bound"].rounds == figures["normal_operation"].rounds
    assert figures["near_the_bound"].virtual_s > figures["normal_operation"].virtual_s + 3


def test_a_file_for_a_local_network_meets_its_timeouts_whatever_its_delay_bound() -> None:
    result = run_case(load("format/sequential_requests"))
    assert result.verdict.passed
    assert result.figures.timeouts == 0
    assert result.figures.virtual_s < 4


def test_every_way_to_fail_is_shown_by_some_case_that_must_fail() -> None:
    kinds = {reason.kind for path in MUST_FAIL for reason in run_case(load(str(path))).verdict.reasons}
    assert kinds >= {"agreement", "workload_timeout", "exactly_once", "outside_fault_model"}


def test_an_expected_failure_turns_the_verdict_around(tmp_path: Path) -> None:
    (path,) = (path for path in MUST_FAIL if path.stem == "conflicting_commits")
    expecting = tmp_path / path.name
    expecting.write_text(path.read_text() + "\nexpect_failure = 'agreement'\n")
    (found,) = case_files(tmp_path)
    assert run_case(load(str(found))).verdict.passed
