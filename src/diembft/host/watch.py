"""Watches a run: keeps its records, judges them by the invariants, or both."""

from __future__ import annotations

from typing import Protocol

from diembft.host.recording import Observer
from diembft.judge.traces import Checker
from diembft.trace.records import Ended, Header, Record, Violated


class Watched(Protocol):
    """A run that goes on in virtual time."""

    now_s: float

    def stop(self) -> None:
        """End the run after the event under way."""
        ...


class Watch:
    """Takes the records of one run.

    `keep`: in memory, in `records`, the header first. `judge`: by all invariants, after every event; what is violated
    is put into the record of the run, right after what shows it.
    """

    def __init__(self, header: Header, *, keep: bool, judge: bool, stop_at_violation: bool = False) -> None:
        self.violations: list[Violated] = []
        self.records: list[Record] = [header] if keep else []
        self._keep = keep
        self._checker = Checker(header) if judge else None
        self._stop_at_violation = stop_at_violation
        self._run: Watched | None = None

    @property
    def observer(self) -> Observer | None:
        """What a driver is to be given: None if nothing is to be watched."""
        return self.observe if self._keep or self._checker is not None else None

    def attach(self, run: Watched) -> None:
        """Name the run that a violation stops."""
        self._run = run

    def finish(self, ended: Ended) -> None:
        """The last record."""
        if self._keep:
            self.records.append(ended)

    def judge_end(self, at_s: float) -> None:
        """Nothing more happens until this time: judge what should have."""
        if self._checker is not None:
            self._found(self._checker.finish(at_s))

    def add(self, name: str, detail: str, nodes: tuple[str, ...] = ()) -> None:
        """Somebody else found something violated."""
        self._found([Violated(self._now_s(), name, detail, nodes)])

    def observe(self, record: Record) -> None:
        """Take the next record."""
        if self._keep:
            self.records.append(record)
        if self._checker is not None:
            found = self._checker.feed(record)
            if found:
                self._found(found)

    def _now_s(self) -> float:
        return 0.0 if self._run is None else self._run.now_s

    def _found(self, found: list[Violated]) -> None:
        self.violations.extend(found)
        if self._keep:
            self.records.extend(found)
        if found and self._stop_at_violation and self._run is not None:
            self._run.stop()
