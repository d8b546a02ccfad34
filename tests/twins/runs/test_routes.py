"""A round as tables: who reaches whom, by kind of message, against the words of the scenario."""

from __future__ import annotations

from diembft.messages.types import ProposalMsg, TimeoutMsg, VoteMsg
from diembft.protocols.interface import ANSWER, BLOCKS, LATE_REQUEST, PROPOSAL, REQUEST, TIMEOUT, VOTE
from diembft.twins.runs.record import RunRecord
from diembft.twins.runs.routes import Routes, routes_of, whole
from diembft.twins.runs.timed import execute
from diembft.twins.scenarios.text import parse_scenario
from tests.twins.by_hand import CAST, REPLICAS, TWINS

ALL = 0b11111
KINDS = (PROPOSAL, VOTE, TIMEOUT, ANSWER, REQUEST, LATE_REQUEST, BLOCKS)


def routes(round_: str) -> Routes:
    scenario = parse_scenario(f"scenario: replicas=a,b,c,d twins=d'; 1: {round_}")
    return routes_of(REPLICAS, TWINS, scenario.rounds[0])


def test_a_partition_is_for_every_kind_of_message() -> None:
    of_two = routes("b leads a,b|c,d,d'")
    for kind in KINDS:
        assert of_two.reach[kind] == (0b00011, 0b00011, 0b11100, 0b11100, 0b11100)
        assert of_two.apart[kind] == (0b11100, 0b11100, 0b00011, 0b00011, 0b00011)
    assert of_two.leader == 1
    assert not of_two.timeouts_excepted


def test_a_quorum_is_of_distinct_replicas() -> None:
    assert not routes("b leads a,b|c,d,d'").has_quorum
    assert routes("b leads a|b,c,d,d'").has_quorum
    assert routes("b leads a,b,c|d|d'").has_quorum


def test_a_partition_of_timeouts_is_for_what_answers_them_too() -> None:
    of_two = routes("b leads a,b|c,d,d' timeouts=a|b,c,d,d'")
    first, second = (0b00011, 0b00011, 0b11100, 0b11100, 0b11100), (0b00001, 0b11110, 0b11110, 0b11110, 0b11110)
    assert [of_two.reach[kind] for kind in (PROPOSAL, VOTE, REQUEST)] == [first] * 3
    assert [of_two.reach[kind] for kind in (TIMEOUT, ANSWER, LATE_REQUEST)] == [second] * 3
    assert of_two.reach[BLOCKS] == tuple(one | other for one, other in zip(first, second, strict=True))
    assert of_two.has_quorum


def test_an_exception_is_for_its_type_and_a_wildcard_for_all() -> None:
    votes = routes("a leads a,b,c,d,d' drop=b>_:vote")
    assert votes.reach[VOTE] == (ALL, 0, ALL, ALL, ALL)
    assert all(votes.reach[kind] == (ALL,) * 5 for kind in KINDS if kind != VOTE)
    assert not votes.timeouts_excepted
    everything = routes("a leads a,b,c,d,d' drop=_>d':*")
    assert all(everything.reach[kind] == (0b01111,) * 5 for kind in KINDS)
    assert everything.timeouts_excepted
    assert all(everything.apart[kind] == (0,) * 5 for kind in KINDS)


def test_after_the_last_round_the_network_is_whole() -> None:
    after = whole(CAST, 2)
    assert after.leader == 2
    assert all(after.reach[kind] == (ALL,) * 5 for kind in KINDS)
    assert after.has_quorum


# --- what richer rounds say, in the executor


def played(rounds: str) -> RunRecord:
    return execute(parse_scenario(f"scenario: replicas=a,b,c,d twins=d'; {rounds}; 3-9: a leads a,b,c,d,d'"))


def test_early_timers_fire_before_proposals_arrive() -> None:
    """All give round 1 up at once, and nobody but its leader, who votes first, votes in it."""
    early = played("1: a leads a,b,c,d,d' timers=early; 2: a leads a,b,c,d,d'")
    gave_up = {node: tick for tick, node, m in early.sent if isinstance(m, TimeoutMsg) and m.tmo_info.round == 1}
    assert gave_up == dict.fromkeys(range(5), 0)
    assert {node for _, node, m in early.sent if isinstance(m, VoteMsg) and m.vote_info.round == 1} == {0}


def test_what_goes_to_the_nodes_of_a_twin_can_be_reversed() -> None:
    """d and its twin collect the votes of round 1, and hear first who sent last."""
    rounds = "1: a leads a,b,c,d,d'{}; 2: d leads a,b,c,d,d'"
    signers = []
    for order in ("", " order=reversed"):
        proposals = [m for _, node, m in played(rounds.format(order)).sent if isinstance(m, ProposalMsg) and node == 3]
        signers.append([signer for signer, _ in proposals[0].block.qc.signatures])
    assert signers == [[0, 1, 3], [0, 2, 3]]
