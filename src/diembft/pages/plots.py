"""Charts of results: commit latency over time, states per level of an exploration, the kill matrix.

Drawn by matplotlib, which is an optional dependency (`pip install matplotlib`): it writes SVG and PNG of print
quality without a display.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from diembft.errors import InputError
from diembft.files import replacing, writing
from diembft.pages.results import Exploration, Kill, KillMatrix, Plottable, RunLatency

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

FORMATS = (".svg", ".png", ".pdf")

# Colours of Okabe and Ito, which remain distinct for the colour-blind.
_BLUE, _ORANGE, _GREEN, _VERMILLION, _PURPLE, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6b7280"

_RGB_BLUE = (0.0, 0x72 / 255, 0xB2 / 255)

_SPAN_COLOURS = {"crashed": _VERMILLION, "paused": _ORANGE, "partition": _PURPLE}
_SPAN_HATCHES = {"crashed": "////", "paused": "....", "partition": "\\\\"}
_MOMENT_MARKS = {
    "lost": ("message lost", "|", _GREY, 0.02),
    "late": ("message late", "|", _ORANGE, 0.09),
    "timeout": ("round timer ran out", "|", _VERMILLION, 0.055),
    "byzantine": ("made Byzantine", "v", _PURPLE, 0.13),
    "violated": ("violation", "X", "black", 0.13),
}
"""For each kind of moment: its name, mark, colour and height in the chart."""


def write_plot(path: Path, results: Plottable) -> None:
    """Draw results into a file; its suffix says the format.

    Raises InputError for another suffix, without matplotlib, and if the file cannot be written; NotWritten if the disk
    is full.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a plot is written as one of {', '.join(FORMATS)}")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("plots need matplotlib: pip install matplotlib") from None
    settings: Any = {
        "svg.hashsalt": "diembft",  # the same figure gives the same bytes
        "svg.fonttype": "none",
        "text.parse_math": False,  # a name with a dollar sign is a name
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
    }
    with rc_context(settings):
        match results:
            case RunLatency():
                figure = Figure(figsize=(9, 4.2), layout="constrained")
                draw_latency(figure, results)
            case Exploration():
                figure = Figure(figsize=(8, 4), layout="constrained")
                draw_levels(figure, results)
            case KillMatrix():
                figure = Figure(layout="constrained")
                draw_kill_matrix(figure, results)
            case _:
                assert_never(results)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        with writing(path), replacing(path) as partial:
            figure.savefig(partial, dpi=150, metadata=metadata)


def draw_latency(figure: Figure, run: RunLatency) -> None:
    """Commit latency of each block over the time of its proposal, with the faults of the run marked."""
    axes = figure.add_subplot()
    at = [block.proposed_s for block in run.blocks]
    medians = [1000 * block.median_s for block in run.blocks]
    bands = ([1000 * block.first_s for block in run.blocks], [1000 * block.last_s for block in run.blocks])
    axes.vlines(at, *bands, color=_BLUE, alpha=0.35, linewidth=1.5, label="first to last replica")
    axes.plot(at, medians, ".", color=_BLUE, markersize=5, label="block committed (median replica)")
    if run.accepted:
        axes.plot(
            [accepted for accepted, _ in run.accepted],
            [1000 * latency for _, latency in run.accepted],
            "x",
            color=_GREEN,
            markersize=4,
            label="request accepted by its client",
        )
    _mark_faults(axes, run)
    axes.set(title=_short(run.title), xlabel="time (s)", ylabel="latency (ms)", xlim=(0, run.end_s or 1))
    if max(bands[1]) > 20 * max(min(medians), 0.001):
        axes.set_yscale("log")
        _plain_numbers(axes)
    axes.grid(axis="y", alpha=0.25)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5, columnspacing=1.2)


def _mark_faults(axes: Axes, run: RunLatency) -> None:
    named: set[str] = set()
    for span in run.spans:
        label = None if span.kind in named else span.kind
        named.add(span.kind)
        axes.axvspan(
            span.start_s,
            span.end_s,
            facecolor=_SPAN_COLOURS[span.kind],
            hatch=_SPAN_HATCHES[span.kind],
            edgecolor=_SPAN_COLOURS[span.kind],
            alpha=0.15,
            label=label,
        )
        if span.node:
            axes.text(span.start_s, 0.99, f" {span.node}", transform=axes.get_xaxis_transform(), va="top", fontsize=8)
    for kind, (name, marker, colour, height) in _MOMENT_MARKS.items():
        times = [moment.at_s for moment in run.moments if moment.kind == kind]
        if times:
            heights = [height] * len(times)
            axes.plot(
                times, heights, marker, color=colour, transform=axes.get_xaxis_transform(), label=name, linestyle="none"
            )


def draw_levels(figure: Figure, exploration: Exploration) -> None:
    """New states of each level, all states so far, and transitions tried; without new states it is a fixed point."""
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    rounds = [level.round - 1 for level in exploration.levels]
    states = [level.states for level in exploration.levels]
    total = [sum(states[: index + 1]) for index in range(len(states))]
    axes.bar(rounds, states, color=_BLUE, label="new states")
    axes.plot(rounds, total, color=_ORANGE, marker=".", label="all states so far")
    transitions = [level.transitions for level in exploration.levels]
    axes.plot(rounds, transitions, color=_GREY, linestyle="--", marker="x", label="transitions tried")
    axes.set_yscale("symlog", linthresh=1)
    _plain_numbers(axes)
    axes.set_ylim(bottom=0)
    axes.set(title=_title(exploration), xlabel="rounds", ylabel="states")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _title(exploration: Exploration) -> str:
    asked = exploration.question
    quorum = ", one with a quorum" if asked.quorum_filter else ""
    leaders = ", twins lead" if asked.twins_lead else ""
    bugs = f", planted: {', '.join(asked.bugs)}" if asked.bugs else ""
    states = sum(level.states for level in exploration.levels)
    rounds = max(0, len(exploration.levels) - 1)
    return (
        f"Model {asked.model}: {asked.replicas} replicas, {asked.faulty} with a twin, "
        f"up to {asked.sets} sets{quorum}{leaders}{bugs}\n"
        f"{states:,} states, {exploration.ending} after {rounds} rounds"
    )


def _plain_numbers(axes: Axes) -> None:
    """Write the numbers of a logarithmic axis out, and not as powers."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def draw_kill_matrix(figure: Figure, matrix: KillMatrix) -> None:
    """For each planted bug and each place where one looked the oracles that see it, and after how much."""
    from matplotlib.colors import LogNorm

    bugs = list(dict.fromkeys(row.bug for row in matrix.rows))
    places = list(dict.fromkeys(row.where for row in matrix.rows))
    notes = list(dict.fromkeys(row.note for row in matrix.rows if row.note))
    cells: dict[tuple[str, str], list[Kill]] = {}
    for row in matrix.rows:
        cells.setdefault((row.bug, row.where), []).append(row)
    heights = [max(len(_cell_lines(cell, notes)) for (of, _), cell in cells.items() if of == bug) + 0.6 for bug in bugs]
    tops = [sum(heights[:index]) for index in range(len(bugs) + 1)]
    figure.set_size_inches(2.3 + 1.62 * len(places), 1.1 + 0.155 * tops[-1] + 0.17 * len(notes))
    axes = figure.add_subplot()
    norm = LogNorm(1, max([10.0, *[effort for row in matrix.rows if (effort := _effort(row)) is not None]]))
    for (bug, place), cell in cells.items():
        x, row_of = places.index(place), bugs.index(bug)
        found = [_effort(row) or 1.0 for row in cell if row.oracle]
        strength = 0.12 + 0.5 * float(norm(max(1.0, min(found)))) if found else 0.0
        axes.add_patch(_box(x, tops[row_of], heights[row_of], strength))
        middle = tops[row_of] + heights[row_of] / 2
        colour = "black" if found else _GREY
        lines = "\n".join(_cell_lines(cell, notes))
        axes.text(x, middle, lines, ha="center", va="center", fontsize=7.5, color=colour, linespacing=1.15)
    axes.set_xticks(range(len(places)), [place.replace(", ", ",\n") for place in places])
    middles = [(top + bottom) / 2 for top, bottom in pairwise(tops)]
    axes.set_yticks(middles, [bug.replace("+", " +\n") for bug in bugs])
    axes.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.5, max(len(places), 1) - 0.5), ylim=(max(tops[-1], 1), 0))
    axes.spines[:].set_visible(False)
    axes.hlines(tops[1:-1], -0.5, len(places) - 0.5, color=_GREY, alpha=0.25, linewidth=0.8)
    explained = [f"{number}  {note}" for number, note in enumerate(notes, 1)]
    legend = "The oracle, and until it is violated: rounds, scenarios or states. The darker, the more it took."
    axes.set_xlabel("\n".join([legend, *explained]), fontsize=8, loc="left", labelpad=10)


def _box(x: int, top: float, height: float, strength: float) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.48, top + 0.15), 0.96, height - 0.3, facecolor=(*_RGB_BLUE, strength), edgecolor="none")


def _cell_lines(cell: list[Kill], notes: list[str]) -> list[str]:
    lines = []
    for row in cell:
        figures = ", ".join(_figures(row))
        number = f" ({notes.index(row.note) + 1})" if row.note else ""
        if row.oracle:
            lines += [row.oracle + number, *([figures] if figures else [])]
        else:
            lines += [f"nothing{number}", *([f"in {figures}"] if figures else [])]
    return lines


def _figures(row: Kill) -> list[str]:
    parts = [] if row.rounds is None else [f"{row.rounds:g} round{'' if row.rounds == 1 else 's'}"]
    if row.scenarios is not None:
        parts.append(f"{row.scenarios:,g} scen.")
    if row.states is not None:
        parts.append(f"{row.states:,g} states")
    return parts


def _effort(row: Kill) -> float | None:
    return row.scenarios if row.scenarios is not None else row.states


def _short(title: str) -> str:
    return title if len(title) <= 90 else title[:89] + "…"
