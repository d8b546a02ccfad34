"""The vocabulary that a test configuration (`configs/NAME.da`) is written in.

These are the seed's names, fields, order of fields and defaults. A file begins with `from config import *`,
and `src/config.da` re-exports this module under that name. Nothing here is validated: the types hold what a
user wrote, and `validate` judges it.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias, TypeVar

from diembft.testcase.wording import shown

__all__ = [
    "Config",
    "FailType",
    "Failure",
    "FailureConfig",
    "MsgType",
    "Workload",
    "WorkloadType",
]

_T = TypeVar("_T", bound=NamedTuple)

Latency: TypeAlias = float | tuple[float, float]
"""Seconds, constant or drawn evenly from (low, high)."""


def _call_error(
    name: str, fields: Sequence[str], required: int, args: Sequence[object], kwargs: Mapping[str, object]
) -> str:
    """What is wrong with a call of the named tuple `name`, naming the field and the value; or the empty string."""
    if len(args) > len(fields):
        extra = ", ".join(shown(value) for value in args[len(fields) :])
        return f"{name}: a field too many: {extra} (its fields are {', '.join(fields)})"
    given = fields[: len(args)]
    for field, value in kwargs.items():
        if field not in fields:
            return f"{name}: no such field: {field}={shown(value)} (its fields are {', '.join(fields)})"
        if field in given:
            return f"{name}: {field} is given twice, once by position: {field}={shown(value)}"
    for field in fields[len(args) : required]:
        if field not in kwargs:
            return f"{name}: {field} is missing"
    return ""


def _clear_errors(cls: type[_T]) -> type[_T]:
    """Make the constructor of a named tuple name the field and the value that a user got wrong."""
    construct: Callable[..., _T] = cls.__new__
    fields = cls._fields
    required = len(fields) - len(cls._field_defaults)

    def new(cls_: type[_T], *args: Any, **kwargs: Any) -> _T:
        if error := _call_error(cls_.__name__, fields, required, args, kwargs):
            raise TypeError(error)
        return construct(cls_, *args, **kwargs)

    # The class statement of a NamedTuple refuses a __new__ of its own.
    cls.__new__ = new  # type: ignore[method-assign, assignment]
    return cls


class WorkloadType(StrEnum):
    """How a client sends its requests."""

    retransmit = "retransmit"
    """Waits for f + 1 equal replies before the next request; sends again with exponential backoff."""
    flood = "flood"
    """All at once, nothing is sent again."""
    timed = "timed"
    """Request i, then `delays[i]` seconds, then the next; nothing is sent again."""


class MsgType(StrEnum):  # the seed's name; twins/scenarios/testconfig.py has another of this name, for its own files
    """The messages that a failure can match. The values are also the message kinds that drivers pass."""

    Proposal = "proposal"
    TimeOut = "timeout"
    Vote = "vote"
    Wildcard = "*"
    """All messages between replicas, those of sync and relayed requests included; none of the clients' messages."""
    # Our extension: the messages of sync, relayed requests, and the messages of clients, by their own types.
    SyncInfo = "sync_info"
    BlockRequest = "block_request"
    BlockResponse = "block_response"
    Relay = "relay"
    Request = "request"
    Reply = "reply"


class FailType(StrEnum):
    """What a failure does to a message that it matches."""

    MsgLoss = "msg_loss"
    Delay = "delay"
    SetAttr = "set_attr"
    """Byzantine: sets an attribute of the message's *sender*."""


@_clear_errors
class Workload(NamedTuple):
    """`count` transactions for each of `num_clients` clients."""

    type: WorkloadType
    count: int  # type: ignore[assignment]  # the seed's name, which hides tuple.count
    num_clients: int
    timeout: float | None = None
    """Seconds after which the whole workload has failed. Left out: 1; for `retransmit` as long as it needs."""
    delays: Sequence[float] = []  # the seed's default; validation copies it and nothing changes it
    """Seconds, for `timed` only."""


@_clear_errors
class Config(NamedTuple):
    """The system under test and what its clients do."""

    num_replicas: int
    num_faulty: int
    workloads: Sequence[Workload]
    transmission_delay_bound: float
    """Seconds: how long a message may take. Timers are derived from it, and nothing else."""
    seed: float | None = None
    # Our extensions:
    latency: Latency | Mapping[str | int | tuple[str | int, str | int], Latency] | None = None
    """Seconds that messages take: constant or (low, high), for all links; or by replica, by (sender, receiver), and
    `'_'` for the rest. Left out: what they take in a local network."""
    block_size: int | None = None
    """How many requests a block holds at most; left out: 1,000."""


@_clear_errors
class Failure(NamedTuple):
    """One rule: which messages it matches, how probably it strikes, and what it then does."""

    src: str | int
    """`'replica0'` or 0, `'leader'`, or the wildcard `'_'`."""
    dest: str | int
    msg_type: MsgType
    round: Container[int] | int | str
    """Any container of rounds, one round, or the wildcard."""
    prob: float
    fail_type: FailType | None = None
    """Left out: `attr` given means SetAttr, only `val` means Delay, neither means MsgLoss."""
    val: float | str | None = None
    """Seconds for Delay; for SetAttr a number, a numeric string, a replica, or True or False."""
    attr: str | None = None


@_clear_errors
class FailureConfig(NamedTuple):
    """The failures injected into a run, and the seed of every probabilistic choice among them."""

    failures: Sequence[Failure]
    seed: float | None = None
