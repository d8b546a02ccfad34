"""Renaming correct replicas, all rounds of a scenario at once, changes no verdict: what `--canonical` rests on.

Ties are broken by the numbers of nodes, so that a renaming moves them. On the correct core that shows in no verdict.
With a planted bug it may, where the bug shows only if one of two messages of one moment comes first.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from diembft.judge.verdict import Verdict
from diembft.twins.runs.judging import run
from diembft.twins.runs.record import Ending
from diembft.twins.scenarios.scenario import Scenario, canonical, renamed
from diembft.twins.scenarios.space import Space

SPACES = {
    "plain": Space(replicas=4, faulty=1, sets=2, rounds=4),
    "three sets": Space(replicas=4, faulty=1, sets=3, rounds=3, quorum=True),
    "exceptions": Space(replicas=4, faulty=1, sets=2, rounds=3, drops=2),
    "two twins": Space(replicas=4, faulty=2, sets=2, rounds=4, quorum=True),
    "no twin": Space(replicas=3, faulty=0, sets=2, rounds=3),
    "votes twice": Space(replicas=4, faulty=1, sets=2, rounds=3, bugs=("conflicting_votes",)),
}


def told(scenario: Scenario) -> tuple[dict[str, Verdict], Ending]:
    judgement = run(scenario)
    return {finding.oracle: finding.verdict for finding in judgement.findings}, judgement.ending


@pytest.mark.parametrize("name", SPACES)
def test_scenarios_of_one_orbit_have_one_verdict(name: str) -> None:
    space = SPACES[name]
    for rank in space.ranks(0, 20, seed=11):
        scenario = space.scenario(rank)
        expected = told(scenario)
        for image in permutations(scenario.correct):
            other = renamed(scenario, dict(zip(scenario.correct, image, strict=True)))
            assert told(other) == expected, (scenario.name, image)


def test_a_canonical_campaign_leaves_out_renamings_alone() -> None:
    """Every scenario has the verdict of one that is kept."""
    space = Space(replicas=4, faulty=1, sets=2, rounds=1)
    kept = {rank: told(space.scenario(rank)) for rank in space.ranks(0, space.count, canonical=True)}
    assert len(kept) == space.orbits() < space.count
    for rank in range(space.count):
        assert told(space.scenario(rank)) == kept[space.canonical(rank)]


def test_the_canonical_form_is_one_for_the_whole_orbit() -> None:
    space = SPACES["exceptions"]
    for rank in space.ranks(0, 20, seed=12):
        scenario = space.scenario(rank)
        images = [
            renamed(scenario, dict(zip(scenario.correct, image, strict=True)))
            for image in permutations(scenario.correct)
        ]
        assert len({canonical(image).rounds for image in images}) == 1
        assert canonical(scenario).rounds in {image.rounds for image in images}
