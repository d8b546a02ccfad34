"""The project's own cases: complete, described, and reproducible."""

import ast
from pathlib import Path

import pytest

from diembft.testcase.case import DelayBy, SetsAttribute, TestCase
from diembft.testcase.loader import case_files, load

CONFIGS = Path(__file__).parents[2] / "configs"
MUST_PASS = case_files(CONFIGS)
MUST_FAIL = case_files(CONFIGS / "must_fail")
LIBERTIES = case_files(CONFIGS / "format")

REQUIRED = {
    "normal_operation",
    "flood",
    "timed",
    "multiple_clients",
    "mixed_workloads",
    "faulty_dropouts",
    "faulty_leader",
    "message_loss",
    "message_delay",
    "set_attribute",
    "lost_proposals",
    "lost_votes",
    "lost_timeouts",
    "partition_heal",
    "seven_replicas",
    "thirteen_replicas",
}


FOREIGN = ("sequential_requests",)
"""As written for other implementations."""


def case(name: str) -> TestCase:
    return load(str(CONFIGS / f"{name}.da"))


def test_every_required_case_is_there() -> None:
    assert {path.stem for path in MUST_PASS} >= REQUIRED
    assert len(LIBERTIES) == 9
    assert set(LIBERTIES) < set(MUST_PASS)
    assert all(path.suffix == ".da" for path in (*MUST_PASS, *MUST_FAIL))
    assert MUST_FAIL


@pytest.mark.parametrize("path", [*MUST_PASS, *MUST_FAIL], ids=lambda path: path.stem)
def test_a_case_is_described_in_a_sentence_reproducible_and_quick(path: Path) -> None:
    loaded = load(str(path))
    assert loaded.description.endswith(".")
    assert 40 < len(loaded.description) < 115
    assert not loaded.drawn_seeds
    assert loaded.name in FOREIGN or 0.01 <= loaded.delay_bound_s <= 0.1


@pytest.mark.parametrize("path", [*MUST_PASS, *MUST_FAIL], ids=lambda path: path.stem)
def test_distalgo_can_parse_the_file_too(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 7))


@pytest.mark.parametrize("path", MUST_PASS, ids=lambda path: path.stem)
def test_a_case_that_must_pass_stays_within_the_fault_model(path: Path) -> None:
    loaded = load(str(path))
    assert loaded.num_faulty <= loaded.max_faulty
    assert len(byzantine(loaded)) <= loaded.max_faulty


@pytest.mark.parametrize("path", MUST_FAIL, ids=lambda path: path.stem)
def test_a_case_that_must_fail_has_too_many_faulty_replicas_and_names_the_cause(path: Path) -> None:
    loaded = load(str(path))
    assert loaded.num_faulty > loaded.max_faulty
    assert loaded.expect_failure is None  # so that running it fails
    assert loaded.description.startswith("Must fail (")


def byzantine(loaded: TestCase) -> set[object]:
    return {rule.src for rule in loaded.failures if isinstance(rule.action, SetsAttribute)}


def test_the_attributes_that_can_be_set_and_the_ways_to_fail_all_occur() -> None:
    rules = [rule for path in MUST_PASS for rule in load(str(path)).failures]
    attributes = {rule.action.attribute for rule in rules if isinstance(rule.action, SetsAttribute)}
    assert attributes == {
        "highest_vote_round",
        "highest_qc_round",
        "current_round",
        "leader",
        "duplicate_transactions",
    }
    assert any(isinstance(rule.action, DelayBy) for rule in rules)


def test_late_messages_are_later_than_a_first_round_timer() -> None:
    loaded = case("message_delay")
    delays = [rule.action.delay_s for rule in loaded.failures if isinstance(rule.action, DelayBy)]
    assert min(delays) > 5 * loaded.delay_bound_s
