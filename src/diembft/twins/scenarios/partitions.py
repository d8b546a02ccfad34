"""The ways to split nodes into sets, counted and numbered without listing them.

Nodes are taken in the *order* correct replicas first, then each replica with a twin followed by that twin. A
partition is written as its *labels* in that order: ``labels[i]`` is the set of the i-th node, sets being numbered by
first appearance (a restricted growth string: the first label is 0, each next one at most one above those before).
Partitions are ranked in the lexicographic order of their labels: rank 0 of "up to K sets" is the whole network, and
the first ones of "K sets" are those that cut off twins.

Counting is by dynamic programming over nodes: what the rest can become depends only on each set's size, on how
many distinct replicas it holds, and on where the replica is whose twin comes next. So 13 replicas with 4 twins in up
to 3 sets, 21 million partitions, are counted and numbered at once.

A weight may be given to each partition by the sizes of its sets: then not partitions are numbered but pairs of a
partition and a number below its weight (the space uses it for the exceptions that are possible in a partition).
"""

from collections.abc import Callable
from math import comb
from typing import TypeAlias

Labels: TypeAlias = tuple[int, ...]
_Set: TypeAlias = tuple[int, int, int]
"""A set on the way: its size, its distinct replicas (0 where no quorum is asked for), and 1 if the replica that
came last is in it and its twin comes next."""


class Partitions:
    """Partitions of ``replicas`` replicas and the twins of the first ``faulty`` into the allowed number of sets.

    With ``quorum`` only those in which some set holds that many distinct replicas. ``order`` lists node numbers
    (replicas from 0, then twins) in the order of the labels.
    """

    def __init__(
        self,
        replicas: int,
        faulty: int,
        *,
        min_sets: int,
        max_sets: int,
        quorum: int = 0,
        weight: Callable[[tuple[int, ...]], int] | None = None,
    ) -> None:
        pairs = [node for replica in range(faulty) for node in (replica, replicas + replica)]
        self.order = (*range(faulty, replicas), *pairs)
        self._replicas = replicas
        self._faulty = faulty
        self._min_sets = min_sets
        self._max_sets = max_sets
        self._quorum = quorum
        self._weight = weight
        self._counted: dict[tuple[int, tuple[_Set, ...]], int] = {}
        self.count = self._count(0, ())

    def unrank(self, rank: int) -> tuple[Labels, int]:
        """The partition of a rank, and the number below its weight."""
        assert 0 <= rank < self.count, "because callers stay below count"
        labels: list[int] = []
        sets: tuple[_Set, ...] = ()
        for place in range(len(self.order)):
            for label, grown in self._ways(place, sets):
                weight = self._count(place + 1, grown)
                if rank < weight:
                    labels.append(label)
                    sets = grown
                    break
                rank -= weight
        return tuple(labels), rank

    def rank(self, labels: Labels, number: int = 0) -> int | None:
        """The rank of a partition and a number below its weight; None if the partition is not among these."""
        rank = 0
        sets: tuple[_Set, ...] = ()
        for place, wanted in enumerate(labels):
            for label, grown in self._ways(place, sets):
                if label == wanted:
                    sets = grown
                    break
                rank += self._count(place + 1, grown)
            else:
                return None
        return rank + number if number < self._count(len(self.order), sets) else None

    def labels(self, groups: tuple[tuple[int, ...], ...]) -> Labels:
        """The labels of a partition that is given as sets of node numbers."""
        group_of = {node: index for index, group in enumerate(groups) for node in group}
        numbered: dict[int, int] = {}
        return tuple(numbered.setdefault(group_of[node], len(numbered)) for node in self.order)

    def groups(self, labels: Labels) -> tuple[tuple[int, ...], ...]:
        """The sets of node numbers that labels stand for, in normal form: sorted, by their least node."""
        label_of = dict(zip(self.order, labels, strict=True))
        groups: dict[int, list[int]] = {}
        for node in range(len(self.order)):
            groups.setdefault(label_of[node], []).append(node)
        return tuple(tuple(group) for group in groups.values())

    def _ways(self, place: int, sets: tuple[_Set, ...]) -> list[tuple[int, tuple[_Set, ...]]]:
        """Each set that the next node can join, the last one being a new set, and the sets afterwards."""
        node = self.order[place]
        followed = node < self._faulty  # the next node is this one's twin
        ways = []
        for label in range(min(len(sets) + 1, self._max_sets)):
            size, signers, holds_original = sets[label] if label < len(sets) else (0, 0, 0)
            if self._quorum and not (node >= self._replicas and holds_original):
                signers += 1
            joined = (size + 1, signers, int(followed))
            others = tuple((size, signers, 0) for size, signers, _ in sets)
            ways.append((label, (*others[:label], joined, *others[label + 1 :])))
        return ways

    def _count(self, place: int, sets: tuple[_Set, ...]) -> int:
        """The weight of all partitions in which the nodes before ``place`` form these sets."""
        if place == len(self.order):
            if not self._min_sets <= len(sets) <= self._max_sets:
                return 0
            if max(signers for _, signers, _ in sets) < self._quorum:
                return 0
            return 1 if self._weight is None else self._weight(tuple(size for size, _, _ in sets))
        # The order of the sets has no bearing on what can follow, nor have sizes without a weight.
        relevant = ((0 if self._weight is None else size, signers, holds) for size, signers, holds in sets)
        key = (place, tuple(sorted(relevant)))
        counted = self._counted.get(key)
        if counted is None:
            counted = sum(self._count(place + 1, grown) for _, grown in self._ways(place, sets))
            self._counted[key] = counted
        return counted


def subset_count(items: int, at_most: int) -> int:
    """How many subsets of ``items`` things have at most ``at_most`` members."""
    return sum(comb(items, size) for size in range(min(items, at_most) + 1))


def unrank_subset(items: int, rank: int) -> tuple[int, ...]:
    """The subset of a rank among those of ``items`` things: smaller ones first, then lexicographically."""
    size = 0
    while rank >= comb(items, size):
        rank -= comb(items, size)
        size += 1
    members: list[int] = []
    item = 0
    while size:
        containing = comb(items - item - 1, size - 1)
        if rank < containing:
            members.append(item)
            size -= 1
        else:
            rank -= containing
        item += 1
    return tuple(members)


def rank_subset(items: int, members: tuple[int, ...]) -> int:
    """The rank of a subset; ``members`` must be sorted. The inverse of ``unrank_subset``."""
    rank = sum(comb(items, size) for size in range(len(members)))
    left = len(members)
    begin = 0
    for member in members:
        rank += sum(comb(items - item - 1, left - 1) for item in range(begin, member))
        begin = member + 1
        left -= 1
    return rank
