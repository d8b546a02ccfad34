"""Parameters and the arithmetic of quorums."""

from __future__ import annotations

import pytest

from diembft.consensus.config import Config, max_faulty, quorum_size


@pytest.mark.parametrize(
    ("n", "f", "quorum"),
    [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 3), (5, 1, 4), (6, 1, 5), (7, 2, 5), (13, 4, 9), (31, 10, 21)],
)
def test_quorums(n: int, f: int, quorum: int) -> None:
    config = Config(n=n)
    assert (config.f, config.quorum, config.at_least_one_correct) == (f, quorum, f + 1)
    assert (max_faulty(n), quorum_size(n)) == (f, quorum)


@pytest.mark.parametrize("n", range(1, 200))
def test_any_two_quorums_share_a_correct_validator_and_correct_validators_make_one(n: int) -> None:
    f, quorum = max_faulty(n), quorum_size(n)
    assert 3 * f < n
    assert 2 * quorum - n >= f + 1
    assert n - f >= quorum


def test_defaults_of_leader_reputation() -> None:
    assert (Config(n=7).window, Config(n=7).excluded) == (7, 2)
    assert (Config(n=7, window_size=3, exclude_size=4).window, Config(n=7, exclude_size=4).excluded) == (3, 4)


def test_as_many_commits_are_kept_as_the_walk_of_reputation_and_an_answer_need() -> None:
    assert Config(n=4).kept_commits == 100
    assert Config(n=4, sync_batch=3).kept_commits == 9
    assert Config(n=100).kept_commits == 201


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n": 0}, "at least one validator"),
        ({"delta_s": 0.0}, "timers are derived"),
        ({"timer_growth": 0.9}, "timers do not shrink"),
        ({"window_size": 0}, "drawn from the signers in the window"),
        ({"max_block_requests": 0}, "a limit of nothing"),
        ({"max_relayed_requests": 0}, "a limit of nothing"),
        ({"max_request_operations": 0}, "a limit of nothing"),
        ({"max_clock_ahead_ms": -1}, "clocks differ"),
        ({"sync_batch": 0}, "a limit of nothing"),
        ({"max_rounds_ahead": 0}, "one round follows another"),
        ({"max_pending_blocks": 0}, "one round follows another"),
        ({"max_block_requests": 20_000}, "must fit into a message"),
        ({"sync_batch_bytes": 9_000_000}, "must fit into a message"),
        ({"max_relayed_bytes": 9_000_000}, "must fit into a message"),
        ({"exclude_size": 0}, "f <= exclude_size <= 2f"),
        ({"exclude_size": 3}, "f <= exclude_size <= 2f"),
        ({"max_request_bytes": 2_000_000}, "every request must fit into a block"),
        ({"max_request_operations": 10_001}, "every request must fit into a block"),
        ({"max_block_operations": 1_000_000}, "must fit into a message"),
        ({"max_request_operations": 390_000, "max_block_operations": 400_000}, "every request must fit into a message"),
        ({"max_block_bytes": 2_000_001}, "an answer must hold two blocks"),
        ({"max_relayed_bytes": 65_536}, "every request must fit into a message"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, float], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        Config(**{"n": 4, **changes})  # type: ignore[arg-type]  # one of several types of parameters
