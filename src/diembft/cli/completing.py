"""What the Tab key offers on a command line: names that only this project knows.

Asked for in a process of its own at each press of the key, so nothing here loads or runs a test case.
"""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from diembft.cli.case_choice import names_in
from diembft.errors import InputError
from diembft.protocols.by_name import BUILT_IN, DEFAULT_PROTOCOL, protocol_of
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
    # Folders first: the script for bash forgets the names before them, and offers folders only if there are no names.
    return found if given else [CompletionItem(incomplete, type="dir"), *found]


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, where something else may stand as well."""
    return [CompletionItem(incomplete, type="file")]


def bugs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Planted bugs of the protocol that was named before, if it comes with the tester."""
    protocol = context.params.get("protocol") or DEFAULT_PROTOCOL
    return _beginning(list(protocol_of(protocol).bugs) if protocol in BUILT_IN else [], incomplete)


def protocols(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Protocols that come with the tester."""
    return _beginning(list(BUILT_IN), incomplete)


def _beginning(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
