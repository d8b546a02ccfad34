"""docs/trace.md: every field is described there, and what a foreign system writes is judged and shown."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs
from tools import trace_schema

from diembft.judge.traces import check
from diembft.pages.page import render
from diembft.pages.prepare import TraceFile, prepare
from diembft.trace.files import read_trace, write_trace
from diembft.trace.records import Committed, Header, Record, Sent, State

FOREIGN = Path(__file__).parents[2] / "examples" / "foreign_trace.jsonl"


def test_every_field_of_every_record_stands_in_the_document() -> None:
    text = trace_schema.DOCUMENT.read_text(encoding="utf-8")
    written = text.partition(trace_schema.BEGIN)[2].partition(trace_schema.END)[0]
    assert written.strip() == trace_schema.fields().strip(), "python tools/trace_schema.py writes it anew"


def test_what_the_document_says_of_single_fields() -> None:
    """By hand, so that the generator is not compared with itself."""
    text = trace_schema.DOCUMENT.read_text(encoding="utf-8")
    for begins in (
        "| `attempt` | integer | `1` |",
        "| `message` | integer | `0` |",
        "| `correct` | true or false | `true` |",
        '| `phase` | string | `""` |',
        "| `nodes` | array of Node | **required** |",
        "| `clients` | array of string | `[]` |",
        "| `figures` | object | `{}` |",
        "| `culprit` | integer or null | **required** |",
        "| `locked_round` | integer or null | `null` |",
        "| `format` | string | **required** |",
        "| `version` | integer | **required** |",
    ):
        assert f"\n{begins} " in text, begins


def test_a_trace_written_by_hand_is_read_judged_and_shown(tmp_path: Path) -> None:
    trace = list(read_trace(FOREIGN))
    assert {type(record) for record in trace} >= {Header, Sent, State, Committed}
    assert list(check(trace)) == []
    page = prepare(TraceFile(FOREIGN))
    assert (page.protocol, page.runtime, page.quorum) == ("my-protocol", "my-engine 0.3", 3)
    assert sorted(block.name for block in page.blocks) == ["B1", "B2", "genesis"]
    assert "Two blocks, one committed" in render(page)
    write_trace(tmp_path / "again.jsonl", trace)
    assert list(read_trace(tmp_path / "again.jsonl")) == trace


def violated_by(trace: list[Record]) -> list[str]:
    return [violated.property for violated in check(trace)]


def test_what_a_foreign_trace_shows_to_be_wrong() -> None:
    trace = list(read_trace(FOREIGN))
    last = max(index for index, record in enumerate(trace) if isinstance(record, Committed))
    commit = trace[last]
    assert isinstance(commit, Committed)
    other = structs.replace(commit, block=structs.replace(commit.block, id=b"other"))
    assert violated_by([*trace[:last], other, *trace[last + 1 :]]) == ["agreement"]
    few = structs.replace(commit, certificate=structs.replace(commit.certificate, signers=(0, 1)))
    assert violated_by([*trace[:last], few, *trace[last + 1 :]]) == ["certificates"]
    place, vote = next(
        (index, record)
        for index, record in enumerate(trace)
        if isinstance(record, Sent) and record.message.vote is not None
    )
    assert vote.message.vote is not None
    second = structs.replace(
        vote,
        number=999,
        message=structs.replace(vote.message, vote=structs.replace(vote.message.vote, content=b"another")),
    )
    assert violated_by([*trace[: place + 1], second, *trace[place + 1 :]]) == ["honest_vote_once"]
