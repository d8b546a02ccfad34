"""The dialect: what 3.7 made of a source, and the way back to something that today's Python runs."""

import ast
from typing import Any

import pytest

from diembft.distalgo.runtime import ast37

WRITTEN_FOR_37: Any = ast
"""The standard module as a program of 3.7 uses it, which is not how its types are known today."""


def expression(source: str) -> Any:
    (statement,) = ast37.parse(source).body
    assert isinstance(statement, ast.Expr)
    return statement.value


def run(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(ast37.compile(ast37.parse(source, "here.da"), "here.da"), names)
    return names


@pytest.mark.parametrize(
    ("source", "kind", "field", "value"),
    [
        ("1", ast37.Num, "n", 1),
        ("2.5", ast37.Num, "n", 2.5),
        ("3j", ast37.Num, "n", 3j),
        ("'text'", ast37.Str, "s", "text"),
        ("b'bytes'", ast37.Bytes, "s", b"bytes"),
        ("True", ast37.NameConstant, "value", True),
        ("False", ast37.NameConstant, "value", False),
        ("None", ast37.NameConstant, "value", None),
    ],
)
def test_constants_have_their_old_classes(source: str, kind: type, field: str, value: object) -> None:
    node = expression(source)
    assert (node.lineno, node.col_offset) == (1, 0)
    assert type(node) is kind
    assert getattr(node, field) == value


def test_the_ellipsis_has_its_old_class() -> None:
    assert type(expression("...")) is ast37.Ellipsis


def test_subscripts_have_their_old_wrappers() -> None:
    assert type(expression("a[1]").slice) is ast37.Index
    assert type(expression("a[1:2]").slice) is ast.Slice
    assert type(expression("a[1, 2]").slice) is ast37.Index
    parts = expression("a[1:2, 3]").slice
    assert type(parts) is ast37.ExtSlice
    assert [type(part) for part in parts.dims] == [ast.Slice, ast37.Index]


def test_no_class_of_today_is_left_in_the_dialect() -> None:
    tree = ast37.parse("x = {1: 'a', **{}}\nf'{x!r:>{1}} y'\na[1][2:3][4, 5]\ndef f(a=1, *, b=None): 'doc'\n")
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]


PROGRAM = '''"""A documentation."""
import os.path as path
from itertools import chain as link
class Pair:
    def __getitem__(self, key): return key
def f(a, b=1, *rest, c=2, **named) -> int:
    "Its documentation."
    return [a, b, rest, c, named]
def outer():
    n = 0
    def inner():
        nonlocal n
        n += 1
        return n
    return inner
pair = Pair()
slices = pair[1], pair[1:2], pair[::2], pair[1, 2], pair[1:2, 3], pair[..., :3]
literals = [1, -2.5, 3j, "s", b"b", True, False, None, ...]
text = f"{literals[0]!r:>{1 + 2}}|{'x'}{{}}" "and"
called = f(*[1], **{"c": 3, "d": 4})
spread = {**{"a": 1}, "b": [*range(3)]}
counter = outer()
counted = counter(), counter()
squares = {i: i * i for i in range(4) if i % 2}
nested = [[j for j in range(i)] for i in range(3)]
chained = 1 < 2 <= 2 != 3
try:
    raise KeyError("k") from ValueError("v")
except (KeyError, TypeError) as error:
    caught = repr(error), repr(error.__cause__)
finally:
    done = True
with open(path.devnull) as a, open(path.devnull) as b:
    pass
while True:
    break
else:
    pass
picked = (lambda x, y=2: x if x else y)(0)
annotated: int = 5
linked = list(link([1], [2]))
'''


def test_a_program_runs_as_if_it_had_not_been_translated() -> None:
    names = run(PROGRAM)
    expected: dict[str, Any] = {}
    exec(PROGRAM, expected)
    compared = [name for name, value in expected.items() if isinstance(value, list | tuple | dict | str | int)]
    assert "slices" in compared
    for name in compared:
        if name != "__builtins__":
            assert names[name] == expected[name], name
    assert names["f"].__doc__ == "Its documentation."


def test_what_a_program_of_37_builds_is_filled_in() -> None:
    # As such a program writes it: without the fields and the positions of today.
    old, number = WRITTEN_FOR_37, ast37.__dict__["Num"]
    function = old.FunctionDef(
        "f",
        old.arguments(
            args=[old.arg("a", None)],
            vararg=None,
            kwonlyargs=[],
            kw_defaults=[],
            kwarg=None,
            defaults=[number(1)],
        ),
        [old.Return(old.Name("a", old.Load()))],
        [],
        None,
    )
    function.lineno, function.col_offset = 7, 4
    tree = old.Module([function])
    before = ast.dump(tree)
    names: dict[str, Any] = {}
    exec(ast37.compile(tree, "built"), names)
    assert names["f"]() == 1
    assert names["f"].__code__.co_firstlineno == 7
    assert ast.dump(tree) == before, "the tree is the caller's"


def test_the_context_of_parameters_is_loaded() -> None:
    tree = ast37.parse("x = y")
    assignment: Any = tree.body[0]
    assignment.value.ctx = ast37.Param()
    names = {"y": 3}
    exec(ast37.compile(tree, "built"), names)
    assert names["x"] == 3


def test_a_statement_may_stand_anywhere() -> None:
    tree = ast37.parse("a = 1\nb = [\n 2,\n 3]\n")
    first: Any = tree.body[0]
    first.lineno, first.col_offset = 9, 80  # its end stays in line 1
    names: dict[str, Any] = {}
    exec(ast37.compile(tree, "moved"), names)
    assert (names["a"], names["b"]) == (1, [2, 3])


def test_a_traceback_names_the_line() -> None:
    code = ast37.compile(ast37.parse("x = 1\n\ny = {}['no']\n", "here.da"), "here.da")
    with pytest.raises(KeyError) as caught:
        exec(code, {})
    entry = caught.traceback[-1]
    assert (str(entry.path).endswith("here.da"), entry.lineno + 1) == (True, 3)


@pytest.mark.parametrize("source", ["if (x := 1): pass", "def f(a, /): pass", "match x:\n case 1: pass", "def f(:"])
def test_the_grammar_of_37_is_kept(source: str) -> None:
    with pytest.raises(SyntaxError):
        ast37.parse(source, "here.da")


def test_await_stands_outside_of_async_functions() -> None:
    assert isinstance(expression("await(x)"), ast.Await)


def test_every_other_name_is_the_standard_one() -> None:
    assert ast37.fix_missing_locations is ast.fix_missing_locations
    assert ast37.If is ast.If
    with pytest.raises(AttributeError):
        ast37.no_such_name  # noqa: B018  (looking it up is the test)


def test_sources_are_compiled_too() -> None:
    names: dict[str, Any] = {}
    exec(ast37.compile("x = 1", "text"), names)
    assert names["x"] == 1
