"""First reading of a trace: how large it is, when its rounds begin, and which part of it one page can show."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from diembft.errors import InputError
from diembft.pages import data
from diembft.trace.records import (
    Delivered,
    Dropped,
    Ended,
    Fired,
    Header,
    Record,
    Replied,
    Sent,
    SetAttribute,
    State,
    Submitted,
    Violated,
)

MAX_BYTES = 4_000_000
"""What the data of one page may come to (estimated; a page stays under 5 MB)."""

MARK = 200_000
"""A round that does not fit is cut where its records come to a multiple of so many bytes."""

ROUNDS_TO_COMMIT = 3
"""How many rounds after that of its block a commit is usually seen everywhere."""

_STATE, _MESSAGE, _DELIVERY, _OTHER = 150, 170, 60, 70
"""About what a record adds to a page, in bytes."""


class Survey(Struct):
    """What the first reading found."""

    header: Header
    entries: dict[int, float]
    """For each round when the first node entered it."""
    sizes: dict[int, int]
    """For each round what the records from its first entry to the next round's add to a page, in bytes."""
    marks: dict[int, list[float]]
    """For each round the times at which that passed `MARK` bytes, twice as many, and so on."""
    byzantine: set[str]
    """Nodes whose state was set to something else: what they do afterwards begins no round."""
    violated: int | None
    """The last of the rounds that show the first violation; of a run that failed without one, the last of all."""
    ended: Ended | None
    until: float

    @property
    def last_round(self) -> int:
        """The highest round that was entered."""
        return max(self.entries)


def survey(trace: Iterable[Record]) -> Survey:
    """Read a trace once. Raises InputError if it is empty."""
    header: Header | None = None
    entries: dict[int, float] = {}
    sizes: dict[int, int] = {}
    marks: dict[int, list[float]] = {}
    byzantine: set[str] = set()
    violated: int | None = None
    ended: Ended | None = None
    until = 0.0
    current = 0
    for record in trace:
        if isinstance(record, Header):
            header = record
            entries[0] = 0.0
            continue
        until = max(until, record.at)
        size = 0
        match record:
            case State():
                if record.current_round > current and record.node not in byzantine:
                    current = record.current_round
                    entries[current] = record.at
                size = _STATE
            case Sent() | Submitted() | Replied():
                size = _MESSAGE
            case Delivered() | Fired():
                size = _DELIVERY + _OTHER
            case Dropped():
                size = _DELIVERY
            case SetAttribute():
                byzantine.add(record.node)
                size = _OTHER
            case Violated():
                if violated is None:  # oracles that judge a finished run note it at its end
                    violated = current if record.round is None else min(current, record.round + ROUNDS_TO_COMMIT)
                size = _STATE
            case Ended():
                ended = record
            case _:
                size = _OTHER
        before = sizes.get(current, 0)
        sizes[current] = before + size
        if before // MARK < (before + size) // MARK:
            marks.setdefault(current, []).append(record.at)
    if header is None:
        raise InputError("the trace is empty")
    if violated is None and ended is not None and not ended.passed:  # why it failed shows in its last rounds
        violated = current
    return Survey(header, entries, sizes, marks, byzantine, violated, ended, until)


def choose_window(found: Survey, rounds: tuple[int, int] | None = None, max_bytes: int = MAX_BYTES) -> data.Window:
    """Which rounds to show: those asked for, or as many as fit up to what failed first, or else from the beginning.

    Rounds asked for that do not fit are cut at their end. Of a round that is too large for a page its beginning is
    shown. Raises InputError if none of those asked for was entered.
    """
    entered = sorted(found.entries)
    last = entered[-1]
    wanted = entered
    if rounds is not None:
        wanted = [round_ for round_ in entered if rounds[0] <= round_ <= rounds[1]]
        if not wanted:
            raise InputError(f"rounds {rounds[0]}-{rounds[1]}: the trace has rounds {entered[0]} to {last}")
    elif found.violated is not None:
        until = [round_ for round_ in entered if round_ <= found.violated]
        before = _fitting(until[::-1], found.sizes, max_bytes)
        wanted = entered[len(until) - max(1, len(before)) :]
    chosen = _fitting(wanted, found.sizes, max_bytes)
    cut_s = None
    if len(chosen) < len(wanted):
        too_large = wanted[len(chosen)]
        marks = found.marks.get(too_large, [])
        left = max_bytes - sum([found.sizes.get(round_, 0) for round_ in chosen])
        fitting = min(left // MARK, len(marks))
        if fitting or not chosen:
            chosen = [*chosen, too_large]
            cut_s = marks[max(fitting, 1) - 1] if marks else None
    first_round, last_round = chosen[0], chosen[-1]
    whole = first_round == entered[0] and last_round == last and cut_s is None
    return data.Window(first_round, last_round, last, 0, 0, whole, cut_s)


def _fitting(rounds: list[int], sizes: dict[int, int], max_bytes: int) -> list[int]:
    """The first of the rounds, as many as fit."""
    total = 0
    for count, round_ in enumerate(rounds):
        total += sizes.get(round_, 0)
        if total > max_bytes:
            return rounds[:count]
    return rounds


def span(found: Survey, window: data.Window) -> tuple[float, float]:
    """The time from which and before which records belong to the window."""
    later = [round_ for round_ in sorted(found.entries) if round_ > window.last_round]
    start = float("-inf") if window.first_round == 0 else found.entries[window.first_round]
    end = found.entries[later[0]] if later else float("inf")
    return start, end if window.cut_s is None else window.cut_s
