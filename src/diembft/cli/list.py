"""`diembft list`: the test cases, and what each shows; or what else there is to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec import Struct

from diembft.cli import options, output
from diembft.cli.output import Column
from diembft.cli.things import THINGS, Thing
from diembft.testcase.case import TestCase, WorkloadSpec
from diembft.testcase.loader import MUST_FAIL, case_files, default_folder, load, name_in

Command = TypeVar("Command", bound=Callable[..., Any])

_EXTRA = {"bugs": "protocol", "oracles": "judged in"}
"""The kinds whose things are for different uses, and the heading of these."""


class ListedCase(Struct, frozen=True):
    """One line of the list."""

    name: str
    """What `diembft run` takes."""
    description: str
    num_replicas: int
    failures: int
    workloads: tuple[str, ...]
    expect_failure: str | None


def _kinds(command: Command) -> Command:
    """An option for each kind of things."""
    for kind, listing in reversed(list(THINGS.items())):
        command = click.option(f"--{kind}", is_flag=True, help=f"List {_what(listing)}")(command)
    return command


def _what(listing: Callable[[], list[Thing]]) -> str:
    """`the planted bugs of all protocols.`"""
    said = (listing.__doc__ or "").splitlines()[0]
    return said[0].lower() + said[1:]


@click.command("list")
@click.argument("folder", metavar="[DIR]", required=False, type=options.READABLE_FOLDER)
@_kinds
@options.as_json
def command(folder: Path | None, as_json: bool, **asked: bool) -> None:
    """List the test cases, with what each shows; or what else there is to choose from.

    They are those in DIR (default: configs/) and below it. Those in must_fail/ are expected to fail; `diembft test`
    leaves them out unless they are named.
    """
    kinds = [kind for kind in THINGS if asked[kind]]
    if kinds:
        if folder is not None:
            raise click.UsageError(f"DIR is a folder of test cases: leave it out with --{kinds[0]}.")
        _list_things({kind: THINGS[kind]() for kind in kinds}, as_json)
        return
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


def _list_things(things: dict[str, list[Thing]], as_json: bool) -> None:
    if as_json:
        output.say_json(things)
        return
    for kind, own in things.items():
        columns, extra = [Column(kind.removesuffix("s")), Column("what it is", prose=True)], _EXTRA.get(kind)
        if extra is not None:
            columns.insert(1, Column(extra))
        output.table(
            columns,
            [(thing.name, *([thing.where] if extra is not None else []), thing.description) for thing in own],
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
