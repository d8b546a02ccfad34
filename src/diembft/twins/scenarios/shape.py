"""The shape of scenarios, and the choices that it leaves for one round, counted and numbered.

A *choice* is what one round can be: a leader, a partition with exceptions and, in richer models, a partition of the
timeouts, the time of the timers, the order of delivery, a crash. Numbers depend on nothing but the shape.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Final, Literal

import msgspec

from diembft.errors import InputError
from diembft.twins.scenarios.partitions import Partitions, rank_subset, subset_count, unrank_subset
from diembft.twins.scenarios.scenario import (
    DEFAULT_PROTOCOL,
    MESSAGE_TYPES,
    NO_EXTRAS,
    SUFFIX_ROUNDS,
    Drop,
    Extras,
    MessageType,
    Model,
    NodeSets,
    Round,
    replica_names,
    whole_round,
)

TABLE: Final = 1 << 14
"""So many choices can be kept in a table: the rounds that they are, or how these are written."""


MOST: Final = 1_000
"""Rounds of a scenario, and exceptions in one of them, at most."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """The shape of scenarios, a value.

    - ``replicas``, ``faulty``: the first ``faulty`` replicas have a twin;
    - ``sets``, ``exactly``: a partition has up to ``sets`` sets, or exactly so many;
    - ``rounds``: scripted rounds, before the ``suffix`` synchronous ones;
    - ``leaders``: ``all`` replicas, only those with ``twins``, or only the ``correct`` ones;
    - ``quorum``: only partitions in which some set holds a quorum of distinct replicas;
    - ``drops``, ``drop_types``: a round has up to ``drops`` exceptions, each from one node to another of its set;
    - ``model``: ``two-phase`` adds a partition for timeouts, early timers and reversed order to a round's choices;
    - ``crashes``: a correct replica may crash, and start at once with what it had persisted, as a round begins;
    - ``bugs``, ``protocol``: names of planted bugs, and of the protocol, which say nothing about the shape.
    """

    replicas: int
    faulty: int
    sets: int
    rounds: int
    exactly: bool = False
    leaders: Literal["all", "twins", "correct"] = "all"
    quorum: bool = False
    drops: int = 0
    drop_types: tuple[MessageType, ...] = ("proposal", "timeout", "vote")
    model: Model = "timed"
    crashes: bool = False
    suffix: int = SUFFIX_ROUNDS
    bugs: tuple[str, ...] = ()
    protocol: str = DEFAULT_PROTOCOL

    def __post_init__(self) -> None:
        replica_names(self.replicas)
        limits = (("faulty", self.faulty, 0, self.replicas), ("sets", self.sets, 1, self.replicas + self.faulty))
        for field, value, low, high in limits:
            if not low <= value <= high:
                raise InputError(f"{field}: {value} is not between {low} and {high}")
        for field, value in (("rounds", self.rounds), ("drops", self.drops), ("suffix", self.suffix)):
            if not 0 <= value <= MOST:
                raise InputError(f"{field}: {value} is not between 0 and {MOST:,}")
        if self.rounds + self.suffix == 0:
            raise InputError("rounds: 0, and no suffix either")
        if not self.drop_types or len(set(self.drop_types)) < len(self.drop_types):
            raise InputError(f"drop_types: {self.drop_types!r} is empty or repeats a type")
        for kind in self.drop_types:
            if kind not in MESSAGE_TYPES:
                raise InputError(f"drop_types: {kind!r} is none of {', '.join(MESSAGE_TYPES)}")
        if not self.leader_names:
            raise InputError(f"leaders: {self.leaders!r}, but there are none with {self.faulty} faulty replicas")
        if self.choices == 0:
            raise InputError(f"sets: no partition into {self.sets} sets has a quorum")

    # --- the shape ---

    @cached_property
    def replica_names(self) -> tuple[str, ...]:
        """``a``, ``b``, ..."""
        return replica_names(self.replicas)

    @cached_property
    def twin_names(self) -> tuple[str, ...]:
        """``a'``, ..."""
        return tuple(f"{name}'" for name in self.replica_names[: self.faulty])

    @cached_property
    def leader_names(self) -> tuple[str, ...]:
        """The replicas that may lead a scripted round."""
        first = self.faulty if self.leaders == "correct" else 0
        end = self.faulty if self.leaders == "twins" else self.replicas
        return self.replica_names[first:end]

    @cached_property
    def suffix_rounds(self) -> tuple[Round, ...]:
        """The synchronous rounds at the end."""
        return (whole_round(self.replica_names, self.twin_names, self.replica_names[-1]),) * self.suffix

    @cached_property
    def _groups(self) -> Partitions:
        """Partitions for timeouts: without exceptions."""
        return self._partitions(None)

    @cached_property
    def _groups_with_drops(self) -> Partitions:
        """Partitions for proposals and votes, each as often as there are sets of exceptions for it."""
        if self.drops == 0:
            return self._groups
        kinds = len(self.drop_types)
        return self._partitions(
            lambda sizes: subset_count(sum(size * (size - 1) for size in sizes) * kinds, self.drops)
        )

    def _partitions(self, weight: Callable[[tuple[int, ...]], int] | None) -> Partitions:
        return Partitions(
            self.replicas,
            self.faulty,
            min_sets=self.sets if self.exactly else 1,
            max_sets=self.sets,
            quorum=self.replicas - (self.replicas - 1) // 3 if self.quorum else 0,
            weight=weight,
        )

    @cached_property
    def _radices(self) -> tuple[int, int, int, int, int, int]:
        """Number of leaders, partitions with exceptions, timeout partitions, timers, orders, crashes."""
        two_phase = self.model == "two-phase"
        return (
            len(self.leader_names),
            self._groups_with_drops.count,
            self._groups.count if two_phase else 1,
            2 if two_phase else 1,
            2 if two_phase else 1,
            1 + self.replicas - self.faulty if self.crashes else 1,
        )

    @cached_property
    def choices(self) -> int:
        """How many choices a round has."""
        return prod(self._radices)

    # --- one choice ---

    def choice(self, number: int) -> Round:
        """The round that a choice stands for; every call gives the same object while it is among the recent ones."""
        found = self._rounds.get(number)
        if found is None:
            if len(self._rounds) > 4 * TABLE:
                self._rounds.clear()
            found = self._rounds[number] = self._make_choice(number)
        return found

    @cached_property
    def _rounds(self) -> dict[int, Round]:
        return {}

    def _make_choice(self, number: int) -> Round:
        if not 0 <= number < self.choices:
            raise InputError(f"choice: {number} is not below {self.choices}")
        places: list[int] = []
        for radix in reversed(self._radices):
            number, place = divmod(number, radix)
            places.append(place)
        crash, order, timers, timeouts, groups, leader = places
        labels, drops = self._groups_with_drops.unrank(groups)
        partition = self._named(self._groups_with_drops.groups(labels))
        extras = NO_EXTRAS
        if self.model == "two-phase":
            second = self._named(self._groups.groups(self._groups.unrank(timeouts)[0]))
            extras = Extras(
                timeout_partition=None if second == partition else second,
                timers="early" if timers else None,
                order="reversed" if order else None,
            )
        if crash:
            crashed = (self.replica_names[self.faulty + crash - 1],)
            extras = msgspec.structs.replace(extras, crash=crashed, restart=crashed)
        possible = self._possible_drops(partition)
        chosen = [possible[i] for i in unrank_subset(len(possible), drops)]
        return Round(self.leader_names[leader], partition, tuple(chosen), extras)

    def choice_of(self, round_: Round) -> int:
        """The number of the choice that is this round (in normal form). ``InputError`` if it is none of them."""
        extras = round_.extras
        partition = self._numbered(round_.partition)
        possible = self._possible_drops(round_.partition)
        if round_.leader not in self.leader_names:
            raise InputError(f"leader: {round_.leader!r} does not lead in this space")
        if not set(round_.exceptions) <= set(possible):
            raise InputError(f"exceptions: {round_.exceptions!r} are not all in this space")
        drops = rank_subset(len(possible), tuple(sorted(possible.index(drop) for drop in round_.exceptions)))
        labels = self._groups_with_drops.labels(partition)
        groups = self._groups_with_drops.rank(labels, drops)
        if groups is None:
            raise InputError(f"partition: {round_.partition!r} is not in this space, or has too many exceptions")
        timeouts = 0
        if self.model == "two-phase":
            second = self._numbered(extras.timeout_partition or round_.partition)
            found = self._groups.rank(self._groups.labels(second))
            if found is None:
                raise InputError(f"timeout_partition: {extras.timeout_partition!r} is not in this space")
            timeouts = found
        crash = 0
        if self.crashes and extras.crash:
            crash = self.replica_names.index(extras.crash[0]) - self.faulty + 1
        places = (
            self.leader_names.index(round_.leader),
            groups,
            timeouts,
            int(extras.timers == "early"),
            int(extras.order == "reversed"),
            crash,
        )
        number = 0
        for place, radix in zip(places, self._radices, strict=True):
            number = number * radix + place
            if place >= radix:
                raise InputError(f"extras: {extras!r} is not in this space")
        if self.choice(number) != round_:
            raise InputError(f"extras: {extras!r} is not in this space")
        return number

    def _possible_drops(self, partition: NodeSets) -> list[Drop]:
        """Exceptions that say something in a partition: from one node to another of its set."""
        if self.drops == 0:
            return []
        nodes = self.replica_names + self.twin_names
        group_of = {name: group for group in partition for name in group}
        return [
            Drop(src, dst, kind) for src in nodes for dst in group_of[src] if src != dst for kind in self._ordered_types
        ]

    @cached_property
    def _ordered_types(self) -> tuple[MessageType, ...]:
        return tuple(kind for kind in MESSAGE_TYPES if kind in self.drop_types)

    def _named(self, groups: Sequence[Sequence[int]]) -> NodeSets:
        names = self.replica_names + self.twin_names
        return tuple(tuple(names[node] for node in group) for group in groups)

    def _numbered(self, partition: NodeSets) -> tuple[tuple[int, ...], ...]:
        number = {name: i for i, name in enumerate(self.replica_names + self.twin_names)}
        try:
            groups = tuple(tuple(number[name] for name in group) for group in partition)
        except KeyError as error:
            raise InputError(f"partition: {error.args[0]!r} is no node of this space") from None
        if sum(map(len, groups)) != len(number):
            raise InputError(f"partition: {partition!r} does not hold the nodes of this space")
        return groups
