"""Walks: drawn as said, held against a search, and able to catch a key that is wrong for the code that runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

import pytest

from diembft.consensus.replica import Replica
from diembft.protocols.diembft.wrong_keys import WRONG_KEYS
from diembft.twins.campaigns.workers import Inline
from diembft.twins.exhaustion.checks import Setting, conjecture_of
from diembft.twins.exhaustion.conjecture import NOBODY_LEFT, Conjecture
from diembft.twins.exhaustion.differences import difference_of, difference_on, shrunk
from diembft.twins.exhaustion.engine import digest
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import search
from diembft.twins.exhaustion.stepping import Stepper
from diembft.twins.exhaustion.walking import WalkPlan, walk_on
from diembft.twins.exhaustion.walks import DRAWN, Walk, is_plain, rounds_of, walk

BARRIER = Question("barrier", quorum_filter=True)
STALE = Question("barrier", quorum_filter=True, bugs=("stale_leader",))
FEW = Question("barrier", quorum_filter=True, twins_lead=True)
"""A space that is soon followed."""

ROUNDS = 24


def keys(*names: int) -> list[bytes]:
    return [bytes([name]) * 16 for name in names]


class TestConjecture:
    def conjecture(self) -> Conjecture:
        """1 is initial and leads to 2 and to nobody; 2 leads to itself; 3 was not followed."""
        one, two, three = keys(1, 2, 3)
        conjecture = Conjecture()
        conjecture.add(one)
        conjecture.begin()
        conjecture.add(two)
        conjecture.follow([two, NOBODY_LEFT])
        conjecture.follow([two])
        conjecture.add(three)
        return conjecture

    def test_knows_what_leads_where(self) -> None:
        one, two = keys(1, 2)
        conjecture = self.conjecture()
        assert conjecture.begins(one)
        assert not conjecture.begins(two)
        assert conjecture.leads(one, two)
        assert conjecture.leads(one, NOBODY_LEFT)
        assert conjecture.leads(two, one) is False
        assert conjecture.leads(two, NOBODY_LEFT) is False
        assert conjecture.leads(two, b"unknown".ljust(16)) is False

    def test_says_nothing_of_what_was_not_followed(self) -> None:
        _, two, three = keys(1, 2, 3)
        assert self.conjecture().leads(three, two) is None
        assert self.conjecture().leads(b"unknown".ljust(16), two) is None

    def test_takes_back_a_level_that_was_not_finished(self) -> None:
        one, two, three = keys(1, 2, 3)
        conjecture = self.conjecture()
        conjecture.cut(2, 1)
        assert conjecture.keys == [one, two]
        assert conjecture.leads(one, two)
        assert conjecture.leads(two, two) is None
        assert three not in conjecture

    def test_is_what_it_was_after_a_checkpoint(self) -> None:
        before = self.conjecture()
        after = Conjecture(before.keys, before.initial, before.successors)
        one, two = keys(1, 2)
        assert (after.begins(one), after.leads(one, two), after.leads(two, one)) == (True, True, False)


class TestWalk:
    def test_depends_on_its_seed_and_on_what_was_met(self) -> None:
        def drawn(seed: str, number: int) -> Walk:
            return walk(Stepper(BARRIER), seed, number, 6, {})

        assert drawn("0", 0) == drawn("0", 0)
        assert drawn("0", 0) != drawn("1", 0)
        assert drawn("0", 0) != drawn("0", 1)

    def test_makes_several_choices_in_each_state_but_every_fourth_walk(self) -> None:
        for number in range(4):
            made: dict[int, int] = defaultdict(int)
            one = walk(Stepper(BARRIER), "0", number, 6, {})
            for edge in one.edges:
                made[edge.position] += 1
            assert one.plain == is_plain(number) == (number == 3)
            left = [edge for edge in one.edges if edge.after != NOBODY_LEFT]
            assert len(one.path) - 1 == len({edge.position for edge in left})
            if not one.plain:
                assert set(made.values()) == {DRAWN}

    def test_goes_on_where_it_was_least(self) -> None:
        met: dict[bytes, int] = {}
        for number in range(3):
            before = dict(met)
            one = walk(Stepper(BARRIER), "0", number, 1, met)
            taken = next(edge for edge in one.edges if edge.choice == one.path[1])
            offered = [before.get(edge.after, 0) for edge in one.edges if edge.after != NOBODY_LEFT]
            assert before.get(taken.after, 0) == min(offered)

    def test_is_long(self) -> None:
        assert rounds_of(2) == 24
        assert rounds_of(16) == 48

    def test_executes_the_code_and_nothing_that_it_says_of_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = walk(Stepper(FEW), "0", 0, 8, {})

        def refuse(*_: object) -> Hashable:
            raise AssertionError("because a walk looks nothing up by what a core says of its own state")

        monkeypatch.setattr(Replica, "state_key", refuse)
        assert walk(Stepper(FEW), "0", 0, 8, {}) == expected


@pytest.mark.parametrize("model", ["barrier", "lazy", "two-phase"])
def test_walks_of_the_shipped_core_go_where_the_search_goes(model: str) -> None:
    setting = Setting(Question(model, quorum_filter=True, twins_lead=True), choices=20, seed=1)
    conjecture = conjecture_of(setting, rounds=4 if model == "two-phase" else None)
    choices = setting.search().model.choices
    met: dict[bytes, int] = {}
    for number in range(4):
        one = walk(Stepper(setting.question, choices), "1", number, 12, met)
        assert difference_of(conjecture, one) is None
        assert one.found is None
    assert len(met) > 4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_walks_catch_a_key_that_does_not_fit_the_code(seed: int) -> None:
    conjecture = search(STALE).conjecture
    walked = walk_on(STALE, WalkPlan(28, seed, steps=8000), conjecture, Inline(), lambda _: None)
    assert walked.difference is not None
    assert walked.found is None
    small = shrunk(STALE, conjecture, walked.difference, 20.0)
    assert len(small.path) <= len(walked.difference.path)
    assert difference_on(STALE, conjecture, small.path) == small
    assert difference_on(STALE, conjecture, small.path[:-1]) is None


def exact(wrong: str, question: Question) -> bool:
    """Whether a key that forgets something is exact all the same in this model: states of one key go to the same
    keys. By what the shipped key tells apart, which is exact."""
    engine = question.engine()
    coarsen = WRONG_KEYS[wrong]
    leads: dict[bytes, set[frozenset[bytes]]] = defaultdict(set)
    seen: set[bytes] = set()

    def coarse(state: object) -> bytes:
        found = engine.summary(state)  # type: ignore[arg-type]  # a GlobalState
        return NOBODY_LEFT if found is None else digest(coarsen(found).key(engine.world.cast))

    waiting = list(engine.initial())
    while waiting:
        state = waiting.pop()
        fine = digest(engine.key(state))
        if fine in seen:
            continue
        seen.add(fine)
        following = [successor for successor in engine.successors(state) if not successor.faults]
        leads[coarse(state)].add(frozenset([coarse(successor.state) for successor in following]))
        waiting += [successor.state for successor in following if successor.key is not None]
    return all(len(several) == 1 for several in leads.values())


@pytest.mark.parametrize("wrong", sorted(WRONG_KEYS))
@pytest.mark.parametrize("model", ["barrier", "lazy"])
def test_walks_catch_each_wrong_key_that_is_not_exact_in_its_model(wrong: str, model: str) -> None:
    question = Question(model, quorum_filter=True, twins_lead=True)
    conjecture = conjecture_of(Setting(question, WRONG_KEYS[wrong]))
    found = None
    met: dict[bytes, int] = {}
    is_exact = exact(wrong, question)
    for number in range(3 if is_exact else 40):
        found = difference_of(conjecture, walk(Stepper(question, None, WRONG_KEYS[wrong]), "0", number, ROUNDS, met))
        if found is not None:
            break
    assert (found is None) == is_exact


def test_streams_of_walks_do_not_depend_on_who_makes_them() -> None:
    conjecture = search(FEW).conjecture
    plan = WalkPlan(ROUNDS, seed=3, steps=200, streams=2)
    one, other = (walk_on(FEW, plan, conjecture, Inline(), lambda _: None) for _ in range(2))
    assert one._replace(seconds=0) == other._replace(seconds=0)
    assert one.steps >= 200
    assert one.difference is None
