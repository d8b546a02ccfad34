"""Scenarios executed and judged: each oracle speaks in at least one, and correct replicas are never accused."""

from __future__ import annotations

import msgspec
import pytest

from diembft.judge.verdict import Verdict
from diembft.twins.runs.judging import Judgement, judge, run, terms
from diembft.twins.runs.oracles import ORACLES
from diembft.twins.runs.timed import execute
from diembft.twins.scenarios.regressions import regression
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario
from tests.twins.edits import fail


def executed(oracle: str) -> Judgement:
    """An executed scenario that this oracle is violated in."""
    match oracle:
        case "agreement" | "certified_uniqueness":
            return run(regression("too_many_twins"))  # no bug at all
        case "commit_chain":
            return run(regression("stale_leader_unchecked"))
        case "honest_vote_once":
            return run(regression("conflicting_votes"))
        case "quorum_progress":
            return run(regression("count_messages"))
        case "commit_order" | "execution":
            return run(regression("long_commit_chain"))
        case "durability":
            return run(regression("forgets_on_restart"))
        case "liveness_bound":
            return run(regression("vote_leader_current_round"))
        case "liveness_commit":
            return run(with_suffix(regression("gap_commit")))
        case "accountability":
            # The judge does not know of the bug: two histories, and no signatures that contradict one another.
            scenario = regression("gap_commit")
            return judge(execute(scenario), terms(msgspec.structs.replace(scenario, bugs=())))
        case "crash":
            with pytest.MonkeyPatch.context() as monkeypatch:
                fail(monkeypatch, "raises")
                return run(with_suffix(regression("gap_commit")))
    raise AssertionError(f"no scenario for {oracle}")


def with_suffix(scenario: Scenario) -> Scenario:
    rounds = (*scenario.rounds, *[scenario.rounds[-1]] * 7)
    return msgspec.structs.replace(scenario, rounds=rounds)


@pytest.mark.parametrize("oracle", ORACLES)
def test_each_oracle_is_violated_in_an_executed_scenario(oracle: str) -> None:
    (finding,) = [found for found in executed(oracle).violations if found.oracle == oracle]
    assert finding.detail
    assert finding.nodes or oracle == "accountability"
    assert finding.round is not None


def test_more_twins_than_f_and_no_bug_convict_f_plus_1() -> None:
    (finding,) = [f for f in run(regression("too_many_twins")).findings if f.oracle == "accountability"]
    assert (finding.verdict, finding.nodes) == (Verdict.HELD, ("c", "d"))
    assert len(finding.signed) == 4


@pytest.mark.parametrize(
    "space",
    [
        Space(replicas=4, faulty=1, sets=3, rounds=7, quorum=True),
        Space(replicas=4, faulty=1, sets=2, rounds=5, drops=3, drop_types=("proposal", "vote", "timeout", "*")),
        Space(replicas=4, faulty=1, sets=2, rounds=5, quorum=True, crashes=True),
        Space(replicas=7, faulty=2, sets=3, rounds=5, quorum=True),
        Space(replicas=5, faulty=1, sets=2, rounds=5, quorum=True),
        Space(replicas=3, faulty=0, sets=2, rounds=2),
    ],
    ids=["three sets", "exceptions", "crashes", "seven", "five", "three"],
)
def test_the_correct_core_holds_and_liveness_is_judged(space: Space) -> None:
    judged = 0
    for rank in space.ranks(0, 60, seed=2):
        scenario = space.scenario(rank)
        for delayed in (False, True):
            judgement = run(scenario, delayed=delayed)
            assert not judgement.violations, scenario.name
            assert not judgement.breaks_promise, scenario.name
            judged += "liveness_bound" not in judgement.undecided
    assert judged > 5


def test_liveness_of_generated_scenarios_is_judged_whenever_each_round_has_a_quorum() -> None:
    space = Space(replicas=4, faulty=1, sets=2, rounds=7, quorum=True)
    for rank in space.ranks(0, 50, seed=5):
        judgement = run(space.scenario(rank))
        assert judgement.promises_liveness
        assert not {"liveness_bound", "liveness_commit"} & set(judgement.undecided)


def test_agreement_is_violated_with_more_twins_than_f_and_f_plus_1_are_always_convicted() -> None:
    """Accountability: no run without bugs breaks agreement without convicting f + 1 replicas."""
    space = Space(replicas=4, faulty=2, sets=2, rounds=5, quorum=True, leaders="twins")
    verdicts = []
    for rank in space.ranks(0, 200, seed=3):
        judgement = run(space.scenario(rank))
        told = {finding.oracle: finding.verdict for finding in judgement.findings}
        verdicts.append(told["agreement"])
        assert told["accountability"] is (Verdict.HELD if told["agreement"] is Verdict.VIOLATED else Verdict.UNDECIDED)
    assert Verdict.VIOLATED in verdicts


def test_liveness_is_not_judged_before_gst_nor_where_twins_lead() -> None:
    led_by_twins = parse_scenario("scenario: replicas=a,b,c,d twins=d' gst=0; 1-9: d leads a,b,c,d,d'")
    late = parse_scenario("scenario: replicas=a,b,c,d twins=d' gst=8; 1-9: a leads a,b,c,d,d'")
    for scenario in (led_by_twins, late):
        judgement = run(scenario)
        assert {"liveness_bound", "liveness_commit"} <= set(judgement.undecided)
        assert not judgement.promises_liveness
    told = run(parse_scenario("scenario: replicas=a,b,c,d twins=d' gst=0; 1-9: a leads a,b,c,d,d'"))
    assert not {"liveness_bound", "liveness_commit"} & set(told.undecided)


def test_a_gst_that_the_rounds_do_not_keep_is_put_off() -> None:
    """The file says 0; round 3 is cut, and liveness is judged from there on."""
    text = "scenario: replicas=a,b,c,d gst=0; 1-2: a leads a,b,c,d; 3: a leads a,b,c|d; 4-9: a leads a,b,c,d"
    judgement = run(parse_scenario(text))
    assert not judgement.violations
    assert "liveness_bound" not in judgement.undecided
