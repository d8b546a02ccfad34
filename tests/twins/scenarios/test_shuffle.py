"""Draws without replacement: a permutation, even, and fixed for ever."""

from collections import Counter
from itertools import islice, permutations

import pytest

from diembft.twins.scenarios.shuffle import Shuffle


@pytest.mark.parametrize("total", [1, 2, 3, 4, 5, 7, 52, 1000, 70_000])
def test_every_number_is_drawn_once(total: int) -> None:
    assert sorted(Shuffle(total, 5)) == list(range(total))


def test_a_draw_does_not_depend_on_the_others() -> None:
    shuffle = Shuffle(10**30, 1)
    assert [shuffle[i] for i in reversed(range(20))] == list(islice(shuffle, 20))[::-1]
    assert shuffle[10**30 - 1] < 10**30


def test_the_draws_are_fixed_for_ever() -> None:
    # A sample that was run must be the same tomorrow: these numbers may never change.
    assert list(islice(Shuffle(52**7, 3), 3)) == [73206489608, 507288343226, 875894527493]
    assert list(islice(Shuffle(1000, "leaders"), 5)) == [254, 663, 195, 414, 483]


def test_seeds_and_totals_give_different_draws() -> None:
    draws = {(total, seed): tuple(islice(Shuffle(total, seed), 8)) for total in (900, 1000) for seed in range(20)}
    assert len(set(draws.values())) == len(draws)


@pytest.mark.parametrize("index", [-1, 10])
def test_there_is_no_draw_outside(index: int) -> None:
    with pytest.raises(IndexError):
        Shuffle(10, 0)[index]


def chi_square(counts: Counter[int], cells: int) -> float:
    expected = counts.total() / cells
    return sum((counts[cell] - expected) ** 2 / expected for cell in range(cells))


@pytest.mark.parametrize("total", [10, 70_000, 10**20])
def test_the_first_draw_is_even_over_seeds(total: int) -> None:
    counts = Counter(Shuffle(total, seed)[0] * 10 // total for seed in range(3000))
    assert chi_square(counts, 10) < 33.7  # 9 degrees of freedom, one in ten thousand; the seeds are fixed


def test_a_sample_is_even() -> None:
    counts = Counter(draw * 64 // 52**7 for draw in islice(Shuffle(52**7, 11), 20_000))
    assert chi_square(counts, 64) < 122.0  # 63 degrees of freedom, about one in a hundred thousand


def test_all_orders_of_few_things_come_out() -> None:
    counts = Counter(tuple(Shuffle(4, seed)) for seed in range(4800))
    orders = list(permutations(range(4)))
    by_number = Counter({i: counts[order] for i, order in enumerate(orders)})
    assert chi_square(by_number, len(orders)) < 58.0  # 23 degrees of freedom, one in ten thousand
