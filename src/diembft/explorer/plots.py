"""Charts of results: commit latency over time, states per level of an exploration, the kill matrix.

Drawn by matplotlib, which is an optional dependency (`pip install diembft[plots]`): it writes SVG and PNG of print
quality without a display.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from diembft.errors import InputError
from diembft.explorer.results import Kill, Levels, Plottable, RunLatency

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

FORMATS = (".svg", ".png", ".pdf")

# Colours of Okabe and Ito, which remain distinct for the colour-blind.
_BLUE, _ORANGE, _GREEN, _VERMILLION, _PURPLE, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6b7280"

_SPAN_COLOURS = {"crashed": _VERMILLION, "paused": _ORANGE, "partition": _PURPLE}
_SPAN_HATCHES = {"crashed": "////", "paused": "....", "partition": "\\\\"}
_MOMENT_MARKS = {
    "lost": ("message lost", "|", _GREY, 0.02),
    "timeout": ("round timer ran out", "|", _VERMILLION, 0.055),
    "byzantine": ("made Byzantine", "v", _PURPLE, 0.09),
    "violated": ("violation", "X", "black", 0.09),
}
"""For each kind of moment: its name, mark, colour and height in the chart."""


def write_plot(path: Path, results: Plottable) -> None:
    """Draw results into a file; its suffix says the format.

    Raises InputError for another suffix, without matplotlib, and if the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a plot is written as one of {', '.join(FORMATS)}")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("plots need matplotlib: pip install 'diembft[plots]'") from None
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
            case Levels():
                figure = Figure(figsize=(8, 4), layout="constrained")
                draw_levels(figure, results)
            case tuple():
                figure = Figure(figsize=_matrix_size(results), layout="constrained")
                draw_kill_matrix(figure, results)
            case _:
                assert_never(results)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        partial = path.with_name(f"{path.name}.partial{path.suffix}")
        try:
            figure.savefig(partial, dpi=150, metadata=metadata)
            partial.replace(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None


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
    figure.legend(loc="outside lower center", ncols=4, frameon=False)


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


def draw_levels(figure: Figure, exploration: Levels) -> None:
    """New states of each level, and all states so far; a level without new states is the fixed point."""
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    numbers = [index if level.level is None else level.level for index, level in enumerate(exploration.levels)]
    states = [level.states for level in exploration.levels]
    total = [sum(states[: index + 1]) for index in range(len(states))]
    axes.bar(numbers, states, color=_BLUE, label="new states")
    axes.plot(numbers, total, color=_ORANGE, marker=".", label="all states so far")
    if any(level.transitions is not None for level in exploration.levels):
        transitions = [level.transitions or 0 for level in exploration.levels]
        axes.plot(numbers, transitions, color=_GREY, linestyle="--", marker="x", label="transitions tried")
    axes.set_yscale("symlog", linthresh=1)
    _plain_numbers(axes)
    axes.set_ylim(bottom=0)
    end = f": {total[-1]:,} states in {len(states)} levels" if total else ""
    closed = ", closed" if states and states[-1] == 0 else ""
    axes.set(title=_short(exploration.title or f"Exploration{end}{closed}"), xlabel="level (rounds)", ylabel="states")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False)


def _plain_numbers(axes: Axes) -> None:
    """Write the numbers of a logarithmic axis out, and not as powers."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def draw_kill_matrix(figure: Figure, kills: tuple[Kill, ...]) -> None:
    """Planted bugs against the oracles that see them: rounds, and scenarios or states until found."""
    from matplotlib.colors import LogNorm

    axes = figure.add_subplot()
    bugs = list(dict.fromkeys(kill.bug for kill in kills))
    columns = list(dict.fromkeys(_column(kill) for kill in kills if kill.oracle))
    efforts = [effort for kill in kills if kill.oracle and (effort := _effort(kill)) is not None]
    norm = LogNorm(1, max([10.0, *efforts]))
    for kill in kills:
        if not kill.oracle:
            continue
        x, y, effort = columns.index(_column(kill)), bugs.index(kill.bug), _effort(kill)
        strength = 0.15 if effort is None else 0.12 + 0.6 * float(norm(max(1.0, effort)))
        axes.add_patch(_cell(x, y, strength))
        axes.text(x, y, _cell_text(kill), ha="center", va="center", fontsize=8)
    for bug in bugs:
        if not any(kill.oracle for kill in kills if kill.bug == bug):
            axes.text(-0.45, bugs.index(bug), "not found", ha="left", va="center", color=_GREY, fontsize=8)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(bugs)), bugs)
    axes.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(bugs) - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    axes.set_xticks([index - 0.5 for index in range(1, len(columns))], minor=True)
    axes.set_yticks([index - 0.5 for index in range(1, len(bugs))], minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", alpha=0.3)
    axes.set_xlabel("rounds, and scenarios or states until found;\nthe darker, the more it took")


def _cell(x: int, y: int, strength: float) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.47, y - 0.44), 0.94, 0.88, facecolor=_BLUE, alpha=strength, edgecolor="none")


def _matrix_size(kills: tuple[Kill, ...]) -> tuple[float, float]:
    columns = len({_column(kill) for kill in kills if kill.oracle})
    return 2.2 + 1.5 * max(2, columns), 1.3 + 0.42 * len({kill.bug for kill in kills})


def _column(kill: Kill) -> str:
    return f"{kill.oracle}\n{kill.where}" if kill.where else str(kill.oracle)


def _effort(kill: Kill) -> float | None:
    return kill.scenarios if kill.scenarios is not None else kill.states


def _cell_text(kill: Kill) -> str:
    parts = [] if kill.rounds is None else [f"{kill.rounds:g} rounds"]
    if kill.scenarios is not None:
        parts.append(f"{kill.scenarios:,g} scen.")
    if kill.states is not None:
        parts.append(f"{kill.states:,g} states")
    return "\n".join(parts) or "found"


def _short(title: str) -> str:
    return title if len(title) <= 90 else title[:89] + "…"
