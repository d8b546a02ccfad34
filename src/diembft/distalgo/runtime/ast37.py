"""Python 3.7's dialect of the syntax tree, which the compiler of pyDistAlgo 1.1.0 speaks.

Since then Python has merged `Num`, `Str`, `Bytes`, `NameConstant` and `Ellipsis` into `Constant`, has dropped
`Index` and `ExtSlice` around subscripts and the context `Param`, and wants fields and positions that 3.7 did not
know. This module can stand in for the standard `ast` in a program written for 3.7:

- `parse` translates what today's parser makes into the dialect;
- `compile` translates back, fills the new fields and gives every node a valid position;
- the eight node classes are here, and every other name is the standard module's.

Nothing here knows of DistAlgo.
"""

import ast
import builtins
from types import CodeType
from typing import Any, Final, TypeAlias

Source: TypeAlias = str | bytes

GRAMMAR: Final = (3, 7)
"""The version of the grammar that `parse` holds to, as far as today's parser can."""

NAMES: Final = (
    *("Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Index", "ExtSlice", "Param"),
    "parse",
)
"""What differs from the standard `ast`: what a module that did `from ast import *` has to be given."""

_LISTS_SINCE_37: Final = frozenset({"posonlyargs", "type_ignores", "type_params"})
"""Fields that 3.7 does not know and that today's `compile` requires; empty lists say "none"."""

_NO_COLUMN: Final = -1
"""How `compile` is told that a column is not known."""


class Num(ast.expr):
    """A number, `n`."""

    _fields = ("n",)
    _field_types = {"n": object}  # noqa: RUF012  (read by the constructor of ast.AST since Python 3.13)
    n: complex


class Str(ast.expr):
    """A text, `s`."""

    _fields = ("s",)
    _field_types = {"s": object}  # noqa: RUF012  (as in Num)
    s: str


class Bytes(ast.expr):
    """A bytes literal, `s`."""

    _fields = ("s",)
    _field_types = {"s": object}  # noqa: RUF012  (as in Num)
    s: bytes


class NameConstant(ast.expr):
    """`True`, `False` or `None`, as `value`."""

    _fields = ("value",)
    _field_types = {"value": object}  # noqa: RUF012  (as in Num)
    value: bool | None


class Ellipsis(ast.expr):  # noqa: A001  (3.7's name)
    """The literal `...`."""

    _fields = ()


class Index(ast.AST):
    """The subscript of `a[value]`."""

    _fields = ("value",)
    _field_types = {"value": object}  # noqa: RUF012  (as in Num)
    value: ast.expr


class ExtSlice(ast.AST):
    """The subscript of `a[1:2, 3]`: `dims`, of which one at least is a slice."""

    _fields = ("dims",)
    _field_types = {"dims": object}  # noqa: RUF012  (as in Num)
    dims: list[ast.AST]


class Param(ast.expr_context):
    """The context of a parameter; today's compiler knows `Load` only."""


def __getattr__(name: str) -> Any:
    """Every name that is the same in both dialects."""
    return getattr(ast, name)


class _ToDialect(ast.NodeTransformer):
    """Rewrites today's tree into the dialect, in place."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        new: ast.AST
        match node.value:
            case bool() | None:
                new = _new(NameConstant, node.value)
            case str():
                new = _new(Str, node.value)
            case bytes():
                new = _new(Bytes, node.value)
            case int() | float() | complex():
                new = _new(Num, node.value)
            case _:
                assert node.value is ..., "because the parser makes no other constant"
                new = Ellipsis()
        return ast.copy_location(new, node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        inner: ast.AST = node.slice
        if isinstance(inner, ast.Tuple) and any(isinstance(part, ast.Slice) for part in inner.elts):
            inner = _new(ExtSlice, [_index(part) for part in inner.elts])
        else:
            inner = _index(inner)
        node.slice = inner  # type: ignore[assignment]  # the dialect's subscripts are no expressions
        return node


def _index(node: ast.AST) -> ast.AST:
    return node if isinstance(node, ast.Slice) else _new(Index, node)


def _new(kind: Any, *fields: object) -> ast.AST:
    # The types known of `ast` say that the constructor takes the standard node's own fields only.
    node: ast.AST = kind(*fields)
    return node


def parse(source: Source, filename: str = "<unknown>") -> ast.Module:
    """The tree of a module, in the dialect.

    Raises SyntaxError where the source is wrong or uses what Python 3.7 does not know (`match`, `:=`, ...).
    """
    tree = ast.parse(source, filename, feature_version=GRAMMAR)
    translated = _ToDialect().visit(tree)
    assert isinstance(translated, ast.Module), "because a module is translated in place"
    return translated


def to_current(tree: ast.AST) -> ast.AST:
    """A copy of a tree of the dialect (or a mixture) that today's `compile` accepts; `tree` is left as it is."""
    new = _current(tree)
    ast.fix_missing_locations(new)
    node: Any  # of a class with positions, where it has one
    for node in ast.walk(new):
        if hasattr(node, "lineno"):
            # 3.7 has no ends, and programs move statements about: an end from elsewhere could lie before the
            # beginning, which `compile` refuses. One line without columns is always valid, and a traceback then
            # shows the line without marks below it.
            node.end_lineno = node.lineno
            node.col_offset = node.end_col_offset = _NO_COLUMN
    return new


def _current(node: ast.AST) -> ast.AST:
    new: ast.AST
    match node:
        case Num():
            new = ast.Constant(node.n)
        case Str() | Bytes():
            new = ast.Constant(node.s)
        case NameConstant():
            new = ast.Constant(node.value)
        case Ellipsis():
            new = ast.Constant(...)
        case Index():
            new = _current(node.value)
        case ExtSlice():
            new = _new(ast.Tuple, [_current(part) for part in node.dims], ast.Load())
        case Param():
            new = ast.Load()
        case _:
            new = type(node)(**_current_fields(node))
    for name in ("lineno", "col_offset"):
        if name in new._attributes and hasattr(node, name):
            setattr(new, name, getattr(node, name))
    return new


def _current_fields(node: ast.AST) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in node._fields:
        if hasattr(node, name):
            fields[name] = _current_value(getattr(node, name))
        elif name in _LISTS_SINCE_37:
            fields[name] = []
    return fields


def _current_value(value: Any) -> Any:
    if isinstance(value, ast.AST):
        return _current(value)
    if isinstance(value, list):
        return [_current_value(item) for item in value]
    return value


def compile(  # noqa: A001  (stands in for the builtin)
    source: Source | ast.AST,
    filename: str,
    mode: str = "exec",
    flags: int = 0,
    dont_inherit: bool = False,
    optimize: int = -1,
) -> CodeType:
    """As the builtin, and takes trees of the dialect too."""
    current = to_current(source) if isinstance(source, ast.AST) else source
    code = builtins.compile(
        current,  # type: ignore[arg-type]  # any tree that `mode` asks for; the builtin checks it
        filename,
        mode,
        flags,
        dont_inherit=dont_inherit,
        optimize=optimize,
    )
    assert isinstance(code, CodeType), "because no flag asks for a tree"
    return code
