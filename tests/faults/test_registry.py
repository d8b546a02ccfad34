"""What can be planted, by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import iter_modules

import pytest

from diembft.errors import InputError
from diembft.faults import actors, bugs
from diembft.faults.actors.actor import Actor
from diembft.faults.planting import NO_BUGS
from diembft.faults.registry import ACTORS, BUGS, plant


def modules(package: object) -> list[str]:
    return [found.name for found in iter_modules(package.__path__)]  # type: ignore[attr-defined]  # of a package


def test_every_bug_has_a_file_of_its_own_and_every_file_is_registered() -> None:
    assert list(BUGS) == sorted(BUGS) == modules(bugs)
    for name, bug in BUGS.items():
        assert bug.name == name
        assert {override.__module__ for override in bug.overrides} <= {f"{bugs.__name__}.{name}"}
        assert bug.overrides or bug.machine


def test_every_actor_has_a_file_of_its_own_and_every_file_is_registered() -> None:
    assert list(ACTORS) == sorted(ACTORS) == [name for name in modules(actors) if name != "actor"]
    for name, actor in ACTORS.items():
        assert actor.__module__ == f"{actors.__name__}.{name}"
        assert issubclass(actor, Actor)


def test_bugs_and_actors_say_in_a_sentence_what_they_do() -> None:
    for bug in BUGS.values():
        assert 15 < len(bug.description) < 100
        assert bug.description[0].islower()
        assert not bug.description.endswith(".")
    sentences = [Actor.sentence, *[actor.sentence for actor in ACTORS.values()]]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in sentences)


@pytest.mark.parametrize("package", [bugs, actors])
def test_a_file_begins_with_what_it_is_about(package: object) -> None:
    for name in modules(package):
        module = import_module(f"{package.__name__}.{name}")  # type: ignore[attr-defined]  # of a package
        assert (inspect.getdoc(module) or "").split("\n")[0].endswith((".", ":"))


def test_names_become_bugs_each_once_in_a_fixed_order() -> None:
    planting = plant(["small_quorum", "gap_commit", "small_quorum"])
    assert planting.names == ("gap_commit", "small_quorum")
    assert planting == plant(iter(("gap_commit", "small_quorum")))
    assert plant(()) == NO_BUGS


@pytest.mark.parametrize("name", ["no_such_bug", "", "Small_Quorum", "silent"])
def test_a_wrong_name_is_one_line_that_names_it_and_all_there_are(name: str) -> None:
    with pytest.raises(InputError) as caught:
        plant(["gap_commit", name])
    line = str(caught.value)
    assert line.startswith(f"bugs: {name!r} is none of conflicting_votes, count_messages, ")
    assert "\n" not in line
