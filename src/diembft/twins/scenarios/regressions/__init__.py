"""Violations that were found, made as small as they get, each with its story: one text file for each.

A file holds one scenario in its text form, and the story as comments; `diembft twins replay FILE` tells it at length.
"""

from __future__ import annotations

from importlib.resources import files

from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.text import parse_scenarios


def names() -> tuple[str, ...]:
    """The names of all, sorted."""
    return tuple(sorted([file.name[:-4] for file in files(__package__).iterdir() if file.name.endswith(".txt")]))


def text_of(name: str) -> str:
    """The file of one."""
    return files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")


def regression(name: str) -> Scenario:
    """The scenario of one."""
    (scenario,) = parse_scenarios(text_of(name))
    return scenario
