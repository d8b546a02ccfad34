"""The page in a real browser: it loads, its controls do what they say, and its story is that of the run."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from msgspec import structs

from diembft.pages.data import NONE
from diembft.simulation.api import Settings, simulate
from diembft.simulation.network import Conditions, Uniform
from diembft.simulation.run_case import run_case
from diembft.testcase.loader import load
from diembft.trace.records import Header, Node, Record
from tests.pages.opening import Opener, Shown
from tests.pages.traces import fault_free, small_quorum, with_faults

pytestmark = pytest.mark.browser

CONFIGS = Path(__file__).parents[2] / "configs"
SIZE_LIMIT = 5_000_000


def trace_of(case: str) -> tuple[Record, ...]:
    return run_case(load(str(CONFIGS / f"{case}.da")), keep_trace=True).trace


@pytest.mark.parametrize(
    "case", ["normal_operation", "faulty_dropouts", "partition_heal", "must_fail/conflicting_commits"]
)
def test_runs_of_the_simulator_can_be_seen(opened: Opener, case: str) -> None:
    shown = opened(trace_of(case))
    assert shown.data.title in shown.text("#title")
    assert shown.arrows() > 0
    assert shown.count("#tree .block") > 1
    assert shown.path.stat().st_size < SIZE_LIMIT


def test_a_run_of_200_rounds_with_7_replicas(opened: Opener) -> None:
    conditions = Conditions(latency=Uniform(0.01, 0.05), loss=0.02)
    outcome = simulate(Settings(n=7, seed=1, blocks=200, conditions=conditions, trace=True))
    shown = opened(outcome.trace)
    assert shown.data.window.whole
    assert shown.path.stat().st_size < SIZE_LIMIT
    shown.page.keyboard.press("0")
    assert shown.arrows() > 1600
    assert 0 < shown.count("#messages path.batch") < 12
    assert 0 < shown.count("#tree .block") < 40
    shown.page.eval_on_selector("#tree-scroll", "(box) => { box.scrollLeft = 1e6; }")
    shown.page.wait_for_selector(f"#tree [data-block='{len(shown.data.blocks) - 1}']")


def test_steps_forward_and_back_by_keys_and_buttons(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    keys, last = shown.page.keyboard, len(shown.data.steps) - 1
    assert shown.step() == last
    keys.press("Home")
    assert shown.step() == 0
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    assert shown.step() == 2
    keys.press("ArrowLeft")
    shown.page.click("#step-on")
    shown.page.click("#step-back")
    assert shown.step() == 1
    keys.press("End")
    assert shown.step() == last


def test_steps_by_round(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    shown.page.keyboard.press("Home")
    for round_ in (2, 3):
        shown.page.keyboard.press("Shift+ArrowRight")
        state = shown.data.steps[shown.step()].state
        assert state is not None
        assert state.round == round_
    shown.page.keyboard.press("Shift+ArrowLeft")
    state = shown.data.steps[shown.step()].state
    assert state is not None
    assert state.round == 2


def test_the_slider_shows_the_state_of_every_node_at_that_moment(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    shown.page.click("#tab-state")
    for step in (3, 20, len(shown.data.steps) - 1):
        shown.page.fill("#slider", str(step))
        assert shown.step() == step
        assert f"{step + 1}/{len(shown.data.steps)}" in shown.text("#now")
        for node in range(4):
            states = [one.state for one in shown.data.steps[: step + 1] if one.node == node and one.state is not None]
            cells = shown.texts(f"#state-table [data-node='{node}'] td")
            assert cells[0] == f"replica{node}"
            if states:
                assert (int(cells[1]), int(cells[-1])) == (states[-1].round, states[-1].height)
            else:
                assert cells[1] == "not started"


def test_blocks_appear_with_the_moment(opened: Opener) -> None:
    shown = opened(fault_free(rounds=4))
    assert shown.count("#tree .block.ghost") == 0
    shown.page.keyboard.press("Home")
    assert shown.count("#tree .block.ghost") == 3
    assert shown.count("#tree .committed") == 0


def test_play_runs_to_the_end(opened: Opener) -> None:
    shown = opened(fault_free(rounds=1))
    shown.page.select_option("#speed", "40")
    shown.page.click("#play")
    shown.page.wait_for_function("() => document.getElementById('play').textContent === 'Pause'")
    shown.page.wait_for_function("() => document.getElementById('play').textContent === 'Play'")
    assert shown.step() == len(shown.data.steps) - 1


def test_rounds_are_bands_though_a_byzantine_replica_jumps_ahead(opened: Opener) -> None:
    shown = opened(trace_of("set_attribute"))
    rounds = [band.round for band in shown.data.bands]
    assert rounds == list(range(1, rounds[-1] + 1))
    assert shown.count("#gutter .lane-label text.fault") == 1
    shown.page.keyboard.press("Home")
    for round_ in (2, 3, 4, 5):
        shown.page.keyboard.press("Shift+ArrowRight")
        state = shown.data.steps[shown.step()].state
        assert state is not None
        assert state.round == round_


def test_filter_by_type(opened: Opener) -> None:
    shown = opened(fault_free(rounds=4))
    everything = shown.arrows()
    proposals = sum(len(message.deliveries) for message in shown.data.messages if message.kind == "proposal")
    shown.page.click("[data-family='proposal']")
    assert shown.arrows() == everything - proposals
    assert shown.count(".k-proposal.message") == 0
    shown.page.click("[data-family='proposal']")
    assert shown.arrows() == everything


def test_filter_lost_messages(opened: Opener) -> None:
    shown = opened(with_faults())
    everything = shown.arrows()
    lost = sum(delivery.fate == "lost" for message in shown.data.messages for delivery in message.deliveries)
    assert lost == 4
    shown.page.click("[data-family='lost']")
    assert shown.arrows() == everything - lost


def test_timers_are_shown_on_request(opened: Opener) -> None:
    shown = opened(with_faults())
    shown.settle()
    assert shown.count("#marks .timer-line") == 0
    shown.page.click("[data-family='timers']")
    shown.settle()
    assert shown.count("#marks .timer-line") == 4
    assert shown.count("#marks circle.timer") == 3


def test_clients_have_lanes_on_request(opened: Opener) -> None:
    shown = opened(trace_of("normal_operation"))
    clients = [node.name for node in shown.data.nodes if node.replica == NONE]
    assert clients
    lanes, arrows = shown.count("#gutter .lane-label"), shown.arrows()
    shown.page.click("[data-family='client']")
    assert shown.arrows() > arrows
    assert shown.count("#gutter .lane-label") == lanes + len(clients)


def test_the_buttons_that_move_by_round_and_zoom(opened: Opener) -> None:
    shown = opened(fault_free(rounds=8))
    shown.page.keyboard.press("Home")
    shown.page.click("#round-on")
    shown.page.click("#round-on")
    state = shown.data.steps[shown.step()].state
    assert state is not None
    assert state.round == 3
    shown.page.click("#round-back")
    state = shown.data.steps[shown.step()].state
    assert state is not None
    assert state.round == 2
    shown.page.click("#zoom-fit")
    everything = shown.arrows()
    shown.page.click("#zoom-in")
    shown.page.click("#zoom-in")
    assert shown.arrows() < everything
    shown.page.click("#zoom-out")
    shown.page.click("#zoom-out")
    shown.page.click("#zoom-out")
    assert shown.arrows() == everything


def test_filter_by_round(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    shown.page.fill("#first-round", "3")
    shown.page.fill("#last-round", "3")
    shown.page.keyboard.press("Enter")
    wanted = sum(len(message.deliveries) for message in shown.data.messages if message.round == 3)
    assert shown.arrows() == wanted
    assert "round 3" in " ".join(shown.texts("#head text"))


def test_filter_by_node(opened: Opener) -> None:
    shown = opened(fault_free(rounds=4))
    shown.page.click("[data-lane='3']")
    wanted = sum(3 in (message.node, delivery.to) for message in shown.data.messages for delivery in message.deliveries)
    assert shown.arrows() == wanted
    shown.page.focus("[data-lane='3']")
    shown.page.keyboard.press("Enter")
    assert shown.arrows() == sum(len(message.deliveries) for message in shown.data.messages)


def test_zoom_and_pan(opened: Opener) -> None:
    shown = opened(fault_free(rounds=8))
    shown.page.keyboard.press("0")
    everything = shown.arrows()
    shown.page.click("#zoom-in")
    shown.page.keyboard.press("+")
    nearer = shown.arrows()
    assert 0 < nearer < everything
    shown.page.hover("#diagram")
    shown.page.mouse.wheel(0, -300)
    assert shown.arrows() <= nearer
    first = shown.texts("#times text")[0]
    shown.page.keyboard.press(".")
    shown.settle()
    assert shown.texts("#times text")[0] != first
    shown.page.click("#zoom-fit")
    assert shown.arrows() == everything


def test_dragging_moves_the_picture(opened: Opener) -> None:
    shown = opened(fault_free(rounds=8))
    shown.page.keyboard.press("+")
    shown.page.keyboard.press("+")
    shown.settle()
    before = shown.texts("#times text")[0]
    shown.page.mouse.move(600, 300)
    shown.page.mouse.down()
    shown.page.mouse.move(450, 300, steps=4)
    shown.page.mouse.up()
    shown.settle()
    assert shown.texts("#times text")[0] != before


def test_idle_time_can_be_shown_to_scale(opened: Opener) -> None:
    shown = opened(trace_of("faulty_dropouts"))
    assert shown.text("#scale") == "Time shortened"
    shown.page.click("#scale")
    assert shown.text("#scale") == "Time to scale"
    shown.page.keyboard.press("0")
    shown.settle()
    times = [float(text.split()[0]) for text in shown.texts("#times text") if text != "≈"]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(steps) - min(steps) < 0.02


@pytest.mark.parametrize(
    ("to", "fate", "words"),
    [
        (1, "accepted", ["its round 1 is the current round 1", "its author replica0 leads the round"]),
        (2, "rejected: the signature does not verify", []),
        (3, "lost: loss", []),
    ],
)
def test_a_click_on_a_message_shows_its_content_and_fate(opened: Opener, to: int, fate: str, words: list[str]) -> None:
    shown = opened(with_faults())
    message = next(index for index, message in enumerate(shown.data.messages) if message.kind == "proposal")
    delivery = next(index for index, item in enumerate(shown.data.messages[message].deliveries) if item.to == to)
    shown.settle()
    shown.click_arrow(message, delivery)
    panel = shown.text("#panel")
    for word in ("Message #1: proposal of B1", "replica0", "client0 #1", *words):
        assert word in panel
    assert fate in shown.text("#panel tr.current")


def test_a_click_on_a_lane_shows_the_state_of_its_node(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    shown.page.keyboard.press("0")
    shown.settle()
    for x in (300, 500, 800):
        shown.click_lane(2, x)
        step = shown.step()
        states = [one.state for one in shown.data.steps[: step + 1] if one.node == 2 and one.state is not None]
        panel = shown.text("#panel")
        assert panel.startswith("State of replica2 at ")
        assert f"current round\n{states[-1].round}\n" in panel
        assert f"voted round\n{states[-1].voted_round}\n" in panel
        assert (f"committed\n{states[-1].height} blocks, the last one B{states[-1].height}" in panel) is (
            states[-1].height > 0
        )
        assert "How it came to this" in panel
    assert states[-1].round > 4


def test_a_state_can_be_reached_by_keys(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    shown.page.keyboard.press("2")
    shown.page.focus("#state-table [data-node='1'] button >> nth=0")
    shown.page.keyboard.press("Enter")
    assert shown.text("#panel").startswith("State of replica1 at ")
    shown.page.keyboard.press("ArrowLeft")
    assert shown.text("#panel").startswith(f"Step {shown.step() + 1}, ")


def test_a_click_on_a_mark_shows_what_happened(opened: Opener) -> None:
    shown = opened(small_quorum())
    assert shown.text("#panel").startswith("✖ agreement")
    shown.settle()
    box = shown.page.locator("#marks .commit").first.bounding_box()
    assert box is not None
    shown.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "commits B1" in shown.text("#panel")


def test_lost_messages_say_why_where_they_break_off(opened: Opener) -> None:
    shown = opened(with_faults())
    assert sorted(set(shown.texts("#messages .lost-text"))) == ["crashed", "loss"]
    assert shown.count("#walls .wall") == 1
    assert shown.count("#lanes .down") == 1


def test_messages_can_be_reached_by_keys(opened: Opener) -> None:
    shown = opened(fault_free(rounds=2))
    shown.page.keyboard.press("n")
    assert shown.text("#panel").startswith("Message #1:")
    shown.page.keyboard.press("n")
    shown.page.keyboard.press("n")
    shown.page.keyboard.press("n")
    assert shown.text("#panel").startswith("Message #2:")
    shown.page.keyboard.press("p")
    assert shown.text("#panel").startswith("Message #1:")


def test_a_block_shows_its_certificate_and_the_certificate_its_votes(opened: Opener) -> None:
    shown = opened(fault_free(rounds=3))
    block = next(index for index, block in enumerate(shown.data.blocks) if block.name == "B2")
    shown.page.focus(f"[data-block='{block}']")
    shown.page.keyboard.press("Enter")
    assert shown.text("#panel").startswith("Block B2")
    assert shown.data.blocks[block].id in shown.text("#panel")
    shown.page.click("#panel button:text-is('certificate of B2')")
    panel = shown.text("#panel")
    assert panel.startswith("Certificate of B2, round 2")
    assert "3 distinct; a quorum is 3 of 4" in panel
    assert shown.texts("#panel .signer") == ["replica0", "replica1", "replica2"]


def test_the_tree_as_one_node_knows_it(opened: Opener) -> None:
    shown = opened(small_quorum())
    assert shown.count("#tree .block:not(.ghost)") == 5
    shown.page.select_option("#tree-node", label="b")
    known = {shown.data.blocks[index].name for index in known_blocks(shown)}
    assert known == {"genesis", "B1.1", "B2.1"}


def known_blocks(shown: Shown) -> list[int]:
    blocks = shown.page.query_selector_all("#tree .block:not(.ghost)")
    return [int(block.get_attribute("data-block") or "-1") for block in blocks]


def test_dark_and_light(opened: Opener) -> None:
    shown = opened(fault_free())
    back = "() => getComputedStyle(document.body).backgroundColor"
    light = shown.page.evaluate(back)
    shown.page.keyboard.press("t")
    dark = shown.page.evaluate(back)
    assert light == "rgb(255, 255, 255)"
    assert dark != light
    shown.page.click("#theme")
    assert shown.page.evaluate(back) == light


def test_tabs_and_keys_help(opened: Opener) -> None:
    shown = opened(small_quorum())
    assert [text.strip() for text in shown.texts("#tabs button")] == ["Story", "Run", "State", "Details"]
    shown.page.keyboard.press("2")
    assert "quorum is 3" in shown.text("#panel")
    shown.page.focus("#tab-run")
    shown.page.keyboard.press("ArrowRight")
    assert shown.page.get_attribute("#tab-state", "aria-selected") == "true"
    shown.page.keyboard.press("?")
    assert "one step back or on" in shown.text("#keys")
    shown.page.click("#keys button")
    assert not shown.page.is_visible("#keys")


def test_the_divider_moves_by_keys(opened: Opener) -> None:
    shown = opened(fault_free())
    height = "() => document.getElementById('tree-section').clientHeight"
    before = shown.page.evaluate(height)
    shown.page.focus("#divider")
    shown.page.keyboard.press("ArrowUp")
    assert shown.page.evaluate(height) > before


@pytest.mark.parametrize("case", ["thirteen_replicas", "must_fail/conflicting_commits"])
def test_everything_fits_the_screen(opened: Opener, case: str) -> None:
    shown = opened(trace_of(case))
    assert shown.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert shown.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
    toolbar = shown.page.locator("#tools").bounding_box()
    assert toolbar is not None
    assert toolbar["height"] < 40
    for control in ("#theme", "#help", "#zoom-fit", "#slider", "#now"):
        box = shown.page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 1366
        assert box["y"] + box["height"] <= 768


def test_a_window_of_a_long_run_says_what_it_shows(opened: Opener) -> None:
    shown = opened(fault_free(rounds=20), (5, 9))
    assert "rounds 5 to 9 of 21" in shown.text("#window")
    assert "9 of 21" in shown.text("#facts")


def test_the_story_of_a_violation_comes_first_and_is_that_of_the_run(opened: Opener) -> None:
    shown = opened(small_quorum())
    (story,) = shown.data.stories
    assert "agreement violated" in shown.text("#verdict")
    assert shown.text("#story-property") == "✖ agreement is violated"
    assert shown.text("#story-detail") == story.detail
    assert shown.step() == story.moment
    signers = [shown.texts(f".side{index} .signer") for index in range(2)]
    assert signers == [["a", "b", "a", "b"], ["a", "c", "d", "a", "c", "d"]]
    assert "B1.1" in shown.text(".side0 h4")
    assert "committed by" in shown.text(".side1")
    assert shown.texts("#story-both .signer") == ["a"]
    assert "a and a' are twins" in shown.text("#story-both")
    assert shown.texts("#story-equivocations li")[0] == (
        "a, round 1: a proposed B1.1, heard by b; a' proposed B1.2, heard by c, d"
    )
    rows = [row.split("\t") for row in shown.texts("#story-rounds tr[data-round]")]
    assert [row[:3] for row in rows] == [["1", "a", "a b | a' c d"], ["2", "a", "a b | a' c d"]]


def test_the_picture_alone_shows_conflict_signers_rounds_and_sets(opened: Opener) -> None:
    shown = opened(small_quorum())
    heads = " ".join(shown.texts("#head text"))
    assert "round 1" in heads
    assert "a b | a' c d" in heads
    assert [text for text in shown.texts("#tree text") if "conflict" in text] == ["✖ conflict"] * 2
    assert shown.count("#tree .pip.both") == 4
    assert shown.count("#gutter .twin") == 1
    assert shown.count("#marks .violation") == 1


def test_links_of_the_story_lead_into_the_picture(opened: Opener) -> None:
    shown = opened(small_quorum())
    shown.page.keyboard.press("Home")
    shown.page.click("#panel button:text-is('Go to the moment it came about')")
    assert shown.step() == shown.data.stories[0].moment
    shown.page.click("#story-equivocations button >> nth=0")
    assert "proposal of B1.1" in shown.text("#panel")
    assert shown.count("#cursor .halo.chosen") == 4
    shown.page.click("#tab-story")
    shown.page.click(".side1 button:text-is('certificate') >> nth=0")
    assert shown.text("#panel").startswith("Certificate of B1.2")
    assert shown.count("#cursor .halo.chosen") == 4


def test_only_what_the_story_tells(opened: Opener) -> None:
    shown = opened(trace_of("must_fail/conflicting_commits"))
    shown.page.uncheck("#story-focus")
    everything = shown.arrows()
    shown.page.click("[data-family='timeout']")
    shown.page.check("#story-focus")
    fewer = shown.arrows()
    assert 0 < fewer < everything / 2
    assert shown.count("#messages .s0") + shown.count("#messages .s1") > 0


def test_hostile_names_stay_text(opened: Opener) -> None:
    markup = "</script><img src=x onerror=alert(1)>"
    trace = small_quorum()
    header = trace[0]
    assert isinstance(header, Header)
    trace[0] = structs.replace(header, title=markup, replay=markup)
    renamed = [rename(record, markup) for record in trace]
    hostile = [
        structs.replace(record, **{name: markup for name in ("reason", "detail", "property") if hasattr(record, name)})
        for record in renamed
    ]
    shown = opened(hostile)
    assert f"✖ {markup} is violated" in shown.text("#panel")
    assert markup in shown.texts("#messages .lost-text")
    for key in ("1", "2", "3", "4", "n"):
        shown.page.keyboard.press(key)
    shown.page.keyboard.press("3")
    assert markup in shown.text("#state-table")
    assert shown.text("#title") == markup
    assert shown.count("img") == 0


def rename(record: Record, name: str) -> Record:
    """The record with node b under another name."""

    def renamed(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(renamed(item) for item in value)
        if isinstance(value, Node) and value.name == "b":
            return structs.replace(value, name=name)
        return name if value == "b" else value

    fields = [field for field in ("node", "nodes", "to", "sets") if hasattr(record, field)]
    return structs.replace(record, **{field: renamed(getattr(record, field)) for field in fields})


def test_a_page_of_nothing(opened: Opener) -> None:
    shown = opened(fault_free(rounds=1)[:1])
    assert shown.data.steps == []
    for key in ("1", "2", "3", "n", "p", "Home", "Shift+ArrowRight", "+", "0", " "):
        shown.page.keyboard.press(key)


def test_the_address_names_a_moment(opened: Opener) -> None:
    shown = opened(fault_free(rounds=6))
    shown.page.goto(shown.path.as_uri() + "#step=9&rounds=2-3&theme=dark")
    shown.page.wait_for_function("() => document.getElementById('slider').value === '8'")
    assert shown.page.get_attribute("html", "data-theme") == "dark"
    shown.settle()
    assert shown.texts("#head .round-head text.bold")[:3] == ["1", "round 2", "round 3"]
