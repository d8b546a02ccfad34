"""One round of a Twins scenario: who leads, who can talk to whom, checked and in normal form."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from diembft.errors import InputError, in_one_line, require_one_of, require_types
from diembft.protocols.cast import replica_of

NodeSets: TypeAlias = tuple[tuple[str, ...], ...]
"""Sets of node names; a message passes only inside a set."""

MessageType: TypeAlias = Literal["proposal", "timeout", "vote", "*"]
"""What an exception can name; ``*`` is every message between replicas, sync included."""

MESSAGE_TYPES: Final[tuple[MessageType, ...]] = get_args(MessageType)

ANY: Final = "_"
_ANY_FIRST: Final = -1
"""Where ANY stands among the numbers of nodes when exceptions are sorted."""


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


# --- checking and normal form ---


def refuse_repeats(field: str, names: Sequence[str]) -> None:
    """Raise InputError if a name is there twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{field}: {name!r} is there twice")
        seen.add(name)


def normal_round_at(cast: tuple[tuple[str, ...], tuple[str, ...]], index: int, round_: Round) -> Round:
    """The round of this index in normal form. Raises InputError for what is wrong with it."""
    if type(round_) is not Round:
        raise InputError(f"rounds[{index}]: {in_one_line(round_)} is no Round")
    try:
        return _normal_round(cast, round_)
    except InputError as error:
        raise InputError(f"rounds[{index}].{error}") from None
    except TypeError:  # something in it has no hash, such as a list
        return _normal_round(cast, _of_tuples(index, round_))


def _of_tuples(index: int, round_: Round) -> Round:
    """The round with tuples where there were lists. Raises InputError if there was something else."""
    try:
        return msgspec.convert(msgspec.to_builtins(round_), Round)
    except (msgspec.ValidationError, TypeError, RecursionError) as error:
        raise InputError(f"rounds[{index}]: {in_one_line(round_)}: {error}") from None


_CHOICES: Final = (("timers", ("early", "late")), ("order", ("reversed",)), ("undelivered", ("drop", "delay")))


def _check_round(round_: Round) -> None:
    """Raises InputError for what is of a wrong type."""
    require_types(round_)
    for drop in round_.exceptions:
        require_one_of(drop.msg_type, MESSAGE_TYPES, "exceptions")
        require_types(drop)
    for field, allowed in _CHOICES:
        value = getattr(round_.extras, field)
        if value is not None:
            require_one_of(value, allowed, field)
    require_types(round_.extras)


@lru_cache(maxsize=1 << 16)
def _normal_round(cast: tuple[tuple[str, ...], tuple[str, ...]], round_: Round) -> Round:
    """The round checked and in normal form; cached, so that equal rounds are one object."""
    _check_round(round_)
    replicas, twins = cast
    number = {name: i for i, name in enumerate(replicas + twins)}
    if round_.leader not in number:
        raise InputError(f"leader: {round_.leader!r} is no replica")
    partition = _normal_partition("partition", number, round_.partition)
    for drop in round_.exceptions:
        for end in (drop.src, drop.dst):
            if end != ANY and end not in number:
                raise InputError(f"exceptions: {end!r} is neither a node nor '_'")
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
    refuse_repeats(field, named)
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
    for field, names in (("crash", extras.crash), ("restart", extras.restart)):
        refuse_repeats(field, names)
        for name in names:
            if name not in number:
                raise InputError(f"{field}: {name!r} is no node")
    return msgspec.structs.replace(
        extras,
        timeout_partition=None if timeouts == partition else timeouts,
        crash=tuple(sorted(extras.crash, key=number.__getitem__)),
        restart=tuple(sorted(extras.restart, key=number.__getitem__)),
    )


def check_crashes(rounds: tuple[Round, ...]) -> None:
    """Raise InputError if a node crashes that is down, or restarts that runs."""
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


def is_undisturbed(round_: Round) -> bool:
    """Whether all can talk to all, and nothing else happens."""
    extras = round_.extras
    return (
        sum(1 for group in round_.partition if group) == 1
        and not round_.exceptions
        and extras.timeout_partition in (None, round_.partition)
        and extras.timers != "early"
        and not extras.crash
    )
