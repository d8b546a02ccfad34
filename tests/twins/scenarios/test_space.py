"""The space of scenarios: counts against brute force, numbering, samples, symmetry, and the lines written."""

from itertools import chain, combinations, pairwise, permutations, product
from pathlib import Path

import msgspec
import pytest

from diembft.errors import InputError
from diembft.twins.scenarios import scenario_files
from diembft.twins.scenarios.scenario import Drop, Extras, Round, Scenario, renamed
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario

SHAPES = {
    "plain": Space(replicas=4, faulty=1, sets=2, rounds=2, quorum=True),
    "exactly": Space(replicas=4, faulty=1, sets=3, rounds=2, exactly=True),
    "twins lead": Space(replicas=3, faulty=2, sets=2, rounds=3, leaders="twins"),
    "correct lead": Space(replicas=4, faulty=2, sets=2, rounds=1, leaders="correct", quorum=True),
    "drops": Space(replicas=2, faulty=1, sets=2, rounds=2, drops=2, drop_types=("*", "vote"), suffix=1),
    "two-phase": Space(replicas=3, faulty=1, sets=2, rounds=1, quorum=True, model="two-phase"),
    "crashes": Space(replicas=3, faulty=1, sets=2, rounds=2, crashes=True, suffix=0),
    "no twins": Space(replicas=3, faulty=0, sets=3, rounds=2, suffix=0),
}
shapes = pytest.mark.parametrize("space", SHAPES.values(), ids=SHAPES)


def brute_force_rounds(space: Space) -> set[Round]:
    """All rounds of a space, by listing, in a way that shares nothing with the space."""
    names = "abcdefghij"[: space.replicas]
    nodes = [*names, *(f"{name}'" for name in names[: space.faulty])]
    need = space.replicas - (space.replicas - 1) // 3
    partitions = set()
    for assignment in product(range(space.sets), repeat=len(nodes)):
        groups = [tuple(n for n, g in zip(nodes, assignment, strict=True) if g == which) for which in range(space.sets)]
        groups = [group for group in groups if group]
        if space.exactly and len(groups) < space.sets:
            continue
        if space.quorum and max(len({name[0] for name in group}) for group in groups) < need:
            continue
        partitions.add(tuple(sorted(groups, key=lambda group: nodes.index(group[0]))))
    may_lead = {"all": names, "twins": names[: space.faulty], "correct": names[space.faulty :]}[space.leaders]
    two_phase = space.model == "two-phase"
    crashes: list[tuple[str, ...]] = [(), *((name,) for name in names[space.faulty :] if space.crashes)]
    found = set()
    for leader, partition, crash in product(may_lead, partitions, crashes):
        possible = [
            Drop(src, dst, kind)
            for group in partition
            for src, dst in permutations(group, 2)
            for kind in space.drop_types
        ]
        for chosen in chain.from_iterable(combinations(possible, size) for size in range(space.drops + 1)):
            for second, early, reverse in product(
                partitions if two_phase else [None], *([[False, True][: 1 + two_phase]] * 2)
            ):
                extras = Extras(
                    timeout_partition=second,
                    timers="early" if early else None,
                    order="reversed" if reverse else None,
                    crash=crash,
                    restart=crash,
                )
                scenario = Scenario(
                    replicas=tuple(names),
                    twins=tuple(nodes[space.replicas :]),
                    rounds=(Round(leader, partition, chosen, extras),),
                    gst=1,
                )
                found.add(scenario.rounds[0])
    return found


@shapes
def test_the_choices_are_those_of_brute_force(space: Space) -> None:
    choices = [space.choice(number) for number in range(space.choices)]
    assert len(set(choices)) == len(choices)
    assert set(choices) == brute_force_rounds(space)


@shapes
def test_the_number_of_a_choice_is_the_inverse(space: Space) -> None:
    assert [space.choice_of(space.choice(number)) for number in range(space.choices)] == list(range(space.choices))


@shapes
def test_the_number_of_a_scenario_is_the_inverse(space: Space) -> None:
    assert space.count == space.choices**space.rounds
    step = max(1, space.count // 200)
    for rank in [*range(0, space.count, step), space.count - 1]:
        scenario = space.scenario(rank)
        assert space.rank(scenario) == rank
        assert space.rank_of(space.digits(rank)) == rank
        assert len(scenario.rounds) == space.rounds + space.suffix
        assert scenario.synchronous_from <= scenario.gst == space.rounds


def test_known_counts() -> None:
    assert Space(replicas=4, faulty=1, sets=3, rounds=8).choices == 164
    assert Space(replicas=4, faulty=1, sets=2, rounds=8, quorum=True).choices == 52
    two_phase = Space(replicas=4, faulty=1, sets=2, rounds=8, quorum=True, model="two-phase")
    assert two_phase.choices == 2704
    assert two_phase.count == 2704**8
    assert Space(replicas=4, faulty=1, sets=3, rounds=8).count == 164**8


def test_the_last_round_changes_fastest() -> None:
    space = SHAPES["plain"]
    first, second = space.scenario(0), space.scenario(1)
    assert first.rounds[0] == second.rounds[0]
    assert first.rounds[1] != second.rounds[1]
    assert first.rounds[0] == Round("a", (("a", "b", "c", "d", "a'"),))


def test_a_large_space_needs_no_lists() -> None:
    space = Space(replicas=13, faulty=4, sets=3, rounds=100, quorum=True, drops=5, leaders="twins")
    assert space.count > 10**1000
    for rank in space.ranks(10**1000, 3, seed=1):
        assert space.rank(space.scenario(rank)) == rank
    assert len(list(space.lines(10**1000, 2))) == 2


# --- samples and ranges ---


def test_a_sample_is_without_repetition_and_complete() -> None:
    space = SHAPES["drops"]
    drawn = list(space.ranks(0, space.count, seed=4))
    assert sorted(drawn) == list(range(space.count))
    assert drawn != sorted(drawn)


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("seed", [None, 9])
def test_a_range_is_the_same_however_it_is_cut(seed: int | None, canonical: bool) -> None:
    space = SHAPES["plain"]
    whole = list(space.ranks(100, 900, seed=seed, canonical=canonical))
    cuts = [100, 101, 153, 500, 1000]
    parts = [space.ranks(begin, end - begin, seed=seed, canonical=canonical) for begin, end in pairwise(cuts)]
    assert list(chain.from_iterable(parts)) == whole
    copy = msgspec.json.decode(msgspec.json.encode(space), type=Space)
    assert list(copy.ranks(100, 900, seed=seed, canonical=canonical)) == whole


def test_a_range_ends_with_the_space() -> None:
    space = SHAPES["plain"]
    assert list(space.ranks(space.count - 2, 10)) == [space.count - 2, space.count - 1]
    assert list(space.ranks(space.count + 5, 10)) == []


# --- symmetry ---


@pytest.mark.parametrize("name", ["plain", "exactly", "correct lead", "two-phase", "crashes", "no twins"])
def test_orbits_are_those_of_brute_force(name: str) -> None:
    space = msgspec.structs.replace(SHAPES[name], rounds=1 if SHAPES[name].choices > 60 else 2)
    last = space.replicas - 1 if space.suffix else space.replicas
    free = "abcdefghij"[space.faulty : last]
    images = [dict(zip(free, image, strict=True)) for image in permutations(free)]
    lowest = {
        min(space.rank(renamed(space.scenario(rank), names)) for names in images): None for rank in range(space.count)
    }
    assert space.orbits() == len(lowest)
    assert list(space.ranks(0, space.count, canonical=True)) == sorted(lowest)
    for rank in range(0, space.count, 7):
        orbit = {space.rank(renamed(space.scenario(rank), names)) for names in images}
        assert {space.canonical(member) for member in orbit} == {min(orbit)}


def test_reducing_each_round_for_itself_would_lose_scenarios() -> None:
    # b apart, then c apart: no renaming makes it "b apart, then b apart", though each round is a renaming of the other.
    space = SHAPES["plain"]
    end = "3-9: d leads a,b,c,d,a'"
    head = "scenario: replicas=a,b,c,d twins=a' gst=2"
    other = parse_scenario(f"{head}; 1: a leads a,c,d,a'|b; 2: a leads a,b,d,a'|c; {end}")
    same = parse_scenario(f"{head}; 1: a leads a,c,d,a'|b; 2: a leads a,c,d,a'|b; {end}")
    assert space.canonical(space.rank(other)) != space.canonical(space.rank(same))


def test_too_many_symmetries_or_choices_are_refused() -> None:
    with pytest.raises(InputError, match="are too many for canonical forms"):
        Space(replicas=13, faulty=4, sets=2, rounds=1).is_canonical(0)
    with pytest.raises(InputError, match="are too many to count orbits"):
        Space(replicas=7, faulty=2, sets=3, rounds=1, drops=3).orbits()


# --- lines ---


@shapes
@pytest.mark.parametrize("seed", [None, 3])
def test_the_lines_are_the_scenarios(space: Space, seed: int | None, tmp_path: Path) -> None:
    path = tmp_path / "range.json"
    start, count = space.choices // 2, 2 * space.choices + 3
    with scenario_files.output(path) as file:
        space.write(file, start, count, seed=seed)
    read = scenario_files.read_scenarios(path)
    ranks = list(space.ranks(start, count, seed=seed))
    assert len(read) == len(ranks)
    for scenario, rank in list(zip(read, ranks, strict=True))[:: max(1, len(ranks) // 100)]:
        expected = space.scenario(rank)
        assert msgspec.structs.replace(scenario, name="", gst=0) == msgspec.structs.replace(expected, name="", gst=0)
        assert scenario.synchronous_from <= expected.gst


def test_pieces_of_a_range_join_to_the_range() -> None:
    space = SHAPES["exactly"]
    whole = b"".join(space.lines(17, 333))
    assert b"".join(chain(space.lines(17, 100), space.lines(117, 233))) == whole
    one_by_one = (b"".join(space.lines(rank, 1)) for rank in range(17, 350))
    assert b"".join(one_by_one) == whole


def test_lines_of_a_space_with_too_many_choices_for_a_table() -> None:
    space = Space(replicas=4, faulty=1, sets=2, rounds=2, drops=3, quorum=True, suffix=0)
    assert space.choices > 100_000
    (line,) = space.lines(space.count // 3, 1)
    assert line == scenario_files.encode_rounds(space.scenario(space.count // 3).rounds) + b"\n"


def test_a_space_without_rounds_has_one_scenario() -> None:
    space = Space(replicas=4, faulty=1, sets=2, rounds=0)
    assert (space.count, space.orbits()) == (1, 1)
    assert list(space.ranks(0, 9, canonical=True)) == [0]
    assert len(list(space.lines(0, 9))) == 1


# --- what is refused ---


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ({"replicas": 0}, "replicas: 0 is not between 1 and 26"),
        ({"faulty": 5}, "faulty: 5 is not between 0 and 4"),
        ({"faulty": -1}, "faulty: -1 is not between 0 and 4"),
        ({"sets": 0}, "sets: 0 is not between 1 and 5"),
        ({"sets": 6}, "sets: 6 is not between 1 and 5"),
        ({"rounds": -1}, "rounds: -1 is not between 0 and 1,000"),
        ({"drops": -1}, "drops: -1 is not between 0 and 1,000"),
        ({"suffix": -1}, "suffix: -1 is not between 0 and 1,000"),
        ({"rounds": 0, "suffix": 0}, "rounds: 0, and no suffix either"),
        ({"drop_types": ()}, "drop_types: () is empty or repeats a type"),
        ({"drop_types": ("sync",)}, "drop_types: 'sync' is none of proposal, timeout, vote, *"),
        ({"faulty": 0, "leaders": "twins"}, "leaders: 'twins', but there are none with 0 faulty replicas"),
        ({"sets": 4, "exactly": True, "quorum": True}, "sets: no partition into 4 sets has a quorum"),
    ],
)
def test_a_wrong_shape_is_named(shape: dict[str, object], complaint: str) -> None:
    given = {"replicas": 4, "faulty": 1, "sets": 2, "rounds": 2} | shape
    with pytest.raises(InputError) as error:
        Space(**given)  # type: ignore[arg-type]  # wrong on purpose
    assert str(error.value) == complaint


def test_numbers_outside_the_space_are_refused() -> None:
    space = SHAPES["plain"]
    for rank in (-1, space.count):
        with pytest.raises(InputError, match=f"scenario: {rank} is not below {space.count}"):
            space.scenario(rank)
    with pytest.raises(InputError, match="choice: 52 is not below 52"):
        space.choice(52)
    with pytest.raises(InputError, match="a number is negative"):
        space.ranks(-1, 3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("replicas=a,b,c gst=0; 1-9: c leads a,b,c", "replicas: "),
        ("replicas=a,b,c,d twins=a' gst=2; 1-8: d leads a,b,c,d,a'", "rounds: "),
        ("replicas=a,b,c,d twins=a' gst=2; 1-9: c leads a,b,c,d,a'", "rounds: "),
        ("replicas=a,b,c,d twins=a' gst=2; 1: a leads a,b|c|d,a'; 2-9: d leads a,b,c,d,a'", "partition: "),
        ("replicas=a,b,c,d twins=a' gst=2; 1: a leads a,b|c,d,a'; 2-9: d leads a,b,c,d,a'", None),
        (
            "replicas=a,b,c,d twins=a' gst=2; 1: a leads a,b,c,d,a' drop=a>b:vote; 2-9: d leads a,b,c,d,a'",
            "exceptions: ",
        ),
        ("replicas=a,b,c,d twins=a' gst=2; 1: a leads a,b,c,d,a' timers=early; 2-9: d leads a,b,c,d,a'", "extras: "),
        (
            "replicas=a,b,c,d twins=a' gst=2; 1: a leads a,b,c,d,a' crash=b restart=b; 2-9: d leads a,b,c,d,a'",
            "extras: ",
        ),
    ],
)
def test_a_scenario_outside_the_space_has_no_number(text: str, complaint: str | None) -> None:
    space = SHAPES["plain"]
    scenario = parse_scenario(f"scenario: {text}")
    if complaint is None:
        assert space.scenario(space.rank(scenario)).rounds == scenario.rounds
        return
    with pytest.raises(InputError, match=f"^{complaint}"):
        space.rank(scenario)


def test_a_leader_outside_the_space_has_no_number() -> None:
    space = SHAPES["twins lead"]
    with pytest.raises(InputError, match="leader: 'c' does not lead in this space"):
        space.choice_of(Round("c", (("a", "b", "c", "a'", "b'"),)))
