from __future__ import annotations

import pytest
from msgspec import structs

from diembft.errors import InputError
from diembft.pages.survey import MARK, choose_window, span, survey
from diembft.trace.records import Fired, Record, SetAttribute, State, Violated
from tests.pages.traces import fault_free, small_quorum


def test_rounds_begin_when_the_first_node_enters() -> None:
    found = survey(fault_free(rounds=3))
    assert list(found.entries) == [0, 1, 2, 3, 4]
    assert found.entries[2] == pytest.approx(0.2)
    assert found.last_round == 4
    assert found.violated is None
    assert found.ended is not None
    assert found.ended.passed


def test_what_fits_is_shown_whole() -> None:
    window = choose_window(survey(fault_free(rounds=10)))
    assert (window.first_round, window.last_round, window.whole) == (0, 11, True)


def test_of_a_long_run_the_first_rounds_are_shown() -> None:
    found = survey(fault_free(rounds=30))
    window = choose_window(found, max_bytes=sum(found.sizes.values()) // 3)
    assert window.first_round == 0
    assert 5 < window.last_round < 15
    assert not window.whole
    assert sum(found.sizes[round_] for round_ in range(1, window.last_round + 1)) <= sum(found.sizes.values()) / 3


def test_of_a_long_run_with_a_violation_the_rounds_before_it_are_shown() -> None:
    found = survey(small_quorum())
    assert found.violated == 3
    window = choose_window(found, max_bytes=found.sizes[2] + found.sizes[3] + 1)
    assert (window.first_round, window.last_round) == (2, 3)


def test_one_round_is_shown_even_if_it_is_too_large() -> None:
    window = choose_window(survey(fault_free()), (2, 3), max_bytes=1)
    assert (window.first_round, window.last_round) == (2, 2)


def test_rounds_asked_for() -> None:
    found = survey(fault_free(rounds=9))
    window = choose_window(found, (3, 5))
    assert (window.first_round, window.last_round, window.all_rounds) == (3, 5, 10)
    assert span(found, window) == (found.entries[3], found.entries[6])


def test_rounds_that_the_trace_lacks_are_bad_input() -> None:
    with pytest.raises(InputError, match="rounds 40-50: the trace has rounds 0 to 10"):
        choose_window(survey(fault_free(rounds=9)), (40, 50))


def test_an_empty_trace_is_bad_input() -> None:
    with pytest.raises(InputError, match="the trace is empty"):
        survey([])


def test_a_node_whose_state_was_tampered_with_begins_no_round() -> None:
    trace = fault_free(rounds=3)
    last = next(record for record in reversed(trace) if isinstance(record, State) and record.node == "replica2")
    trace[5:5] = [
        SetAttribute(0.05, "replica2", "current_round", 40),
        structs.replace(last, at=0.05, current_round=40),
    ]
    found = survey(trace)
    assert list(found.entries) == [0, 1, 2, 3, 4]
    assert found.byzantine == {"replica2"}


def test_a_violation_that_is_noted_at_the_end_is_shown_where_it_happened() -> None:
    trace = fault_free(rounds=30)
    trace.insert(-1, Violated(3.1, "agreement", "", (), 5))
    found = survey(trace)
    assert found.violated == 8
    window = choose_window(found, max_bytes=sum(found.sizes[round_] for round_ in range(4, 9)))
    assert (window.first_round, window.last_round) == (4, 8)


def endless_round(events: int) -> list[Record]:
    """Three rounds, the last of which never ends: its timer fires again and again."""
    return [*fault_free(rounds=2), *(Fired(1.0 + 0.01 * number, "replica0", "round", 3) for number in range(events))]


def test_of_a_round_that_is_too_large_the_beginning_is_shown() -> None:
    found = survey(endless_round(20_000))
    window = choose_window(found, max_bytes=5 * MARK)
    assert (window.first_round, window.last_round, window.whole) == (0, 3, False)
    assert window.cut_s is not None
    assert span(found, window)[1] == window.cut_s
    of_an_event = found.sizes[3] / 20_000
    assert 3.9 * MARK < (window.cut_s - 1.0) / 0.01 * of_an_event < 5 * MARK
    assert choose_window(found, (3, 3), max_bytes=1).cut_s == found.marks[3][0]


def test_a_violation_in_a_round_that_is_too_large() -> None:
    found = survey([*endless_round(20_000), Violated(300.0, "liveness_commit", "", (), 3)])
    window = choose_window(found, max_bytes=2 * MARK)
    assert (window.first_round, window.last_round) == (3, 3)
    assert window.cut_s is not None
