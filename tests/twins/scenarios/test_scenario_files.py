"""Scenario files: both kinds of JSON Lines, compressed ones, and everything that can be wrong with them."""

import json
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diembft.errors import InputError
from diembft.twins.scenarios.scenario import Drop, Extras, Round, Scenario
from diembft.twins.scenarios.scenario_files import output, read_scenarios, write_scenarios, write_seed_file
from diembft.twins.scenarios.strategies import scenarios
from diembft.twins.scenarios.text import parse_scenario

HEADER = '{"format":"diembft-scenarios","version":1,"replicas":["a","b"],"twins":[],"bugs":[],"model":"timed"}'
CAST = '["a", "b", "c", "d"]\n["d\'"]\n'
WHOLE = '["a", [["a", "b", "c", "d", "d\'"]], []]'
SPLIT = '["d", [["a", "b", "d"], ["c", "d\'"]], [["a", "_", "vote"], ["d", "b", "*"]]]'


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def complaint_about(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as error:
        read_scenarios(path, **options)  # type: ignore[arg-type]  # passed on
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path)).removeprefix(", ").removeprefix(": ")


# --- reading the seed's kind ---


def test_the_seed_s_kind(tmp_path: Path) -> None:
    line = f"[{', '.join([SPLIT, *[WHOLE] * 7])}]\n"
    path = write(tmp_path / "gen.json", f'{CAST}["small_quorum"]\n{line}\n{line}')
    first, second = read_scenarios(path)
    assert first.rounds[0] == Round("d", (("a", "b", "d"), ("c", "d'")), (Drop("a", "_", "vote"), Drop("d", "b", "*")))
    assert (first.gst, first.delay_bound_s, first.timeout_s) == (1, 0.8, 30.0)
    assert (first.bugs, first.model) == (("small_quorum",), "timed")
    assert (first.name, second.name) == ("gen#0", "gen#1")


def test_older_files_have_no_line_of_bugs(tmp_path: Path) -> None:
    path = write(tmp_path / "old.json", f"{CAST}[{WHOLE}]\n[{SPLIT}, {WHOLE}]\n")
    assert [len(scenario.rounds) for scenario in read_scenarios(path)] == [1, 2]


def test_a_round_of_the_seed_s_kind_may_have_extras_too(tmp_path: Path) -> None:
    extras = '{"timeout_partition": [["a", "b"], ["c", "d", "d\'"]], "timers": "early", "crash": ["a"]}'
    path = write(tmp_path / "x.json", f"{CAST}[]\n[{WHOLE[:-1]}, {extras}]]\n")
    (scenario,) = read_scenarios(path)
    assert scenario.rounds[0].extras == Extras(
        timeout_partition=(("a", "b"), ("c", "d", "d'")), timers="early", crash=("a",)
    )


# --- reading our kind ---


def test_our_kind(tmp_path: Path) -> None:
    header = json.loads(HEADER) | {"model": "barrier", "name": "found", "gst": 0, "timeout": 5, "seed": 3}
    lines = ['[["a",[["a","b"]],[]]]', '{"rounds":[["b",[["a"],["b"]],[]]],"gst":1,"name":"cut","bugs":["gap_commit"]}']
    path = write(tmp_path / "ours.jsonl", "\n".join([json.dumps(header), *lines]))
    first, second = read_scenarios(path)
    assert (first.name, first.gst, first.timeout_s, first.seed, first.model) == ("found#0", 0, 5.0, 3, "barrier")
    assert (second.name, second.gst, second.timeout_s, second.bugs) == ("cut", 1, 5.0, ("gap_commit",))


anything = scenarios(sets=5, drops=3, drop_types=("proposal", "timeout", "vote", "*"), model="two-phase", crashes=True)


@given(st.lists(anything, min_size=1, max_size=2), st.data())
def test_what_is_written_in_our_kind_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Scenario], data: st.DataObject
) -> None:
    some = [
        msgspec.structs.replace(
            scenario,
            name=data.draw(st.text()),
            gst=data.draw(st.integers(0, len(scenario.rounds))),
            delay_bound_s=data.draw(st.sampled_from([0.8, 0.1])),
            timeout_s=data.draw(st.sampled_from([30.0, 7.5])),
            seed=data.draw(st.sampled_from([0, 4, 0.5])),
            bugs=data.draw(st.sampled_from([(), ("gap_commit",)])),
            model=data.draw(st.sampled_from(["timed", "two-phase"])),
        )
        for scenario in drawn
    ]
    some.append(Scenario(replicas=("x", "y"), twins=("x'",), rounds=(), gst=0, name="another cast"))
    for name in ("some.json", "some.json.zst"):
        path = tmp_path_factory.getbasetemp() / name
        write_scenarios(path, some)
        assert read_scenarios(path) == some


def test_scenarios_without_names_are_plain_lines(tmp_path: Path) -> None:
    text = "scenario x#{}: replicas=a,b,c,d; 1: a leads a,b|c,d; 2-8: d leads a,b,c,d"
    path = tmp_path / "x.json"
    write_scenarios(path, [parse_scenario(text.format(index)) for index in range(2)])
    header, *lines = path.read_text().splitlines()
    assert json.loads(header) == {
        "format": "diembft-scenarios",
        "version": 1,
        "replicas": ["a", "b", "c", "d"],
        "twins": [],
        "bugs": [],
        "model": "timed",
    }
    whole = ["d", [["a", "b", "c", "d"]], []]
    assert [json.loads(line) for line in lines] == [[["a", [["a", "b"], ["c", "d"]], []], *[whole] * 7]] * 2


# --- writing the seed's kind ---


def test_the_seed_s_kind_is_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    head = "scenario seed#0: replicas=a,b twins=b' gst=1 bugs=gap_commit"
    scenario = parse_scenario(f"{head}; 1: a leads a|b,b' drop=b>_:*; 2-8: a leads a,b,b'")
    write_seed_file(path, [scenario])
    assert path.read_text().splitlines()[:3] == ['["a","b"]', '["b\'"]', '["gap_commit"]']
    assert read_scenarios(path) == [scenario]


@pytest.mark.parametrize(
    "second",
    [
        "replicas=a,b,c; 1: a leads a,b,c",
        "replicas=a,b bugs=gap_commit; 1: a leads a,b",
        "replicas=a,b; 1: a leads a,b timers=early",
    ],
)
def test_what_the_seed_s_kind_cannot_hold_is_refused(tmp_path: Path, second: str) -> None:
    path = tmp_path / "seed.json"
    some = [parse_scenario("scenario: replicas=a,b; 1: a leads a,b"), parse_scenario(f"scenario odd: {second}")]
    with pytest.raises(InputError, match="the seed's format cannot hold the scenario 'odd'"):
        write_seed_file(path, some)
    assert not path.exists()


def test_there_must_be_something_to_write(tmp_path: Path) -> None:
    for writer in (write_scenarios, write_seed_file):
        with pytest.raises(InputError, match="there is no scenario to write"):
            writer(tmp_path / "none.json", [])


# --- output ---


@pytest.mark.parametrize("name", ["out.json", "out.json.zst"])
def test_an_interrupted_output_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / "folder" / name
    with output(path) as file:
        file.write(b"complete")
    before = path.read_bytes()

    def fail() -> None:
        with output(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = write(tmp_path / "file", "")
    with pytest.raises(InputError, match=r"file/out\.json: "), output(in_the_way / "out.json"):
        pass


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ('["a"]', "twins: the line is missing"),
        ('["a"]\n[]', "bugs: the line is missing"),
        ('["a"]\n[]\n[]\n', "there is no scenario in it"),
        (HEADER, "there is no scenario in it"),
        ('["a", 5]\n[]\n[]\n[]', "line 1: replicas[1]: Expected `str`, got `int`: 5"),
        ('["a"]\n{}\n[]\n[]', "line 2: twins: Expected `array`, got `object`: {}"),
        ('["a"]\n["b\'"]\n[]\n[]', "line 4: twins: \"b'\" is not a replica's name with an apostrophe"),
        (HEADER.replace("1,", "2,", 1) + "\n[]", "line 1: version: 2 is not 1, the one that is understood here"),
        (HEADER.replace("diembft-", "other-") + "\n[]", "line 1: format: 'other-scenarios' is not 'diembft-scenarios'"),
        (HEADER.replace('"a"', "1") + "\n[]", "line 1: replicas[0]: Expected `str`, got `int`: 1"),
        (HEADER.replace("timed", "slow") + "\n[]", "line 1: model: Invalid enum value 'slow': 'slow'"),
        (HEADER.replace("{", '{"speed":3,') + "\n[]", "line 1: Object contains unknown field `speed`: {"),
        (HEADER.replace(',"bugs":[]', "") + "\n[]", "line 1: Object missing required field `bugs`: {"),
        (HEADER + "\n[[", "line 2: Input data was truncated: '[['"),
        (HEADER + "\nrounds", "line 2: JSON is malformed: "),
        (HEADER + '\n["a"]', "line 2: rounds[0]: Expected `array`, got `str`: 'a'"),
        (HEADER + '\n[["a"]]', "line 2: rounds[0]: Expected `array` of at least length 2, got 1: ['a']"),
        (HEADER + '\n[[1,[["a","b"]],[]]]', "line 2: rounds[0].leader: Expected `str`, got `int`: 1"),
        (HEADER + '\n[["a",["a","b"],[]]]', "line 2: rounds[0].partition[0]: Expected `array`, got `str`: 'a'"),
        (HEADER + '\n[["a",[["a"]],[]]]', "line 2: rounds[0].partition: 'b' is in no set"),
        (HEADER + '\n[["a",[["a","b","a"]],[]]]', "line 2: rounds[0].partition: 'a' is there twice"),
        (HEADER + '\n[["c",[["a","b"]],[]]]', "line 2: rounds[0].leader: 'c' is no replica"),
        (
            HEADER + '\n[["a",[["a","b"]],[["a","b"]]]]',
            "line 2: rounds[0].exceptions[0]: Expected `array` of at least length 3, got 2: ['a', 'b']",
        ),
        (
            HEADER + '\n[["a",[["a","b"]],[["a","b","block"]]]]',
            "line 2: rounds[0].exceptions[0].msg_type: Invalid enum value 'block': 'block'",
        ),
        (
            HEADER + '\n[["a",[["a","b"]],[],{"timers":"soon"}]]',
            "line 2: rounds[0].extras.timers: Invalid enum value 'soon': 'soon'",
        ),
        (
            HEADER + '\n[["a",[["a","b"]],[],{"speed":3}]]',
            "line 2: rounds[0].extras: Object contains unknown field `speed`: {'speed': 3}",
        ),
        (HEADER + '\n[["a",[["a","b"]],[],{},5]]', "line 2: rounds: Expected `array` of at most length 4: [['a'"),
        (
            HEADER + '\n{"rounds":[["a",[["a","b"]],[3]]]}',
            "line 2: rounds[0].exceptions[0]: Expected `array`, got `int`: 3",
        ),
        (HEADER + '\n{"rounds":[],"gst":-1}', "line 2: gst: -1 is not between 0 and the number of rounds, 0"),
        (HEADER + '\n{"rounds":[],"gst":"x"}', "line 2: gst: Expected `int | null`, got `str`: 'x'"),
        (HEADER + '\n{"gst":0}', "line 2: Object missing required field `rounds`: {'gst': 0}"),
        (HEADER + '\n{"rounds":[],"timeout":0}', "line 2: timeout: 0.0 is not a positive number of seconds"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_line_field_and_value(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint_about(write(tmp_path / "bad.json", text)).startswith(complaint)


def test_nothing_is_returned_of_a_file_whose_last_line_is_wrong(tmp_path: Path) -> None:
    path = write(tmp_path / "half.json", f"{CAST}[]\n" + f"[{WHOLE}]\n" * 5 + "[" + WHOLE[:20])
    assert complaint_about(path).startswith("line 9: Input data was truncated")


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "binary.json"
    path.write_bytes(b'["\xff\xfe"]\n[]\n[]\n[]')
    assert complaint_about(path).startswith("line 1: ")


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    assert complaint_about(write(tmp_path / "deep.json", HEADER + "\n" + "[" * 100_000)).startswith("line 2: ")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert complaint_about(tmp_path / "none.json") == "No such file or directory"
    assert complaint_about(tmp_path) == "Is a directory"


def test_an_unknown_bug_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", f'{CAST}["small_quorum", "typo"]\n[{WHOLE}]\n')
    assert complaint_about(path, known_bugs={"small_quorum", "a"}) == "x#0: bugs: 'typo' is none of a, small_quorum"
    assert read_scenarios(path, known_bugs=["small_quorum", "typo"])[0].bugs == ("small_quorum", "typo")


# --- compression ---


def test_a_damaged_or_cut_off_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json.zst"
    write_scenarios(path, [parse_scenario("scenario: replicas=a,b; 1: a leads a,b")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert complaint_about(path) == "the compressed data ends too early"
    path.write_bytes(whole + b"rubbish")
    assert complaint_about(path).startswith("not readable as zstd: ")
    path.write_bytes(b"plain")
    assert complaint_about(path).startswith("not readable as zstd: ")


def test_compression_is_recognised_by_content_and_frames_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "x.json.zst"
    with output(path) as file:
        file.write(HEADER.encode() + b"\n")
    frame = path.read_bytes()
    with output(path) as file:
        file.write(b'[["a",[["a","b"]],[]]]\n')
    joined = tmp_path / "joined.json"
    joined.write_bytes(frame + path.read_bytes())
    assert len(read_scenarios(joined)) == 1


def test_without_zstandard_the_need_for_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json.zst"
    write_scenarios(path, [parse_scenario("scenario: replicas=a,b; 1: a leads a,b")])
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert "a .zst file needs the package zstandard" in complaint_about(path)
    with pytest.raises(InputError, match=r"a \.zst file needs the package zstandard"), output(path):
        pass
