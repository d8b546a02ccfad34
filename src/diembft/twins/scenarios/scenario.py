"""A Twins scenario: who leads and who can talk to whom, round by round.

The value that generators write, the executor runs, shrinking reduces and strategies draw. Rounds count from
1: ``rounds[i]`` scripts round i + 1, and ``gst`` is such an index too. A *replica* is an id and a key, a *node*
is a running copy of it: ``a`` and its twin ``a'`` are two nodes of the replica ``a``. Node numbers follow
``Scenario.nodes``: first the replicas, then the twins.

Making a ``Scenario`` checks it and brings it to normal form, so that equal meaning is equal value: nodes and
sets of a partition in node order, no empty sets, a leader written as a twin becomes its replica, exceptions
sorted and once each. Wrong input raises ``InputError`` with the field and the value.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import permutations
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from diembft.errors import InputError
from diembft.protocols.by_name import DEFAULT_PROTOCOL as DEFAULT_PROTOCOL
from diembft.protocols.cast import replica_of as replica_of

NodeSets: TypeAlias = tuple[tuple[str, ...], ...]
"""Sets of node names; a message passes only inside a set."""

MessageType: TypeAlias = Literal["proposal", "timeout", "vote", "*"]
"""What an exception can name; ``*`` is every message between replicas, sync included."""

Model: TypeAlias = Literal["timed", "barrier", "two-phase", "lazy"]
"""The network model a scenario is meant for; ``timed`` is the executor's own: constant delay, virtual time."""

MESSAGE_TYPES: Final[tuple[MessageType, ...]] = get_args(MessageType)
MODELS: Final[tuple[Model, ...]] = get_args(Model)

ANY: Final = "_"
_ANY_FIRST: Final = -1
"""Where ANY stands among the numbers of nodes when exceptions are sorted."""
DEFAULT_DELAY_BOUND_S: Final = 0.8
DEFAULT_TIMEOUT_S: Final = 30.0
SUFFIX_ROUNDS: Final = 7
"""Rounds of full synchrony that a generated scenario ends with, so that liveness can be judged."""

_REPLICA_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_INTERCHANGEABLE: Final = 7
_PROTOCOL_NAME: Final = re.compile(r"[\w-]+|\w+(\.\w+)*:\w+")
_BUG_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


class Drop(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True, cache_hash=True):
    """An exception: messages from ``src`` to ``dst`` (nodes, or ``_`` for any) dropped inside their set."""

    src: str
    dst: str
    msg_type: MessageType


class Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, cache_hash=True):
    """What a richer network model decides in a round; each field's default leaves it to the model.

    - ``timeout_partition``: timeouts pass by this partition, proposals and votes by the round's own;
    - ``timers``: ``early`` fires them before the proposals arrive, ``late`` after;
    - ``order``: ``reversed`` delivers what goes to several twins in reversed order;
    - ``undelivered``: what the partition holds back is dropped, or delayed until the receiver leaves the round;
    - ``crash``, ``restart``: nodes that stop as the round begins, and nodes that start again with what they had
      persisted. A node in both stops and starts at once, and stays stopped otherwise until it is restarted.
    """

    timeout_partition: NodeSets | None = None
    timers: Literal["early", "late"] | None = None
    order: Literal["reversed"] | None = None
    undelivered: Literal["drop", "delay"] | None = None
    crash: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


NO_EXTRAS: Final = Extras()


class Round(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, cache_hash=True):
    """One round: the replica that leads (all its copies do), the partition of the nodes, the exceptions."""

    leader: str
    partition: NodeSets
    exceptions: tuple[Drop, ...] = ()
    extras: Extras = NO_EXTRAS


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
        _check_cast(self.replicas, self.twins)
        _check_settings(self)
        cast = (self.replicas, self.twins)
        rounds = tuple(_normal_round_at(cast, i, r) for i, r in enumerate(self.rounds))
        _check_crashes(rounds)
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
        while index > self.gst and _is_undisturbed(self.rounds[index - 1]):
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
    while gst > max(0, len(rounds) - SUFFIX_ROUNDS) and _is_undisturbed(rounds[gst - 1]):
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


def _check_cast(replicas: tuple[str, ...], twins: tuple[str, ...]) -> None:
    if not replicas:
        raise InputError("replicas: there is none")
    for name in replicas:
        if not _REPLICA_NAME.fullmatch(name):
            raise InputError(f"replicas: {name!r} is no name for a replica (letters, digits, _ . -)")
    for twin in twins:
        if replica_of(twin) == twin or replica_of(twin) not in replicas:
            raise InputError(f"twins: {twin!r} is not a replica's name with an apostrophe")
    _refuse_repeats("replicas", replicas)
    _refuse_repeats("twins", twins)


def _check_settings(scenario: Scenario) -> None:
    if not 0 <= scenario.gst <= len(scenario.rounds):
        raise InputError(f"gst: {scenario.gst} is not between 0 and the number of rounds, {len(scenario.rounds)}")
    for field, seconds in (("transmission_delay_bound", scenario.delay_bound_s), ("timeout", scenario.timeout_s)):
        if not (math.isfinite(seconds) and seconds > 0):
            raise InputError(f"{field}: {seconds!r} is not a positive number of seconds")
    if not math.isfinite(scenario.seed):
        raise InputError(f"seed: {scenario.seed!r} is not a number")
    if not _PROTOCOL_NAME.fullmatch(scenario.protocol):
        raise InputError(f"protocol: {scenario.protocol!r} is neither a short name nor module:attribute")
    if scenario.model not in MODELS:
        raise InputError(f"model: {scenario.model!r} is none of {', '.join(MODELS)}")
    for bug in scenario.bugs:
        if not _BUG_NAME.fullmatch(bug):
            raise InputError(f"bugs: {bug!r} is no name of a bug")


def _refuse_repeats(field: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{field}: {name!r} is there twice")
        seen.add(name)


def _normal_round_at(cast: tuple[tuple[str, ...], tuple[str, ...]], index: int, round_: Round) -> Round:
    try:
        return _normal_round(cast, round_)
    except InputError as error:
        raise InputError(f"rounds[{index}].{error}") from None


@lru_cache(maxsize=1 << 16)
def _normal_round(cast: tuple[tuple[str, ...], tuple[str, ...]], round_: Round) -> Round:
    """The round checked and in normal form; cached, so that equal rounds are one object."""
    replicas, twins = cast
    number = {name: i for i, name in enumerate(replicas + twins)}
    if round_.leader not in number:
        raise InputError(f"leader: {round_.leader!r} is no replica")
    partition = _normal_partition("partition", number, round_.partition)
    for drop in round_.exceptions:
        for end in (drop.src, drop.dst):
            if end != ANY and end not in number:
                raise InputError(f"exceptions: {end!r} is neither a node nor '_'")
        if drop.msg_type not in MESSAGE_TYPES:
            raise InputError(f"exceptions: {drop.msg_type!r} is none of {', '.join(MESSAGE_TYPES)}")
    return Round(
        replica_of(round_.leader),
        partition,
        tuple(
            sorted(
                set(round_.exceptions),
                key=lambda d: (
                    number.get(d.src, _ANY_FIRST),
                    number.get(d.dst, _ANY_FIRST),
                    MESSAGE_TYPES.index(d.msg_type),
                ),
            )
        ),
        _normal_extras(number, partition, round_.extras),
    )


def _normal_partition(field: str, number: Mapping[str, int], partition: NodeSets) -> NodeSets:
    named = [name for group in partition for name in group]
    for name in named:
        if name not in number:
            raise InputError(f"{field}: {name!r} is no node")
    _refuse_repeats(field, named)
    for name in number:
        if name not in named:
            raise InputError(f"{field}: {name!r} is in no set")
    groups = (tuple(sorted(group, key=number.__getitem__)) for group in partition if group)
    return tuple(sorted(groups, key=lambda group: number[group[0]]))


def _normal_extras(number: Mapping[str, int], partition: NodeSets, extras: Extras) -> Extras:
    if extras == NO_EXTRAS:
        return NO_EXTRAS
    timeouts = extras.timeout_partition
    if timeouts is not None:
        timeouts = _normal_partition("timeout_partition", number, timeouts)
    choices: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
        ("timers", extras.timers, ("early", "late")),
        ("order", extras.order, ("reversed",)),
        ("undelivered", extras.undelivered, ("drop", "delay")),
    )
    for field, value, allowed in choices:
        if value is not None and value not in allowed:
            raise InputError(f"{field}: {value!r} is none of {', '.join(allowed)}")
    for field, names in (("crash", extras.crash), ("restart", extras.restart)):
        _refuse_repeats(field, names)
        for name in names:
            if name not in number:
                raise InputError(f"{field}: {name!r} is no node")
    return msgspec.structs.replace(
        extras,
        timeout_partition=None if timeouts == partition else timeouts,
        crash=tuple(sorted(extras.crash, key=number.__getitem__)),
        restart=tuple(sorted(extras.restart, key=number.__getitem__)),
    )


def _check_crashes(rounds: tuple[Round, ...]) -> None:
    down: set[str] = set()
    for index, round_ in enumerate(rounds):
        extras = round_.extras
        if not extras.crash and not extras.restart:
            continue
        for name in extras.crash:
            if name in down:
                raise InputError(f"rounds[{index}].crash: {name!r} is down already")
        down.update(extras.crash)
        for name in extras.restart:
            if name not in down:
                raise InputError(f"rounds[{index}].restart: {name!r} is not down")
        down.difference_update(extras.restart)


def _is_undisturbed(round_: Round) -> bool:
    extras = round_.extras
    return (
        sum(1 for group in round_.partition if group) == 1
        and not round_.exceptions
        and extras.timeout_partition in (None, round_.partition)
        and extras.timers != "early"
        and not extras.crash
    )
