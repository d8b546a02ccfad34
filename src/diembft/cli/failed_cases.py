"""The trace and the page of each test case that failed, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from diembft.cli import case_runs, output
from diembft.cli.case_choice import Chosen
from diembft.cli.case_runs import CaseReport, CaseTask
from diembft.crypto.interface import Crypto

DEFAULT_FOLDER = Path("failed-cases")
"""Under the current folder; made when something fails."""


class FailedFiles(Struct, frozen=True):
    """Where a failure is shown."""

    name: str
    trace: str
    html: str


def places(folder: Path, names: Sequence[str]) -> list[FailedFiles]:
    """The files of each failure, by the names of their cases. Nothing is written yet, and no two files are one."""
    taken: dict[str, None] = {}
    files = []
    for name in names:
        own = Path(name)
        parts = [part for part in own.parts if part not in (own.anchor, "..")]
        place = str(folder.joinpath(*parts))
        while place in taken:
            place += "-again"
        taken[place] = None
        files.append(FailedFiles(name, f"{place}.jsonl", f"{place}.html"))
    return files


def write(failed: Sequence[tuple[Chosen, CaseReport]], files: Sequence[FailedFiles], crypto: Crypto) -> None:
    """Run each failed case again, as the same seeds make the same run, and write its files. Raises InputError."""
    with output.progress() as bar:
        shown = bar.add_task("pages of what failed", total=len(failed))
        for (case, run), place in zip(failed, files, strict=True):
            trace, html = Path(place.trace), Path(place.html)
            with output.writing(trace):
                trace.parent.mkdir(parents=True, exist_ok=True)
            drawn = bool(run.drawn_seeds)
            seed, failure_seed = (run.seed if drawn else None), (run.failure_seed if drawn else None)
            case_runs.run(CaseTask(case.given, seed, failure_seed, crypto, trace=trace, html=html))
            bar.advance(shown)
