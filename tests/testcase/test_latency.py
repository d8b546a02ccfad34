"""How long messages take: what a case says, which of its entries counts, and what a command line says."""

import random

import pytest

from diembft.errors import InputError
from diembft.testcase.changes import changed, read_block_size, words
from diembft.testcase.failures import CLIENT
from diembft.testcase.latency import LOCAL, LOCAL_NETWORK, NOTHING, Latencies, Links, Span, read_span
from tests.testcase.samples import case


def constant(seconds: float) -> Span:
    return Span(seconds, seconds)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, LOCAL_NETWORK),
        (0.5, Latencies(constant(0.5))),
        (0, Latencies(constant(0.0))),
        ((0.1, 0.2), Latencies(Span(0.1, 0.2))),
        ([0.1, 0.2], Latencies(Span(0.1, 0.2))),
        ({}, LOCAL_NETWORK),
        (
            {"replica3": (0.04, 0.06), ("replica0", 3): 0.02, 1: 0.3, "_": 0.001},
            Latencies(constant(0.001), {3: Span(0.04, 0.06), 1: constant(0.3)}, {(0, 3): constant(0.02)}),
        ),
    ],
)
def test_a_case_says_how_long_messages_take(written: object, expected: Latencies) -> None:
    assert case(latency=written).latencies == expected


def test_a_pair_beats_a_replica_the_senders_counts_and_both_beat_the_rest() -> None:
    latencies = Latencies(constant(9.0), {1: constant(1.0), 2: constant(2.0)}, {(0, 1): constant(3.0)})

    def of(src: int, dest: int) -> float:
        return latencies.of(src, dest, LOCAL).low_s

    assert (of(0, 1), of(1, 0)) == (3.0, 1.0), "a pair is one direction"
    assert (of(1, 2), of(2, 1)) == (1.0, 2.0)
    assert (of(3, 2), of(2, 3)) == (2.0, 2.0)
    assert (of(0, 3), of(3, 0)) == (9.0, 9.0)
    assert (of(CLIENT, 1), of(2, CLIENT), of(CLIENT, 3)) == (1.0, 2.0, 9.0)


def test_where_nothing_is_said_the_network_is_as_it_is() -> None:
    named = Latencies(None, {2: constant(2.0)}, {(0, 1): constant(3.0)})
    assert named.of(0, 3, LOCAL) is LOCAL
    assert named.of(0, 3, NOTHING) is NOTHING
    assert named.longest_s(LOCAL) == 3.0
    assert LOCAL_NETWORK.longest_s(LOCAL) == 0.001
    assert Latencies(constant(5.0), {1: constant(2.0)}).longest_s(LOCAL) == 5.0
    assert LOCAL.at_most(0.0005) == Span(0.0002, 0.0005)
    assert LOCAL.at_most(0.0001) == constant(0.0001)


def test_the_same_seed_draws_the_same_and_a_constant_draws_nothing() -> None:
    links = Links(Latencies(Span(0.1, 0.2), {2: constant(2.0)}), LOCAL)
    rng, same, plain = random.Random(1), random.Random(1), random.Random(1)
    assert [links.draw_s(0, 1, rng) for _ in range(5)] == [links.draw_s(0, 1, same) for _ in range(5)]
    drawn = [links.draw_s(0, 1, rng) for _ in range(1000)]
    assert 0.1 <= min(drawn) < 0.101
    assert 0.199 < max(drawn) <= 0.2
    assert links.draw_s(0, 2, plain) == 2.0
    assert plain.getstate() == random.Random(1).getstate()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.05", constant(0.05)),
        ("0", constant(0.0)),
        ("0.0002-0.001", Span(0.0002, 0.001)),
        ("1e-3", constant(0.001)),
        ("1e-3-2e-3", Span(0.001, 0.002)),
        ("1-1", constant(1.0)),
    ],
)
def test_a_command_line_says_how_long_messages_take(text: str, expected: Span) -> None:
    assert read_span(text) == expected
    assert read_span(str(expected)) == expected
    assert changed(case(latency={1: 3.0}), latency=expected).latencies == Latencies(expected)


@pytest.mark.parametrize("text", ["", "-", "fast", "-1", "0.2-0.1", "0.1-", "-0.1", "0.1-0.2-0.3", "nan", "inf", "2e6"])
def test_a_wrong_latency_on_a_command_line_is_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read_span(text)
    right = "seconds from 0 to 1,000,000, such as 0.05, or two such numbers, such as 0.0002-0.001"
    assert str(caught.value) == f"--latency: must be {right}, not {text!r}"


@pytest.mark.parametrize("text", ["", "0", "-1", "4.0", "four", "5001", "9" * 5000])
def test_a_wrong_block_size_on_a_command_line_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^--block-size: must be a whole number from 1 to 5000, not '"):
        read_block_size(text)


def test_what_a_command_line_changes() -> None:
    plain = case(seed=1, failure_seed=2)
    assert changed(plain) == plain
    both = changed(plain, seed=5)
    assert (both.seed, both.failure_seed) == (5, 5)
    failures = changed(plain, failure_seed=5)
    assert (failures.seed, failures.failure_seed) == (1, 5)
    assert changed(plain, block_size=read_block_size("4")).block_size == 4
    assert words(None, None) == ()
    assert words(Span(0.1, 0.2), 4) == ("--latency", "0.1-0.2", "--block-size", "4")
