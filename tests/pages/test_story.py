from __future__ import annotations

from msgspec import structs

from diembft.pages.data import NONE, PageData, Story
from diembft.pages.prepare import prepare
from diembft.trace.records import Committed, Node, Record, Sent, Violated
from diembft.trace.values import Certificate, Message
from tests.pages.traces import (
    GENESIS,
    Script,
    block_on,
    certificate_of,
    fault_free,
    proposal,
    small_quorum,
    vote,
    with_faults,
)


def the_story(page: PageData) -> Story:
    (story,) = page.stories
    return story


def names(page: PageData, blocks: list[int]) -> list[str]:
    return [page.blocks[index].name for index in blocks]


def test_the_conflict_of_a_violated_agreement() -> None:
    page = prepare(small_quorum())
    story = the_story(page)
    assert (story.property, story.round, names(page, [story.fork])) == ("agreement", 1, ["genesis"])
    assert names(page, [side.block for side in story.sides]) == ["B1.1", "B1.2"]
    assert [names(page, side.chain) for side in story.sides] == [["B1.1", "B2.1"], ["B1.2", "B2.2"]]
    assert [[page.certificates[index].signers for index in side.certificates] for side in story.sides] == [
        [[0, 1]],
        [[0, 2, 3]],
    ]
    committers = [{page.nodes[node].name for node in side.committed_by} for side in story.sides]
    assert committers == [{"a", "b"}, {"a'", "c", "d"}]
    commit_blocks = [page.certificates[side.commit_certificate].block for side in story.sides]
    assert names(page, commit_blocks) == ["B2.1", "B2.2"]


def test_the_moment_of_a_conflict_is_when_the_second_of_those_concerned_commits() -> None:
    page = prepare(small_quorum())
    story = the_story(page)
    assert [page.nodes[node].name for node in story.nodes] == ["b", "c"]
    commits = [
        index for index, step in enumerate(page.steps) if step.commits and page.nodes[step.node].name in ("b", "c")
    ]
    assert story.moment == commits[1] < story.step


def test_who_signed_both_and_who_equivocated_to_whom() -> None:
    page = prepare(small_quorum())
    story = the_story(page)
    assert [page.replicas[replica] for replica in story.both] == ["a"]
    told = [
        (one.round, one.kind, [(page.nodes[part.node].name, page.blocks[part.block].name) for part in one.told])
        for one in story.equivocations
    ]
    assert told == [
        (1, "proposal", [("a", "B1.1"), ("a'", "B1.2")]),
        (2, "proposal", [("a", "B2.1"), ("a'", "B2.2")]),
    ]
    heard = [[page.nodes[node].name for node in part.heard] for part in story.equivocations[0].told]
    assert heard == [["b"], ["c", "d"]]


def test_the_rounds_that_made_it_possible() -> None:
    story = the_story(prepare(small_quorum()))
    assert [one.round for one in story.rounds] == [1, 2]
    assert [one.leaders for one in story.rounds] == [[0], [0]]
    assert [one.sets for one in story.rounds] == [[[0, 2], [1, 3, 4]]] * 2
    assert [len(one.certificates) for one in story.rounds] == [2, 2]


def test_small_certificates_are_observed() -> None:
    story = the_story(prepare(small_quorum()))
    assert [observation.text for observation in story.observations] == [
        "The certificate of B1.1 has 2 distinct signers (a, b); a quorum is 3 of 4.",
        "The certificate of B2.1 has 2 distinct signers (a, b); a quorum is 3 of 4.",
    ]


def gap_commit() -> list[Record]:
    """B1 is certified, nobody sees B2's certificate but d; B3 extends B1 and commits it across the gap for c alone."""
    script = Script([Node(name, index) for index, name in enumerate("abcd")])
    for name in script.nodes:
        script.state(0.0, name, 1, 0)
    first = block_on(GENESIS, 1, 0)
    first_qc = certificate_of(first, (0, 1, 2))
    second = block_on(first_qc, 2, 1)
    second_qc = certificate_of(second, (0, 1, 3))
    third = block_on(first_qc, 3, 2)
    third_qc = certificate_of(third, (0, 1, 2))
    fifth = block_on(third_qc, 5, 0)
    fifth_qc = certificate_of(fifth, (0, 1, 2), commits=True)
    script.send(0.0, "a", ["b", "c", "d"], proposal(first))
    script.send(0.2, "b", ["a", "c", "d"], proposal(second))
    script.send(0.4, "c", ["a", "b", "d"], proposal(third))
    script.send(0.6, "a", ["b", "c", "d"], proposal(fifth))
    for at, name, height, block, certificate in (
        (0.3, "d", 1, first, second_qc),
        (0.4, "d", 2, second, certificate_of(block_on(second_qc, 4, 3), (0, 1, 3))),
        (0.8, "c", 1, first, third_qc),
        (0.8, "c", 2, third, fifth_qc),
    ):
        script.commit(at, name, height, block, certificate)
    script.note(Violated(0.9, "agreement", "d and c differ at height 2", ("c", "d"), 3, (second_qc, fifth_qc)))
    return script.records()


def test_a_commit_across_a_gap_is_observed() -> None:
    page = prepare(gap_commit())
    story = the_story(page)
    assert names(page, [side.block for side in story.sides]) == ["B2", "B3"]
    assert names(page, [story.fork]) == ["B1"]
    texts = [observation.text for observation in story.observations]
    assert "The certificate of B5 commits B3, although rounds 3 and 5 are not consecutive." in texts
    assert story.both == [0, 1]


def violated_by_votes(votes_of: tuple[tuple[str, int], ...], name: str) -> list[Record]:
    """Two blocks in round 1; votes by (node, which block) are sent one after the other and named by the violation."""
    script = Script([Node(name, index) for index, name in enumerate("abcd")])
    blocks = [block_on(GENESIS, 1, 0, operation) for operation in (b"x", b"y")]
    for block in blocks:
        script.send(0.0, "a", ["b", "c", "d"], proposal(block))
    messages = []
    for at, (voter, which) in enumerate(votes_of, 1):
        messages.append(vote(blocks[which], script.nodes[voter].replica))
        script.send(float(at), voter, ["d"], messages[-1])
    script.note(Violated(9.0, name, "twice", ("b",), 1, (), tuple(messages)))
    return script.records()


def in_phases(trace: list[Record], *phases: str) -> list[Record]:
    """A trace with its votes in these phases, one after the other."""
    left = list(phases)
    changed: list[Record] = []
    signed: list[Message] = []
    for record in trace:
        if isinstance(record, Sent) and record.message.vote is not None:
            cast = structs.replace(record.message.vote, phase=left.pop(0))
            record = structs.replace(record, message=structs.replace(record.message, vote=cast))
            signed.append(record.message)
        elif isinstance(record, Violated):
            record = structs.replace(record, signed=tuple(signed))
        changed.append(record)
    return changed


def test_votes_of_one_round_in_two_phases_do_not_contradict_one_another() -> None:
    trace = violated_by_votes((("b", 0), ("b", 1)), "honest_vote_once")
    story = the_story(prepare(in_phases(trace, "prepare", "commit")))
    assert [(vote.round, vote.phase) for vote in story.votes] == [(1, "prepare"), (1, "commit")]
    assert [one.kind for one in story.equivocations] == ["proposal"]
    assert not [one for one in story.observations if one.rule == "vote_once"]


def test_two_votes_of_one_phase_are_told_with_it() -> None:
    trace = violated_by_votes((("b", 0), ("b", 1)), "honest_vote_once")
    story = the_story(prepare(in_phases(trace, "prepare", "prepare")))
    assert [(one.kind, one.phase) for one in story.equivocations] == [("proposal", ""), ("vote", "prepare")]
    assert "b voted twice in round 1, phase prepare: for B1.1 and for B1.2." in [one.text for one in story.observations]


def test_two_votes_of_one_node() -> None:
    page = prepare(violated_by_votes((("b", 0), ("b", 1)), "honest_vote_once"))
    story = the_story(page)
    assert names(page, [vote.block for vote in story.votes]) == ["B1.1", "B1.2"]
    assert names(page, [side.block for side in story.sides]) == ["B1.1", "B1.2"]
    assert [(one.kind, one.replica) for one in story.equivocations] == [("proposal", 0), ("vote", 1)]
    assert page.steps[story.moment].at == 2.0
    assert "b voted twice in round 1: for B1.1 and for B1.2." in [one.text for one in story.observations]


def test_votes_against_a_certified_block() -> None:
    trace = violated_by_votes((("b", 1), ("c", 1)), "certified_uniqueness")
    violated = trace[-1]
    assert isinstance(violated, Violated)
    certificate = certificate_of(block_on(GENESIS, 1, 0, b"x"), (0, 1, 2))
    trace[-1] = structs.replace(violated, certificates=(certificate,))
    page = prepare(trace)
    assert names(page, [side.block for side in the_story(page).sides]) == ["B1.1", "B1.2"]


def test_votes_for_one_block_are_no_conflict() -> None:
    story = the_story(prepare(violated_by_votes((("b", 0), ("c", 0)), "honest_vote_once")))
    assert story.sides == []
    assert [one.kind for one in story.equivocations] == ["proposal"]


def test_a_violation_that_names_nothing() -> None:
    trace = fault_free(rounds=3)
    trace.insert(-1, Violated(0.6, "liveness_commit", "replica3 commits nothing", ("replica3",)))
    story = the_story(prepare(trace))
    assert (story.sides, story.rounds, story.fork, story.round) == ([], [], NONE, NONE)
    assert story.detail == "replica3 commits nothing"


def test_certificates_on_one_chain_do_not_conflict() -> None:
    trace = fault_free(rounds=3)
    certificates: list[Certificate] = [record.certificate for record in trace if isinstance(record, Committed)]
    trace.insert(-1, Violated(0.6, "commit_chain", "?", (), 1, (certificates[0], certificates[-1])))
    page = prepare(trace)
    story = the_story(page)
    assert story.sides == []
    assert len(story.certificates) == 2
    assert story.moment == min(page.certificates[story.certificates[1]].known)


def test_the_moment_of_a_violated_round_is_its_end() -> None:
    trace = fault_free(rounds=3)
    trace.insert(-1, Violated(0.6, "liveness_bound", "the block of round 2 is not committed", ("replica3",), 2))
    page = prepare(trace)
    assert page.steps[the_story(page).moment].at == 0.3
    assert [one.round for one in the_story(page).rounds] == [1, 2, 3, 4]


def test_what_was_lost_otherwise_than_by_partitions_is_told_with_its_round() -> None:
    page = prepare([*with_faults()[:-1], Violated(2.0, "liveness_commit", "nothing is committed", (), 1)])
    (told,) = the_story(page).rounds[:1]
    lost = [(one.kind, one.senders, one.receivers, one.reason) for one in told.lost]
    assert lost == [("proposal", [0], [3], "loss"), ("timeout", [0, 2, 3], [1], "crashed")]


def test_partitions_are_told_as_sets_and_not_as_losses() -> None:
    assert [told.lost for told in the_story(prepare(small_quorum())).rounds] == [[], []]


def test_who_voted_for_each_side() -> None:
    assert [side.voters for side in the_story(prepare(small_quorum())).sides] == [[1], [2, 3]]
