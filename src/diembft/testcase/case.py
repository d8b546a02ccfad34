"""A test case as every driver takes it: validated, normalised, frozen.

`validate.normalise` makes these values from what a configuration file says; all liberties of the format (a
replica as a name or an index, one round or a container, a failure type left out) are resolved by then.
"""

from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Struct

from diembft.consensus.config import max_faulty
from diembft.testcase.latency import LOCAL_NETWORK, Latencies
from diembft.testcase.types import MsgType, WorkloadType


class Special(StrEnum):
    """An endpoint that is not one fixed replica. The values are the format's spelling."""

    LEADER = "leader"
    """The leader of the message's round; for the destination of a vote, that of the next round."""
    ANY = "_"
    """Everyone."""


RuleEndpoint: TypeAlias = int | Special
"""The sender or receiver that a failure matches: the index of a replica, or a `Special`."""

Attribute: TypeAlias = Literal[
    "highest_vote_round", "highest_qc_round", "current_round", "leader", "duplicate_transactions"
]
"""What a SetAttr can set in a replica: `leader` to the index of a replica, `duplicate_transactions` to 1 or 0, the
others to a round."""


Rounds: TypeAlias = range | frozenset[int]
"""The rounds that a failure matches; a range may be huge."""


class Lose(Struct, frozen=True, tag=True):
    """The message is lost."""


class DelayBy(Struct, frozen=True, tag=True):
    """The message takes so much longer than the network's own delay."""

    delay_s: float


class SetsAttribute(Struct, frozen=True, tag=True):
    """The sender's attribute is set: from then on the sender is Byzantine."""

    attribute: Attribute
    value: int


Action: TypeAlias = Lose | DelayBy | SetsAttribute
"""What a failure does when it strikes."""


class FailureRule(Struct, frozen=True):
    """One failure: it strikes each message that matches with probability `prob`, independently."""

    src: RuleEndpoint
    dest: RuleEndpoint
    msg_type: MsgType
    rounds: Rounds | None
    """None: every round."""
    prob: float
    action: Action
    written: str = ""
    """The failure as the file has it, for reports."""


class WorkloadSpec(Struct, frozen=True):
    """`count` requests for each of `num_clients` clients, to be complete `timeout_s` seconds after they start."""

    type: WorkloadType
    count: int
    num_clients: int
    timeout_s: float | None
    """None: as long as it needs, up to a limit of the driver's."""
    delays_s: tuple[float, ...]
    """For `timed`: one pause after each request but the last (`count` - 1 of them). Empty otherwise."""


class TestCase(Struct, frozen=True, kw_only=True):
    """One test case: the system, what its clients do, what goes wrong, and the seeds that fix every choice."""

    __test__ = False  # the name begins with "Test", and pytest would collect it

    name: str
    description: str
    """The file's docstring, or else its first comment; may be empty."""
    num_replicas: int
    num_faulty: int
    """How many replicas the case's author means to be faulty. What is tolerated follows from `num_replicas`."""
    workloads: tuple[WorkloadSpec, ...]
    delay_bound_s: float
    """How long a message may take; timers are derived from it, and nothing else."""
    seed: int | float
    failures: tuple[FailureRule, ...]
    failure_seed: int | float
    latencies: Latencies = LOCAL_NETWORK
    """How long messages take."""
    block_size: int | None = None
    """How many requests a block holds at most; None: as many as usual."""
    drawn_seeds: tuple[str, ...] = ()
    """Which of the seeds (`seed`, `failure_seed`) the file left out, so that they were drawn: report them."""
    expect_failure: str | None = None
    """The kind of failure (`outcome.CaseReason.kind`) that the case must show in order to pass; None: none."""

    @property
    def max_faulty(self) -> int:
        """f: how many Byzantine replicas the system tolerates, from `num_replicas` alone."""
        return max_faulty(self.num_replicas)
