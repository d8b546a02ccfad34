"""The shipped executor files: well-formed, and each with what it needs to show something."""

from pathlib import Path

import pytest

from diembft.faults.registry import BUGS
from diembft.twins.scenarios.scenario_files import read_scenarios
from diembft.twins.scenarios.text import format_scenario, parse_scenario

FOLDER = Path(__file__).parents[3] / "executor_configs"
SHIPPED = sorted(FOLDER.glob("*.py"))
MUST_FAIL = sorted((FOLDER / "must_fail").glob("*.py"))


def test_the_required_files_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} >= {
        "conflicting_votes_bug",
        "small_quorum_bug",
        "vote_leader_current_round",
        "rotating_quorums",
        "rotating_double_vote",
        "syncmanager_bug",
        "selected_scenario",
    }
    assert MUST_FAIL


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_each_file_has_cases_with_and_without_a_bug(path: Path) -> None:
    scenarios = read_scenarios(path, known_bugs=BUGS)
    with_bug = {scenario.rounds for scenario in scenarios if scenario.bugs}
    without = {scenario.rounds for scenario in scenarios if not scenario.bugs}
    assert with_bug
    assert with_bug <= without  # the same rounds, so that it is the bug that makes the difference
    assert len({scenario.name for scenario in scenarios}) == len(scenarios)
    for scenario in scenarios:
        assert not scenario.too_many_twins
        assert scenario.synchronous_from == scenario.gst <= len(scenario.rounds) - 7
        assert parse_scenario(format_scenario(scenario)) == scenario


@pytest.mark.parametrize("path", MUST_FAIL, ids=lambda path: path.stem)
def test_what_must_fail_without_a_bug_is_outside_the_fault_model(path: Path) -> None:
    for scenario in read_scenarios(path):
        assert scenario.too_many_twins
        assert scenario.bugs == ()


def test_the_sync_bug_of_the_seed_is_the_long_commit_chain() -> None:
    bugs = {scenario.bugs for scenario in read_scenarios(FOLDER / "syncmanager_bug.py")}
    assert bugs == {("long_commit_chain",), ()}
