"""Every oracle on records made by hand: each violated by exactly what it is about, held, or undecided."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from diembft.judge.verdict import Finding, Verdict
from diembft.twins.runs.judging import judge, terms
from diembft.twins.runs.oracles import ORACLES
from diembft.twins.runs.record import CertificateHeld, Ending, NodeFailed
from diembft.twins.scenarios.scenario import Extras, Round
from tests.twins.by_hand import (
    ALL_NODES,
    CAST,
    GENESIS,
    Hand,
    block,
    judged,
    marker,
    qc_of,
    scenario,
    tc_of,
    timeout_of,
    verdicts,
    violated,
    vote_for,
)

HELD, VIOLATED, UNDECIDED = Verdict.HELD, Verdict.VIOLATED, Verdict.UNDECIDED
WITH_A_BUG = scenario(suffix=3, bugs=("gap_commit",))
"""Planted bugs take accountability out of the question."""

A1 = block("a", 1)
A2 = block("a", 2, qc_of(A1))
A3 = block("a", 3, qc_of(A2))
B1 = block("b", 1)
B2 = block("b", 2)


def good() -> Hand:
    """Three rounds without a fault: a proposes, all vote, all commit two blocks in time."""
    hand = Hand().enter("a b c d d'", 1).propose("a", A1).vote("a b c d d'", A1)
    for number, proposed, committed in ((2, A2, None), (3, A3, A1)):
        hand.tick += 2
        hand.enter("a b c d d'", number).propose("a", proposed).vote("a b c d d'", proposed)
        if committed is not None:
            hand.commit("a b c d d'", committed)
    hand.tick += 2
    hand.enter("a b c d d'", 4).tell("a", qc_of(A3)).commit("a b c d d'", A2)
    hand.tick += 1
    return hand.commit("a b c d d'", A3)


def finding_of(name: str, hand: Hand) -> Finding:
    (finding,) = [found for found in judged(hand).findings if found.oracle == name]
    return finding


def test_of_a_run_without_faults_all_is_held_that_can_be_told() -> None:
    told = verdicts(judged(good()))
    assert list(told) == list(ORACLES)
    assert {name for name, verdict in told.items() if verdict is UNDECIDED} == {"durability", "accountability"}
    assert VIOLATED not in told.values()


# --- agreement


def test_agreement_two_chains_that_part() -> None:
    judgement = judged(two_histories(), WITH_A_BUG)
    assert violated(judgement) == {"agreement"}
    (finding,) = judgement.violations
    assert (finding.round, finding.nodes) == (2, ("b", "a"))
    assert finding.certificates == (qc_of(B2), qc_of(A1))


def test_agreement_parts_above_a_common_block() -> None:
    other = block("b", 4, qc_of(A1))
    judgement = judged(Hand().commit("a", A1, A2).commit("c", A1, other), WITH_A_BUG)
    assert violated(judgement) == {"agreement"}
    assert "height 2" in judgement.violations[0].detail


def test_agreement_a_prefix_is_no_violation_and_faulty_nodes_do_not_count() -> None:
    assert (
        verdicts(judged(Hand().commit("a", A1, A2).commit("b", A1).commit("d", B1).commit("d'", B2)))["agreement"]
        is HELD
    )


# --- certified_uniqueness


def test_certified_uniqueness_two_certified_blocks_of_a_round() -> None:
    judgement = judged(Hand().tell("a", qc_of(A1)).tell("b", qc_of(B1)))
    assert violated(judgement) == {"certified_uniqueness"}
    assert judgement.violations[0].certificates == (qc_of(A1), qc_of(B1))


def test_certified_uniqueness_a_certified_block_and_a_rival_with_f_plus_1_correct_votes() -> None:
    hand = Hand().tell("c", qc_of(A1, (0, 2, 3))).vote("a b", B1)
    judgement = judged(hand)
    assert violated(judgement) == {"certified_uniqueness"}
    assert judgement.violations[0].nodes == ("a", "b")
    assert len(judgement.violations[0].signed) == 2


@pytest.mark.parametrize("voters", ["a", "d d'", "a d d'"])
def test_certified_uniqueness_f_correct_votes_and_those_of_twins_are_no_violation(voters: str) -> None:
    assert verdicts(judged(Hand().tell("c", qc_of(A1)).vote(voters, B1)))["certified_uniqueness"] is HELD


def test_certified_uniqueness_two_certificates_of_one_block_are_no_violation() -> None:
    hand = Hand().tell("a", qc_of(A1, (0, 1, 2))).tell("b", qc_of(A1, (1, 2, 3)))
    assert verdicts(judged(hand))["certified_uniqueness"] is HELD


# --- commit_chain


def test_commit_chain_two_branches_that_f_plus_1_correct_replicas_committed_by_their_votes() -> None:
    a2, b5 = block("a", 2, qc_of(A1)), block("b", 5)
    b6 = block("b", 6, qc_of(b5))
    hand = Hand().propose("a", A1).propose("a", a2).propose("b", b5).propose("b", b6)
    judgement = judged(hand.vote("a b", a2).vote("b c", b6), WITH_A_BUG)
    assert violated(judgement) == {"commit_chain"}
    assert judgement.violations[0].nodes == ("a", "b", "c")
    assert judgement.violations[0].round == 5


def test_commit_chain_f_votes_do_not_commit_nor_do_gaps_nor_branches_that_extend_one_another() -> None:
    b5 = block("b", 5)
    b6, b7 = block("b", 6, qc_of(b5)), block("b", 7, qc_of(b5))
    hand = Hand().propose("a", A1).propose("a", A2).propose("a", A3).propose("b", b5).propose("b", b6)
    hand.vote("a b", A2).vote("a b c", A3)
    assert verdicts(judged(hand.vote("a d d'", b6).vote("a b", b7)))["commit_chain"] is HELD


# --- honest_vote_once


def test_honest_vote_once_two_votes_in_a_round() -> None:
    judgement = judged(Hand().vote("a", A1).vote("a", B1))
    assert violated(judgement) == {"honest_vote_once"}
    assert judgement.violations[0].nodes == ("a",)
    assert len(judgement.violations[0].signed) == 2


def test_honest_vote_once_a_vote_after_the_timeout_of_its_round() -> None:
    judgement = judged(Hand().send("a", timeout_of("a", 1)).vote("a", A1))
    assert violated(judgement) == {"honest_vote_once"}
    assert "after its timeout" in judgement.violations[0].detail


def test_honest_vote_once_a_vote_sent_again_a_timeout_after_it_and_twins_are_no_violation() -> None:
    hand = Hand().vote("a", A1).send("a", timeout_of("a", 1)).vote("a", A1).send("a", timeout_of("a", 2))
    assert verdicts(judged(hand.vote("d", A1).vote("d'", B1)))["honest_vote_once"] is HELD


# --- quorum_progress


@pytest.mark.parametrize("signers", [(0, 1), (0, 1, 1), (3, 3, 3), ()], ids=str)
def test_quorum_progress_a_qc_of_too_few_distinct_signers(signers: tuple[int, ...]) -> None:
    assert violated(judged(Hand().tell("d'", qc_of(A1, signers)))) == {"quorum_progress"}


def test_quorum_progress_a_tc_of_too_few_distinct_signers() -> None:
    hand = Hand().send("b", timeout_of("b", 2, tc=tc_of(1, (0, 0, 1))))
    judgement = judged(hand)
    assert violated(judgement) == {"quorum_progress"}
    assert judgement.violations[0].certificates == (tc_of(1, (0, 0, 1)),)


def test_quorum_progress_a_certificate_inside_a_tc_or_a_block_counts_too() -> None:
    weak = qc_of(A1, (0, 1))
    assert violated(judged(Hand().send("b", timeout_of("b", 3, tc=tc_of(2, high_qc=weak))))) == {"quorum_progress"}
    assert violated(judged(Hand().propose("b", block("b", 2, weak)))) == {"quorum_progress"}


HALVES = Round("a", (("a", "b"), ("c", "d", "d'")))


def test_quorum_progress_a_round_that_nobody_can_leave_is_left() -> None:
    hand = Hand().enter("a b c d d'", 1).enter("a b c d d'", 2).enter("d'", 3)
    played = scenario(scenario(suffix=1).rounds[0], HALVES, suffix=3)
    judgement = judged(hand, played)
    assert violated(judgement) == {"quorum_progress"}
    assert (judgement.violations[0].round, judgement.violations[0].nodes) == (2, ("d'",))
    kept = Round("a", HALVES.partition, extras=Extras(undelivered="delay"))
    assert verdicts(judged(hand, scenario(kept, suffix=4)))["quorum_progress"] is HELD
    assert verdicts(judge(hand.record(), terms(played, delayed=True)))["quorum_progress"] is HELD
    by_timeouts = Round("a", HALVES.partition, extras=Extras(timeout_partition=(ALL_NODES,)))
    assert verdicts(judged(hand, scenario(by_timeouts, suffix=4)))["quorum_progress"] is HELD


# --- liveness


def test_liveness_bound_the_block_of_a_judged_round_comes_late() -> None:
    hand = Hand().enter("a b c d d'", 1).commit("a b c", A1).enter("a b c d d'", 2).commit("a b", A2)
    hand.tick = 28
    assert violated(judged(hand.commit("c", A2).enter("a", 3).commit("a b c", A3))) == set()
    hand = Hand().enter("a b c d d'", 1).commit("a b c", A1).enter("a b c d d'", 2).commit("a b", A2)
    hand.tick = 29
    judgement = judged(hand.commit("c", A2))
    assert violated(judgement) == {"liveness_bound"}
    assert (judgement.violations[0].round, judgement.violations[0].nodes) == (2, ("c",))


def test_liveness_bound_the_block_of_a_judged_round_is_missing() -> None:
    hand = Hand().enter("a b c d d'", 1).commit("a b c", A1).enter("a b c d d'", 2)
    hand.tick = 10
    assert "liveness_bound" not in violated(judged(hand))  # it ended too early to tell
    assert verdicts(judged(hand))["liveness_bound"] is UNDECIDED
    hand.commit("a b c", block("a", 3, qc_of(A1)))
    judgement = judged(hand)
    assert violated(judgement) == {"liveness_bound"}  # later blocks were committed, so this one never will be
    assert judgement.violations[0].nodes == ("a", "b", "c")


def test_liveness_bound_two_blocks_of_a_judged_round() -> None:
    other = block("b", 2, qc_of(A1))
    hand = Hand().enter("a b c", 1).commit("a b c", A1).enter("a b c", 2).commit("a b", A2).commit("c", other)
    judgement = judged(hand, WITH_A_BUG)
    assert violated(judgement) == {"liveness_bound", "agreement", "certified_uniqueness"}
    assert "two blocks of round 2" in next(f.detail for f in judgement.violations if f.oracle == "liveness_bound")


def test_liveness_commit_a_correct_replica_commits_nothing() -> None:
    """Whoever commits nothing has not committed the judged block either: the two are violated together."""
    hand = Hand().enter("a b c d d'", 1).enter("a b c d d'", 2).commit("a b", A1, A2)
    hand.tick = 40
    judgement = judged(hand)
    assert violated(judgement) == {"liveness_commit", "liveness_bound"}
    assert next(f.nodes for f in judgement.violations if f.oracle == "liveness_commit") == ("c",)


def test_liveness_commit_what_was_committed_before_gst_does_not_count() -> None:
    played = scenario(HALVES, suffix=4)
    hand = Hand().enter("a b c", 1).commit("a b c", A1)
    hand.tick = 5
    hand.enter("a b c", 2).enter("a b c", 3).commit("a b", A2)
    hand.tick = 50
    assert "liveness_commit" in violated(judge(hand.record(), terms(played, delayed=True)))


LED_BY_TWINS = scenario(suffix=5, leader="d")
ONE_DISTURBED = scenario(HALVES, suffix=1)
TWO_CRASHED = scenario(Round("a", (ALL_NODES,), extras=Extras(crash=("a", "b"))), suffix=6, leader="c")


@pytest.mark.parametrize(
    "played", [LED_BY_TWINS, ONE_DISTURBED, TWO_CRASHED], ids=["twins lead", "too short", "too many down"]
)
def test_liveness_is_undecided_where_no_round_is_to_be_judged(played: object) -> None:
    hand = Hand().enter("a b c d d'", 1).enter("a b c", 7)
    hand.tick = 99
    told = verdicts(judged(hand, played))  # type: ignore[arg-type]  # scenarios, all of them
    assert (told["liveness_commit"], told["liveness_bound"]) == (UNDECIDED, UNDECIDED)


def test_liveness_that_is_promised_and_undecided_breaks_the_promise() -> None:
    stuck = Hand().enter("a b c d d'", 1)
    judgement = judged(stuck, scenario(suffix=7), Ending.STUCK)
    assert judgement.promises_liveness
    assert judgement.undecided == ("liveness_commit", "liveness_bound", "durability", "accountability")
    assert judgement.breaks_promise
    assert not judged(stuck, scenario(HALVES, suffix=7), Ending.STUCK).breaks_promise
    assert not judged(stuck, LED_BY_TWINS, Ending.STUCK).breaks_promise


def test_liveness_is_not_promised_where_no_set_holds_a_quorum_though_messages_are_delayed() -> None:
    assert not terms(scenario(HALVES, suffix=7), delayed=True).promises_liveness
    assert terms(scenario(Round("a", (("a", "b", "c"), ("d", "d'"))), suffix=7), delayed=True).promises_liveness


def test_liveness_is_promised_to_those_that_start_again_at_once() -> None:
    at_once = Round("a", (ALL_NODES,), extras=Extras(crash=("b",), restart=("b",)))
    later = Round("a", (ALL_NODES,), extras=Extras(crash=("b",)))
    assert terms(scenario(at_once, suffix=7)).promises_liveness
    assert not terms(scenario(later, suffix=7)).promises_liveness


def test_liveness_of_an_execution_that_timed_out_is_judged_where_it_is_complete() -> None:
    """It ended too early for rounds 2 and 3; safety is judged all the same."""
    hand = Hand().enter("a b c", 1).commit("a b c", A1).enter("a b c", 2)
    hand.tick = 20
    hand.vote("a", A1).vote("a", B1)
    judgement = judged(hand, ending=Ending.TIMED_OUT)
    assert violated(judgement) == {"honest_vote_once"}
    assert verdicts(judgement)["liveness_bound"] is UNDECIDED


# --- commit_order


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ((A1, A2, A2), "round 2 twice"),
        ((A1, A2, A1), "round 1 twice"),
        ((A2,), "round 2 without its parent"),
        ((A1, A3), "round 3 without its parent"),
        ((A1, A3, A2), "round 3 without its parent"),
    ],
)
def test_commit_order(blocks: tuple[object, ...], said: str) -> None:
    judgement = judged(Hand().commit("b", *blocks), WITH_A_BUG)  # type: ignore[arg-type]  # blocks, all of them
    assert violated(judgement) == {"commit_order"}
    assert said in judgement.violations[0].detail


def test_commit_order_of_twins_is_not_judged() -> None:
    assert verdicts(judged(Hand().commit("d", A2).commit("d'", A3, A3)))["commit_order"] is HELD


# --- execution


def test_execution_a_request_that_comes_twice() -> None:
    first = block("a", 1, payload=(marker("a", 1),))
    second = block("a", 2, qc_of(first), payload=(marker("a", 1),))
    judgement = judged(Hand().commit("a", first, second))
    assert violated(judgement) == {"execution"}
    assert judgement.violations[0].detail == "a executed request 1 of a twice"


def test_execution_a_request_that_its_client_did_not_sign() -> None:
    forged = block("a", 1, payload=(marker("a", 1, signed=False),))
    judgement = judged(Hand().commit("c", forged))
    assert violated(judgement) == {"execution"}
    assert judgement.violations[0].detail == "c executed request 1, which a did not sign"


def test_execution_signed_requests_once_each_and_what_twins_do() -> None:
    both = block("a", 1, payload=(marker("a", 1), marker("d'", 1)))
    assert verdicts(judged(Hand().commit("a b", both).commit("d", both, both)))["execution"] is HELD


# --- durability


def test_durability_a_vote_below_what_was_voted_before_the_restart() -> None:
    judgement = judged(Hand().vote("a", A3).restart("a").vote("a", A2))
    assert violated(judgement) == {"durability"}
    assert judgement.violations[0].signed[0].vote_info.round == 3


def test_durability_a_vote_below_a_timeout_before_the_restart() -> None:
    judgement = judged(Hand().send("a", timeout_of("a", 3)).restart("a").vote("a", A2))
    assert violated(judgement) == {"durability"}


def test_durability_a_timeout_that_forgets_a_vote_or_its_certificate() -> None:
    assert violated(judged(Hand().vote("a", A3).restart("a").send("a", timeout_of("a", 2)))) == {"durability"}
    forgets = Hand().vote("a", A3).restart("a").send("a", timeout_of("a", 3, GENESIS))
    assert violated(judged(forgets)) == {"durability"}
    knows = Hand().vote("a", A3).restart("a").send("a", timeout_of("a", 3, qc_of(A2)))
    assert verdicts(judged(knows))["durability"] is HELD


def test_durability_a_timeout_that_says_the_same_again_is_none_that_forgets() -> None:
    """Whatever comes with it: its signature covers the round and that of the highest certificate."""
    again = timeout_of("a", 2, tc=tc_of(1))
    hand = Hand().send("a", timeout_of("a", 2)).vote("a", A3).restart("a").send("a", again)
    assert verdicts(judged(hand))["durability"] is HELD
    other = Hand().send("a", timeout_of("a", 2)).vote("a", A3).restart("a").send("a", timeout_of("a", 2, qc_of(A1)))
    assert violated(judged(other)) == {"durability"}


def test_durability_the_same_again_and_the_next_are_no_contradiction() -> None:
    hand = Hand().vote("a", A2).restart("a").vote("a", A2).vote("a", A3)
    assert verdicts(judged(hand))["durability"] is HELD
    assert verdicts(judged(Hand().vote("a", A3).vote("a", A2)))["durability"] is UNDECIDED
    assert verdicts(judged(Hand().vote("d", A3).restart("d").vote("d", A2)))["durability"] is UNDECIDED


def test_durability_is_by_what_was_signed_before_the_last_restart() -> None:
    hand = Hand().vote("a", A2).restart("a").vote("a", A3).vote("a", A2)
    assert verdicts(judged(hand))["durability"] is HELD
    twice = Hand().vote("a", A2).restart("a").vote("a", A3).restart("a").send("a", timeout_of("a", 2))
    assert violated(judged(twice)) == {"durability"}


# --- honest_vote_once and what is sent again


def test_a_vote_that_is_sent_again_after_a_timeout_is_the_same_vote() -> None:
    again = replace(vote_for("a", A2), high_commit_qc=qc_of(A1))
    hand = Hand().vote("a", A2).send("a", timeout_of("a", 2)).send("a", again)
    assert verdicts(judged(hand))["honest_vote_once"] is HELD
    assert violated(judged(Hand().send("a", timeout_of("a", 2)).send("a", again))) == {"honest_vote_once"}


# --- crash


def test_crash_counts_every_node_and_leaves_liveness_undecided() -> None:
    for node in ("a", "d", "d'"):
        failed = NodeFailed(3, CAST.names.index(node), 2, "KeyError: 7")
        judgement = judge(good().record()._replace(failed=(failed,), ending=Ending.FAILED), terms(scenario(suffix=3)))
        (finding,) = judgement.violations
        assert (finding.oracle, finding.detail) == ("crash", f"{node}: KeyError: 7")
        assert (finding.round, finding.nodes) == (2, (node,))
        assert {"liveness_commit", "liveness_bound"} <= set(judgement.undecided)
        assert not judgement.breaks_promise or judgement.violations


# --- what nodes hold


def test_a_certificate_that_a_node_holds_counts_as_one_that_it_sent() -> None:
    held = (CertificateHeld(0, qc_of(A1)), CertificateHeld(1, qc_of(B1)), CertificateHeld(2, qc_of(A2, (0, 1))))
    judgement = judge(Hand().record()._replace(held=held), terms(scenario(suffix=3)))
    assert violated(judgement) == {"certified_uniqueness", "quorum_progress"}
    assert "c holds a QC of round 2 signed by a, b alone" in [finding.detail for finding in judgement.violations]


# --- accountability


def two_histories() -> Hand:
    """Committed by certificates of different rounds, so that each is the only one of its round."""
    return Hand().commit("a", A1).commit("b", B2)


def test_accountability_nobody_is_convicted() -> None:
    """It is about violations of agreement, so that both are violated."""
    judgement = judged(two_histories())
    assert violated(judgement) == {"agreement", "accountability"}
    assert "nobody" in judgement.violations[-1].detail


def test_accountability_f_are_not_enough() -> None:
    judgement = judged(two_histories().vote("d", A1).vote("d'", B1))
    assert violated(judgement) == {"agreement", "accountability"}
    assert judgement.violations[-1].nodes == ("d",)


def test_accountability_two_votes_in_a_round_or_a_timeout_that_hides_a_certificate_convict() -> None:
    double = two_histories().vote("d", A1).vote("d'", B1).vote("c", A1).vote("c", B1)
    assert verdicts(judged(double))["accountability"] is HELD
    hides = two_histories().vote("d", A1).vote("d'", B1).vote("c", A3).send("c", timeout_of("c", 3, qc_of(A1)))
    assert verdicts(judged(hides))["accountability"] is HELD
    honest = two_histories().vote("d", A1).vote("d'", B1).vote("c", A3).send("c", timeout_of("c", 3, qc_of(A2)))
    assert verdicts(judged(honest))["accountability"] is VIOLATED


def test_accountability_is_not_judged_with_planted_bugs_nor_without_a_violation() -> None:
    assert verdicts(judged(two_histories(), WITH_A_BUG))["accountability"] is UNDECIDED
    assert verdicts(judged(good()))["accountability"] is UNDECIDED


# --- all of them


SHOWS: dict[str, Callable[[], Hand]] = {
    "agreement": two_histories,
    "certified_uniqueness": lambda: Hand().tell("a", qc_of(A1)).tell("b", qc_of(B1)),
    "honest_vote_once": lambda: Hand().vote("a", A1).vote("a", B1),
    "quorum_progress": lambda: Hand().tell("a", qc_of(A1, (0, 1))),
    "commit_order": lambda: Hand().commit("a", A2),
    "durability": lambda: Hand().vote("a", A3).restart("a").vote("a", A2),
}


@pytest.mark.parametrize("name", SHOWS)
def test_a_finding_names_the_oracle_the_round_the_nodes_and_what_shows_it(name: str) -> None:
    finding = finding_of(name, SHOWS[name]())
    assert finding.verdict is VIOLATED
    assert finding.detail
    assert finding.round is not None
    assert finding.nodes
    assert finding.certificates or finding.signed
