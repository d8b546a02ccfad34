import math
import pickle
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diembft.errors import InputError
from diembft.testcase.case import DelayBy, Lose, SetsAttribute, Special, TestCase, WorkloadSpec
from diembft.testcase.types import (
    Config,
    FailType,
    Failure,
    FailureConfig,
    MsgType,
    Workload,
    WorkloadType,
)
from diembft.testcase.validate import normalise
from tests.testcase.samples import SOURCE, case, failure, workload

NAN = math.nan
INFINITY = math.inf


def test_everything_arrives_normalised() -> None:
    got = case(
        failure(src="replica2", dest="leader", msg_type=MsgType.Vote, round=[3, 5], prob=0.25),
        workloads=[workload(timeout=2, delays=[1.0])],
        num_replicas=7,
        num_faulty=2,
        seed=1.5,
    )
    assert (got.num_replicas, got.num_faulty, got.max_faulty) == (7, 2, 2)
    assert (got.seed, got.failure_seed, got.drawn_seeds) == (1.5, 2, ())
    assert got.delay_bound_s == 0.1
    assert got.workloads == (WorkloadSpec(WorkloadType.retransmit, 3, 1, 2.0, ()),)
    (rule,) = got.failures
    assert (rule.src, rule.dest, rule.msg_type, rule.prob) == (2, Special.LEADER, MsgType.Vote, 0.25)
    assert rule.rounds == frozenset((3, 5))
    assert rule.action == Lose()


def test_max_faulty_follows_from_the_number_of_replicas_alone() -> None:
    assert [case(num_replicas=n, num_faulty=1).max_faulty for n in (1, 3, 4, 6, 7, 13)] == [0, 0, 1, 1, 2, 4]


@pytest.mark.parametrize(
    ("config_seed", "failure_seed", "drawn"),
    [
        (5, 6, ()),
        (None, 6, ("seed",)),
        (5, None, ("failure_seed",)),
        (None, None, ("seed", "failure_seed")),
    ],
)
def test_a_seed_that_is_left_out_is_drawn_and_reported(
    config_seed: int | None, failure_seed: int | None, drawn: tuple[str, ...]
) -> None:
    got = case(seed=config_seed, failure_seed=failure_seed)
    assert got.drawn_seeds == drawn
    assert got.seed == (77 if config_seed is None else 5)
    assert got.failure_seed == (77 if failure_seed is None else 6)


@pytest.mark.parametrize("src", ["replica3", 3])
def test_a_replica_is_a_name_or_an_index(src: str | int) -> None:
    assert case(failure(src=src)).failures[0].src == 3


@pytest.mark.parametrize("wildcard", ["_", "*", MsgType.Wildcard])
def test_the_wildcard_is_accepted_wherever_there_is_one(wildcard: str) -> None:
    (rule,) = case(failure(src=wildcard, dest=wildcard, msg_type=wildcard, round=wildcard)).failures
    assert (rule.src, rule.dest, rule.rounds) == (Special.ANY, Special.ANY, None)
    assert rule.msg_type is MsgType.Wildcard


class Odd:
    """A container that can only be asked."""

    def __contains__(self, round_: object) -> bool:
        return isinstance(round_, int) and round_ % 2 == 1


class Unwilling:
    def __contains__(self, round_: object) -> bool:
        raise ValueError("not\nnow")


@pytest.mark.parametrize(
    ("rounds", "inside", "outside"),
    [
        (3, [3], [2, 4]),
        ([2, 4], [2, 4], [3]),
        ((2, 4), [2, 4], [3]),
        ({2, 4}, [2, 4], [3]),
        ({2: "two"}, [2], [3]),
        (range(2, 7), [2, 6], [1, 7]),
        (range(10, 2, -2), [10, 4], [2, 9]),
        (range(5, 10**30), [5, 10**20], [4]),
        (range(0), [], [0, 1]),
        ([], [], [1]),
        (Odd(), [1, 3], [2]),
    ],
)
def test_rounds_are_any_container_or_one_round(rounds: Any, inside: list[int], outside: list[int]) -> None:
    (rule,) = case(failure(round=rounds)).failures
    assert rule.rounds is not None
    assert all(round_ in rule.rounds for round_ in inside)
    assert not any(round_ in rule.rounds for round_ in outside)


def test_a_case_can_be_handed_to_another_process() -> None:
    got = case(failure(round=Odd()), failure(round=range(3)), failure(val=1, attr="round"))
    assert pickle.loads(pickle.dumps(got)) == got


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({}, Lose()),
        ({"val": 0.5}, DelayBy(0.5)),
        ({"val": "0.5"}, DelayBy(0.5)),
        ({"val": 0}, DelayBy(0)),
        ({"val": 3, "attr": "highest_vote_round"}, SetsAttribute("highest_vote_round", 3)),
        ({"fail_type": FailType.MsgLoss, "val": 3}, Lose()),
        ({"fail_type": FailType.Delay, "val": 1}, DelayBy(1)),
        (
            {"fail_type": FailType.SetAttr, "val": "7", "attr": "highest_qc_round"},
            SetsAttribute("highest_qc_round", 7),
        ),
    ],
)
def test_a_fail_type_that_is_left_out_follows_from_the_rest(changes: Any, action: object) -> None:
    assert case(failure(**changes)).failures[0].action == action


@pytest.mark.parametrize(
    ("attr", "val", "expected"),
    [
        ("round", 9, SetsAttribute("current_round", 9)),
        ("current_round", "9", SetsAttribute("current_round", 9)),
        ("highest_vote_round", 4.0, SetsAttribute("highest_vote_round", 4)),
        ("highest_vote_round", -1, SetsAttribute("highest_vote_round", 0)),
        ("leader", 2, SetsAttribute("leader", 2)),
        ("leader", "2", SetsAttribute("leader", 2)),
        ("leader", "replica2", SetsAttribute("leader", 2)),
    ],
)
def test_the_value_of_an_attribute(attr: str, val: object, expected: SetsAttribute) -> None:
    assert case(failure(attr=attr, val=val)).failures[0].action == expected


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_the_delays_of_timed_may_lack_the_last_or_have_one_too_many(extra: int) -> None:
    got = case(workloads=[workload(type=WorkloadType.timed, delays=[0.1, 0.2, 0.3, 0.4][: 3 + extra])])
    assert got.workloads[0].delays_s == (0.1, 0.2)


def test_the_defaults_of_a_workload() -> None:
    assert case(workloads=[Workload(WorkloadType.flood, 2, 1)]).workloads[0].timeout_s == 1
    assert case(workloads=[workload(type=WorkloadType.timed, delays=[1, 1])]).workloads[0].timeout_s == 1
    assert case(workloads=[Workload(WorkloadType.retransmit, 2, 1)]).workloads[0].timeout_s is None


@pytest.mark.parametrize(
    ("val", "on"), [(True, 1), (1, 1), ("1", 1), ("true", 1), (None, 1), (False, 0), (0, 0), ("False", 0)]
)
def test_transactions_are_duplicated_or_not(val: object, on: int) -> None:
    got = case(failure(attr="duplicate_transactions", val=val)).failures[0].action
    assert got == SetsAttribute("duplicate_transactions", on)


def test_a_failure_is_shown_as_the_file_has_it() -> None:
    got = case(
        failure(src="replica1", dest=2, msg_type=MsgType.Vote, round=range(2, 7), prob=0.5, fail_type=FailType.MsgLoss),
        failure(round=[3, 4], val=0.3),
        failure(round=Odd(), attr="leader", val="replica2"),
        failure(round=[*range(100)]),
    )
    assert [rule.written for rule in got.failures] == [
        "Failure('replica1', 2, MsgType.Vote, range(2, 7), 0.5, FailType.MsgLoss)",
        "Failure('_', '_', MsgType.Wildcard, [3, 4], 1, val=0.3)",
        "Failure('_', '_', MsgType.Wildcard, Odd(), 1, val='replica2', attr='leader')",
        "Failure('_', '_', MsgType.Wildcard, [0, 1, 2, 3, 4, 5, ...], 1)",
    ]


Wrong = Callable[[], object]

WRONG: dict[str, tuple[Wrong, str]] = {
    "replicas of no number": (
        lambda: case(num_replicas="4"),
        "config.num_replicas: must be a whole number from 1 to 65536, not '4'",
    ),
    "no replicas": (lambda: case(num_replicas=0), "config.num_replicas: "),
    "negative replicas": (lambda: case(num_replicas=-4), "config.num_replicas: "),
    "a truth value": (lambda: case(num_replicas=True), "config.num_replicas: "),
    "a fraction of a replica": (lambda: case(num_replicas=4.0), "config.num_replicas: "),
    "too many replicas": (lambda: case(num_replicas=10**9), "config.num_replicas: "),
    "more faulty than there are": (
        lambda: case(num_faulty=5),
        "config.num_faulty: must be a whole number from 0 to 4, not 5",
    ),
    "negative faulty": (lambda: case(num_faulty=-1), "config.num_faulty: "),
    "delay bound 0": (
        lambda: case(transmission_delay_bound=0),
        "config.transmission_delay_bound: must be a number above 0, not 0",
    ),
    "delay bound nan": (lambda: case(transmission_delay_bound=NAN), "config.transmission_delay_bound: "),
    "delay bound infinite": (
        lambda: case(transmission_delay_bound=INFINITY),
        "config.transmission_delay_bound: ",
    ),
    "delay bound none": (lambda: case(transmission_delay_bound=None), "config.transmission_delay_bound: "),
    "latency of no number": (
        lambda: case(latency="slow"),
        "config.latency: must be seconds from 0 to 1,000,000, or two such numbers (low, high), or a mapping of "
        "replicas, pairs of them or '_' to these, not 'slow'",
    ),
    "latency negative": (lambda: case(latency=-0.1), "config.latency: "),
    "latency nan": (lambda: case(latency=NAN), "config.latency: "),
    "latency that is too long": (lambda: case(latency=(0, 2e6)), "config.latency: "),
    "latency upside down": (lambda: case(latency=(0.2, 0.1)), "config.latency: "),
    "latency of three numbers": (lambda: case(latency=(0.1, 0.2, 0.3)), "config.latency: "),
    "latency of a replica that there is not": (
        lambda: case(latency={"replica4": 0.1}),
        "config.latency: must be a mapping whose keys are one of 'replica0' to 'replica3' (or 0 to 3), pairs of two "
        "different ones, or '_', not 'replica4'",
    ),
    "latency of a replica to itself": (lambda: case(latency={(1, "replica1"): 0.1}), "config.latency: "),
    "latency of three replicas": (lambda: case(latency={(0, 1, 2): 0.1}), "config.latency: "),
    "latency of one in a tuple": (lambda: case(latency={(0,): 0.1}), "config.latency: "),
    "latency of a pair with anybody": (lambda: case(latency={(0, "_"): 0.1}), "config.latency: "),
    "latency of a replica twice": (
        lambda: case(latency={"replica1": 0.1, 1: 0.2}),
        "config.latency[1]: this replica has a latency already",
    ),
    "latency of a link twice": (
        lambda: case(latency={("replica1", 2): 0.1, (1, 2): 0.2}),
        "config.latency[(1, 2)]: this link has a latency already",
    ),
    "latency of no number in a mapping": (
        lambda: case(latency={("replica0", "replica3"): "0.1"}),
        "config.latency[('replica0', 'replica3')]: must be seconds from 0 to 1,000,000, or two such numbers "
        "(low, high), not '0.1'",
    ),
    "latency in a mapping in a mapping": (lambda: case(latency={"_": {"_": 1}}), "config.latency['_']: "),
    "block size 0": (
        lambda: case(block_size=0),
        "config.block_size: must be a whole number from 1 to 5000, not 0",
    ),
    "block size a fraction": (lambda: case(block_size=4.5), "config.block_size: "),
    "block size too large": (lambda: case(block_size=5001), "config.block_size: "),
    "duplicated how often": (
        lambda: case(failure(attr="duplicate_transactions", val=2)),
        "failure_config.failures[0].val: must be True or False, not 2",
    ),
    "seed of no number": (
        lambda: case(seed="1"),
        "config.seed: must be a number or None, not '1'",
    ),
    "seed nan": (lambda: case(seed=NAN), "config.seed: "),
    "failure seed": (lambda: case(failure_seed=[1]), "failure_config.seed: "),
    "workloads of no list": (
        lambda: normalise_config(Config(4, 1, cast(Any, workload()), 0.1)),
        "config.workloads: must be a list of Workload, not Workload(",
    ),
    "workloads a string": (lambda: normalise_config(Config(4, 1, cast(Any, "ab"), 0.1)), "config.workloads: "),
    "a workload that is a tuple": (
        lambda: case(workloads=[(1, 2)]),
        "config.workloads[0]: must be a Workload, not (1, 2)",
    ),
    "workload type": (
        lambda: case(workloads=[workload(), workload(type="floods")]),
        "config.workloads[1].type: must be one of WorkloadType.retransmit, WorkloadType.flood, "
        "WorkloadType.timed, not 'floods'",
    ),
    "negative count": (
        lambda: case(workloads=[workload(count=-1)]),
        "config.workloads[0].count: must be a whole number from 0 to 10000000, not -1",
    ),
    "negative clients": (
        lambda: case(workloads=[workload(num_clients=-1)]),
        "config.workloads[0].num_clients: ",
    ),
    "timeout 0": (lambda: case(workloads=[workload(timeout=0)]), "config.workloads[0].timeout: "),
    "timeout nan": (lambda: case(workloads=[workload(timeout=NAN)]), "config.workloads[0].timeout: "),
    "delays of no list": (lambda: case(workloads=[workload(delays=3)]), "config.workloads[0].delays: "),
    "a negative delay": (
        lambda: case(workloads=[workload(delays=[1, -0.5])]),
        "config.workloads[0].delays[1]: must be a number, not negative, not -0.5",
    ),
    "too few delays": (
        lambda: case(workloads=[workload(type=WorkloadType.timed, delays=[1])]),
        "config.workloads[0].delays: must be a list of 2 to 4 pauses for 3 timed requests, not [1]",
    ),
    "too many delays": (
        lambda: case(workloads=[workload(type=WorkloadType.timed, delays=[1] * 5)]),
        "config.workloads[0].delays: ",
    ),
    "a failure that is a tuple": (
        lambda: normalise_failures([(0, 1)]),
        "failure_config.failures[0]: must be a Failure, not (0, 1)",
    ),
    "failures of no list": (
        lambda: normalise_failures(failure()),
        "failure_config.failures: must be a list of Failure, not Failure(",
    ),
    "failures none": (lambda: normalise_failures(None), "failure_config.failures: "),
    "unknown source": (
        lambda: case(failure(src="replica4")),
        "failure_config.failures[0].src: must be one of 'replica0' to 'replica3' (or 0 to 3), 'leader' "
        "or '_', not 'replica4'",
    ),
    "unknown destination": (
        lambda: case(failure(), failure(dest=4)),
        "failure_config.failures[1].dest: ",
    ),
    "negative replica": (lambda: case(failure(dest=-1)), "failure_config.failures[0].dest: "),
    "leading zero": (lambda: case(failure(src="replica01")), "failure_config.failures[0].src: "),
    "no ASCII digit": (lambda: case(failure(src="replica٣")), "failure_config.failures[0].src: "),
    "very long number": (
        lambda: case(failure(src="replica" + "9" * 5000)),
        "failure_config.failures[0].src: ",
    ),
    "source none": (lambda: case(failure(src=None)), "failure_config.failures[0].src: "),
    "the only replica": (
        lambda: case(failure(src=1), num_replicas=1),
        "failure_config.failures[0].src: must be 'replica0' (or 0), 'leader' or '_', not 1",
    ),
    "message type": (
        lambda: case(failure(msg_type="votes")),
        "failure_config.failures[0].msg_type: must be one of MsgType.Proposal, ",
    ),
    "round of no number": (
        lambda: case(failure(round="3")),
        "failure_config.failures[0].round: must be a container of rounds, a round, or '_', not '3'",
    ),
    "negative round": (lambda: case(failure(round=-3)), "failure_config.failures[0].round: "),
    "negative round in a list": (
        lambda: case(failure(round=[2, -3])),
        "failure_config.failures[0].round: must be rounds (whole numbers, not negative), not -3",
    ),
    "negative range": (lambda: case(failure(round=range(3, -2, -1))), "failure_config.failures[0].round: "),
    "rounds of strings": (lambda: case(failure(round=["2"])), "failure_config.failures[0].round: "),
    "round nan": (lambda: case(failure(round=NAN)), "failure_config.failures[0].round: "),
    "a generator of rounds": (
        lambda: case(failure(round=(r for r in [1]))),
        "failure_config.failures[0].round: ",
    ),
    "a container that cannot be asked": (
        lambda: case(failure(round=Unwilling())),
        "failure_config.failures[0].round: must be a container of rounds, but asking <tests.",
    ),
    "probability above 1": (
        lambda: case(failure(prob=1.5)),
        "failure_config.failures[0].prob: must be a probability from 0 to 1, not 1.5",
    ),
    "probability below 0": (lambda: case(failure(prob=-0.1)), "failure_config.failures[0].prob: "),
    "probability nan": (
        lambda: case(failure(prob=NAN)),
        "failure_config.failures[0].prob: must be a probability from 0 to 1, not nan",
    ),
    "probability of no number": (lambda: case(failure(prob="1")), "failure_config.failures[0].prob: "),
    "fail type": (
        lambda: case(failure(fail_type="drop")),
        "failure_config.failures[0].fail_type: must be one of FailType.MsgLoss, ",
    ),
    "a delay without seconds": (
        lambda: case(failure(fail_type=FailType.Delay)),
        "failure_config.failures[0].val: must be the delay in seconds, not negative, not None",
    ),
    "a negative delay of a message": (lambda: case(failure(val=-1)), "failure_config.failures[0].val: "),
    "a delay nan": (lambda: case(failure(val="nan")), "failure_config.failures[0].val: "),
    "a delay of no number": (lambda: case(failure(val="soon")), "failure_config.failures[0].val: "),
    "an attribute without a name": (
        lambda: case(failure(fail_type=FailType.SetAttr, val=1)),
        "failure_config.failures[0].attr: must be one of 'highest_vote_round', ",
    ),
    "an unknown attribute": (
        lambda: case(failure(attr="high_qc", val=1)),
        "failure_config.failures[0].attr: ",
    ),
    "an attribute that is a list": (lambda: case(failure(attr=[], val=1)), "failure_config.failures[0].attr: "),
    "an attribute without a value": (
        lambda: case(failure(attr="current_round")),
        "failure_config.failures[0].val: must be a round (a whole number below 2**61), not None",
    ),
    "half a round": (lambda: case(failure(attr="round", val="2.5")), "failure_config.failures[0].val: "),
    "a round that does not fit": (
        lambda: case(failure(attr="round", val=1 << 61)),
        "failure_config.failures[0].val: ",
    ),
    "a replica as a round": (
        lambda: case(failure(attr="round", val="replica1")),
        "failure_config.failures[0].val: ",
    ),
    "an unknown leader": (
        lambda: case(failure(attr="leader", val="replica4")),
        "failure_config.failures[0].val: must be one of 'replica0' to 'replica3' (or 0 to 3), not 'replica4'",
    ),
    "config of another type": (
        lambda: normalise_config({"num_replicas": 4}),
        "config: must be a Config, not {'num_replicas': 4}",
    ),
    "failure config of another type": (
        lambda: normalise_both(Config(4, 1, [], 0.1), []),
        "failure_config: must be a FailureConfig, not []",
    ),
    "expectation": (lambda: case(expect=True), "expect_failure: must be None or the name of a kind of failure"),
}


def normalise_both(config: object, failure_config: object) -> TestCase:
    return normalise(config, failure_config, name="n", source=SOURCE, draw_seed=lambda: 0)


def normalise_config(config: object) -> TestCase:
    return normalise_both(config, FailureConfig([], 0))


def normalise_failures(failures: Any) -> TestCase:
    return normalise_both(Config(4, 1, [], 0.1, 0), FailureConfig(failures, 0))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line_that_names_source_field_and_value(name: str) -> None:
    make, error = WRONG[name]
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value).startswith(f"{SOURCE}: {error}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["_", "*", "leader", "replica0", "replica9", "round", "highest_vote_round", "2", "nan"]),
    st.sampled_from([*MsgType, *FailType, *WorkloadType]),
    st.lists(st.one_of(st.integers(-1, 5), st.floats()), max_size=5),
    st.builds(range, st.integers(-2, 5), st.integers(0, 1 << 70)),
    st.binary(max_size=3),
    st.dictionaries(st.integers(-1, 3), st.none(), max_size=2),
)


@given(
    config=st.lists(anything, min_size=5, max_size=5),
    a_workload=st.lists(anything, min_size=5, max_size=5),
    a_failure=st.lists(anything, min_size=8, max_size=8),
    which=st.sets(st.sampled_from(["config", "workload", "failure"])),
)
def test_any_field_is_either_accepted_or_refused_in_one_line(
    config: list[Any], a_workload: list[Any], a_failure: list[Any], which: set[str]
) -> None:
    workloads = [Workload(*a_workload)] if "workload" in which else [workload()]
    settings = Config(*config) if "config" in which else Config(4, 1, workloads, 0.1, 0)
    failures = [Failure(*a_failure)] if "failure" in which else []
    got = accepted_or_error(settings, FailureConfig(failures, 0))
    if isinstance(got, str):
        assert got.startswith((f"{SOURCE}: config.", f"{SOURCE}: failure_config."))
        assert "\n" not in got
    else:
        assert 0 <= got.num_faulty <= got.num_replicas
        assert all(0 <= rule.prob <= 1 for rule in got.failures)


def accepted_or_error(config: Config, failure_config: FailureConfig) -> TestCase | str:
    try:
        return normalise_both(config, failure_config)
    except InputError as error:
        return str(error)
