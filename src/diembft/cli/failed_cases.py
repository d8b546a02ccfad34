"""The trace and the page of each test case that failed, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, structs

from diembft.cli import case_runs, output, view
from diembft.cli.case_choice import Chosen
from diembft.cli.case_runs import CaseReport, CaseTask
from diembft.cli.targets import Kind, Target, check_targets
from diembft.files import writing

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


def targets(files: Sequence[FailedFiles]) -> list[Target]:
    """Those of the files that are there already."""
    both = [
        Target("--failed", Path(name), kind)
        for place in files
        for name, kind in ((place.trace, Kind.TRACE), (place.html, Kind.PAGE))
    ]
    return [target for target in both if target.path is not None and target.path.exists()]


def write(failed: Sequence[tuple[Chosen, CaseReport]], files: Sequence[FailedFiles], task: CaseTask) -> None:
    """Run each failed case again, as the same seeds make the same run, and write its files.

    `task` says how all are run. Raises InputError, also for a file of another kind, or NotWritten.
    """
    check_targets(*targets(files))
    with output.progress() as bar:
        shown = bar.add_task("pages of what failed", total=len(failed))
        for (case, run), place in zip(failed, files, strict=True):
            trace, html = Path(place.trace), Path(place.html)
            with writing(trace):
                trace.parent.mkdir(parents=True, exist_ok=True)
            drawn = bool(run.drawn_seeds)
            seed, failure_seed = (run.seed if drawn else None), (run.failure_seed if drawn else None)
            own = structs.replace(task, name_or_file=case.given, seed=seed, failure_seed=failure_seed)
            _, records = case_runs.run_recorded(own, keep_trace=True)
            view.write_record(records, trace, html)
            bar.advance(shown)
