"""From what a configuration file says to a `TestCase`: every field checked, every liberty of the format resolved.

All that is wrong raises InputError with one line: where it was read, which field, what it must be, what it is.
"""

import re
from collections.abc import Callable, Collection, Container, Iterable
from enum import StrEnum
from typing import TypeVar, assert_never

from diembft.errors import InputError
from diembft.testcase.case import (
    Action,
    Attribute,
    DelayBy,
    FailureRule,
    Lose,
    Rounds,
    RuleEndpoint,
    SetsAttribute,
    Special,
    TestCase,
    WorkloadSpec,
)
from diembft.testcase.fields import Field, is_integer, is_number, replica_of, replicas_in_words
from diembft.testcase.latency import latencies
from diembft.testcase.types import (
    Config,
    FailType,
    Failure,
    FailureConfig,
    MsgType,
    Workload,
    WorkloadType,
)
from diembft.testcase.wording import call, one_line, shown

MAX_REPLICAS = 1 << 16
"""A replica's index is a 16-bit number in messages."""
MAX_REQUESTS = 10_000_000
"""More requests than this in one workload are a slip of the pen."""
MAX_SET_ROUND = 1 << 61
"""Rounds are below 2**62 in messages; half of that leaves room to go on from a round that was set."""
MAX_ASKED_ROUND = 100_000
"""How far a container is explored that can be asked for a round but not listed. No test case gets there."""
MAX_BLOCK_SIZE = 5000
"""More requests than this in one block do not fit into a message with all that they may carry."""
DEFAULT_TIMEOUT_S = 1.0
"""The timeout of a workload that names none, but for `retransmit`."""

_FAILURE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WILDCARDS = (Special.ANY.value, MsgType.Wildcard.value)
_ATTRIBUTES: dict[str, Attribute] = {
    "highest_vote_round": "highest_vote_round",
    "highest_qc_round": "highest_qc_round",
    "current_round": "current_round",
    "round": "current_round",
    "leader": "leader",
    "duplicate_transactions": "duplicate_transactions",
}

_E = TypeVar("_E", bound=StrEnum)


def normalise(
    config: object,
    failure_config: object,
    *,
    name: str,
    source: str,
    draw_seed: Callable[[], int],
    description: str = "",
    expect_failure: object = None,
) -> TestCase:
    """The test case that `config` and `failure_config` describe.

    `source` names in errors where they come from; `draw_seed` is called once for each seed that is left out.
    Raises InputError.
    """
    top = Field(source, "")
    if not isinstance(config, Config):
        top.within("config").fail("a Config", config)
    if not isinstance(failure_config, FailureConfig):
        top.within("failure_config").fail("a FailureConfig", failure_config)
    at = top.within("config")
    failures_at = top.within("failure_config")
    n = at.within("num_replicas").integer(config.num_replicas, low=1, high=MAX_REPLICAS)
    drawn = [field for field, seed in (("seed", config.seed), ("failure_seed", failure_config.seed)) if seed is None]
    return TestCase(
        name=name,
        description=description,
        num_replicas=n,
        num_faulty=at.within("num_faulty").integer(config.num_faulty, low=0, high=n),
        workloads=tuple(
            _workload(place, workload)
            for place, workload in at.within("workloads").items(config.workloads, "a list of Workload")
        ),
        delay_bound_s=at.within("transmission_delay_bound").positive(config.transmission_delay_bound),
        latencies=latencies(at.within("latency"), config.latency, n),
        block_size=_block_size(at.within("block_size"), config.block_size),
        seed=_seed(at.within("seed"), config.seed, draw_seed),
        failures=tuple(
            _failure(place, failure, n)
            for place, failure in failures_at.within("failures").items(failure_config.failures, "a list of Failure")
        ),
        failure_seed=_seed(failures_at.within("seed"), failure_config.seed, draw_seed),
        drawn_seeds=tuple(drawn),
        expect_failure=_expectation(top.within("expect_failure"), expect_failure),
    )


def _block_size(at: Field, value: object) -> int | None:
    """How many requests a block holds at most; None: as many as usual."""
    return None if value is None else at.integer(value, low=1, high=MAX_BLOCK_SIZE)


def _seed(at: Field, value: object, draw_seed: Callable[[], int]) -> int | float:
    if value is None:
        return draw_seed()
    if not is_number(value):
        at.fail("a number or None", value)
    return value


def _expectation(at: Field, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _FAILURE_NAME.fullmatch(value):
        at.fail("None or the name of a kind of failure, such as 'agreement'", value)
    return value


def _workload(at: Field, workload: object) -> WorkloadSpec:
    if not isinstance(workload, Workload):
        at.fail("a Workload", workload)
    type_ = _member(at.within("type"), WorkloadType, workload.type)
    count = at.within("count").integer(workload.count, low=0, high=MAX_REQUESTS)
    delays_at = at.within("delays")
    delays = tuple(
        place.not_negative(delay) for place, delay in delays_at.items(workload.delays, "a list of numbers of seconds")
    )
    pauses = max(count - 1, 0)
    if type_ is WorkloadType.timed and not pauses <= len(delays) <= count + 1:
        delays_at.fail(f"a list of {pauses} to {count + 1} pauses for {count} timed requests", workload.delays)
    return WorkloadSpec(
        type=type_,
        count=count,
        num_clients=at.within("num_clients").integer(workload.num_clients, low=0, high=MAX_REQUESTS),
        timeout_s=_timeout(at.within("timeout"), workload.timeout, type_),
        delays_s=delays[:pauses] if type_ is WorkloadType.timed else (),
    )


def _timeout(at: Field, value: object, type_: WorkloadType) -> float | None:
    if value is not None:
        return at.positive(value)
    return None if type_ is WorkloadType.retransmit else DEFAULT_TIMEOUT_S


def _member(at: Field, enum: type[_E], value: object) -> _E:
    """The member of a string enumeration that is meant, given itself or as its value."""
    for member in enum:
        if isinstance(value, str) and value == member.value:
            return member
    names = ", ".join(f"{enum.__name__}.{member.name}" for member in enum)
    return at.fail(f"one of {names}", value)


def _failure(at: Field, failure: object, n: int) -> FailureRule:
    if not isinstance(failure, Failure):
        at.fail("a Failure", failure)
    return FailureRule(
        src=_endpoint(at.within("src"), failure.src, n),
        dest=_endpoint(at.within("dest"), failure.dest, n),
        msg_type=_message_type(at.within("msg_type"), failure.msg_type),
        rounds=_rounds(at.within("round"), failure.round),
        prob=_probability(at.within("prob"), failure.prob),
        action=_action(at, failure, n),
        written=call(failure),
    )


def _endpoint(at: Field, value: object, n: int) -> RuleEndpoint:
    if isinstance(value, str):
        if value == Special.LEADER:
            return Special.LEADER
        if value in _WILDCARDS:
            return Special.ANY
    replica = replica_of(value, n)
    if replica is None:
        at.fail(f"{replicas_in_words(n)}, 'leader' or '_'", value)
    return replica


def _message_type(at: Field, value: object) -> MsgType:
    if value == Special.ANY.value:
        return MsgType.Wildcard
    return _member(at, MsgType, value)


def _rounds(at: Field, value: object) -> Rounds | None:
    """The rounds of a failure: None for all, a range as it is (it may be huge), else a set of round numbers."""
    if isinstance(value, str) and value in _WILDCARDS:
        return None
    if is_integer(value) and value >= 0:
        return frozenset((value,))
    if isinstance(value, range):
        if value and min(value[0], value[-1]) < 0:
            at.fail("rounds that are not negative", value)
        return value
    if isinstance(value, Container) and not isinstance(value, str | bytes | type):
        return frozenset(_rounds_in(at, value))
    return at.fail("a container of rounds, a round, or '_'", value)


def _rounds_in(at: Field, container: Container[object]) -> Iterable[int]:
    """The rounds in a container; one that cannot be listed is asked for each round up to MAX_ASKED_ROUND."""
    if isinstance(container, Collection):
        for round_ in container:
            if not is_integer(round_) or round_ < 0:
                at.fail("rounds (whole numbers, not negative)", round_)
            yield round_
        return
    try:
        yield from [round_ for round_ in range(MAX_ASKED_ROUND + 1) if round_ in container]
    except Exception as error:
        raise InputError(
            f"{at.source}: {at.field}: must be a container of rounds, but asking {shown(container)} "
            f"gives {type(error).__name__}: {one_line(str(error))}"
        ) from error


def _probability(at: Field, value: object) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        at.fail("a probability from 0 to 1", value)
    return float(value)


def _action(at: Field, failure: Failure, n: int) -> Action:
    match _fail_type(at, failure):
        case FailType.MsgLoss:
            return Lose()
        case FailType.Delay:
            delay = _number_in(failure.val)
            if delay is None or delay < 0:
                at.within("val").fail("the delay in seconds, not negative", failure.val)
            return DelayBy(float(delay))
        case FailType.SetAttr:
            return _set_attribute(at, failure, n)
        case _ as unreachable:
            assert_never(unreachable)


def _fail_type(at: Field, failure: Failure) -> FailType:
    if failure.fail_type is not None:
        return _member(at.within("fail_type"), FailType, failure.fail_type)
    if failure.attr is not None:
        return FailType.SetAttr
    return FailType.MsgLoss if failure.val is None else FailType.Delay


def _set_attribute(at: Field, failure: Failure, n: int) -> SetsAttribute:
    attribute = _ATTRIBUTES.get(failure.attr) if isinstance(failure.attr, str) else None
    if attribute is None:
        at.within("attr").fail(f"one of {', '.join(map(repr, _ATTRIBUTES))}", failure.attr)
    if attribute == "duplicate_transactions":
        return SetsAttribute(attribute, _switch(at.within("val"), failure.val))
    number = _number_in(failure.val)
    whole = int(number) if number is not None and number == int(number) else None
    if attribute == "leader":
        leader = replica_of(failure.val if whole is None else whole, n)
        if leader is None:
            at.within("val").fail(replicas_in_words(n), failure.val)
        return SetsAttribute(attribute, leader)
    if whole is None or not -MAX_SET_ROUND < whole < MAX_SET_ROUND:
        at.within("val").fail("a round (a whole number below 2**61)", failure.val)
    # No round is below that of genesis, so a negative one forgets as much as 0 does.
    return SetsAttribute(attribute, max(whole, 0))


def _switch(at: Field, value: object) -> int:
    """1 for on, as nothing is, and 0 for off."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        value = value.lower() == "true"
    switch = value if value is None or isinstance(value, bool) else _number_in(value)
    if switch not in (None, 0, 1):
        at.fail("True or False", value)
    return 1 if switch is None else int(switch)


def _number_in(value: object) -> int | float | None:
    """The finite number that this is or, as a string, spells; None if it is none."""
    if isinstance(value, str):
        for convert in (int, float):
            try:
                value = convert(value)
            except ValueError:
                continue
            break
    return value if is_number(value) else None
