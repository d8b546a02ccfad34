"""Symmetry of scenarios: correct replicas are interchangeable, all rounds of a scenario at once.

Reducing each round for itself would lose scenarios. The leader of a suffix keeps its place. ``orbits`` counts what is
left when scenarios that renaming makes equal count once, by Burnside's lemma.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations
from math import factorial
from typing import Final

from diembft.errors import InputError
from diembft.twins.scenarios.scenario import Scenario, rename_round
from diembft.twins.scenarios.shape import TABLE, Shape

_MAX_SYMMETRIES: Final = factorial(7)


class Renaming:
    """What a renaming of replicas makes of each choice; images are computed when they are first asked for."""

    def __init__(self, shape: Shape, images: dict[int, int]) -> None:
        self._shape = shape
        names = shape.replica_names
        new = {names[i]: names[images.get(i, i)] for i in range(len(names))}
        self._new = new | {twin: twin for twin in shape.twin_names}
        self._images: dict[int, int] = {}

    def __getitem__(self, number: int) -> int:
        image = self._images.get(number)
        if image is None:
            shape = self._shape
            # A scenario of this round alone, because making one brings the round to normal form.
            moved = Scenario(
                replicas=shape.replica_names,
                twins=shape.twin_names,
                rounds=(rename_round(shape.choice(number), self._new),),
                gst=1,
            )
            image = self._images[number] = shape.choice_of(moved.rounds[0])
        return image


def interchangeable(shape: Shape) -> tuple[int, ...]:
    """The correct replicas that renaming may exchange."""
    return tuple(range(shape.faulty, shape.replicas - 1 if shape.suffix else shape.replicas))


def symmetries(shape: Shape) -> tuple[Renaming, ...]:
    """All renamings but the identity; ``InputError`` if they are too many to list."""
    replicas = interchangeable(shape)
    if factorial(len(replicas)) > _MAX_SYMMETRIES:
        raise InputError(f"replicas: {len(replicas)} interchangeable ones are too many for canonical forms")
    images = list(permutations(replicas))[1:]
    return tuple(Renaming(shape, dict(zip(replicas, image, strict=True))) for image in images)


def orbits(shape: Shape) -> int:
    """How many scenarios there are up to renaming; ``InputError`` if the choices are too many to list."""
    if shape.choices > 4 * TABLE:
        raise InputError(f"choices: {shape.choices} a round are too many to count orbits")
    replicas = interchangeable(shape)
    total = 0
    for cycles in _cycle_types(len(replicas), len(replicas)):
        renaming = Renaming(shape, _permutation(replicas, cycles))
        fixed = sum(renaming[number] == number for number in range(shape.choices))
        total += _permutations_of_type(cycles) * fixed**shape.rounds
    return total // factorial(len(replicas))


def _permutation(replicas: Sequence[int], cycles: Sequence[int]) -> dict[int, int]:
    """Some renaming whose cycles have these lengths."""
    images: dict[int, int] = {}
    begin = 0
    for length in cycles:
        cycle = replicas[begin : begin + length]
        images.update(zip(cycle, (*cycle[1:], *cycle[:1]), strict=True))
        begin += length
    return images


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
