from __future__ import annotations

from collections.abc import Iterator

from diembft.reducing import reduced, runs


def test_long_rows_are_left_out_first_and_the_last_of_a_length() -> None:
    assert list(runs(4, 3)) == [(1, 4), (0, 3), (3, 4), (2, 3), (1, 2), (0, 1)]
    assert list(runs(2, 2)) == [(0, 2), (1, 2), (0, 1)]
    assert list(runs(1, 0)) == list(runs(0, 0)) == []


def without_letters(word: str) -> Iterator[str]:
    for start, end in runs(len(word), len(word)):
        yield word[:start] + word[end:]


def in_small_letters(word: str) -> Iterator[str]:
    if word != word.lower():
        yield word.lower()


def test_what_is_left_is_accepted_and_nothing_smaller_is() -> None:
    tried: list[str] = []

    def has_both(word: str) -> bool:
        tried.append(word)
        return "x" in word.lower() and "z" in word.lower()

    assert reduced("aXbyczd", [without_letters, in_small_letters], has_both) == "xz"
    assert tried[-1] == "z" or tried[-1] == "x"


def test_a_value_that_nothing_can_be_taken_from_stays() -> None:
    assert reduced("abc", [without_letters], lambda word: False) == "abc"
    assert reduced("abc", [], lambda word: True) == "abc"
