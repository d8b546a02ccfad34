"""The space of all scenarios of a shape: counted exactly, numbered, sampled, reduced by symmetry, written fast.

Scenarios are the sequences of choices of their shape, so there are ``choices ** rounds`` of them. Scenario number k has
as rounds the digits of k in base ``choices``: the last round changes fastest, and scenarios with neighbouring numbers
share their first rounds. Each is followed by the same synchronous suffix, led by the last replica.

Numbers depend on nothing but the shape, so that a range is the same wherever it is computed; a sample is the range of a
``Shuffle`` of the numbers, hence without repetition, and can be cut into ranges too.

A scenario is canonical if no renaming of correct replicas (``symmetry``) has a lower number.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import TypeAlias

from diembft.errors import InputError
from diembft.twins.scenarios import scenario_files, symmetry
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.shape import TABLE, Shape
from diembft.twins.scenarios.shuffle import Shuffle

Digits: TypeAlias = tuple[int, ...]
"""The choices of a scenario's rounds, without the suffix."""

MOST_DIGITS = 4000
"""Of the number of scenarios: Python writes, and reads, not many more."""


class Space(Shape, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True):
    """All scenarios of a shape; spaces of equal shapes are equal."""

    # --- scenarios and their numbers ---

    @cached_property
    def count(self) -> int:
        """How many scenarios there are."""
        return int(self.choices**self.rounds)

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
    def _symmetries(self) -> tuple[symmetry.Renaming, ...]:
        return symmetry.symmetries(self)

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
        return symmetry.orbits(self)

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
        if seed is None and not canonical and self.rounds and self.choices <= TABLE:
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
            if len(self._encodings) > 4 * TABLE:
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
