from __future__ import annotations

from heapq import heappop
from random import Random

from diembft.simulation.timers import Entry, Timers


class Clock:
    """Timers and their heap; `run` fires what comes due."""

    def __init__(self, slots: int = 2) -> None:
        self.heap: list[Entry] = []
        self.timers = Timers(slots, self.heap)
        self.fired: list[tuple[float, int, int]] = []

    def run(self, until_s: float) -> list[tuple[float, int, int]]:
        while self.heap and self.heap[0][0] <= until_s:
            now_s, _, _, slot, _ = heappop(self.heap)
            if self.timers.came_due(slot, now_s):
                self.fired.append((now_s, slot, self.timers.take(slot)))
        return self.fired


def test_a_timer_fires_once_at_its_time() -> None:
    clock = Clock()
    clock.timers.start(1, 5.0, 7)
    assert clock.run(4.9) == []
    assert clock.run(20.0) == [(5.0, 1, 7)]


def test_a_replaced_timer_never_fires() -> None:
    clock = Clock()
    clock.timers.start(0, 5.0, 1)
    clock.timers.start(0, 8.0, 2)
    assert clock.run(20.0) == [(8.0, 0, 2)]
    clock.timers.start(0, 30.0, 3)
    clock.timers.start(0, 25.0, 4)
    assert clock.run(40.0)[1:] == [(25.0, 0, 4)]


def test_a_cancelled_timer_never_fires() -> None:
    clock = Clock()
    clock.timers.start(0, 5.0, 1)
    clock.timers.cancel(0)
    assert clock.run(6.0) == []
    clock.timers.start(0, 7.0, 2)
    clock.timers.cancel(0)
    clock.timers.start(0, 9.0, 3)
    assert clock.run(20.0) == [(9.0, 0, 3)]


def test_moving_a_timer_further_adds_no_entries() -> None:
    clock = Clock()
    for step in range(100):
        clock.timers.start(0, 5.0 + step, step)
    assert len(clock.heap) == 1


def test_lazy_timers_fire_as_eager_ones_would() -> None:
    rng = Random(1)
    clock = Clock(slots=3)
    running: dict[int, tuple[float, int]] = {}
    expected: list[tuple[float, int, int]] = []
    now_s = 0.0
    for detail in range(2000):
        now_s += rng.choice((0.0, 0.5, 1.0))
        due = sorted([(at_s, slot, details) for slot, (at_s, details) in running.items() if at_s <= now_s])
        expected += due
        for _, slot, _ in due:
            del running[slot]
        clock.run(now_s)
        slot = rng.randrange(3)
        if rng.random() < 0.8:
            running[slot] = (now_s + rng.choice((0.5, 1.0, 3.0)), detail)
            clock.timers.start(slot, running[slot][0], detail)
        else:
            running.pop(slot, None)
            clock.timers.cancel(slot)
    assert len(expected) > 300
    assert clock.fired == expected
