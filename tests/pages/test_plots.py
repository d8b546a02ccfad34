from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from diembft.errors import InputError
from diembft.pages.plots import write_plot
from diembft.pages.results import (
    BlockLatency,
    Exploration,
    Kill,
    KillMatrix,
    Moment,
    Plottable,
    PlottedLevel,
    PlottedQuestion,
    RunLatency,
    Span,
)

RUN = RunLatency(
    "costs $5 & more",
    tuple(BlockLatency(0.1 * index, 0.2, 0.3, 0.3 + 0.05 * index) for index in range(200)),
    ((1.0, 0.5),),
    (Span(2.0, 3.0, "crashed", "replica1"), Span(5.0, 6.0, "partition")),
    (Moment(2.5, "timeout"), Moment(3.5, "violated")),
    20.0,
)
LEVELS = Exploration(
    PlottedQuestion("barrier", 4, 1, 2, twins_lead=True, quorum_filter=True, bugs=("no_vote_lock",)),
    (PlottedLevel(1, 40), PlottedLevel(2, 1200, 6000), PlottedLevel(3, 0, 500)),
    "fixed point",
)
KILLS = KillMatrix(
    (
        Kill("gap_commit", "executor", "agreement", 5, 1200),
        Kill("small_quorum", "barrier", "quorum_progress", 1, None, 31),
        Kill("small_quorum", "barrier", "agreement", 3, None, 90),
        Kill("late_replay", "fuzz", "execution"),
        Kill("stale_leader+ignore", "executor", scenarios=360, note="whoever checks refuses"),
        Kill("unsigned_certificates", "executor", scenarios=360, note="twins never forge"),
    )
)


def drawn_text(tmp_path: Path, results: Plottable) -> str:
    path = tmp_path / "plot.svg"
    write_plot(path, results)
    return " ".join(text.strip() for text in ElementTree.parse(path).getroot().itertext() if text.strip())


def test_latency_shows_the_run_with_its_faults(tmp_path: Path) -> None:
    text = drawn_text(tmp_path, RUN)
    for word in (
        "costs $5 & more",
        "latency (ms)",
        "replica1",
        "crashed",
        "partition",
        "round timer ran out",
        "violation",
    ):
        assert word in text
    assert "paused" not in text
    assert "mathdefault" not in text


def test_levels_show_states_and_that_nothing_new_came(tmp_path: Path) -> None:
    text = drawn_text(tmp_path, LEVELS)
    assert "1,240 states, fixed point after 2 rounds" in text
    assert "up to 2 sets, one with a quorum, twins lead, planted: no_vote_lock" in text
    assert "transitions tried" in text


def test_the_kill_matrix_shows_every_bug(tmp_path: Path) -> None:
    text = drawn_text(tmp_path, KILLS)
    for word in (
        *("gap_commit", "late_replay", "stale_leader +", "barrier", "fuzz"),
        *("5 rounds, 1,200 scen.", "1 round, 31 states", "3 rounds, 90 states", "agreement", "execution"),
        *("nothing (1)", "nothing (2)", "in 360 scen.", "1  whoever checks refuses", "2  twins never forge"),
    ):
        assert word in text


def test_a_kill_matrix_and_an_exploration_of_nothing(tmp_path: Path) -> None:
    assert "The oracle" in drawn_text(tmp_path, KillMatrix(()))
    assert "0 states" in drawn_text(tmp_path, Exploration(LEVELS.question, (), "time limit"))


def test_the_same_results_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        write_plot(tmp_path / name, KILLS)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_png(tmp_path: Path) -> None:
    write_plot(tmp_path / "plot.png", LEVELS)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]


def test_another_suffix_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plot\.gif: a plot is written as one of \.svg, \.png, \.pdf"):
        write_plot(tmp_path / "plot.gif", LEVELS)


def test_a_folder_that_is_missing_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written: No such file"):
        write_plot(tmp_path / "nowhere" / "plot.svg", LEVELS)
