"""The story of a run that failed without a violation, and how pages name what oracles tell."""

from __future__ import annotations

import pytest
from msgspec import structs

from diembft.pages.catalogue import Catalogue
from diembft.pages.data import NONE
from diembft.pages.prepare import prepare
from diembft.protocols.by_name import BUILT_IN
from diembft.trace.records import Committed, Ended, Record, Violated
from diembft.trace.values import Block, Certificate
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.scenario import Model
from diembft.twins.scenarios.text import parse_scenario
from tests.pages.opening import Opener
from tests.pages.traces import GENESIS, block_on, fault_free, small_quorum, with_faults

REASONS = ("workload_timeout: client0 completed 0 of 2 requests within 5 s", "exactly_once: request 0 was not executed")


def failed(trace: list[Record] | None = None, reasons: tuple[str, ...] = REASONS) -> list[Record]:
    return [*(with_faults() if trace is None else trace)[:-1], Ended(2.0, False, reasons)]


def test_each_reason_has_a_story_of_how_the_run_came_to_a_halt() -> None:
    page = prepare(failed())
    assert [(one.property, one.detail, one.violation) for one in page.stories] == [
        ("workload_timeout", "client0 completed 0 of 2 requests within 5 s", False),
        ("exactly_once", "request 0 was not executed", False),
    ]
    story = page.stories[0]
    assert story.meaning.startswith("Every client must have f + 1 equal replies")
    assert story.step == story.moment == len(page.steps) - 1
    assert [one.text for one in story.observations][:2] == [
        "No block was committed.",
        "No round came after round 2, which the first node entered at 1.600 s; no replicas voted in it, "
        "no replicas gave it up (a quorum is 3).",
    ]
    assert [one.round for one in story.rounds] == [1, 2]
    assert story.rounds[0].lost


def test_what_was_committed_last_and_who_was_down_is_told() -> None:
    trace = fault_free(rounds=4)
    story = prepare(failed([*trace[:-1], with_faults()[-8], trace[-1]])).stories[0]
    assert story.observations[0].text == "The last block was committed at 0.800 s: B3."


def test_a_run_that_passes_or_violates_something_has_no_such_story() -> None:
    assert prepare(fault_free()).stories == []
    assert [one.violation for one in prepare(small_quorum()).stories] == [True]
    assert prepare(failed(reasons=("it broke off",))).stories[0].property == "the run"


def test_of_a_long_run_that_failed_the_last_rounds_are_shown() -> None:
    trace = failed(fault_free(rounds=30))
    page = prepare(trace, max_bytes=20_000)
    assert page.window.last_round == page.window.all_rounds == 31
    assert page.window.first_round > 10
    assert [one.round for one in page.stories[0].rounds] == [26, 27, 28, 29, 30, 31]
    part = prepare(trace, (2, 5)).stories[0]
    assert not [one for one in part.observations if one.rule == "progress"]
    assert [one.round for one in part.rounds] == [2, 3, 4, 5]


def test_blocks_are_named_as_in_the_pictures() -> None:
    trace = small_quorum()
    one, other = (commit.block.id for commit in trace if isinstance(commit, Committed) and commit.node in ("b", "c"))
    said = f"c and b commit different blocks at height 1: {other[:4].hex()} and {one[:4].hex()} (round 1), not deadbeef"
    named = [structs.replace(record, detail=said) if isinstance(record, Violated) else record for record in trace]
    named[-1] = Ended(1.0, False, (f"agreement: {said}",))
    page = prepare(named)
    told = page.stories[0].detail
    assert told == "c and b commit different blocks at height 1: B1.2 and B1.1 (round 1), not deadbeef"
    assert page.reasons == [f"agreement: {told}"]


@pytest.mark.parametrize("model", ["timed", "barrier", "two-phase", "lazy"])
@pytest.mark.parametrize("protocol", [*BUILT_IN, "toy_protocol:STREAMLET"])
@pytest.mark.usefixtures("examples_on_path")
def test_in_each_model_and_protocol_leaders_are_replicas_and_genesis_stands_once(protocol: str, model: Model) -> None:
    text = f"scenario: replicas=a,b,c,d twins=a' gst=2 model={model} protocol={protocol}; "
    _, trace = traced(parse_scenario(text + "1: a leads a,b,c,d,a'; 2: b leads a,b,c,d,a'; 3-4: c leads a,b,c,d,a'"))
    page = prepare(trace)
    assert {band.round: band.leaders for band in page.bands if 0 < band.round < 5} == {1: [0], 2: [1], 3: [2], 4: [2]}
    assert [(block.author, block.parent) for block in page.blocks if block.round <= 0] == [(NONE, NONE)]
    assert len([one for one in page.certificates if one.round == 0]) <= 1


def test_what_genesis_is_told_to_extend_is_genesis_and_it_has_one_certificate() -> None:
    catalogue = Catalogue(2)
    own = Block(b"genesis", 0, b"", -1, 0, None, ())
    first = catalogue.certificate(Certificate(0, b"", ()))
    index = catalogue.block(own)
    catalogue.block(block_on(Certificate(0, b"genesis", ()), 1, 0))
    again = catalogue.certificate(Certificate(0, b"genesis", (0, 1), "prepare"))
    catalogue.name_blocks()
    assert (first, again) == (0, 0)
    assert [block.name for block in catalogue.blocks] == ["genesis", "B1"]
    assert (catalogue.blocks[index].id, catalogue.blocks[index].author) == (b"genesis".hex(), NONE)
    assert catalogue.certificate(GENESIS) == 0


@pytest.mark.browser
def test_the_story_of_a_failure_in_the_browser(opened: Opener) -> None:
    shown = opened(failed())
    assert shown.text("#verdict") == "✖ failed"
    assert shown.text("#story-property") == "✖ workload_timeout failed"
    assert "The last rounds" in shown.text("#panel")
    assert "No block was committed." in shown.text("#panel")
    shown.page.select_option("select[aria-label='Failure']", index=1)
    assert shown.text("#story-detail") == "request 0 was not executed"


@pytest.mark.browser
def test_a_leader_that_is_not_known_yet_is_said_to_be(opened: Opener) -> None:
    text = "scenario: replicas=a,b,c,d twins=a' gst=2 model=two-phase; 1-3: a leads a,b,c,d,a'"
    shown = opened(traced(parse_scenario(text))[1])
    unknown = next(step for step in shown.data.steps if step.state is not None and step.state.leader == NONE)
    shown.page.goto(shown.path.as_uri() + f"#step={shown.data.steps.index(unknown) + 1}")
    shown.page.keyboard.press("2")
    shown.page.wait_for_selector("#state-table")
    assert "?" in shown.text(f"#state-table tr[data-node='{unknown.node}']").split("\t")
    assert not [text for text in shown.texts("#head text") if "-1" in text]


@pytest.mark.browser
def test_rounds_of_the_address_stand_in_the_fields(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    everything = shown.arrows()
    shown.page.goto(shown.path.as_uri() + "#rounds=2-3")
    shown.page.wait_for_function("() => document.getElementById('first-round').value === '2'")
    assert shown.page.input_value("#last-round") == "3"
    assert 0 < shown.arrows() < everything
    shown.page.keyboard.press("0")
    assert shown.arrows() < everything
