"""Paths made as short and as plain as they get, by trying."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from diembft.twins.exhaustion.expansion import ChoicePath
from diembft.twins.runs.models import Choice


def smaller(
    choices: tuple[Choice, ...], path: ChoicePath, end_of: Callable[[ChoicePath], ChoicePath | None], seconds: float
) -> ChoicePath:
    """The smallest path that was found in this time, with rounds left out and partitions of fewer sets.

    `end_of` says whether a path still shows what it is about: it gives the path up to where it does, or None.
    """
    deadline = time.monotonic() + seconds
    again = True
    while again:
        again = False
        for simpler in _simpler(choices, path):
            if time.monotonic() > deadline:
                return path
            found = end_of(simpler)
            if found is not None and _size(choices, found) < _size(choices, path):
                path, again = found, True
                break
    return path


def _simpler(choices: tuple[Choice, ...], path: ChoicePath) -> Iterator[ChoicePath]:
    """Paths with fewer rounds, many of them first; then paths with a choice of fewer sets, of the same leader."""
    length = len(path) - 1
    cut = length // 2
    while cut:
        for at in range(1, length - cut + 2):
            yield (*path[:at], *path[at + cut :])
        cut //= 2
    for at in range(1, len(path)):
        own = choices[path[at]]
        plainer = [
            index
            for index, choice in enumerate(choices)
            if choice.leader == own.leader and _sets(choice) < _sets(own) and _differs_in_one(choice, own)
        ]
        for index in sorted(plainer, key=lambda index: _sets(choices[index])):
            yield (*path[:at], index, *path[at + 1 :])


def _differs_in_one(choice: Choice, own: Choice) -> bool:
    """Whether a choice is the other but for one part of it."""
    return sum([mine != its for mine, its in zip(choice, own, strict=True)]) == 1


def _sets(choice: Choice) -> int:
    """How much there is in a choice."""
    timeouts = choice.timeout_partition or ()
    return len(choice.partition) + len(timeouts) + choice.early + choice.reverse + (choice.crash is not None)


def _size(choices: tuple[Choice, ...], path: ChoicePath) -> tuple[int, int]:
    return len(path), sum([_sets(choices[choice]) for choice in path[1:]])
