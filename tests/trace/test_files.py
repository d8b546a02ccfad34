from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from diembft.errors import InputError
from diembft.trace import records
from diembft.trace.files import read_trace, write_trace
from diembft.trace.records import Header, Node, Record
from diembft.trace.values import KINDS, Block, Certificate, Message, RequestName, Timeout, Vote

D = bytes(range(32))
OF_BLOCK = Certificate(2, D, (0, 3), "commit", D, 1, D, detail=[1, "s"])
GIVEN_UP = Certificate(3, None, (0, 1), high_rounds=(1, 2))
BLOCK = Block(D, 3, D, 2, 1, OF_BLOCK, (RequestName("client0", 1, b"session"),), {"any": None})
VOTE = Message("vote", 2, vote=Vote(2, D, D, 1, b"signed", "prepare"), detail="opaque", sender=2)
TIMEOUT = Message("timeout", 3, timeout=Timeout(3, 2), certificates=(OF_BLOCK, GIVEN_UP))
MESSAGES = (
    Message("proposal", 3, blocks=(BLOCK,), certificates=(GIVEN_UP,), sender=1),
    VOTE,
    TIMEOUT,
    *[Message(kind, 1) for kind in KINDS],
)
HEADER = Header(
    runtime="simulator",
    protocol="diembft",
    nodes=(Node("replica0", 0), Node("replica0'", 0, correct=False)),
    n=4,
    quorum=3,
    chain=2,
    delta_s=0.1,
    clients=("client0",),
    seed="1",
    replay="diembft run x",
    title="<b>é</b>",
    scenario="scenario: replicas=a gst=1",
    bugs=("small_quorum",),
    detail={"chain_id": "a", "epoch": 1},
)
RECORDS: tuple[Record, ...] = (
    *[records.Sent(0.1, "replica0", number, ("replica1",), message) for number, message in enumerate(MESSAGES)],
    records.Delivered(0.2, "replica1", 1, None, "why"),
    records.Dropped(0.2, 1, "replica1", "loss"),
    records.TimerSet(0.3, "replica0", "round", 1.5, 2),
    records.TimerCancelled(0.3, "replica0", "round"),
    records.Fired(0.3, "replica0", "round", 2),
    records.State(0.4, "replica0", 4, 1, 7, 3, OF_BLOCK, OF_BLOCK, GIVEN_UP, 2, {"own": 1}),
    records.State(0.4, "replica0", 4, 1, 0, 3, OF_BLOCK),
    records.Persisted(0.4, "replica0", 3, 2, VOTE, (D,), (D, D)),
    records.Persisted(0.4, "replica0", 3),
    records.Committed(0.4, "replica0", 7, BLOCK, OF_BLOCK, (RequestName("client0", 1),), D),
    records.Submitted(0.5, "client0", 1, 20, 1, 9, ("replica0",), ["own"]),
    records.Replied(0.5, "replica0", "client0", 1, "ok", 10),
    records.Accepted(0.5, "client0", 1, "ok", 0.25),
    records.WorkloadEnded(0.5, "client0", True),
    records.Crashed(0.6, "replica0"),
    records.Restarted(0.6, "replica0"),
    records.Paused(0.6, "replica0"),
    records.Resumed(0.6, "replica0"),
    records.Partitioned(0.6, (("replica0",), ("replica1", "replica2")), 5),
    records.Synchronous(0.6, 0.1),
    records.PeerConnected(0.6, "replica0", "replica1"),
    records.BlocksRead(0.6, "replica0", 2, 30),
    records.SetAttribute(0.6, "replica0", "leader", 1),
    records.Evidence(0.7, "replica0", "equivocation", 1, (VOTE, TIMEOUT), OF_BLOCK),
    records.Violated(0.7, "agreement", "detail", ("replica0",), 3, (OF_BLOCK,), (VOTE,)),
    records.Ended(0.8, False, ("why",), {"rounds": 3, "virtual_s": 0.8}),
)


def test_every_record_survives_writing_and_reading(tmp_path: Path) -> None:
    assert {Header, *[type(record) for record in RECORDS]} == set(get_args(Record)), "a new record needs a test"
    path = tmp_path / "run.jsonl"
    write_trace(path, [HEADER, *RECORDS])
    assert list(read_trace(path)) == [HEADER, *RECORDS]
    assert [child.name for child in tmp_path.iterdir()] == ["run.jsonl"]


def test_each_line_is_an_object_that_names_its_type(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write_trace(path, [HEADER, *RECORDS])
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0]["type"] == "header"
    assert (lines[0]["format"], lines[0]["version"]) == (records.FORMAT, records.VERSION)
    assert len({line["type"] for line in lines}) == len(get_args(Record))


def test_a_run_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    def breaking() -> Iterator[Record]:
        yield HEADER
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_trace(tmp_path / "run.jsonl", breaking())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no_folder/run\.jsonl: cannot be written: No such file"):
        write_trace(tmp_path / "no_folder" / "run.jsonl", [HEADER])


def written(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


def line_of(tmp_path: Path, record: Record) -> bytes:
    write_trace(tmp_path / "one.jsonl", [record])
    return (tmp_path / "one.jsonl").read_bytes().rstrip()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 3}, "a trace of version 3; this is version 2: it needs a newer diembft"),
        ({"version": 1}, "a trace of version 1; this is version 2: run it again"),
        ({"format": "other"}, "line 1: format 'other', expected 'diembft-trace'"),
        ({"n": "four"}, "line 1: not a trace record: Expected `int`, got `str` - at `$.n`"),
        ({"n": 0}, "line 1: not a trace record: Expected `int` >= 1 - at `$.n`"),
        ({"n": 1 << 40}, "line 1: not a trace record: Expected `int` <= 65536 - at `$.n`"),
        ({"delta_s": 0}, "line 1: not a trace record: Expected `float` > 0.0 - at `$.delta_s`"),
        ({"quorum": 0}, "line 1: not a trace record: Expected `int` >= 1 - at `$.quorum`"),
        ({"type": "unknown"}, "line 1: not a trace record"),
    ],
)
def test_a_wrong_header(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    head = json.loads(line_of(tmp_path, HEADER)) | change
    path = written(tmp_path / "run.jsonl", [json.dumps(head).encode()])
    with pytest.raises(InputError) as caught:
        list(read_trace(path))
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("field", ["format", "version"])
def test_a_header_says_of_which_format_and_version_it_is(tmp_path: Path, field: str) -> None:
    head = json.loads(line_of(tmp_path, HEADER))
    del head[field]
    path = written(tmp_path / "run.jsonl", [json.dumps(head).encode()])
    with pytest.raises(InputError, match=f"line 1: the header has no field '{field}'"):
        list(read_trace(path))


def test_version_1_is_refused_in_one_line(tmp_path: Path) -> None:
    """Its header had other fields, so that it would not even be read."""
    old = b'{"type":"header","runtime":"twins","nodes":[],"n":4,"chain_id":"a","epoch":0,"crypto":"symbolic",'
    path = written(tmp_path / "old.jsonl", [old + b'"delta_s":1.0,"format":"diembft-trace","version":1}', b""])
    with pytest.raises(InputError) as caught:
        list(read_trace(path))
    assert str(caught.value) == f"{path}: a trace of version 1; this is version 2: run it again"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{", "line 3: not a trace record"),
        (b"", "line 3: not a trace record"),
        (b"\xff\xfe", "line 3: not a trace record"),
        (b'{"type": "crashed", "at": 1}', "line 3: not a trace record"),
        (b"[" * 100_000, "line 3: not a trace record"),
    ],
)
def test_a_wrong_line(tmp_path: Path, line: bytes, complaint: str) -> None:
    good = [line_of(tmp_path, HEADER), line_of(tmp_path, RECORDS[0])]
    path = written(tmp_path / "run.jsonl", [*good, line, b""])
    with pytest.raises(InputError, match=complaint):
        list(read_trace(path))


def test_where_the_header_must_be(tmp_path: Path) -> None:
    head, other = line_of(tmp_path, HEADER), line_of(tmp_path, RECORDS[0])
    for lines, number in (([other], 1), ([head, head], 2)):
        path = written(tmp_path / "run.jsonl", lines)
        with pytest.raises(InputError, match=f"line {number}: a trace has one header, in its first line"):
            list(read_trace(path))


def test_files_that_are_no_traces(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the trace is empty"):
        list(read_trace(written(tmp_path / "empty.jsonl", [b""])))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(read_trace(tmp_path / "nothing.jsonl"))
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        list(read_trace(str(tmp_path)))
