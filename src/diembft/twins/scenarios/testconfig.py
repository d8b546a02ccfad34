"""The types that the seed's generator and executor files are written in.

Such a file begins with ``from testconfig import *`` or ``from src.testconfig import *``; both names mean
this module. The values are as loose as the files are: ``diembft.twins.scenarios.scenario_files`` checks them and makes
``diembft.twins.scenarios.scenario.Scenario`` values of them. The names are the seed's, so they stay, also where another
module has the same.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Except", "GenConfig", "MsgType", "Round", "TestConfig"]


class MsgType(StrEnum):  # the seed's name; testcase/types.py has another of this name, for configs/
    """The type of message that an exception drops; ``Wildcard`` covers every type, sync included."""

    Proposal = "proposal"
    TimeOut = "timeout"
    Vote = "vote"
    Wildcard = "*"


class Except(NamedTuple):
    """A message dropped inside a set: from ``src`` to ``dst`` (node names, or ``_`` for any node)."""

    src: str
    dst: str
    msg_type: MsgType | str


class Round(NamedTuple):  # the seed's name; scenario.Round is what becomes of it
    """What happens in one round: who leads, who can talk to whom, and what is dropped all the same.

    ``extras`` is an extension: the keys of ``diembft.twins.scenarios.scenario.Extras``, for richer network models.
    """

    leader: str
    partition: Sequence[Collection[str]]
    exceptions: Sequence[Except] = ()
    extras: Mapping[str, object] | None = None


class TestConfig(NamedTuple):
    """One scenario for the executor; ``rounds[i]`` scripts round i + 1, and ``gst`` counts likewise.

    ``transmission_delay_bound`` and ``timeout`` are seconds. Without ``gst`` the last seven rounds are
    synchronous; ``bugs`` are names of planted bugs.
    """

    replicas: Sequence[str]
    twins: Sequence[str]
    rounds: Sequence[Round]
    transmission_delay_bound: float
    seed: float
    name: str
    timeout: float
    gst: int | None = None
    bugs: Collection[str] | None = ()


class GenConfig(NamedTuple):
    """What the seed's generator is asked for; ``seed_generator`` beside this file has each field's meaning."""

    tests: int
    R: int
    P: int
    K: int
    C: int
    L: int
    E: int
    N: int
    F: int
    random_partitions: bool
    random_leaders: bool
    random_configurations: bool
    allow_non_faulty_leaders: bool
    allow_quorumless_partitions: bool
    out_file: str
    seed: int = 0
