from __future__ import annotations

import pytest
from msgspec import structs

from diembft.faults.registry import plant
from diembft.judge.invariants import AGREEMENT, LIVENESS
from diembft.simulation import fuzz as fuzzing
from diembft.simulation.drawing import draw_run
from diembft.simulation.fuzz import EXCEPTION, Reached, fuzz, run_drawn, run_index
from diembft.simulation.schedule import Crash
from diembft.simulation.simulator import Simulator
from diembft.trace.records import Ended, Header, Violated


def test_nothing_is_found_and_what_matters_is_reached() -> None:
    total = Reached()
    for result in fuzz(60, 5):
        assert result.held, (result.index, result.violations)
        total.add(result.reached)
    for name in total.__struct_fields__:
        assert getattr(total, name) > 10, name


def test_a_range_gives_what_its_indices_give() -> None:
    results = list(fuzz(3, 5, first=7))
    assert [result.index for result in results] == [7, 8, 9]
    assert results[1] == run_index(5, 8)
    assert results[1].trace == ()


@pytest.mark.parametrize(
    ("bug", "within"),
    [
        ("conflicting_votes", 60),
        ("count_messages", 20),
        ("forgets_on_restart", 20),
        ("gap_commit", 20),
        ("late_replay", 60),
        ("long_commit_chain", 60),
        ("no_timeout_lock", 20),
        ("no_vote_lock", 20),
        ("small_quorum", 20),
    ],
)
def test_broken_rules_are_found(bug: str, within: int) -> None:
    assert any(not result.held for result in fuzz(within, 1, bugs=plant([bug])))


def test_a_violation_ends_the_run_and_stands_in_the_trace() -> None:
    result = run_index(1, 0, bugs=plant(["small_quorum"]), keep_trace=True, replay="diembft fuzz --index 0")
    assert not result.held
    head, last = result.trace[0], result.trace[-1]
    assert isinstance(head, Header)
    assert head.replay == "diembft fuzz --index 0"
    assert isinstance(last, Ended)
    assert not last.passed
    found = [record for record in result.trace if isinstance(record, Violated)]
    assert tuple(found) == result.violations
    assert last.reasons == tuple([record.detail for record in found])


def test_an_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(simulator: Simulator, until_s: float = 0.0) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(Simulator, "run", broken)
    result = run_index(1, 0)
    assert [found.property for found in result.violations] == [EXCEPTION]
    assert "ZeroDivisionError: on purpose (test_fuzz.py, line " in result.violations[0].detail


def test_a_validator_that_stays_behind_is_found() -> None:
    drawn = next(
        drawn
        for drawn in (draw_run(5, index) for index in range(100))
        if drawn.config.n == 4 and not drawn.byzantine and drawn.clients
    )
    late = Crash(drawn.gst_s + 0.001, 3)
    result = run_drawn(structs.replace(drawn, schedule=(*drawn.schedule[:-1], late, drawn.schedule[-1])))
    assert LIVENESS in [found.property for found in result.violations]
    assert AGREEMENT not in [found.property for found in result.violations]


def test_clients_that_cannot_complete_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "PATIENCE_DELTAS", 0)
    details = [found.detail for result in fuzz(20, 5) for found in result.violations]
    assert any("completed" in detail and "requests" in detail for detail in details)


def test_counts_add_up() -> None:
    total = Reached(blocks=1, syncs=2)
    total.add(Reached(blocks=10, restarts=5))
    assert total == Reached(blocks=11, syncs=2, restarts=5)
