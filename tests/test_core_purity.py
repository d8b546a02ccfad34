"""The core is pure and deterministic: what import rules cannot see is looked for in the syntax tree.

In the rooms below nobody opens, prints, or depends on `hash` or `id`, and nobody lets the order of a set or of an
immutable map show, for that order changes with PYTHONHASHSEED. The check goes by literals, calls and
annotations (the types are checked to be complete by mypy), and is tried out on samples of what it must find.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "diembft"
ROOMS = ("machine", "messages", "consensus", "client")

FORBIDDEN_NAMES = ("open", "print", "input", "hash", "id", "eval", "exec", "__import__")
FORBIDDEN_MODULES = ("builtins", "importlib")

UNORDERED_TYPES = ("set", "frozenset", "Set", "AbstractSet", "MutableSet", "FrozenSet", "Map", "MapMutation")
UNORDERED_MAKERS = ("set", "frozenset", "Map")
SET_METHODS = ("union", "intersection", "difference", "symmetric_difference")
SAME_ORDER_METHODS = ("copy", "keys", "values", "items", "set", "delete", "update", "finish", "mutate")
LOOKUPS = ("get", "pop", "setdefault")
SHOWS_ORDER = ("list", "tuple", "enumerate", "iter", "next", "zip", "map", "filter", "reversed", "str", "repr")
SHOWS_ORDER_METHODS = ("join", "extend", "fromkeys")
TIES_SHOW_ORDER = ("sorted", "min", "max")


@dataclass
class Unordered:
    """The names that stand for something without an order: a set, an immutable map, or a container of such."""

    names: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    holders: set[str] = field(default_factory=set)

    def learn(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            match node:
                case ast.FunctionDef(name=name, returns=ast.expr() as annotation):
                    if names_unordered(annotation):
                        self.functions.add(name)
                case ast.arg(arg=name, annotation=ast.expr() as annotation):
                    self._declare(ast.Name(name), annotation)
                case ast.ClassDef(body=body):
                    for field_ in body:
                        if isinstance(field_, ast.AnnAssign) and isinstance(field_.target, ast.Name):
                            self._declare(ast.Attribute(field_.target, field_.target.id), field_.annotation)
                case ast.AnnAssign(target=target, annotation=annotation):
                    self._declare(target, annotation)
                case ast.Assign(targets=[target], value=value) | ast.NamedExpr(target=target, value=value):
                    if self.has_no_order(value):
                        self._mark(target)
                case ast.For(target=ast.Name() as target, iter=iterated):
                    self._learn_item(target, iterated)
                case ast.comprehension(target=ast.Name() as target, iter=iterated):
                    self._learn_item(target, iterated)

    def _learn_item(self, target: ast.Name, iterated: ast.expr) -> None:
        match iterated:
            case ast.Call(func=ast.Attribute(value=owner, attr="values")) if self._holds(owner):
                self._mark(target)

    def _declare(self, target: ast.expr, annotation: ast.expr) -> None:
        if names_unordered(annotation):
            self._mark(target)
        elif any(names_unordered(part) for part in ast.walk(annotation) if isinstance(part, ast.expr)):
            self.holders.add(name_of(target))

    def _mark(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.names.add(target.id)
        elif isinstance(target, ast.Attribute):
            self.attributes.add(target.attr)

    def _holds(self, value: ast.expr) -> bool:
        return name_of(value) in self.holders

    def has_no_order(self, value: ast.expr) -> bool:
        match value:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return name in self.names
            case ast.Attribute(attr=name):
                return name in self.attributes
            case ast.Call(func=ast.Name(id=name)):
                return name in UNORDERED_MAKERS or name in self.functions
            case ast.Call(func=ast.Attribute(value=owner, attr=name)):
                return (
                    name in SET_METHODS
                    or name in self.functions
                    or (name in SAME_ORDER_METHODS and self.has_no_order(owner))
                    or (name in LOOKUPS and self._holds(owner))
                )
            case ast.Subscript(value=owner):
                return self._holds(owner)
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                return any(self.has_no_order(side) or is_keys(side) for side in (left, right))
            case ast.IfExp(body=one, orelse=other):
                return self.has_no_order(one) or self.has_no_order(other)
            case ast.BoolOp(values=values):
                return any(map(self.has_no_order, values))
            case ast.NamedExpr(value=inner):
                return self.has_no_order(inner)
            case _:
                return False

    def shown_by(self, node: ast.AST) -> bool:
        """Whether this node lets the order of something without one show."""
        match node:
            case (
                ast.For(iter=value)
                | ast.comprehension(iter=value)
                | ast.Starred(value=value)
                | ast.YieldFrom(value=value)
                | ast.Assign(targets=[ast.Tuple() | ast.List()], value=value)
            ):
                return self.has_no_order(value)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                ties = name in TIES_SHOW_ORDER and any(keyword.arg == "key" for keyword in keywords)
                return (name in SHOWS_ORDER or ties) and any(map(self.has_no_order, arguments))
            case ast.Call(func=ast.Attribute(value=owner, attr="pop" | "popitem"), args=[]):
                return self.has_no_order(owner)
            case ast.Call(func=ast.Attribute(attr=name), args=arguments):
                return name in SHOWS_ORDER_METHODS and any(map(self.has_no_order, arguments))
            case _:
                return False


def name_of(value: ast.expr) -> str:
    """The name that is used or the attribute that is asked for; of any other expression, no name that exists."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def names_unordered(annotation: ast.expr) -> bool:
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in UNORDERED_TYPES
        case ast.Subscript(value=value):
            return names_unordered(value)
        case ast.BinOp(left=left, right=right):
            return names_unordered(left) or names_unordered(right)
        case ast.Constant(value=str() as text):
            return names_unordered(ast.parse(text, mode="eval").body)
        case _:
            return False


def is_keys(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "keys"


def scopes(tree: ast.Module) -> Iterator[list[ast.AST]]:
    """The nodes of the module outside of functions, then those of each function (nested ones once more)."""
    inside = {
        inner
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.Lambda)
        for inner in ast.walk(function)
        if inner is not function
    }
    yield [node for node in ast.walk(tree) if node not in inside]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield list(ast.walk(node))


def scopes_with_names(tree: ast.Module, known: Unordered) -> Iterator[tuple[list[ast.AST], Unordered]]:
    """Each scope with the names that have no order in it; what is not a local name is added to `known`."""
    module_names: set[str] | None = None
    for nodes in scopes(tree):
        local = Unordered(set(module_names or ()), known.attributes, known.functions, known.holders)
        local.learn(nodes)
        local.learn(nodes)  # once more: a use may stand before what tells that there is no order
        if module_names is None:
            module_names = local.names
        yield nodes, local


def line_of(node: ast.AST) -> int:
    if isinstance(node, ast.comprehension):
        return node.iter.lineno
    return node.lineno if isinstance(node, ast.stmt | ast.expr) else 0


def impurities(sources: dict[str, str]) -> list[str]:
    """Where the given modules do what the core must not, one line each."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    known = Unordered()
    for tree in trees.values():
        for _ in scopes_with_names(tree, known):
            pass
    found: set[tuple[str, int, str]] = set()
    for name, tree in trees.items():
        for nodes, local in scopes_with_names(tree, known):
            found.update(
                (name, line_of(node), "shows the order of a set or map") for node in nodes if local.shown_by(node)
            )
        for node in ast.walk(tree):
            found.update((name, line, what) for line, what in forbidden(node))
    return [f"{name}:{line}: {what}" for name, line, what in sorted(found)]


def forbidden(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Name(id=name, ctx=ast.Load()) if name in FORBIDDEN_NAMES:
            yield node.lineno, f"uses {name}"
        case ast.Import(names=aliases):
            yield from (
                (node.lineno, f"imports {alias.name}")
                for alias in aliases
                if alias.name.split(".")[0] in FORBIDDEN_MODULES
            )
        case ast.ImportFrom(module=str() as module) if module.split(".")[0] in FORBIDDEN_MODULES:
            yield node.lineno, f"imports {module}"


def core_sources() -> dict[str, str]:
    files = [path for room in ROOMS for path in (SOURCE / room).rglob("*.py")]
    return {str(path.relative_to(SOURCE)): path.read_text() for path in files}


def test_the_core_is_pure() -> None:
    sources = core_sources()
    assert {name.split("/")[0] for name in sources} == set(ROOMS)
    assert impurities(sources) == []


@pytest.mark.parametrize(
    "sample",
    [
        "open('file')",
        "print(1)",
        "key = hash((1, 2))",
        "sort(items, key=id)",
        "import builtins",
        "from importlib import import_module",
    ],
)
def test_forbidden_names_are_found(sample: str) -> None:
    assert len(impurities({"sample": sample})) == 1


@pytest.mark.parametrize(
    "sample",
    [
        "for x in {1, 2}: pass",
        "for x in {y for y in z}: pass",
        "s = set(z)\nfor x in s: pass",
        "def f(s: set[int]):\n    for x in s: pass",
        "def f(s: 'frozenset[int] | None'):\n    return [x for x in s]",
        "def f(s: AbstractSet[int]):\n    yield from s",
        "def f(m: Map[str, int]):\n    for k, v in m.items(): pass",
        "def f(m: Map[str, int]):\n    return list(m.set('a', 1))",
        "class C:\n    s: frozenset[int]\ndef f(c):\n    return tuple(c.s)",
        "def init(self):\n    self.s: set[int] = make()\ndef f(self):\n    return [*self.s]",
        "def g() -> set[int]: ...\ndef f():\n    return list(g())",
        "def f(d: dict[int, set[int]]):\n    return list(d[0])",
        "def f(d: dict[int, set[int]]):\n    for x in d.get(0, ()): pass",
        "def f(d: dict[int, set[int]]):\n    for s in d.values():\n        first, *_ = s",
        "def f(a, b):\n    return list(a.keys() & b)",
        "def f(a: set[int], b):\n    return tuple(a - b)",
        "def f(a, b):\n    return tuple(a.union(b))",
        "def f(s: set[str]):\n    return ', '.join(s)",
        "def f(s: set[str], n):\n    n.extend(s)",
        "def f(s: set[str]):\n    return dict.fromkeys(s)",
        "def f(s: set[str]):\n    return s.pop()",
        "def f(s: set[str]):\n    return str(s)",
        "def f(s: set[str]):\n    return next(iter(s))",
        "def f(s: set[str]):\n    return sorted(s, key=len)",
        "def f(s: set[str]):\n    return max(s or z, key=len)",
        "def f(z):\n    return [x for x in (frozenset(z) if z else ())]",
        "def f(z):\n    if (s := set(z)):\n        return list(s)",
        "def f(z):\n    def g():\n        return list(s)\n    s = set(z)\n    return g",
    ],
)
def test_shown_orders_are_found(sample: str) -> None:
    assert impurities({"sample": sample}) != []


def test_what_one_module_declares_is_known_in_another() -> None:
    declares = "class C:\n    keys_seen: frozenset[int]"
    uses = "def f(c):\n    for key in c.keys_seen: pass"
    assert impurities({"declares": declares, "uses": uses}) == ["uses:2: shows the order of a set or map"]


@pytest.mark.parametrize(
    "sample",
    [
        "def f(s: set[int]):\n    return sorted(s)",
        "def f(s: set[int]):\n    return max(s), len(s), 3 in s, s | {4}, set(s), any(s)",
        "def f(s: list[int]):\n    return [*s, *tuple(s)]",
        "def f(s: dict[int, str]):\n    return list(s), s.pop(3), s.popitem()",
        "def f(s: set[int]): ...\ndef g(s: list[int]):\n    return list(s)",
        "def f(block):\n    return block.id",
        "def f(z):\n    kept = set(z)\ndef g(c, kept):\n    c.nodes = kept\n    return list(c.nodes)",
        "def f(m: Map[str, int]):\n    return m.set('a', 1).get('b')",
        "def f(a: int, b: int):\n    return list(range(a - b))",
    ],
)
def test_what_is_harmless_is_left_alone(sample: str) -> None:
    assert impurities({"sample": sample}) == []
