"""A file can be read in one sitting, a function is seen at once: no file and no function of src is longer than that.

A function that is a table of cases may be as long as there are cases: nobody reads it from top to bottom.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "diembft"

LINES_OF_A_FILE = 450
LINES_OF_A_FUNCTION = 50
LINES_OF_A_CASE = 8
"""What a case of a table may have."""
LINES_BEFORE_A_TABLE = 3
"""What a function may do before it looks up the case."""

ONE_KEY = "keys are the matter of the work on decisions that hold for whatever code runs"

EXEMPT = {
    "protocols/diembft/canonical.py _summary": ONE_KEY,
    "protocols/diembft/concrete.py _node": ONE_KEY,
}
"""What is too long and does not stay: a file, or a function in a file, and what comes in its place."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class TooLong(NamedTuple):
    """A file or function that is too long."""

    name: str
    lines: int
    limit: int


def lines_of(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def is_table_of_cases(function: Function) -> bool:
    """Whether it does next to nothing but look up a case, and does little in each."""
    *before, last = function.body
    if before and isinstance(before[0], ast.Expr) and isinstance(before[0].value, ast.Constant):
        before = before[1:]  # the docstring
    return (
        isinstance(last, ast.Match)
        and sum([lines_of(statement) for statement in before]) <= LINES_BEFORE_A_TABLE
        and all(sum([lines_of(statement) for statement in case.body]) <= LINES_OF_A_CASE for case in last.cases)
    )


def too_long(name: str, text: str) -> Iterator[TooLong]:
    """The file of this text, if it is too long, and those of its functions that are."""
    lines = len(text.splitlines())
    if lines > LINES_OF_A_FILE:
        yield TooLong(name, lines, LINES_OF_A_FILE)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function) and lines_of(node) > LINES_OF_A_FUNCTION and not is_table_of_cases(node):
            yield TooLong(f"{name} {node.name}", lines_of(node), LINES_OF_A_FUNCTION)


def test_no_file_and_no_function_is_too_long() -> None:
    found = {
        found.name: found
        for path in sorted(SOURCE.rglob("*.py"))
        for found in too_long(path.relative_to(SOURCE).as_posix(), path.read_text())
    }
    wrong = [f"{name} has {lines} lines, more than {limit}" for name, lines, limit in found.values()]
    assert not [line for name, line in zip(found, wrong, strict=True) if name not in EXEMPT]
    assert not EXEMPT.keys() - found.keys(), "an exemption that nothing needs any more: take it out"


def function(*body: str) -> str:
    return "\n".join(["def long():", *[f"    {line}" for line in body]])


def table(lines_of_a_case: int) -> list[str]:
    return ["match what:", *[line for _ in range(12) for line in ["    case _:", *["        act()"] * lines_of_a_case]]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x = 1\n" * 450, []),
        ("x = 1\n" * 451, ["some.py"]),
        (function(*["act()"] * 49), []),
        (function(*["act()"] * 50), ["some.py long"]),
        ("async " + function(*["act()"] * 50), ["some.py long"]),
        ("class Some:\n" + "\n".join(["    " + line for line in function(*["x"] * 50).splitlines()]), ["some.py long"]),
        (function('"""What it does."""', "act()", *table(8)), []),
        (function('"""What it does."""', "act()", *table(9)), ["some.py long"]),
        (function(*["act()"] * 4, *table(8)), ["some.py long"]),
        (function(*table(8), "act()"), ["some.py long"]),
    ],
)
def test_what_is_too_long_is_found(text: str, names: list[str]) -> None:
    assert [found.name for found in too_long("some.py", text)] == names
