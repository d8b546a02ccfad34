"""Counting and numbering partitions, against listing all assignments of nodes to sets."""

from itertools import combinations, product

import pytest

from diembft.twins.scenarios.partitions import Partitions, rank_subset, subset_count, unrank_subset


def listed(replicas: int, faulty: int, min_sets: int, max_sets: int, quorum: int) -> set[tuple[tuple[int, ...], ...]]:
    """All partitions, by brute force over assignments."""
    nodes = range(replicas + faulty)
    found = set()
    for assignment in product(nodes, repeat=len(nodes)):
        groups: dict[int, list[int]] = {}
        for node, group in zip(nodes, assignment, strict=True):
            groups.setdefault(group, []).append(node)
        signers = max(len({n if n < replicas else n - replicas for n in group}) for group in groups.values())
        if min_sets <= len(groups) <= max_sets and signers >= quorum:
            found.add(tuple(sorted(tuple(group) for group in groups.values())))
    return found


SHAPES = [
    (replicas, faulty, low, high, quorum)
    for replicas, faulty in ((1, 0), (1, 1), (3, 0), (3, 2), (4, 1), (4, 2), (6, 0))
    for low, high in ((1, 1), (1, 2), (2, 2), (1, 3), (3, 3), (1, replicas + faulty))
    if low <= replicas + faulty and replicas + faulty <= 6
    for quorum in (0, 2, 3)
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_partitions_are_those_of_brute_force(shape: tuple[int, int, int, int, int]) -> None:
    replicas, faulty, low, high, quorum = shape
    ways = Partitions(replicas, faulty, min_sets=low, max_sets=high, quorum=quorum)
    groups = [ways.groups(ways.unrank(rank)[0]) for rank in range(ways.count)]
    assert len(set(groups)) == len(groups)
    assert set(groups) == listed(*shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rank_is_the_inverse_of_unrank(shape: tuple[int, int, int, int, int]) -> None:
    replicas, faulty, low, high, quorum = shape
    ways = Partitions(replicas, faulty, min_sets=low, max_sets=high, quorum=quorum)
    all_labels = [ways.unrank(rank)[0] for rank in range(ways.count)]
    assert all_labels == sorted(all_labels)
    for rank, labels in enumerate(all_labels):
        assert ways.rank(labels) == rank
        assert ways.labels(ways.groups(labels)) == labels


def test_a_partition_that_is_not_among_these_has_no_rank() -> None:
    ways = Partitions(4, 1, min_sets=1, max_sets=2, quorum=3)
    assert ways.rank((0, 1, 2, 0, 0)) is None  # three sets
    assert ways.rank((0, 1, 1, 0, 0)) is None  # no quorum
    assert ways.rank((0, 0, 0, 0, 0), 1) is None  # nothing has weight 2


def test_weights_number_pairs() -> None:
    ways = Partitions(3, 1, min_sets=1, max_sets=3, weight=lambda sizes: max(sizes) - 1)
    pairs = [ways.unrank(rank) for rank in range(ways.count)]
    plain = Partitions(3, 1, min_sets=1, max_sets=3)
    expected = []
    for rank in range(plain.count):
        labels = plain.unrank(rank)[0]
        largest = max(labels.count(label) for label in labels)
        expected += [(labels, number) for number in range(largest - 1)]
    assert pairs == expected
    assert [ways.rank(*pair) for pair in pairs] == list(range(ways.count))


def test_known_counts() -> None:
    stirling = 1 + 65_535 + 21_457_825  # of 17 things into 1, 2 and 3 sets
    assert Partitions(13, 4, min_sets=1, max_sets=3).count == stirling
    assert Partitions(7, 2, min_sets=1, max_sets=9).count == 21_147  # Bell's number of 9
    assert Partitions(4, 1, min_sets=1, max_sets=3).count == 41
    assert Partitions(4, 1, min_sets=1, max_sets=2, quorum=3).count == 13


def test_the_whole_network_comes_first_and_then_twins_are_cut_off() -> None:
    ways = Partitions(7, 2, min_sets=1, max_sets=3)
    assert ways.groups(ways.unrank(0)[0]) == (tuple(range(9)),)
    three = Partitions(7, 2, min_sets=3, max_sets=3, quorum=5)
    assert three.groups(three.unrank(0)[0]) == ((0, 2, 3, 4, 5, 6, 7), (1,), (8,))


@pytest.mark.parametrize(("items", "at_most"), [(0, 0), (0, 3), (5, 0), (5, 2), (6, 6), (4, 9)])
def test_subsets_are_numbered_by_size_then_lexicographically(items: int, at_most: int) -> None:
    expected = [c for size in range(at_most + 1) for c in combinations(range(items), size)]
    count = subset_count(items, at_most)
    assert [unrank_subset(items, rank) for rank in range(count)] == expected
    assert [rank_subset(items, members) for members in expected] == list(range(count))
