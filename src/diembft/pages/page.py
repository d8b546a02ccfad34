"""One self-contained HTML page: the template, style and script of this package with the data of a run inside.

The page asks nothing of any network, and its policy forbids that: only this very script and style may run, so that
whatever a trace contains stays text.
"""

from __future__ import annotations

import html
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from string import Template

import msgspec

from diembft.files import replacing, writing
from diembft.pages.data import PageData

SCRIPTS = (
    "elements.js",
    "model.js",
    "words.js",
    "scale.js",
    "diagram.js",
    "tree.js",
    "details.js",
    "story.js",
    "panels.js",
    "replay.js",
    "main.js",
)
"""The parts of the page's script, in the order in which they are joined."""


def render(page: PageData) -> str:
    """The page as text."""
    assets = files("diembft.pages") / "assets"
    style = (assets / "style.css").read_text(encoding="utf-8")
    parts = [(assets / name).read_text(encoding="utf-8") for name in SCRIPTS]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();\n"
    content = msgspec.json.encode(page).decode().replace("<", "\\u003c")
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(page.title),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=content,
    )


def write_page(path: Path, page: PageData) -> None:
    """Write the page; the file appears only when it is whole. Raises InputError if it cannot be written, and NotWritten
    if the disk is full."""
    with writing(path), replacing(path) as partial:
        partial.write_text(render(page), encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
