from __future__ import annotations

import pytest
from msgspec import structs

from diembft.pages.observations import observe
from diembft.pages.prepare import prepare
from diembft.trace.records import Header, Record, State
from diembft.trace.values import Certificate
from tests.pages.traces import (
    GENESIS,
    Script,
    block_on,
    certificate_of,
    fault_free,
    given_up,
    proposal,
    replicas,
    timeout,
    vote,
)


def observed(trace: list[Record]) -> list[tuple[str, str]]:
    page = prepare(trace)
    return [(one.rule, one.text) for one in observe(page, len(page.steps))]


def script() -> Script:
    return Script(replicas(4))


FIRST = block_on(GENESIS, 1, 0)
FIRST_QC = certificate_of(FIRST, (0, 1, 2))


def test_nothing_is_observed_in_a_correct_run() -> None:
    assert observed(fault_free(rounds=8)) == []


def test_what_comes_later_is_not_observed_yet() -> None:
    made = script()
    made.send(0.0, "replica0", ["replica1"], proposal(block_on(certificate_of(FIRST, (0,)), 2, 1)))
    page = prepare(made.records())
    assert len(observe(page, len(page.steps))) == 1
    assert observe(page, -1) == []


def test_a_round_given_up_by_too_few() -> None:
    made = script()
    left = given_up(1, (0, 0, 0), (0, 2, 2))
    made.note(State(0.5, "replica1", 2, 1, 0, 1, GENESIS, GENESIS, left))
    assert observed(made.records()) == [
        (
            "quorum",
            "The certificate that round 1 is given up has 2 distinct signers (replica0, replica2); a quorum is 3 of 4.",
        )
    ]


def test_a_vote_after_a_timeout() -> None:
    made = script()
    made.send(0.0, "replica1", ["replica0"], timeout(1, 1))
    made.send(0.5, "replica1", ["replica0"], vote(FIRST, 1))
    assert observed(made.records()) == [("vote_after_timeout", "replica1 voted for B1 after its timeout of round 1.")]


def test_a_vote_of_an_earlier_round() -> None:
    made = script()
    made.send(0.0, "replica1", ["replica0"], vote(block_on(FIRST_QC, 2, 1), 1))
    made.send(0.5, "replica1", ["replica0"], vote(FIRST, 1))
    assert observed(made.records()) == [("vote_forward", "replica1 voted for B1 of round 1 after a vote of round 2.")]


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (None, "replica1 voted for B3, which follows round 1, and nothing shows that a quorum gave round 2 up."),
        (
            given_up(2, (1, 2, 0)),
            "replica1 voted for B3, which extends round 1; the round that was given up is 2, and shows a "
            "certificate of round 2.",
        ),
        (given_up(2, (1, 1, 0)), None),
    ],
)
def test_a_vote_for_a_block_that_skips_a_round(left: Certificate | None, expected: str | None) -> None:
    made = script()
    block = block_on(FIRST_QC, 3, 0)
    made.send(0.0, "replica0", ["replica1"], proposal(block, left))
    made.send(0.2, "replica1", ["replica2"], vote(block, 1))
    assert observed(made.records()) == ([("safe_to_extend", expected)] if expected else [])


def test_a_commit_by_the_blocks_own_certificate() -> None:
    made = script()
    made.commit(0.1, "replica0", 1, FIRST, FIRST_QC)
    assert observed(made.records()) == [
        ("one_chain", "replica0 committed B1 by its own certificate, without a certified successor.")
    ]


def test_a_commit_by_a_certificate_that_commits_nothing() -> None:
    made = script()
    made.commit(0.1, "replica0", 1, FIRST, certificate_of(block_on(FIRST_QC, 3, 1), (0, 1, 2)))
    assert [rule for rule, _ in observed(made.records())] == ["commit_rule"]


def test_a_block_committed_twice() -> None:
    made = script()
    second_qc = certificate_of(block_on(FIRST_QC, 2, 1), (0, 1, 2))
    made.commit(0.1, "replica0", 1, FIRST, second_qc)
    made.commit(0.2, "replica0", 2, FIRST, second_qc)
    assert observed(made.records()) == [("commit_order", "replica0 committed B1 a second time.")]


def test_a_block_committed_without_its_parent() -> None:
    made = script()
    second = block_on(FIRST_QC, 2, 1)
    third = block_on(certificate_of(second, (0, 1, 2)), 3, 2)
    made.send(0.0, "replica2", ["replica0"], proposal(third))
    made.commit(0.1, "replica0", 1, FIRST, certificate_of(second, (0, 1, 2)))
    certificate = certificate_of(block_on(certificate_of(third, (0, 1, 2)), 4, 3), (0, 1, 2))
    made.commit(0.2, "replica0", 2, third, certificate)
    assert observed(made.records()) == [("commit_order", "replica0 committed B3 after B1, which is not its parent.")]


def test_a_vote_that_went_to_the_leader_of_its_own_round() -> None:
    block = block_on(GENESIS, 1, 0)
    for to, seen in (("replica0", True), ("replica1", False), ("replica3", False)):
        made = script()
        for name in made.nodes:
            made.state(0.0, name, 1, 0)
            made.state(0.5, name, 2, 1)
        made.send(0.1, "replica0", ["replica2"], proposal(block))
        made.send(0.2, "replica2", [to], vote(block, 2))
        text = "replica2 sent its vote for B1 to replica0, the leader of round 1, and not to that of the next one, "
        found = [("vote_recipient", f"{text}replica1.")] if seen else []
        assert observed(made.records()) == found


def test_of_another_protocol_only_what_is_forbidden_anywhere() -> None:
    made = script()
    made.commit(0.1, "replica0", 1, FIRST, FIRST_QC)
    made.commit(0.2, "replica0", 2, FIRST, FIRST_QC)
    trace = made.records()
    assert {rule for rule, _ in observed(trace)} == {"one_chain", "commit_order"}
    header = trace[0]
    assert isinstance(header, Header)
    trace[0] = structs.replace(header, protocol="hotstuff")
    assert prepare(trace).protocol == "hotstuff"
    assert {rule for rule, _ in observed(trace)} == {"commit_order"}


def test_of_many_the_first_are_shown_and_the_others_counted() -> None:
    made = script()
    certificate = GENESIS
    for round_ in range(1, 7):
        block = block_on(certificate, round_, 0)
        made.send(float(round_), "replica0", ["replica1"], proposal(block))
        certificate = certificate_of(block, (0, 1))
    texts = [text for _, text in observed(made.records())]
    assert len(texts) == 3
    assert texts[2].endswith("(and 2 more like this)")
