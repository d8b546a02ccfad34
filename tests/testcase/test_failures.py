import random
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diembft.testcase.case import DelayBy, FailureRule, Lose, SetsAttribute, Special
from diembft.testcase.failures import CLIENT, KINDS, UNTOUCHED, FailureRules, Fate
from diembft.testcase.types import Failure, MsgType
from tests.testcase.samples import case, failure

LOST = Fate(lost=True, delay_s=0.0, sets=())


def rules(*failures: Failure) -> FailureRules:
    return FailureRules(case(*failures).failures)


def round_robin(round_: int) -> int:
    return round_ // 2 % 4


def fate(
    rules_: FailureRules,
    src: int = 0,
    dest: int = 1,
    kind: str = "proposal",
    round_: int = 3,
    seed: int = 0,
) -> Fate:
    return rules_.fate(src, dest, kind, round_, round_robin, random.Random(seed))


def lost(failures: FailureRules, **message: Any) -> bool:
    return fate(failures, **message).lost


class Untouchable(random.Random):
    """A generator that nobody may draw from."""

    def random(self) -> float:
        raise AssertionError("drawn from")


def no_leader(round_: int) -> int:
    raise AssertionError("asked for a leader")


def test_no_rules_touch_nothing_and_cost_nothing() -> None:
    empty = rules()
    assert not empty.active
    for kind in KINDS:
        assert empty.fate(0, 1, kind, 3, no_leader, Untouchable()) is UNTOUCHED


@pytest.mark.parametrize("changes", [{"prob": 0}, {"prob": 0.0, "val": 1}])
def test_rules_that_can_never_strike_are_not_even_active(changes: Any) -> None:
    assert not rules(failure(**changes)).active


def test_rules_of_other_rounds_kinds_and_links_cost_no_draw_and_no_leader() -> None:
    some = rules(failure(src=2, dest="leader", msg_type=MsgType.Vote, round=range(4, 9, 2), prob=0.5))
    assert some.active
    for src, kind, round_ in ((2, "vote", 3), (2, "vote", 9), (2, "vote", 5), (2, "timeout", 4), (1, "vote", 4)):
        assert some.fate(src, 0, kind, round_, no_leader, Untouchable()) is UNTOUCHED


@pytest.mark.parametrize(
    ("rounds", "hit", "missed"),
    [
        (5, [5], [4, 6]),
        ([2, 5], [2, 5], [1, 3, 6]),
        (range(2, 7), [2, 6], [1, 7]),
        (range(9, 2, -3), [9, 6, 3], [2, 5, 10]),
        (range(5, sys.maxsize), [5, 10**9], [4]),
        ([], [], [0, 1]),
        (range(0), [], [0, 1]),
        ("_", [1, 10**9], []),
    ],
)
def test_rounds(rounds: Any, hit: list[int], missed: list[int]) -> None:
    some = rules(failure(round=rounds))
    assert all(lost(some, round_=round_) for round_ in hit)
    assert not any(lost(some, round_=round_) for round_ in missed)


class Even:
    def __contains__(self, round_: object) -> bool:
        return isinstance(round_, int) and round_ % 2 == 0


def test_rounds_that_can_only_be_asked() -> None:
    some = rules(failure(round=Even()))
    assert [lost(some, round_=round_) for round_ in (1, 2, 3, 4)] == [False, True, False, True]


def test_the_wildcard_type_covers_all_between_replicas_and_no_message_of_clients() -> None:
    some = rules(failure())
    assert {kind for kind in KINDS if lost(some, kind=kind)} == {
        "proposal",
        "vote",
        "timeout",
        "sync_info",
        "block_request",
        "block_response",
        "relay",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_covers_its_own_messages_alone(kind: str) -> None:
    some = rules(failure(msg_type=kind))
    assert [other for other in KINDS if lost(some, kind=other)] == [kind]


def test_clients_match_the_wildcard_only() -> None:
    requests = rules(failure(dest=2, msg_type=MsgType.Request))
    assert lost(requests, src=CLIENT, dest=2, kind="request")
    assert not lost(requests, src=CLIENT, dest=1, kind="request")
    replies = rules(failure(dest="leader", msg_type=MsgType.Reply))
    assert not lost(replies, src=1, dest=CLIENT, kind="reply")


def test_source_and_destination() -> None:
    some = rules(failure(src="replica1", dest=2))
    links = [(src, dest) for src in range(4) for dest in range(4) if lost(some, src=src, dest=dest)]
    assert links == [(1, 2)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("request", "reply")])
def test_leader_as_a_source_is_the_leader_of_the_round(kind: str) -> None:
    some = rules(failure(src="leader"))
    assert [src for src in range(4) if lost(some, src=src, dest=src ^ 1, kind=kind, round_=3)] == [1]


def test_leader_as_a_destination_is_the_leader_of_the_round_but_for_votes_of_the_next() -> None:
    some = rules(failure(dest="leader"))

    def lost_to(kind: str) -> list[int]:
        return [dest for dest in range(4) if lost(some, src=dest ^ 1, dest=dest, kind=kind, round_=3)]

    assert lost_to("vote") == [2]
    for kind in ("proposal", "timeout", "sync_info", "block_request", "block_response"):
        assert lost_to(kind) == [1]


def test_an_unknown_leader_matches_nobody() -> None:
    some = rules(failure(src="leader"))
    assert some.fate(0, 1, "vote", 3, lambda _round: None, random.Random(0)) is UNTOUCHED


def test_messages_to_oneself_pass_but_set_attributes() -> None:
    some = rules(failure(), failure(val=3), failure(attr="round", val=9))
    assert fate(some, src=2, dest=2) == Fate(False, 0.0, (("current_round", 9),))


def test_everything_that_strikes_adds_up() -> None:
    some = rules(
        failure(val=0.5),
        failure(attr="round", val=9),
        failure(),
        failure(val=0.25, round=3),
        failure(attr="leader", val="replica2"),
        failure(attr="round", val=8),
        failure(val=4, round=4),
    )
    assert fate(some) == Fate(lost=True, delay_s=0.75, sets=(("current_round", 9), ("leader", 2), ("current_round", 8)))


def share_lost(failures: Iterable[Failure], messages: int = 4000) -> float:
    some, rng = rules(*failures), random.Random(5)
    return sum(some.fate(0, 1, "vote", 3, round_robin, rng).lost for _ in range(messages)) / messages


@pytest.mark.parametrize("prob", [0.1, 0.5, 0.9])
def test_a_probability_is_met(prob: float) -> None:
    assert abs(share_lost([failure(prob=prob)]) - prob) < 0.04  # five standard deviations


def test_independent_losses_combine() -> None:
    assert abs(share_lost([failure(prob=0.5), failure(prob=0.2)]) - 0.6) < 0.04


def test_certain_rules_draw_nothing() -> None:
    assert rules(failure()).fate(0, 1, "vote", 3, no_leader, Untouchable()) == LOST


def test_each_matching_rule_draws_once_lost_already_or_not() -> None:
    rng, reference = random.Random(3), random.Random(3)
    rules(failure(), failure(prob=0.5), failure(prob=0.5, val=1)).fate(0, 1, "vote", 3, round_robin, rng)
    reference.random()
    reference.random()
    assert rng.getstate() == reference.getstate()


def test_strikes_are_counted_by_rule() -> None:
    some = rules(failure(), failure(prob=0), failure(val=1, round=3), failure(prob=0.5), failure(round=9))
    for seed in range(20):
        fate(some, seed=seed, round_=3 + seed % 2)
    assert [some.struck[place] for place in (0, 1, 2, 4)] == [20, 0, 10, 0]
    assert 0 < some.struck[3] < 20
    fate(some, src=2, dest=2)
    assert some.struck[0] == 20, "a message to oneself is not lost"


# The rules once more, as the format states them and without any preparation, to compare with.


def naive_fate(
    failures: Iterable[FailureRule], src: int, dest: int, kind: str, round_: int, rng: random.Random
) -> tuple[bool, float, list[tuple[str, int]]]:
    lost_, delay_s = False, 0.0
    sets: list[tuple[str, int]] = []
    for rule in failures:
        destination_leader = round_robin(round_ + 1 if kind == "vote" else round_)
        matches = (
            rule.prob > 0
            and (rule.msg_type == kind or (rule.msg_type == "*" and kind not in ("request", "reply")))
            and (rule.rounds is None or round_ in rule.rounds)
            and rule.src in (src, Special.ANY, *([Special.LEADER] if round_robin(round_) == src else []))
            and rule.dest in (dest, Special.ANY, *([Special.LEADER] if destination_leader == dest else []))
            and (src != dest or isinstance(rule.action, SetsAttribute))
        )
        if matches and (rule.prob == 1 or rng.random() < rule.prob):
            if isinstance(rule.action, Lose):
                lost_ = True
            elif isinstance(rule.action, DelayBy):
                delay_s += rule.action.delay_s
            else:
                sets.append((rule.action.attribute, rule.action.value))
    return lost_, delay_s, sets


endpoints = st.sampled_from([0, 1, "replica2", "leader", "_"])
written_failures = st.builds(
    Failure,
    src=endpoints,
    dest=endpoints,
    msg_type=st.sampled_from(list(MsgType)),
    round=st.one_of(
        st.just("_"),
        st.integers(0, 6),
        st.lists(st.integers(0, 6), max_size=3),
        st.builds(range, st.integers(0, 6), st.integers(0, 9), st.sampled_from([1, 2])),
    ),
    prob=st.sampled_from([0, 0.3, 0.7, 1]),
    fail_type=st.none(),
    val=st.one_of(st.none(), st.integers(0, 3)),
    attr=st.none(),
)
byzantine_failures = written_failures.flatmap(
    lambda written: st.sampled_from(["leader", "round", "highest_vote_round"]).map(
        lambda attr: written._replace(attr=attr, val=written.val or 1)
    )
)
messages = st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(KINDS), st.integers(0, 9))


@given(
    st.lists(st.one_of(written_failures, byzantine_failures), max_size=6),
    st.lists(messages, max_size=20),
    st.integers(0, 3),
)
def test_prepared_rules_decide_as_the_plain_reading_of_the_format(
    written: list[Failure], sent: list[tuple[int, int, str, int]], seed: int
) -> None:
    normalised = case(*written).failures
    prepared, rng, naive_rng = FailureRules(normalised), random.Random(seed), random.Random(seed)
    for src, dest, kind, round_ in sent:
        got = prepared.fate(src, dest, kind, round_, round_robin, rng)
        assert (got.lost, got.delay_s, list(got.sets)) == naive_fate(normalised, src, dest, kind, round_, naive_rng)
    assert rng.getstate() == naive_rng.getstate()
