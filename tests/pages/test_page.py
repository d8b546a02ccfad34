from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from diembft.errors import InputError
from diembft.pages.page import render, write_page
from diembft.pages.prepare import prepare
from tests.pages.traces import fault_free, small_quorum

HOSTILE = "</script><img src=x onerror=alert(1)>$data<!--"


class Elements(HTMLParser):
    """The elements of a page, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside].append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def test_a_page_asks_for_nothing_from_outside() -> None:
    elements = Elements(render(prepare(small_quorum())))
    for tag, attributes in elements.tags:
        assert not {"src", "href", "srcset", "data", "action"} & set(attributes), tag
    policy = next(attributes["content"] for _, attributes in elements.tags if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    urls = re.findall(r"https?://[^\s\"']+", "".join(elements.texts["style"] + elements.texts["script"][1:]))
    assert set(urls) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in "".join(elements.texts["style"])


def test_the_policy_lets_only_this_script_and_style_run() -> None:
    elements = Elements(render(prepare(fault_free())))
    policy = next(attributes["content"] for _, attributes in elements.tags if "http-equiv" in attributes)
    for text in ("".join(elements.texts["style"]), elements.texts["script"][-1]):
        assert policy is not None
        assert b64encode(sha256(text.encode()).digest()).decode() in policy


def test_hostile_names_stay_text() -> None:
    page = prepare(fault_free(title=HOSTILE, client=HOSTILE))
    text = render(page)
    elements = Elements(text)
    assert [tag for tag, _ in elements.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in elements.tags]
    data = json.loads(elements.texts["script"][0])
    assert data["title"] == HOSTILE
    assert HOSTILE in [request["client"] for block in data["blocks"] for request in block.get("requests", ())]
    assert "".join(elements.texts["title"]) == HOSTILE


def test_the_same_trace_gives_the_same_page() -> None:
    assert render(prepare(small_quorum())) == render(prepare(small_quorum()))


def test_a_page_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    page = prepare(fault_free())
    with pytest.raises(InputError, match=r"nowhere/run\.html: cannot be written: No such file"):
        write_page(tmp_path / "nowhere" / "run.html", page)
    write_page(tmp_path / "run.html", page)
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]
