"""What the Tab key offers on a command line: names that only this project knows.

Asked for in a process of its own at each press of the key, so nothing here loads or runs a test case.
"""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from diembft.cli.case_choice import names_in
from diembft.errors import InputError
from diembft.faults.registry import BUGS
from diembft.protocols.by_name import BUILT_IN
from diembft.testcase.loader import default_folder


def cases(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of test cases; if there is none that begins so, files, which a command takes as well."""
    try:
        found = _beginning(names_in(default_folder()), incomplete)
    except InputError:
        found = []
    return found or [CompletionItem(incomplete, type="file")]


def folders_and_cases(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of test cases of the folder that was given first, or of the project; and folders where one may stand."""
    given = context.params.get(parameter.name or "") or ()
    folder = Path(given[0]) if given and Path(given[0]).is_dir() else default_folder()
    try:
        found = _beginning([name for name in names_in(folder) if name not in given], incomplete)
    except InputError:
        found = []
    return found if given else [*found, CompletionItem(incomplete, type="dir")]


def bugs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Planted bugs of DiemBFT."""
    return _beginning(list(BUGS), incomplete)


def protocols(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Protocols that come with the tester."""
    return _beginning(list(BUILT_IN), incomplete)


def _beginning(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
