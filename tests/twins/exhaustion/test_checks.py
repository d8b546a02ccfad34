"""The checks of the canonical key: they pass, in every model and with crashes, and they catch keys that forget."""

from __future__ import annotations

import pytest

from diembft.protocols.diembft.wrong_keys import WRONG_KEYS
from diembft.twins.exhaustion.checks import Setting, brute_force, conjecture_of, pairs, walks
from diembft.twins.exhaustion.question import Question

MODELS = ["barrier", "two-phase", "lazy"]


def question(model: str, *, crashes: bool = False, bugs: tuple[str, ...] = ()) -> Question:
    return Question(model, quorum_filter=True, crashes=crashes, bugs=bugs)


@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_the_search_finds_what_unreduced_states_have(model: str, crashes: bool) -> None:
    report = brute_force(Setting(question(model, crashes=crashes), choices=12, seed=3), rounds=2)
    assert report.differences == ()


@pytest.mark.parametrize("bug", ["ignore_tc_high_qc", "gap_commit"])
def test_the_search_finds_what_unreduced_states_have_with_planted_bugs(bug: str) -> None:
    report = brute_force(Setting(question("two-phase", bugs=(bug,)), choices=12, seed=3), rounds=2)
    assert report.differences == ()


def test_violations_are_those_of_unreduced_states() -> None:
    setting = Setting(question("two-phase", bugs=("no_timeout_lock",)), choices=12, seed=1)
    assert brute_force(setting, rounds=2).differences == ()


@pytest.mark.parametrize("model", ["barrier", "lazy"])
def test_walks_stay_inside_what_is_explored(model: str) -> None:
    setting = Setting(question(model), choices=24, seed=2)
    report = walks(setting, conjecture_of(setting), count=30, rounds=12)
    assert report.differences == ()


@pytest.mark.parametrize("model", MODELS)
def test_states_of_one_key_behave_alike(model: str) -> None:
    report = pairs(Setting(question(model), choices=24, seed=4), count=12, rounds=3)
    assert not report.compared.startswith("0 ")
    assert report.differences == ()


def test_states_of_one_key_behave_alike_where_nodes_crash() -> None:
    report = pairs(Setting(question("barrier", crashes=True), choices=24, seed=4), count=8, rounds=3)
    assert not report.compared.startswith("0 ")
    assert report.differences == ()


@pytest.mark.parametrize("wrong", ["proposals", "last"])
def test_brute_force_catches_a_key_that_forgets(wrong: str) -> None:
    setting = Setting(question("lazy"), WRONG_KEYS[wrong], choices=10, seed=1)
    assert brute_force(setting, rounds=2).differences


@pytest.mark.parametrize("wrong", ["proposals", "last"])
def test_walks_catch_a_key_that_forgets(wrong: str) -> None:
    setting = Setting(question("lazy"), WRONG_KEYS[wrong])
    assert walks(setting, conjecture_of(setting, rounds=4), count=10, rounds=12).differences


@pytest.mark.parametrize("wrong", ["proposals", "certificates", "last"])
def test_pairs_catch_a_key_that_forgets(wrong: str) -> None:
    setting = Setting(question("lazy"), WRONG_KEYS[wrong], choices=16, seed=1)
    assert pairs(setting, count=10, rounds=4).differences


def test_pairs_catch_a_key_in_which_twins_change_places() -> None:
    twins_lead = Question("two-phase", quorum_filter=True, twins_lead=True)
    assert pairs(Setting(twins_lead, WRONG_KEYS["copies"], choices=60, seed=1), count=16, rounds=3).differences
    assert not pairs(Setting(twins_lead, choices=60, seed=1), count=16, rounds=3).differences
