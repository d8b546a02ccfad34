"""HotStuff, its two-chain variant and the toy exhausted: what is decided, what is found, and that the key is exact."""

from __future__ import annotations

import pytest

from diembft.twins.exhaustion.checks import Setting, brute_force, pairs
from diembft.twins.exhaustion.core_records import read_records
from diembft.twins.exhaustion.paths import scenario_of
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, SearchEnding, search
from diembft.twins.runs.judging import run

TOY = "toy_protocol:STREAMLET"
pytestmark = pytest.mark.usefixtures("examples_on_path")


def question(protocol: str, *, faulty: int = 1, twins_lead: bool = False, bugs: tuple[str, ...] = ()) -> Question:
    return Question(quorum_filter=True, faulty=faulty, twins_lead=twins_lead, bugs=bugs, protocol=protocol)


@pytest.mark.parametrize("protocol", ["hotstuff", "fast-hotstuff"])
@pytest.mark.parametrize(("faulty", "twins_lead"), [(0, False), (1, True)])
def test_they_are_safe_in_scenarios_of_every_length(protocol: str, faulty: int, twins_lead: bool) -> None:
    result = search(question(protocol, faulty=faulty, twins_lead=twins_lead))
    assert result.ending is SearchEnding.FIXED_POINT


def test_the_two_chain_variant_is_safe_whoever_leads() -> None:
    """A minute's work, done when the core was checked: that the record is of this code, tests of cores say."""
    (record,) = [record for record in read_records() if record.protocol == "fast-hotstuff"]
    (barrier,) = [checked for checked in record.questions if checked.model == "barrier"]
    assert (barrier.options, barrier.ended, barrier.states) == ({"quorum_filter": True}, "fixed point", 4066)


@pytest.mark.parametrize(("protocol", "bug"), [("fast-hotstuff", "gap_commit"), (TOY, "any_chain")])
def test_the_flaw_is_found_by_exhaustion(protocol: str, bug: str) -> None:
    asked = question(protocol, faulty=0, bugs=(bug,))
    result = search(asked)
    assert result.found is not None
    scenario = scenario_of(asked, result.found.path)
    assert "agreement" in {finding.oracle for finding in run(scenario).violations}


def test_the_toy_is_decided_to_a_depth() -> None:
    result = search(question(TOY), limits=Limits(rounds=3))
    assert result.ending is SearchEnding.DEPTH


@pytest.mark.parametrize("model", ["two-phase", "lazy"])
@pytest.mark.parametrize("protocol", ["hotstuff", "fast-hotstuff"])
def test_the_key_is_exact_in_other_models(protocol: str, model: str) -> None:
    setting = Setting(Question(model, quorum_filter=True, protocol=protocol), choices=12, seed=2)
    assert brute_force(setting, rounds=2).differences == ()
    report = pairs(setting, count=4, rounds=3)
    assert not report.compared.startswith("0 ")
    assert report.differences == ()


@pytest.mark.parametrize(
    ("protocol", "bugs"), [("hotstuff", ()), ("fast-hotstuff", ()), ("fast-hotstuff", ("gap_commit",)), (TOY, ())]
)
def test_the_key_is_exact(protocol: str, bugs: tuple[str, ...]) -> None:
    setting = Setting(question(protocol, bugs=bugs), choices=6, seed=3)
    assert brute_force(setting, rounds=4).differences == ()
    report = pairs(setting, count=6, rounds=4)
    assert not report.compared.startswith("0 ")
    assert report.differences == ()
