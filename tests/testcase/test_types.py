import pickle

import pytest

from diembft.testcase.types import Config, FailType, Failure, FailureConfig, MsgType, Workload, WorkloadType


def test_fields_stand_in_the_order_of_the_seed() -> None:
    assert Config._fields == (
        "num_replicas",
        "num_faulty",
        "workloads",
        "transmission_delay_bound",
        "seed",
        "latency",
        "block_size",
    ), "ours come last"
    assert Workload._fields == ("type", "count", "num_clients", "timeout", "delays")
    assert FailureConfig._fields == ("failures", "seed")
    assert Failure._fields == ("src", "dest", "msg_type", "round", "prob", "fail_type", "val", "attr")


def test_what_may_be_left_out() -> None:
    assert Workload(WorkloadType.flood, 2, 1) == (WorkloadType.flood, 2, 1, None, [])
    assert Config(4, 1, [], 0.1)[4:] == (None, None, None)
    assert FailureConfig([]).seed is None
    assert Failure(0, "_", MsgType.Vote, [1], 0.5)[5:] == (None, None, None)


def test_message_types_have_the_values_of_the_seed() -> None:
    assert (MsgType.Proposal, MsgType.TimeOut, MsgType.Vote, MsgType.Wildcard) == (
        "proposal",
        "timeout",
        "vote",
        "*",
    )
    assert {member.name for member in FailType} == {"MsgLoss", "Delay", "SetAttr"}
    assert {member.name for member in WorkloadType} == {"retransmit", "flood", "timed"}


def test_values_survive_pickling_for_other_processes() -> None:
    failure = Failure("leader", "_", MsgType.Vote, range(2, 7), 1, FailType.Delay, 0.5)
    assert pickle.loads(pickle.dumps(failure)) == failure


def test_positional_and_keyword_arguments_may_be_mixed() -> None:
    assert Config(4, 1, workloads=[], transmission_delay_bound=0.1) == Config(4, 1, [], 0.1, None)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        ((4, 1, [], 0.1, 5, None, None, "six"), {}, "Config: a field too many: 'six' "),
        ((4, 1, []), {"num_fault": 1}, "Config: no such field: num_fault=1 "),
        ((4, 1, []), {"num_faulty": 2}, "Config: num_faulty is given twice, once by position: num_faulty=2"),
        ((4, 1), {"transmission_delay_bound": 1}, "Config: workloads is missing"),
        ((), {}, "Config: num_replicas is missing"),
    ],
)
def test_a_wrong_call_names_the_field_and_the_value(
    arguments: tuple[object, ...], keywords: dict[str, object], error: str
) -> None:
    with pytest.raises(TypeError) as caught:
        Config(*arguments, **keywords)  # type: ignore[arg-type]  # wrong on purpose
    assert str(caught.value).startswith(error)
