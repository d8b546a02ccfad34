"""The documentation is true: its commands work, and print what it says they print."""

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

from diembft.consensus.config import Config
from tests import documents

ROOT = documents.ROOT
PROGRAMS = Path(sys.executable).parent

EXECUTED = (
    "README.md",
    "docs/architecture.md",
    "docs/distalgo.md",
    "docs/drivers.md",
    "docs/cores.md",
    "docs/exhaustion.md",
    "docs/exhaustion_key.md",
    "docs/explored_mutants.md",
    "docs/judge.md",
    "docs/pages.md",
    "docs/protocol.md",
    "docs/protocols.md",
    "docs/testcases.md",
    "docs/trace.md",
    "docs/twins.md",
)
DOCUMENTS = (*EXECUTED, "CONTRIBUTING.md", "CHANGELOG.md")

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", EXECUTED)
def test_commands_do_what_the_document_says(name: str, tmp_path: Path) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    copy = documents.copy_of_project(tmp_path)
    pictures = [Path(name).parent / picture for picture in documents.pictures(text)]
    found = list(documents.problems(text, copy, PROGRAMS))
    again = f"If it is right as it is now: python tests/documents.py --update {name}"
    assert not found, "\n\n".join([*found, again])
    for picture in pictures:
        assert alike(copy / picture.name, ROOT / picture), f"{picture}: the commands make another. {again}"


def alike(one: Path, other: Path) -> bool:
    """Whether pictures show the same, drawn with other fonts or by another version of a program perhaps."""
    if one.suffix == ".svg":
        return words(one) == words(other)
    first, second = coarse(one), coarse(other)
    return first.shape == second.shape and float(abs(first - second).mean()) < 0.03


def words(picture: Path) -> list[str]:
    """The text in a drawing."""
    return [text for element in ElementTree.parse(picture).iter() if (text := (element.text or "").strip())]


def coarse(picture: Path) -> Any:
    """The mean colour of each square of 32 pixels."""
    pixels = imread(picture)[:, :, :3]
    height, width = pixels.shape[0] // 32, pixels.shape[1] // 32
    return pixels[: 32 * height, : 32 * width].reshape(height, 32, width, 32, 3).mean(axis=(1, 3))


def test_readme_sets_up_and_runs_the_main_case() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = documents.set_up(text)[0]
    assert ".venv/bin/diembft run faulty_dropouts" in first
    assert any(block.lines == ("./run_tests.sh",) for block in documents.blocks(text))


def test_every_document_is_executed_and_listed() -> None:
    written = {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")}
    assert written == {name for name in EXECUTED if name.startswith("docs/")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert written == set(re.findall(r"^\| \[(docs/\w+\.md)\]\(\1\) \|", readme, re.MULTILINE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    file = ROOT / name
    for target in _LINK.findall(file.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (file.parent / target).exists(), f"{name}: there is no {target}"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("docs/drivers.md", "examples/tiny_driver.py src/diembft/host/storage.py"),
        ("docs/testcases.md", "configs/faulty_dropouts.da"),
        ("docs/twins.md", "examples/test_twins.py"),
        ("docs/protocols.md", "examples/toy_protocol.py"),
    ],
)
def test_files_that_are_shown_are_as_shown(name: str, source: str) -> None:
    """Every fragment of Python stands in a file that is checked and run."""
    whole = "\n".join([(ROOT / file).read_text(encoding="utf-8") for file in source.split()])
    text = (ROOT / name).read_text(encoding="utf-8")
    fragments = ["\n".join(block.lines) for block in documents.blocks(text) if block.language == "python"]
    assert fragments
    for fragment in fragments:
        assert fragment in whole, f"not in {source}:\n{fragment}"


def test_every_name_in_the_protocol_exists() -> None:
    """`consensus.safety.Safety.make_vote`: a module of the package, and what is in it."""
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    names = re.findall(r"`((?:consensus|judge|ledger|messages)\.[\w.]+)`", text)
    assert len(names) > 40
    for name in names:
        assert resolves(name.split(".")), name


def resolves(parts: list[str]) -> bool:
    room, module, *rest = parts
    found: Any = importlib.import_module(f"diembft.{room}.{module}")
    for part in rest[:-1]:
        found = getattr(found, part)
    # Attributes that only instances have are declared, or assigned in the constructor of the class.
    return not rest or hasattr(found, rest[-1]) or f"self.{rest[-1]}:" in inspect.getsource(found)


def test_every_limit_in_the_protocol_is_the_default() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    limits = re.findall(r"^\| `(max_\w+|sync_\w+)` \| ([\d.]+) \|", text, re.MULTILINE)
    config = Config(n=4)
    assert {name for name, _ in limits} == {
        name for name in Config.__struct_fields__ if name.startswith(("max_", "sync_"))
    }
    for name, value in limits:
        assert str(getattr(config, name)) == value, name


SAMPLE = """
```sh
make everything
source .venv/bin/activate
```

```console
$ echo one; echo two
one
two

$ false; echo "exit status $?"
exit status 1
```

```python
print("three")
```

```text
three
```
"""


def test_what_a_document_shows_is_found() -> None:
    assert documents.set_up(SAMPLE) == ["make everything"]
    assert [(one.command, one.output) for one in documents.shown(SAMPLE)] == [
        ("echo one; echo two", ("one", "two")),
        ('false; echo "exit status $?"', ("exit status 1",)),
        ("python -c 'print(\"three\")'", ("three",)),
    ]


def test_a_document_that_is_true(tmp_path: Path) -> None:
    assert list(documents.problems(SAMPLE, tmp_path, PROGRAMS)) == []


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("one\ntwo", "one\ntoo"),
        ("one\ntwo\n", "one\n"),
        ("exit status 1\n", "exit status 2\n"),
        ("```text\nthree", "```text\nfour"),
        ('; echo "exit status $?"\nexit status 1', ""),
    ],
)
def test_a_document_that_is_not_true(true: str, false: str, tmp_path: Path) -> None:
    text = SAMPLE.replace(true, false)
    assert text != SAMPLE
    assert len(list(documents.problems(text, tmp_path, PROGRAMS))) == 1


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (["a", "..."], ["a"], True),
        (["a", "...", "c"], ["a", "b", "b", "c"], True),
        (["a", "...", "c"], ["a", "b"], False),
        (["a"], ["a", "b"], False),
        (["PASS   12  0.07"], ["PASS   12  1.30"], True),
        (["PASS   12  0.07"], ["PASS   13  0.07"], False),
        (["held in 1.5 s (5 a second)"], ["held in 12.0 s (1,234 a second)"], True),
        (["9 held in 1.5 s"], ["8 held in 1.5 s"], False),
    ],
)
def test_times_and_dots_may_differ(expected: list[str], actual: list[str], same: bool) -> None:
    assert documents.agrees(expected, actual) is same


def test_update_puts_in_what_comes_out(tmp_path: Path) -> None:
    wrong = SAMPLE.replace("one\ntwo\n", "nothing\n").replace("```text\nthree", "```text\n4\n5")
    assert documents.update(wrong, tmp_path, PROGRAMS) == SAMPLE
