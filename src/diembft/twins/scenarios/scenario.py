"""A Twins scenario: who leads and who can talk to whom, round by round.

The value that generators write, the executor runs, shrinking reduces and strategies draw. Rounds count from
1: ``rounds[i]`` scripts round i + 1, and ``gst`` is such an index too. A *replica* is an id and a key, a *node*
is a running copy of it: ``a`` and its twin ``a'`` are two nodes of the replica ``a``. Node numbers follow
``Scenario.nodes``: first the replicas, then the twins.

Making a ``Scenario`` checks it and brings it to normal form, so that equal meaning is equal value: nodes and
sets of a partition in node order, no empty sets, a leader written as a twin becomes its replica, exceptions
sorted and once each. Wrong input raises ``InputError`` with the field and the value.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import permutations
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from diembft.errors import (
    InputError,
    in_one_line,
    is_finite,
    require_names,
    require_type,
)
from diembft.protocols.by_name import DEFAULT_PROTOCOL as DEFAULT_PROTOCOL
from diembft.protocols.cast import replica_of as replica_of
from diembft.twins.scenarios.rounds import ANY as ANY
from diembft.twins.scenarios.rounds import MESSAGE_TYPES as MESSAGE_TYPES
from diembft.twins.scenarios.rounds import NO_EXTRAS as NO_EXTRAS
from diembft.twins.scenarios.rounds import Drop as Drop
from diembft.twins.scenarios.rounds import Extras as Extras
from diembft.twins.scenarios.rounds import MessageType as MessageType
from diembft.twins.scenarios.rounds import NodeSets as NodeSets
from diembft.twins.scenarios.rounds import Round as Round
from diembft.twins.scenarios.rounds import check_crashes, is_undisturbed, normal_round_at, refuse_repeats

Model: TypeAlias = Literal["timed", "barrier", "two-phase", "lazy"]
"""The network model a scenario is meant for; ``timed`` is the executor's own: constant delay, virtual time."""

MODELS: Final[tuple[Model, ...]] = get_args(Model)

DEFAULT_DELAY_BOUND_S: Final = 0.8
DEFAULT_TIMEOUT_S: Final = 30.0
SUFFIX_ROUNDS: Final = 7
"""Rounds of full synchrony that a generated scenario ends with, so that liveness can be judged."""

_REPLICA_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_INTERCHANGEABLE: Final = 7
_SHORTEST_S, _LONGEST_S = 1e-9, 1e10
"""Of delay bounds and timeouts."""
_PROTOCOL_NAME: Final = re.compile(r"[\w-]+|\w+(\.\w+)*:\w+")
_BUG_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A whole scenario, checked and in normal form (see the module's documentation).

    ``gst`` is the index of the first round of full synchrony, ``len(rounds)`` if that is after the script;
    ``timeout_s`` and ``delay_bound_s`` are seconds; ``bugs`` names planted bugs.

    >>> from diembft import Scenario
    >>> scenario = Scenario(replicas=("a", "b", "c", "d"), twins=("a'",), rounds=(), gst=0)
    >>> scenario.nodes
    ('a', 'b', 'c', 'd', "a'")
    """

    replicas: tuple[str, ...]
    twins: tuple[str, ...]
    rounds: tuple[Round, ...]
    gst: int
    delay_bound_s: float = DEFAULT_DELAY_BOUND_S
    timeout_s: float = DEFAULT_TIMEOUT_S
    bugs: tuple[str, ...] = ()
    name: str = ""
    seed: int | float = 0
    model: Model = "timed"
    protocol: str = DEFAULT_PROTOCOL
    """By its name in `diembft.protocols.by_name`."""

    def __post_init__(self) -> None:
        _check_types(self)
        _check_cast(self.replicas, self.twins)
        _check_settings(self)
        cast = (self.replicas, self.twins)
        rounds = tuple(normal_round_at(cast, i, r) for i, r in enumerate(self.rounds))
        check_crashes(rounds)
        msgspec.structs.force_setattr(self, "rounds", rounds)
        msgspec.structs.force_setattr(self, "bugs", tuple(sorted(set(self.bugs))))

    @property
    def nodes(self) -> tuple[str, ...]:
        """All copies: the replicas, then the twins. A node's number is its index here."""
        return self.replicas + self.twins

    @property
    def correct(self) -> tuple[str, ...]:
        """The replicas without a twin."""
        with_twin = {replica_of(twin) for twin in self.twins}
        return tuple(name for name in self.replicas if name not in with_twin)

    @property
    def max_faulty(self) -> int:
        """How many faulty replicas the protocol tolerates: f = (n - 1) // 3."""
        return (len(self.replicas) - 1) // 3

    @property
    def quorum(self) -> int:
        """Distinct replicas in a quorum: n - f."""
        return len(self.replicas) - self.max_faulty

    @property
    def too_many_twins(self) -> bool:
        """Whether more than f replicas have twins: outside the fault model, so that safety may break."""
        return len(self.replicas) - len(self.correct) > self.max_faulty

    @property
    def synchronous_from(self) -> int:
        """The index, at least ``gst``, from which on every scripted round is whole and undisturbed.

        A file may claim an earlier gst than its rounds keep; liveness is to be judged from here.
        """
        index = len(self.rounds)
        while index > self.gst and is_undisturbed(self.rounds[index - 1]):
            index -= 1
        return index


class RoundPlan(NamedTuple):
    """A round in node numbers, as an executor reads it. A bit mask has bit i set for node i.

    ``within[i]`` are the nodes in node i's set (itself included), ``timeouts_within`` the same for timeouts;
    ``dropped`` are the exceptions as (senders, receivers, type); ``has_quorum`` says whether some set holds a
    quorum of distinct replicas in the partition of proposals and votes, and ``timeouts_have_quorum`` in that of
    timeouts.
    """

    leader: int
    within: tuple[int, ...]
    timeouts_within: tuple[int, ...]
    dropped: tuple[tuple[int, int, MessageType], ...]
    has_quorum: bool
    timeouts_have_quorum: bool
    extras: Extras
    crash: int
    restart: int


def replica_names(count: int) -> tuple[str, ...]:
    """The names ``a``, ``b``, ... of generated scenarios; at most 26."""
    if not 1 <= count <= 26:
        raise InputError(f"replicas: {count} is not between 1 and 26")
    return tuple("abcdefghijklmnopqrstuvwxyz"[:count])


def whole_round(replicas: Sequence[str], twins: Sequence[str], leader: str) -> Round:
    """A synchronous round: every node in one set."""
    return Round(leader, ((*replicas, *twins),))


def default_gst(rounds: Sequence[Round]) -> int:
    """The gst of a scenario that states none: its last seven rounds, as far as they are synchronous."""
    gst = len(rounds)
    while gst > max(0, len(rounds) - SUFFIX_ROUNDS) and is_undisturbed(rounds[gst - 1]):
        gst -= 1
    return gst


def plans(scenario: Scenario) -> tuple[RoundPlan, ...]:
    """The rounds in node numbers. Equal rounds of one cast share one plan, so this is cheap in campaigns."""
    return tuple(plan(scenario.replicas, scenario.twins, round_) for round_ in scenario.rounds)


@lru_cache(maxsize=1 << 16)
def plan(replicas: tuple[str, ...], twins: tuple[str, ...], round_: Round) -> RoundPlan:
    """One round in node numbers; the round must be in normal form, as it is inside a ``Scenario``."""
    nodes = replicas + twins
    number = {name: i for i, name in enumerate(nodes)}
    everyone = (1 << len(nodes)) - 1

    def mask(names: Iterable[str]) -> int:
        return sum(1 << number[name] for name in names)

    def within(partition: NodeSets) -> tuple[int, ...]:
        masks = {name: mask(group) for group in partition for name in group}
        return tuple(masks[name] for name in nodes)

    quorum = len(replicas) - (len(replicas) - 1) // 3
    timeouts = round_.extras.timeout_partition or round_.partition
    return RoundPlan(
        leader=number[round_.leader],
        within=within(round_.partition),
        timeouts_within=within(timeouts),
        dropped=tuple(
            (
                everyone if drop.src == ANY else 1 << number[drop.src],
                everyone if drop.dst == ANY else 1 << number[drop.dst],
                drop.msg_type,
            )
            for drop in round_.exceptions
        ),
        has_quorum=holds_quorum(round_.partition, quorum),
        timeouts_have_quorum=holds_quorum(timeouts, quorum),
        extras=round_.extras,
        crash=mask(round_.extras.crash),
        restart=mask(round_.extras.restart),
    )


def holds_quorum(partition: NodeSets, quorum: int) -> bool:
    """Whether some set holds ``quorum`` distinct replicas; a replica and its twin count once."""
    return any(len({replica_of(name) for name in group}) >= quorum for group in partition)


def renamed(scenario: Scenario, names: Mapping[str, str]) -> Scenario:
    """The scenario with replicas renamed (twins follow their replica); ``names`` is a permutation."""

    def new(node: str) -> str:
        replica = replica_of(node)
        return names.get(replica, replica) + node[len(replica) :]

    return msgspec.structs.replace(
        scenario, rounds=tuple(rename_round(round_, {n: new(n) for n in scenario.nodes}) for round_ in scenario.rounds)
    )


def canonical(scenario: Scenario) -> Scenario:
    """The one of a scenario's renamings of correct replicas that stands for all of them.

    Whole scenarios are renamed, suffix included. Tries every renaming: ``InputError`` for more than 7 correct replicas.
    """
    correct = scenario.correct
    if len(correct) > _MAX_INTERCHANGEABLE:
        raise InputError(f"replicas: {len(correct)} interchangeable ones are too many for a canonical form")
    images = (renamed(scenario, dict(zip(correct, image, strict=True))) for image in permutations(correct))
    return min(images, key=lambda image: msgspec.json.encode(image.rounds))


def rename_round(round_: Round, new: Mapping[str, str]) -> Round:
    """A round with every node replaced by ``new[node]``, not brought to normal form."""
    extras = round_.extras
    if extras != NO_EXTRAS:
        timeouts = extras.timeout_partition
        extras = msgspec.structs.replace(
            extras,
            timeout_partition=timeouts and tuple(tuple(new[n] for n in group) for group in timeouts),
            crash=tuple(new[n] for n in extras.crash),
            restart=tuple(new[n] for n in extras.restart),
        )
    return Round(
        new[round_.leader],
        tuple(tuple(new[n] for n in group) for group in round_.partition),
        tuple(Drop(new.get(d.src, ANY), new.get(d.dst, ANY), d.msg_type) for d in round_.exceptions),
        extras,
    )


# --- checking and normal form ---

_WHOLE: Final = (int,)
_NUMBER: Final = (int, float)
_TYPES: Final[tuple[tuple[str, tuple[type, ...]], ...]] = (
    ("gst", _WHOLE),
    ("delay_bound_s", _NUMBER),
    ("timeout_s", _NUMBER),
    ("name", (str,)),
    ("seed", _NUMBER),
    ("model", (str,)),
    ("protocol", (str,)),
)


def _check_types(scenario: Scenario) -> None:
    """By hand, for scenarios are made in great numbers; rounds are looked at when they are brought to normal form."""
    for field, types in _TYPES:
        value = getattr(scenario, field)
        if type(value) not in types:
            require_type(value, types, field)
    for field in ("replicas", "twins", "bugs"):
        names = getattr(scenario, field)
        if type(names) is not tuple or any(type(name) is not str for name in names):
            msgspec.structs.force_setattr(scenario, field, require_names(names, field))
    if type(scenario.rounds) is not tuple:
        require_type(scenario.rounds, (tuple, list), "rounds")


@lru_cache(maxsize=1 << 10)
def _check_cast(replicas: tuple[str, ...], twins: tuple[str, ...]) -> None:
    if not replicas:
        raise InputError("replicas: there is none")
    for name in replicas:
        if not _REPLICA_NAME.fullmatch(name):
            raise InputError(f"replicas: {name!r} is no name for a replica (letters, digits, _ . -)")
    for twin in twins:
        if replica_of(twin) == twin or replica_of(twin) not in replicas:
            raise InputError(f"twins: {twin!r} is not a replica's name with an apostrophe")
    refuse_repeats("replicas", replicas)
    refuse_repeats("twins", twins)


def _check_settings(scenario: Scenario) -> None:
    if not 0 <= scenario.gst <= len(scenario.rounds):
        raise InputError(f"gst: {scenario.gst} is not between 0 and the number of rounds, {len(scenario.rounds)}")
    for field, seconds in (("transmission_delay_bound", scenario.delay_bound_s), ("timeout", scenario.timeout_s)):
        if not (is_finite(seconds) and seconds > 0):
            raise InputError(f"{field}: {in_one_line(seconds)} is not a positive number of seconds")
        if not _SHORTEST_S <= seconds <= _LONGEST_S:
            raise InputError(f"{field}: {seconds!r} is not between {_SHORTEST_S:g} and {_LONGEST_S:g} seconds")
    if isinstance(scenario.seed, float) and not is_finite(scenario.seed):
        raise InputError(f"seed: {scenario.seed!r} is not a number")
    if not _PROTOCOL_NAME.fullmatch(scenario.protocol):
        raise InputError(f"protocol: {scenario.protocol!r} is neither a short name nor module:attribute")
    if scenario.model not in MODELS:
        raise InputError(f"model: {scenario.model!r} is none of {', '.join(MODELS)}")
    for bug in scenario.bugs:
        if not _BUG_NAME.fullmatch(bug):
            raise InputError(f"bugs: {bug!r} is no name of a bug")
