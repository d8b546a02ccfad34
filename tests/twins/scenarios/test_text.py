"""The text form of scenarios."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diembft.errors import InputError
from diembft.twins.scenarios.scenario import Drop, Extras, Round, Scenario, whole_round
from diembft.twins.scenarios.strategies import scenarios
from diembft.twins.scenarios.text import format_scenario, parse_scenario

NAMES = ("a", "b", "c", "d")
TWINS = ("d'",)
WHOLE = (("a", "b", "c", "d", "d'"),)


def test_the_text_form_reads_well() -> None:
    extras = Extras(
        timeout_partition=(("a", "b"), ("c", "d", "d'")),
        timers="early",
        order="reversed",
        undelivered="delay",
        crash=("b",),
        restart=("b",),
    )
    split = Round("d", (("a", "d"), ("b", "c", "d'")), (Drop("a", "d", "vote"), Drop("_", "c", "*")))
    scenario = Scenario(
        replicas=NAMES, twins=TWINS,
        rounds=(split, split, Round("a", WHOLE, (), extras), whole_round(NAMES, TWINS, "a")),
        gst=3, delay_bound_s=0.5, seed=7, bugs=("small_quorum",), name="a split", model="two-phase",
    )  # fmt: skip
    text = (
        'scenario "a split": replicas=a,b,c,d twins=d\' gst=3 bound=0.5 seed=7 bugs=small_quorum model=two-phase\n'
        "  1-2: d leads a,d|b,c,d' drop=_>c:*,a>d:vote\n"
        "  3: a leads a,b,c,d,d' timeouts=a,b|c,d,d' timers=early order=reversed undelivered=delay crash=b restart=b\n"
        "  4: a leads a,b,c,d,d'"
    )
    assert format_scenario(scenario) == text
    assert parse_scenario(text) == scenario
    assert parse_scenario(format_scenario(scenario, one_line=True)) == scenario


def test_what_the_text_form_leaves_out_has_defaults() -> None:
    scenario = parse_scenario("scenario: replicas=a,b,c,d; 1-9: a leads d,c|b,a; 10-16: b leads a,b,c,d")
    assert scenario.gst == 9
    assert (scenario.delay_bound_s, scenario.timeout_s, scenario.seed) == (0.8, 30.0, 0)
    assert (scenario.twins, scenario.bugs, scenario.name, scenario.model) == ((), (), "", "timed")


@given(
    scenarios(sets=5, drops=3, drop_types=("proposal", "timeout", "vote", "*"), model="two-phase", crashes=True),
    st.text(),
    st.floats(1e-9, 1e9),
    st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    st.sets(st.sampled_from(["small_quorum", "gap_commit"])),
    st.data(),
)
def test_the_text_form_parses_back(
    scenario: Scenario, name: str, seconds: float, seed: float, bugs: set[str], data: st.DataObject
) -> None:
    scenario = msgspec.structs.replace(
        scenario,
        name=name,
        delay_bound_s=seconds,
        timeout_s=2 * seconds,
        seed=seed,
        bugs=tuple(sorted(bugs)),
        gst=data.draw(st.integers(0, len(scenario.rounds))),
    )
    assert parse_scenario(format_scenario(scenario)) == scenario
    one_line = format_scenario(scenario, one_line=True)
    assert "\n" not in one_line
    assert parse_scenario(one_line) == scenario


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "scenario: '' does not begin with 'scenario NAME: ...'"),
        ("scenarios", "scenario: 'scenarios' does not begin with 'scenario NAME: ...'"),
        (r'scenario "\x": replicas=a', r'scenario: the name "\x" is no JSON string'),
        ("scenario: replicas", "scenario: 'replicas' is not KEY=VALUE"),
        ("scenario: replicas=a speed=3", "scenario: 'speed' is no setting"),
        ("scenario: replicas=a replicas=b", "scenario: 'replicas' is there twice"),
        ("scenario: replicas=a gst=x", "gst: 'x' is not a whole number"),
        ("scenario: replicas=a bound=x", "bound: 'x' is not a number"),
        ("scenario: replicas=a gst=0; 2: a leads a", "round 1: found the number '2' instead"),
        ("scenario: replicas=a gst=0; 1-0: a leads a", "round 1: found the number '1-0' instead"),
        ("scenario: replicas=a; 1: a leads", "round 1: '1: a leads' is not 'NUMBER: LEADER leads SET|SET ...'"),
        ("scenario: replicas=a; 1: a leads a drop=a:vote", "round 1: drop: 'a:vote' is not SRC>DST:TYPE"),
        ("scenario: replicas=a; 1: a leads a speed=3", "round 1: 'speed' is no setting of a round"),
        ("scenario: replicas=a; 1: a leads a drop=a>_:sync", "rounds[0].exceptions: 'sync' is none of"),
        ("scenario: replicas=a; 1: a leads b", "rounds[0].partition: 'b' is no node"),
        ("scenario: replicas=", "scenario: 'replicas=' is not KEY=VALUE"),
        ("scenario:", "replicas: there is none"),
    ],
)
def test_a_wrong_text_form_is_named(text: str, complaint: str) -> None:
    with pytest.raises(InputError) as error:
        parse_scenario(text)
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)
