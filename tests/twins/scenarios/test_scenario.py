"""Scenario values: normal form, what is refused, renaming, and node numbers."""

from itertools import permutations

import msgspec
import pytest
from hypothesis import given

from diembft.errors import InputError
from diembft.twins.scenarios.scenario import (
    Drop,
    Extras,
    Round,
    Scenario,
    canonical,
    default_gst,
    plans,
    renamed,
    replica_names,
    whole_round,
)
from diembft.twins.scenarios.strategies import scenarios

NAMES = ("a", "b", "c", "d")
TWINS = ("d'",)
WHOLE = (("a", "b", "c", "d", "d'"),)


def make(*rounds: Round, gst: int | None = None, **settings: object) -> Scenario:
    return Scenario(
        replicas=NAMES,
        twins=TWINS,
        rounds=rounds,
        gst=len(rounds) if gst is None else gst,
        **settings,  # type: ignore[arg-type]  # tests pass settings of the right type
    )


def test_equal_meaning_is_equal_value() -> None:
    first = Round("d'", (("c", "a"), (), ("d'", "b", "d")), (Drop("b", "d", "vote"), Drop("_", "a", "*")) * 2)
    second = Round("d", (("d", "d'", "b"), ("a", "c")), (Drop("_", "a", "*"), Drop("b", "d", "vote")))
    one, two = make(first), make(second)
    assert one == two
    assert len({one, two}) == 1
    assert one.rounds[0].partition == (("a", "c"), ("b", "d", "d'"))
    assert one.rounds[0].leader == "d"


def test_a_timeout_partition_that_equals_the_partition_says_nothing() -> None:
    extras = Extras(timeout_partition=(("d'", "d", "c", "b", "a"),), restart=("a",), crash=("a",))
    assert make(Round("a", WHOLE, (), extras)).rounds[0].extras == Extras(crash=("a",), restart=("a",))


def test_bugs_are_sorted_and_once_each() -> None:
    assert make(bugs=("small_quorum", "gap_commit", "small_quorum")).bugs == ("gap_commit", "small_quorum")


def test_roles_and_quorum() -> None:
    scenario = make()
    assert scenario.nodes == ("a", "b", "c", "d", "d'")
    assert scenario.correct == ("a", "b", "c")
    assert (scenario.max_faulty, scenario.quorum, scenario.too_many_twins) == (1, 3, False)
    both = Scenario(replicas=NAMES, twins=("c'", "d'"), rounds=(), gst=0)
    assert both.too_many_twins
    five = Scenario(replicas=("a", "b", "c", "d", "e"), twins=(), rounds=(), gst=0)
    assert (five.max_faulty, five.quorum) == (1, 4)  # n - f, not 2f + 1


@pytest.mark.parametrize(
    ("round_", "complaint"),
    [
        (Round("e", WHOLE), "rounds[1].leader: 'e' is no replica"),
        (Round("a", (("a", "b", "c", "d"),)), 'rounds[1].partition: "d\'" is in no set'),
        (Round("a", (("a", "b", "c", "d", "d'", "x"),)), "rounds[1].partition: 'x' is no node"),
        (Round("a", (("a", "b", "c"), ("c", "d", "d'"))), "rounds[1].partition: 'c' is there twice"),
        (Round("a", ()), "rounds[1].partition: 'a' is in no set"),
        (Round("a", WHOLE, (Drop("a", "x", "vote"),)), "rounds[1].exceptions: 'x' is neither a node nor '_'"),
        (
            Round("a", WHOLE, (Drop("a", "b", "sync"),)),  # type: ignore[arg-type]  # wrong on purpose
            "rounds[1].exceptions: 'sync' is none of proposal, timeout, vote, *",
        ),
        (
            Round("a", WHOLE, (), Extras(timeout_partition=(("a",),))),
            "rounds[1].timeout_partition: 'b' is in no set",
        ),
        (
            Round("a", WHOLE, (), Extras(timers="soon")),  # type: ignore[arg-type]  # wrong on purpose
            "rounds[1].timers: 'soon' is none of early, late",
        ),
        (
            Round("a", WHOLE, (), Extras(order="random")),  # type: ignore[arg-type]  # wrong on purpose
            "rounds[1].order: 'random' is none of reversed",
        ),
        (
            Round("a", WHOLE, (), Extras(undelivered="lost")),  # type: ignore[arg-type]  # wrong on purpose
            "rounds[1].undelivered: 'lost' is none of drop, delay",
        ),
        (Round("a", WHOLE, (), Extras(crash=("e",))), "rounds[1].crash: 'e' is no node"),
        (Round("a", WHOLE, (), Extras(crash=("a", "a"))), "rounds[1].crash: 'a' is there twice"),
        (Round("a", WHOLE, (), Extras(restart=("b",))), "rounds[1].restart: 'b' is not down"),
        (Round("a", WHOLE, (), Extras(crash=("c",))), "rounds[1].crash: 'c' is down already"),
    ],
)
def test_a_wrong_round_is_named(round_: Round, complaint: str) -> None:
    with pytest.raises(InputError) as error:
        make(Round("a", WHOLE, (), Extras(crash=("c",))), round_)
    assert str(error.value) == complaint


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"gst": 3}, "gst: 3 is not between 0 and the number of rounds, 0"),
        ({"gst": -1}, "gst: -1 is not between 0 and the number of rounds, 0"),
        ({"delay_bound_s": 0.0}, "transmission_delay_bound: 0.0 is not a positive number of seconds"),
        ({"timeout_s": float("inf")}, "timeout: inf is not a positive number of seconds"),
        ({"seed": float("nan")}, "seed: nan is not a number"),
        ({"model": "slow"}, "model: 'slow' is none of timed, barrier, two-phase, lazy"),
        ({"bugs": ("a bug",)}, "bugs: 'a bug' is no name of a bug"),
        ({"replicas": ()}, "replicas: there is none"),
        ({"replicas": ("a", "b c")}, "replicas: 'b c' is no name for a replica (letters, digits, _ . -)"),
        ({"replicas": ("a", "_")}, "replicas: '_' is no name for a replica (letters, digits, _ . -)"),
        ({"replicas": ("a", "d", "a")}, "replicas: 'a' is there twice"),
        ({"twins": ("e'",)}, "twins: \"e'\" is not a replica's name with an apostrophe"),
        ({"twins": ("a",)}, "twins: 'a' is not a replica's name with an apostrophe"),
        ({"twins": ("a'", "a'")}, 'twins: "a\'" is there twice'),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], complaint: str) -> None:
    given_ = {"replicas": NAMES, "twins": TWINS, "rounds": (), "gst": 0} | settings
    with pytest.raises(InputError) as error:
        Scenario(**given_)  # type: ignore[arg-type]  # wrong on purpose
    assert str(error.value) == complaint


def test_a_crashed_node_can_crash_again_after_its_restart() -> None:
    crash, restart = Extras(crash=("b",)), Extras(restart=("b",))
    scenario = make(*(Round("a", WHOLE, (), extras) for extras in (crash, restart, crash)))
    assert [round_.extras for round_ in scenario.rounds] == [crash, restart, crash]


def test_gst_that_is_not_stated_is_where_the_last_seven_rounds_begin_to_be_synchronous() -> None:
    whole, split = whole_round(NAMES, TWINS, "a"), Round("a", (("a", "b", "c"), ("d", "d'")))
    assert default_gst([split] * 3 + [whole] * 7) == 3
    assert default_gst([whole] * 10) == 3
    assert default_gst([split] * 8 + [whole] * 2) == 8
    assert default_gst([whole] * 2) == 0
    assert default_gst([split]) == 1
    assert default_gst([]) == 0


def test_liveness_is_judged_from_where_the_rounds_are_whole_whatever_gst_says() -> None:
    whole, split = whole_round(NAMES, TWINS, "a"), Round("a", (("a", "b", "c"), ("d", "d'")))
    assert make(split, whole, split, whole, whole, gst=1).synchronous_from == 3
    assert make(whole, whole, whole, gst=1).synchronous_from == 1
    assert make(whole, split, gst=0).synchronous_from == 2


def test_plans_are_the_rounds_in_node_numbers() -> None:
    extras = Extras(timeout_partition=(("a", "b"), ("c", "d", "d'")), crash=("b",), restart=("b",))
    round_ = Round("b", (("a", "d"), ("b", "c", "d'")), (Drop("_", "d'", "vote"), Drop("a", "d", "*")), extras)
    (plan,) = plans(make(round_))
    assert plan.leader == 1
    assert plan.within == (0b01001, 0b10110, 0b10110, 0b01001, 0b10110)
    assert plan.timeouts_within == (0b00011, 0b00011, 0b11100, 0b11100, 0b11100)
    assert plan.dropped == ((0b11111, 0b10000, "vote"), (0b00001, 0b01000, "*"))
    assert (plan.has_quorum, plan.timeouts_have_quorum) == (True, False)
    assert (plan.crash, plan.restart) == (0b10, 0b10)


def test_a_replica_and_its_twin_count_once_towards_a_quorum() -> None:
    (plan,) = plans(make(Round("a", (("a", "d", "d'"), ("b", "c")))))
    assert not plan.has_quorum


def test_renaming_takes_twins_along() -> None:
    extras = Extras(timeout_partition=(("a",), ("b", "c", "d", "d'")), crash=("d'",))
    round_ = Round("d", (("a", "d"), ("b", "c", "d'")), (Drop("d'", "_", "vote"),), extras)
    scenario = Scenario(replicas=("a", "b", "c", "d"), twins=("a'", "d'"), gst=1, rounds=(_with_a_twin(round_),))
    moved = renamed(scenario, {"a": "d", "d": "a"})
    assert moved.rounds[0].leader == "a"
    assert moved.rounds[0].exceptions == (Drop("a'", "_", "vote"),)
    assert moved.rounds[0].extras.crash == ("a'",)
    assert renamed(moved, {"a": "d", "d": "a"}) == scenario


def _with_a_twin(round_: Round) -> Round:
    timeouts = round_.extras.timeout_partition
    assert timeouts is not None
    return msgspec.structs.replace(
        round_,
        partition=(*round_.partition, ("a'",)),
        extras=msgspec.structs.replace(round_.extras, timeout_partition=(*timeouts, ("a'",))),
    )


@given(scenarios(sets=3, drops=2, max_rounds=3, model="two-phase", crashes=True))
def test_all_renamings_have_one_canonical_form(scenario: Scenario) -> None:
    form = canonical(scenario)
    images = [renamed(scenario, dict(zip("bcd", image, strict=True))) for image in permutations("bcd")]
    assert form in images
    assert {canonical(image) for image in images} == {form}


def test_scenarios_that_are_no_renamings_have_different_canonical_forms() -> None:
    b_apart, c_apart = (Round("d", (tuple(n for n in (*NAMES, *TWINS) if n != name), (name,))) for name in "bc")
    assert canonical(make(b_apart, b_apart)) == canonical(make(c_apart, c_apart))
    assert canonical(make(b_apart, c_apart)) == canonical(make(c_apart, b_apart))
    assert canonical(make(b_apart, b_apart)) != canonical(make(b_apart, c_apart))


def test_too_many_renamings_are_refused() -> None:
    with pytest.raises(InputError, match="8 interchangeable ones are too many"):
        canonical(Scenario(replicas=tuple("abcdefgh"), twins=(), rounds=(), gst=0))


def test_names_are_letters() -> None:
    assert replica_names(3) == ("a", "b", "c")
    for count in (0, 27):
        with pytest.raises(InputError, match=f"replicas: {count} is not between"):
            replica_names(count)
