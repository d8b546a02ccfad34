"""The two thresholds count distinct signers."""

from __future__ import annotations

import pytest

from diembft.consensus.config import Config
from diembft.consensus.quorums import Quorums


@pytest.mark.parametrize("n", range(1, 32))
def test_thresholds(n: int) -> None:
    config = Config(n=n)
    quorums = Quorums(config)
    for signers in range(n + 1):
        assert quorums.is_quorum(signers) == (signers >= n - config.f)
        assert quorums.includes_correct(signers) == (signers > config.f)


def test_a_list_with_a_repeated_signer_counts_for_nothing() -> None:
    quorums = Quorums(Config(n=4))
    assert quorums.distinct((0, 1, 2)) == 3
    assert quorums.distinct((2, 0, 3, 1)) == 4
    assert quorums.distinct((0, 1, 1)) == 0
    assert quorums.distinct(()) == 0
