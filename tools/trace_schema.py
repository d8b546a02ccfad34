"""Writes the fields of traces into docs/trace.md, from the values themselves: ``python tools/trace_schema.py``.

What stands there of a field is its docstring, so that nothing is said twice and nothing is forgotten.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT, structs

from diembft.trace import records, values
from diembft.trace.header import ALWAYS_WRITTEN
from diembft.trace.records import Record

DOCUMENT = Path(__file__).parents[1] / "docs" / "trace.md"
BEGIN, END = "<!-- fields: tools/trace_schema.py writes what follows -->", "<!-- end of fields -->"

REQUIRED = "**required**"

VALUES: tuple[type, ...] = (values.Message, values.Block, values.Certificate, values.Vote, values.Timeout, records.Node)
"""What stands inside records."""


def field_docs(value: type) -> dict[str, str]:
    """What the docstring below each field says."""
    (body,) = [node for node in ast.parse(inspect.getsource(value)).body if isinstance(node, ast.ClassDef)]
    docs = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = ast.literal_eval(below.value)
            docs[field.target.id] = " ".join(text.split())
    return docs


def type_of(value: type, name: str) -> str:
    """The type of a field, as JSON has it."""
    text = str(inspect.get_annotations(value)[name])
    text = re.sub(r"Annotated\[(\w+), .*\]", r"\1", text)
    text = re.sub(r"tuple\[tuple\[(\w+), (\w+)\], \.\.\.\]", r"array of [\1, \2]", text)
    text = re.sub(r"tuple\[tuple\[(\w+), \.\.\.\], \.\.\.\]", r"array of arrays of \1", text)
    text = text.replace("RequestName", "str, int, bytes")
    text = re.sub(r"tuple\[str, int, bytes, \.\.\.\]", r"array of [str, int, bytes]", text)
    text = re.sub(r"tuple\[(\w+), \.\.\.\]", r"array of \1", text)
    text = re.sub(r"dict\[str, Any\]", "object", text).replace(" | None", " or null")
    words = {"str": "string", "int": "integer", "float": "number", "bytes": "base64", "bool": "true or false"}
    text = re.sub(r"\w+", lambda word: words.get(word[0], word[0]), text)
    return text.replace("Any", "anything")


def default_of(field: Any) -> str:
    """Its default, as JSON has it, or that it must be there."""
    if field.default is NODEFAULT and field.default_factory is NODEFAULT:
        return REQUIRED
    default = field.default if field.default is not NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(default).decode()}`"


def section(value: type) -> list[str]:
    """One record or value, as a heading and a table."""
    tag = structs_tag(value)
    about = " ".join((value.__doc__ or "").split())
    title = f"#### `{tag}`" if tag else f"#### {value.__name__}"
    lines = [title, "", about, "", "| field | JSON | default | meaning |", "| --- | --- | --- | --- |"]
    docs = field_docs(value)
    for field in structs.fields(value):
        assert field.name in docs, f"because every field is described, {value.__name__}.{field.name} too"
        required = value is records.Header and field.name in ALWAYS_WRITTEN
        default = REQUIRED if required else default_of(field)
        lines.append(f"| `{field.name}` | {type_of(value, field.name)} | {default} | {docs[field.name]} |")
    return [*lines, ""]


def structs_tag(value: Any) -> str | None:
    """The tag of a record; None for other values."""
    tag = value.__struct_config__.tag
    return None if tag is None else str(tag)


def fields() -> str:
    """The whole part of the document."""
    lines = ["### Values", ""]
    for value in VALUES:
        lines += section(value)
    lines += ["### Records", ""]
    for record in get_args(Record):
        lines += section(record)
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Write them into the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{fields()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
