"""Pacemaker: rounds, timeouts, timers."""

from __future__ import annotations

import math

import pytest

from diembft.consensus.config import Config
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.quorums import Quorums
from diembft.messages.types import QC
from tests.consensus.rig import Craft


@pytest.fixture
def craft() -> Craft:
    return Craft()


def make(craft: Craft, config: Config | None = None) -> Pacemaker:
    config = config or craft.config
    return Pacemaker(config, Quorums(config))


def qc_of(craft: Craft, round_: int) -> QC:
    return craft.qc(craft.block(round_))


def test_it_begins_in_round_1(craft: Craft) -> None:
    assert make(craft).current_round == 1


def test_a_qc_of_this_round_or_a_later_one_starts_the_round_after_it(craft: Craft) -> None:
    pacemaker = make(craft)
    assert pacemaker.advance_round_qc(qc_of(craft, 1))
    assert pacemaker.current_round == 2
    assert pacemaker.advance_round_qc(qc_of(craft, 7))
    assert pacemaker.current_round == 8


@pytest.mark.parametrize("round_", [3, 6])
def test_an_older_qc_starts_nothing_and_an_old_one_leaves_the_tc(craft: Craft, round_: int) -> None:
    pacemaker = make(craft)
    tc = craft.tc(7)
    pacemaker.advance_round_tc(tc)
    assert not pacemaker.advance_round_qc(qc_of(craft, round_))
    assert pacemaker.current_round == 8
    assert pacemaker.last_round_tc == tc


def test_a_late_qc_of_the_previous_round_makes_the_tc_superfluous(craft: Craft) -> None:
    pacemaker = make(craft)
    pacemaker.advance_round_tc(craft.tc(7))
    assert not pacemaker.advance_round_qc(qc_of(craft, 7))
    assert pacemaker.current_round == 8
    assert pacemaker.last_round_tc is None


def test_a_qc_clears_the_tc(craft: Craft) -> None:
    pacemaker = make(craft)
    pacemaker.advance_round_tc(craft.tc(7))
    assert pacemaker.advance_round_qc(qc_of(craft, 8))
    assert pacemaker.last_round_tc is None


def test_a_tc_of_this_round_or_a_later_one_starts_the_round_after_it(craft: Craft) -> None:
    pacemaker = make(craft)
    assert pacemaker.advance_round_tc(craft.tc(1))
    assert (pacemaker.current_round, pacemaker.last_round_tc) == (2, craft.tc(1))
    assert pacemaker.advance_round_tc(craft.tc(9))
    assert (pacemaker.current_round, pacemaker.last_round_tc) == (10, craft.tc(9))


def test_an_older_tc_changes_nothing(craft: Craft) -> None:
    pacemaker = make(craft)
    pacemaker.advance_round_qc(qc_of(craft, 7))
    assert not pacemaker.advance_round_tc(craft.tc(7))
    assert (pacemaker.current_round, pacemaker.last_round_tc) == (8, None)


def test_resume_never_goes_back(craft: Craft) -> None:
    pacemaker = make(craft)
    pacemaker.resume_at(5)
    assert pacemaker.current_round == 5
    pacemaker.resume_at(4)
    assert pacemaker.current_round == 5


def test_when_a_tc_accompanies_a_message(craft: Craft) -> None:
    pacemaker = make(craft)
    pacemaker.advance_round_tc(craft.tc(7, qc_of(craft, 5)))
    assert pacemaker.tc_for(qc_of(craft, 5)) == craft.tc(7, qc_of(craft, 5))
    assert pacemaker.tc_for(qc_of(craft, 7)) is None
    assert make(craft).tc_for(craft.genesis_qc) is None


# --- timeouts


def test_an_author_counts_once(craft: Craft) -> None:
    pacemaker = make(craft)
    assert pacemaker.add_timeout(craft.timeout(1, 0).tmo_info)
    assert not pacemaker.add_timeout(craft.timeout(1, 0).tmo_info)
    assert len(pacemaker.timeouts) == 1


def test_timeouts_of_another_round_are_our_own_bug(craft: Craft) -> None:
    with pytest.raises(AssertionError, match="because its certificates were processed"):
        make(craft).add_timeout(craft.timeout(2, 0).tmo_info)


@pytest.mark.parametrize("n", [1, 4, 5, 7])
def test_f_plus_1_timeouts_join_and_a_quorum_certifies(n: int) -> None:
    config = Config(n=n)
    craft = Craft(config)
    pacemaker = make(craft, config)
    for count, sender in enumerate(reversed(range(n)), 1):
        pacemaker.add_timeout(craft.timeout(1, sender).tmo_info)
        assert pacemaker.should_join() == (count >= config.f + 1)
        assert (pacemaker.timeout_certificate() is not None) == (count >= config.quorum)


def test_a_tc_has_one_high_qc_round_a_signer_and_the_highest_qc(craft: Craft) -> None:
    """Report: `TC`; the QC of the highest round is our addition (a leader may lack it)."""
    pacemaker = make(craft)
    qcs = {3: qc_of(craft, 1), 1: qc_of(craft, 4), 0: craft.genesis_qc}
    pacemaker.advance_round_tc(craft.tc(5))
    for sender, qc in qcs.items():
        pacemaker.add_timeout(craft.timeout(6, sender, qc).tmo_info)
    tc = pacemaker.timeout_certificate()
    assert tc == craft.tc(6, qcs[1], {0: 0, 1: 4, 3: 1})


def test_entering_a_round_forgets_the_timeouts_of_the_last(craft: Craft) -> None:
    pacemaker = make(craft)
    pacemaker.add_timeout(craft.timeout(1, 0).tmo_info)
    pacemaker.advance_round_qc(qc_of(craft, 1))
    assert pacemaker.timeouts == {}


# --- timer


@pytest.mark.parametrize(
    ("current", "committed", "expected"),
    [(1, 0, 5.0), (2, 0, 5.0), (3, 0, 6.0), (4, 0, 7.2), (4, 2, 5.0), (12, 9, 6.0), (30, 0, 60.0), (10**9, 0, 60.0)],
)
def test_the_timer_grows_by_a_factor_each_round_without_commit(
    craft: Craft, current: int, committed: int, expected: float
) -> None:
    pacemaker = make(craft)
    pacemaker.current_round = current
    assert math.isclose(pacemaker.round_timer_s(committed), expected)


def test_only_the_maximum_bounds_the_growth_of_the_timer(craft: Craft) -> None:
    """An unknown delta of any size is reached: there is no bound on the number of steps."""
    pacemaker = make(craft, Config(n=4, max_timer_s=1e9))
    pacemaker.current_round = 102
    assert math.isclose(pacemaker.round_timer_s(0), 5 * 1.2**100)


def test_parameters_of_the_timer(craft: Craft) -> None:
    pacemaker = make(craft, Config(n=4, delta_s=0.1, timer_growth=2.0, max_timer_s=3.0))
    pacemaker.current_round = 3
    assert math.isclose(pacemaker.round_timer_s(0), 1.0)
    pacemaker.current_round = 5
    assert math.isclose(pacemaker.round_timer_s(0), 3.0)
    constant = make(craft, Config(n=4, timer_growth=1.0))
    constant.current_round = 10**9
    assert constant.round_timer_s(0) == 5.0


def test_a_maximum_below_the_base_does_not_shorten_the_timer(craft: Craft) -> None:
    pacemaker = make(craft, Config(n=4, delta_s=20.0))
    for round_ in (1, 3, 10**9):
        pacemaker.current_round = round_
        assert pacemaker.round_timer_s(0) == 100.0


def test_fork_and_state_key(craft: Craft) -> None:
    pacemaker = make(craft)
    pacemaker.add_timeout(craft.timeout(1, 0).tmo_info)
    pacemaker.add_timeout(craft.timeout(1, 3).tmo_info)
    other = make(craft)
    other.add_timeout(craft.timeout(1, 3).tmo_info)
    other.add_timeout(craft.timeout(1, 0).tmo_info)
    assert other.state_key() == pacemaker.state_key(), "in whatever order they came"
    fork = pacemaker.fork()
    fork.add_timeout(craft.timeout(1, 1).tmo_info)
    assert other.state_key() == pacemaker.state_key() != fork.state_key()
    fork.advance_round_tc(craft.tc(1))
    assert pacemaker.current_round == 1
    assert pacemaker.last_round_tc is None
    key = fork.state_key()
    fork.last_round_tc = None
    assert fork.state_key() != key
