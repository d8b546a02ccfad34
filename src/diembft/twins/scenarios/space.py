"""The space of all scenarios of a shape: counted exactly, numbered, sampled, reduced by symmetry, written fast.

A *choice* is what one round can be: a leader, a partition with exceptions and, in richer models, a partition of the
timeouts, the time of the timers, the order of delivery, a crash. Scenarios are the sequences of choices, so there are
``choices ** rounds`` of them. Scenario number k has as rounds the digits of k in base ``choices``: the last round
changes fastest, and scenarios with neighbouring numbers share their first rounds. Each is followed by the same
synchronous suffix, led by the last replica.

Numbers depend on nothing but the shape, so that a range is the same wherever it is computed; a sample is the range of a
``Shuffle`` of the numbers, hence without repetition, and can be cut into ranges too.

Symmetry: correct replicas are interchangeable, all rounds of a scenario at once (reducing each round for itself would
lose scenarios). The suffix's leader keeps its place. A scenario is canonical if no renaming has a lower number;
``orbits`` counts those by Burnside's lemma.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, permutations
from math import factorial, prod
from typing import Final, Literal, TypeAlias

import msgspec

from diembft.errors import InputError
from diembft.twins.scenarios import scenario_files
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
    Scenario,
    rename_round,
    replica_names,
    whole_round,
)
from diembft.twins.scenarios.shuffle import Shuffle

Digits: TypeAlias = tuple[int, ...]
"""The choices of a scenario's rounds, without the suffix."""

_TABLE: Final = 1 << 14
"""Up to so many choices are kept encoded; with more, each line is put together from its parts."""
_MAX_SYMMETRIES: Final = factorial(7)


class Space(msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """The shape of scenarios; equal shapes are equal spaces, wherever they are made.

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
            if value < 0:
                raise InputError(f"{field}: {value} is negative")
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

    @cached_property
    def count(self) -> int:
        """How many scenarios there are."""
        return int(self.choices**self.rounds)

    # --- one choice ---

    def choice(self, number: int) -> Round:
        """The round that a choice stands for; every call gives the same object while it is among the recent ones."""
        found = self._rounds.get(number)
        if found is None:
            if len(self._rounds) > 4 * _TABLE:
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

    # --- scenarios and their numbers ---

    def digits(self, rank: int) -> Digits:
        """The choices of scenario number ``rank``, first round first."""
        if not 0 <= rank < self.count:
            raise InputError(f"scenario: {rank} is not below {self.count}, the number of scenarios")
        digits = []
        for _ in range(self.rounds):
            rank, digit = divmod(rank, self.choices)
            digits.append(digit)
        return tuple(reversed(digits))

    def rank_of(self, digits: Iterable[int]) -> int:
        """The number of the scenario with these choices. The inverse of ``digits``."""
        rank = 0
        for digit in digits:
            rank = rank * self.choices + digit
        return rank

    def scenario(self, rank: int) -> Scenario:
        """Scenario number ``rank``, with its suffix."""
        return Scenario(
            replicas=self.replica_names,
            twins=self.twin_names,
            rounds=(*(self.choice(digit) for digit in self.digits(rank)), *self.suffix_rounds),
            gst=self.rounds,
            bugs=self.bugs,
            name=f"rank-{rank}",
            model=self.model,
            protocol=self.protocol,
        )

    def rank(self, scenario: Scenario) -> int:
        """The number of a scenario. ``InputError`` if it is not in the space. The inverse of ``scenario``."""
        if (scenario.replicas, scenario.twins) != (self.replica_names, self.twin_names):
            raise InputError(f"replicas: {scenario.nodes!r} are not the nodes of this space")
        if len(scenario.rounds) != self.rounds + self.suffix or scenario.rounds[self.rounds :] != self.suffix_rounds:
            raise InputError(f"rounds: there are not {self.rounds} and {self.suffix} synchronous ones")
        return self.rank_of(self.choice_of(round_) for round_ in scenario.rounds[: self.rounds])

    def ranks(self, start: int, count: int, *, seed: int | None = None, canonical: bool = False) -> Iterator[int]:
        """The numbers of a range of the space or, with a seed, of a range of the sample that the seed fixes.

        The range ends at the end of the space. With ``canonical`` only one scenario of each orbit is kept: those of
        the range whose number is the lowest of their orbit.
        """
        if start < 0 or count < 0:
            raise InputError(f"range: from {start}, {count} scenarios: a number is negative")
        end = min(start + count, self.count)
        ranks: Iterator[int] = iter(range(start, end))
        if seed is not None:
            ranks = map(Shuffle(self.count, seed).__getitem__, ranks)
        return filter(self.is_canonical, ranks) if canonical else ranks

    # --- symmetry ---

    @cached_property
    def _interchangeable(self) -> tuple[int, ...]:
        """The correct replicas that renaming may exchange."""
        return tuple(range(self.faulty, self.replicas - 1 if self.suffix else self.replicas))

    @cached_property
    def _symmetries(self) -> tuple["_Renaming", ...]:
        """All renamings but the identity."""
        if factorial(len(self._interchangeable)) > _MAX_SYMMETRIES:
            raise InputError(
                f"replicas: {len(self._interchangeable)} interchangeable ones are too many for canonical forms"
            )
        images = list(permutations(self._interchangeable))[1:]
        return tuple(_Renaming(self, dict(zip(self._interchangeable, image, strict=True))) for image in images)

    def canonical(self, rank: int) -> int:
        """The lowest number among a scenario and its renamings."""
        digits = self.digits(rank)
        images = (tuple(map(renaming.__getitem__, digits)) for renaming in self._symmetries)
        return self.rank_of(min(chain((digits,), images)))

    def is_canonical(self, rank: int) -> bool:
        """Whether no renaming of the scenario has a lower number."""
        digits = self.digits(rank)
        return all(digits <= tuple(map(renaming.__getitem__, digits)) for renaming in self._symmetries)

    def orbits(self) -> int:
        """How many scenarios there are up to renaming; ``InputError`` if the choices are too many to list."""
        if self.choices > 4 * _TABLE:
            raise InputError(f"choices: {self.choices} a round are too many to count orbits")
        size = len(self._interchangeable)
        total = 0
        for cycles in _cycle_types(size, size):
            renaming = _Renaming(self, self._permutation(cycles))
            fixed = sum(renaming[number] == number for number in range(self.choices))
            total += _permutations_of_type(cycles) * fixed**self.rounds
        return total // factorial(size)

    def _permutation(self, cycles: Sequence[int]) -> dict[int, int]:
        """Some renaming whose cycles have these lengths."""
        images: dict[int, int] = {}
        begin = 0
        for length in cycles:
            cycle = self._interchangeable[begin : begin + length]
            images.update(zip(cycle, cycle[1:] + cycle[:1], strict=True))
            begin += length
        return images

    # --- writing ---

    def header(self) -> scenario_files.FileHeader:
        """The first line of a file of these scenarios."""
        return scenario_files.FileHeader(
            format=scenario_files.FORMAT,
            version=scenario_files.VERSION,
            replicas=self.replica_names,
            twins=self.twin_names,
            bugs=self.bugs,
            model=self.model,
            protocol=self.protocol,
        )

    def lines(self, start: int, count: int, *, seed: int | None = None, canonical: bool = False) -> Iterator[bytes]:
        """The lines of ``ranks`` of the same arguments, in pieces of one or more whole lines."""
        if seed is None and not canonical and self.rounds and self.choices <= _TABLE:
            yield from self._blocks(start, min(start + count, self.count))
            return
        for rank in self.ranks(start, count, seed=seed, canonical=canonical):
            yield b"[" + b",".join([*map(self._encoded, self.digits(rank)), *self._encoded_suffix]) + b"]\n"

    def _blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Lines start .. end - 1; all that differ in the last round alone are put together in one piece."""
        choices = self.choices
        tails = [b",".join([self._encoded(number), *self._encoded_suffix]) + b"]\n" for number in range(choices)]
        while start < end:
            block, first = divmod(start, choices)
            last = min(choices, first + end - start)
            head = b"[" + b"".join(self._encoded(digit) + b"," for digit in self.digits(block * choices)[:-1])
            yield head + head.join(tails[first:last])
            start += last - first

    @cached_property
    def _encoded_suffix(self) -> tuple[bytes, ...]:
        """The suffix as one piece, or nothing."""
        return (b",".join(map(scenario_files.encode_round, self.suffix_rounds)),) if self.suffix else ()

    def _encoded(self, number: int) -> bytes:
        known = self._encodings.get(number)
        if known is None:
            if len(self._encodings) > 4 * _TABLE:
                self._encodings.clear()
            known = self._encodings[number] = scenario_files.encode_round(self.choice(number))
        return known

    @cached_property
    def _encodings(self) -> dict[int, bytes]:
        return {}

    def write(
        self, file: scenario_files.Output, start: int, count: int, *, seed: int | None = None, canonical: bool = False
    ) -> None:
        """Write a file of our kind with ``ranks`` of the same arguments."""
        file.write(scenario_files.encode_header(self.header()))
        for piece in self.lines(start, count, seed=seed, canonical=canonical):
            file.write(piece)


class _Renaming:
    """What a renaming of replicas makes of each choice; images are computed when they are first asked for."""

    def __init__(self, space: Space, images: dict[int, int]) -> None:
        self._space = space
        names = space.replica_names
        new = {names[i]: names[images.get(i, i)] for i in range(len(names))}
        self._new = new | {twin: twin for twin in space.twin_names}
        self._images: dict[int, int] = {}

    def __getitem__(self, number: int) -> int:
        image = self._images.get(number)
        if image is None:
            space = self._space
            # A scenario of this round alone, because making one brings the round to normal form.
            moved = Scenario(
                replicas=space.replica_names,
                twins=space.twin_names,
                rounds=(rename_round(space.choice(number), self._new),),
                gst=1,
            )
            image = self._images[number] = space.choice_of(moved.rounds[0])
        return image


def _cycle_types(size: int, largest: int) -> Iterator[tuple[int, ...]]:
    """The lengths of cycles that permutations of ``size`` things can have, longest first."""
    if size == 0:
        yield ()
    for length in range(min(size, largest), 0, -1):
        for rest in _cycle_types(size - length, length):
            yield (length, *rest)


def _permutations_of_type(cycles: Sequence[int]) -> int:
    """How many permutations have cycles of these lengths."""
    ways = factorial(sum(cycles))
    for length in set(cycles):
        times = cycles.count(length)
        ways //= length**times * factorial(times)
    return ways
