"""`diembft list`: the test cases, and what each shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from msgspec import Struct

from diembft.cli import options, output
from diembft.cli.output import Column
from diembft.testcase.case import TestCase, WorkloadSpec
from diembft.testcase.loader import MUST_FAIL, case_files, default_folder, load, name_in


class ListedCase(Struct, frozen=True):
    """One line of the list."""

    name: str
    """What `diembft run` takes."""
    description: str
    num_replicas: int
    failures: int
    workloads: tuple[str, ...]
    expect_failure: str | None


@click.command("list")
@click.argument("folder", metavar="[DIR]", required=False, type=options.READABLE_FOLDER)
@options.as_json
def command(folder: Path | None, as_json: bool) -> None:
    """List the test cases, with what each shows.

    They are those in DIR (default: configs/) and below it. Those in must_fail/ are expected to fail; `diembft test`
    leaves them out.
    """
    listed = list(_listed(folder))
    if as_json:
        output.say_json(listed)
        return
    output.table(
        [
            Column("case"),
            Column("n", True),
            Column("workloads", spare=True),
            Column("failures", True, spare=True),
            Column("what it shows", prose=True),
        ],
        [
            (case.name, str(case.num_replicas), ", ".join(case.workloads), str(case.failures), case.description)
            for case in listed
        ],
    )


def _listed(folder: Path | None) -> Iterable[ListedCase]:
    top = folder or default_folder()
    for below in (top, top / MUST_FAIL):
        for path in case_files(below) if below == top or below.is_dir() else ():
            case = load(str(path), draw_seed=lambda: 0)
            name = str(path) if folder else name_in(top, path)
            yield _entry(name, case)


def _entry(name: str, case: TestCase) -> ListedCase:
    return ListedCase(
        name=name,
        description=case.description,
        num_replicas=case.num_replicas,
        failures=len(case.failures),
        workloads=tuple(map(_workload, case.workloads)),
        expect_failure=case.expect_failure,
    )


def _workload(workload: WorkloadSpec) -> str:
    return f"{workload.type.value} {workload.num_clients}x{workload.count}"
