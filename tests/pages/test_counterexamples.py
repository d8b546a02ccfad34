"""The pages of planted bugs' counterexamples: what they tell is compared with the records of the run themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from diembft.faults.registry import BUGS
from diembft.trace.records import Committed, Delivered, Dropped, Header, Record, Sent, Violated
from diembft.trace.values import Block, Certificate
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.regressions import regression
from diembft.twins.scenarios.scenario import Scenario, replica_of
from diembft.twins.scenarios.scenario_files import read_scenarios
from tests.pages.opening import Opener, Shown

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[2] / "executor_configs"

AGREEMENT = [("small_quorum_bug", "equivocation_with_bug"), ("gap_commit_bug", "with_bug")]
VOTES = ("no_vote_lock_bug", "with_bug")


def counterexample(file: str, name: str) -> tuple[Scenario, list[Record]]:
    scenarios = read_scenarios(FOLDER / f"{file}.py", known_bugs=BUGS)
    scenario = next(scenario for scenario in scenarios if scenario.name == name)
    return scenario, traced(scenario, replay=f"diembft twins replay {file}.jsonl")[1]


def first_violation(trace: list[Record]) -> Violated:
    return next(record for record in trace if isinstance(record, Violated))


def conflicting_commits(trace: list[Record], nodes: tuple[str, ...]) -> dict[str, Committed]:
    """What each node committed at the lowest height at which they differ."""
    heights: dict[int, dict[str, Committed]] = {}
    for record in trace:
        if isinstance(record, Committed) and record.node in nodes:
            heights.setdefault(record.height, {}).setdefault(record.node, record)
    return next(
        commits for _, commits in sorted(heights.items()) if len({one.block.id for one in commits.values()}) > 1
    )


def certificates(trace: list[Record], block: Block) -> set[frozenset[int]]:
    """The sets of signers with which the run certified a block: those inside other blocks."""
    return {signers(certificate) for certificate in inside(trace) if certificate.block == block.id}


def inside(trace: list[Record]) -> list[Certificate]:
    """The certificates inside proposed blocks."""
    proposals = [record.message for record in trace if isinstance(record, Sent) and record.message.kind == "proposal"]
    return [block.certificate for message in proposals for block in message.blocks if block.certificate is not None]


def signers(certificate: Certificate) -> frozenset[int]:
    return frozenset(certificate.signers)


def equivocal_proposals(trace: list[Record]) -> dict[tuple[int, str], set[str]]:
    """For each round in which copies of one identity proposed different blocks: who proposed, and who heard it."""
    header = trace[0]
    assert isinstance(header, Header)
    identity = {node.name: node.replica for node in header.nodes}
    proposals: dict[tuple[int, int], list[tuple[Sent, bytes]]] = {}
    for record in trace:
        if isinstance(record, Sent) and record.message.kind == "proposal":
            (block,) = record.message.blocks
            proposals.setdefault((block.round, identity[record.node]), []).append((record, block.id))
    return {
        (round_, sent.node): {
            record.node for record in trace if isinstance(record, Delivered) and record.number == sent.number
        }
        for (round_, _), sents in proposals.items()
        if len({block_id for _, block_id in sents}) > 1
        for sent, _ in sents
    }


def last_round(trace: list[Record]) -> int:
    """The last round of the story: that of the certificates by which the blocks that conflict were committed."""
    commits = conflicting_commits(trace, first_violation(trace).nodes)
    return max(one.certificate.round for one in commits.values())


def short_id(shown: Shown, name: str) -> str:
    return next(block.id for block in shown.data.blocks if block.name == name)


def side_blocks(shown: Shown) -> list[str]:
    """The ids of the blocks that the page says conflict."""
    titles = shown.texts("#panel .side h4")
    return [short_id(shown, title.split()[-1]) for title in titles]


@pytest.mark.parametrize(("file", "name"), AGREEMENT)
def test_the_story_of_a_broken_agreement_is_that_of_the_run(opened: Opener, file: str, name: str) -> None:
    scenario, trace = counterexample(file, name)
    violated = first_violation(trace)
    shown = opened(trace)
    assert violated.property == "agreement"
    assert shown.text("#story-property") == "✖ agreement is violated"
    assert shown.text("#story-detail") == violated.detail
    commits = conflicting_commits(trace, violated.nodes)
    blocks = {one.block.id.hex(): one.block for one in commits.values()}
    assert sorted(side_blocks(shown)) == sorted(blocks)
    for index, block_id in enumerate(side_blocks(shown)):
        first_line = shown.page.locator(f".side{index} > div").first
        signed = first_line.locator(".signer").all_inner_texts()
        assert frozenset(scenario.replicas.index(one) for one in signed) in certificates(trace, blocks[block_id])
        committers = {node for node, one in commits.items() if one.block.id.hex() == block_id}
        told = shown.text(f".side{index}").split("committed by ")[1].split(" by the")[0].replace("\n", " ")
        assert committers <= set(told.split(", "))


@pytest.mark.parametrize(("file", "name"), AGREEMENT)
def test_who_signed_both_sides(opened: Opener, file: str, name: str) -> None:
    scenario, trace = counterexample(file, name)
    shown = opened(trace)
    sides = [set(shown.texts(f".side{index} .signer")) for index in range(2)]
    both = set(shown.texts("#story-both .signer"))
    assert both == sides[0] & sides[1]
    assert {replica_of(twin) for twin in scenario.twins} <= both


@pytest.mark.parametrize(("file", "name"), [*AGREEMENT, VOTES])
def test_who_equivocated_to_whom(opened: Opener, file: str, name: str) -> None:
    _, trace = counterexample(file, name)
    shown = opened(trace)
    last = max(one.round for one in shown.data.stories[0].rounds)
    expected = {key: heard for key, heard in equivocal_proposals(trace).items() if key[0] <= last}
    told: dict[tuple[int, str], set[str]] = {}
    for line in shown.texts("#story-equivocations li"):
        place, _, clauses = line.partition(": ")
        for clause in clauses.split("; "):
            if " proposed " in clause:
                heard = clause.split("heard by ")[1]
                told[int(place.split()[-1]), clause.split()[0]] = set() if heard == "nobody" else set(heard.split(", "))
    assert told == expected
    assert told


@pytest.mark.parametrize(("file", "name"), AGREEMENT)
def test_the_rounds_their_leaders_and_sets_are_those_of_the_scenario(opened: Opener, file: str, name: str) -> None:
    scenario, trace = counterexample(file, name)
    shown = opened(trace)
    rows = [row.split("\t") for row in shown.texts("#story-rounds tr[data-round]")]
    assert [int(row[0]) for row in rows] == list(range(1, last_round(trace) + 1))
    for row in rows:
        round_ = scenario.rounds[int(row[0]) - 1]
        assert row[1] == replica_of(round_.leader)
        sets = {frozenset(members.split()) for members in row[2].split(" | ")}
        scripted = {frozenset(members) for members in round_.partition}
        assert sets == (scripted if len(scripted) > 1 else {frozenset(["whole"])})
    heads = {text.split()[-1]: text for text in shown.texts("#head .round-head text.bold:first-of-type")}
    titles = " ".join(shown.texts("#head title"))
    pictured = " ".join(shown.texts("#head text"))
    for row in rows:
        assert row[0] in heads
        if row[2] != "whole":
            assert f"sets: {row[2]}" in titles
            assert row[2] in pictured


def signed_rounds(trace: list[Record], shown: Shown, side: int, replica: int) -> set[int]:
    """The rounds in which a replica signed a certificate of a side's blocks."""
    ids = {shown.data.blocks[block].id for block in shown.data.stories[0].sides[side].chain}
    return {
        certificate.round
        for certificate in inside(trace)
        if certificate.block is not None and certificate.block.hex() in ids and replica in certificate.signers
    }


@pytest.mark.parametrize(("file", "name"), AGREEMENT)
def test_whether_they_signed_both_in_the_same_rounds(opened: Opener, file: str, name: str) -> None:
    scenario, trace = counterexample(file, name)
    shown = opened(trace)
    lines = shown.texts("#story-both li")
    assert lines
    for line in lines:
        rounds = [signed_rounds(trace, shown, side, scenario.replicas.index(line.split()[0])) for side in (0, 1)]
        told = [{int(round_) for round_ in re.findall(r"\d+", part)} for part in line.split(" and ")]
        if same := rounds[0] & rounds[1]:
            assert "in the same round" in line
            assert told[0] == same
        else:
            assert "in different rounds" in line
            assert told[:2] == rounds


@pytest.mark.parametrize(("file", "name"), [*AGREEMENT, VOTES])
def test_what_exceptions_kept_back_is_told_with_its_round(opened: Opener, file: str, name: str) -> None:
    _, trace = counterexample(file, name)
    shown = opened(trace)
    sent = {record.number: record for record in trace if isinstance(record, Sent)}
    expected = {
        (str(sent[record.number].message.round), sent[record.number].message.kind, sent[record.number].node)
        for record in trace
        if isinstance(record, Dropped) and record.reason == "exception"
    }
    told = set()
    for row in shown.page.query_selector_all("#story-rounds tr.lost"):
        round_ = row.evaluate("(row) => row.previousSibling.dataset.round")
        for kind, senders, _ in re.findall(r"✕ (\w+?)s? ([^→]+) → ([^(]+) \(exception\)", row.inner_text()):
            told |= {(round_, kind, sender) for sender in senders.split()}
    rounds = {str(one.round) for one in shown.data.stories[0].rounds}
    assert told == {one for one in expected if one[0] in rounds and one[1] in ("proposal", "vote", "timeout")}


@pytest.mark.parametrize(("file", "name"), AGREEMENT)
def test_the_picture_begins_with_what_the_story_is_about(opened: Opener, file: str, name: str) -> None:
    shown = opened(counterexample(file, name)[1])
    assert shown.page.is_checked("#story-focus")
    fewer = shown.arrows()
    shown.page.uncheck("#story-focus")
    assert 0 < fewer < shown.arrows()


@pytest.mark.parametrize(("file", "name"), AGREEMENT)
def test_the_picture_alone_shows_the_conflict(opened: Opener, file: str, name: str) -> None:
    scenario, trace = counterexample(file, name)
    shown = opened(trace)
    blocks = conflicting_commits(trace, first_violation(trace).nodes)
    marked = shown.page.eval_on_selector_all(
        "#tree .conflict", "(marks) => marks.map((mark) => Number(mark.closest('.block').dataset.block))"
    )
    ids = {shown.data.blocks[index].id for index in marked}
    assert ids == {one.block.id.hex() for one in blocks.values()}
    for index in marked:
        pips = shown.page.eval_on_selector_all(
            f"[data-block='{index}'] .pip",
            "(pips) => pips.map((pip) => pip.matches('.signed, .both'))",
        )
        signed = frozenset(replica for replica, on in enumerate(pips[: len(scenario.replicas)]) if on)
        block = next(one.block for one in blocks.values() if one.block.id.hex() == shown.data.blocks[index].id)
        assert signed in certificates(trace, block)


CAUSES = {
    "conflicting_votes": "vote_once",
    "count_messages": "quorum",
    "forgets_on_restart": "vote_once",
    "gap_commit": "two_chain",
    "long_commit_chain": "commit_order",
    "no_timeout_lock": "vote_after_timeout",
    "no_vote_lock": "vote_once",
    "one_chain_commit": "one_chain",
    "small_quorum": "quorum",
    "small_quorum_of_three": "quorum",
    "stale_leader_unchecked": "safe_to_extend",
    "vote_leader_current_round": "vote_recipient",
}
"""What the smallest counterexample of each bug shows against the rules."""


@pytest.mark.parametrize("name", CAUSES)
def test_the_smallest_counterexamples_show_their_cause(opened: Opener, name: str) -> None:
    trace = traced(regression(name))[1]
    shown = opened(trace)
    assert shown.text("#story-property") == f"✖ {first_violation(trace).property} is violated"
    assert shown.text("#story-detail") == first_violation(trace).detail
    assert shown.count(f"#panel .note[data-rule='{CAUSES[name]}']") > 0
    shown.page.click(f"#panel .note[data-rule='{CAUSES[name]}'] button >> nth=0")
    assert shown.step() <= shown.data.stories[0].moment


def test_the_cause_is_among_what_the_rules_do_not_allow(opened: Opener) -> None:
    for (file, name), rule in zip([*AGREEMENT, VOTES], ("quorum", "two_chain", "vote_once"), strict=True):
        shown = opened(counterexample(file, name)[1])
        assert shown.count(f"#panel .note[data-rule='{rule}']") > 0


def test_two_votes_in_a_round(opened: Opener) -> None:
    scenario, trace = counterexample(*VOTES)
    shown = opened(trace)
    first = shown.texts("#story-rounds tr[data-round]")[0].split("\t")
    assert first[:3] == ["1", replica_of(scenario.rounds[0].leader), "whole"]
    shown.page.select_option("#panel select", index=1)
    violated = [record for record in trace if isinstance(record, Violated)][1]
    assert violated.property == "honest_vote_once"
    assert shown.text("#story-property") == "✖ honest_vote_once is violated"
    assert sorted(side_blocks(shown)) == sorted(
        {said.vote.block.hex() for said in violated.signed if said.vote is not None and said.vote.block is not None}
    )
    voters = {line.split()[0] for line in shown.texts("#story-votes li")}
    assert voters == set(violated.nodes)


def test_the_scenario_can_be_read_and_run_again(opened: Opener) -> None:
    scenario, trace = counterexample("gap_commit_bug", "with_bug")
    shown = opened(trace)
    assert "3: c leads a,b,d,d'|c" in shown.text("#panel .scenario")
    assert "diembft twins replay gap_commit_bug.jsonl" in shown.text("#panel")
    assert scenario.name in shown.text("#title")
