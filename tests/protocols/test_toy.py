"""The toy protocol of docs/protocols.md under test by sampling."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from diembft.errors import InputError
from diembft.judge.traces import check
from diembft.judge.verdict import Verdict
from diembft.protocols.by_name import protocol_of
from diembft.trace.files import read_trace, write_trace
from diembft.trace.records import Committed, Sent, State
from diembft.twins.campaigns.shrink import shrink
from diembft.twins.runs.judging import run
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.scenario import Model
from diembft.twins.scenarios.scenario_files import read_scenarios, write_scenarios
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import format_scenario, parse_scenario
from tests.protocols.neutrality import assert_neutral

TOY = "toy_protocol:STREAMLET"
pytestmark = pytest.mark.usefixtures("examples_on_path")


def space(*bugs: str) -> Space:
    return Space(replicas=4, faulty=1, sets=2, rounds=6, protocol=TOY, bugs=bugs)


def test_a_sample_holds_and_all_that_it_promises_is_judged() -> None:
    for rank in space().ranks(0, 100, seed=1):
        judgement = run(space().scenario(rank))
        assert judgement.violations == ()
        assert {finding.oracle for finding in judgement.findings if finding.verdict is Verdict.UNDECIDED} <= {
            "durability",
            "accountability",
            "liveness_bound",
            "liveness_commit",
        }


def test_the_bug_is_found_in_a_sample_and_minimised() -> None:
    scenarios = [space("any_chain").scenario(rank) for rank in space("any_chain").ranks(0, 200, seed=1)]
    violating = next(scenario for scenario in scenarios if run(scenario).violations)
    small = shrink(violating, "agreement").scenario
    assert len(small.rounds) < len(violating.rounds)
    assert "agreement" in {finding.oracle for finding in run(small).violations}
    assert not run(parse_scenario(format_scenario(small).replace(" bugs=any_chain", ""))).violations


def test_scenario_files_name_the_protocol(tmp_path: Path) -> None:
    path = tmp_path / "scenarios.jsonl"
    scenario = space("any_chain").scenario(3)
    write_scenarios(path, [scenario])
    assert [read.protocol for read in read_scenarios(path)] == [TOY]
    assert parse_scenario(format_scenario(scenario)) == scenario


@pytest.mark.parametrize("model", ["timed", "barrier"])
def test_traces_show_it_in_the_terms_of_a_trace(model: Model, tmp_path: Path) -> None:
    scenario = structs.replace(space().scenario(0), model=model)
    _, records = traced(scenario)
    assert [record for record in records if isinstance(record, Sent)]
    assert [record for record in records if isinstance(record, Committed)]
    leaders = {(record.current_round, record.leader) for record in records if isinstance(record, State)}
    assert {leader for round_, leader in leaders if 0 < round_ <= 6} == {0}
    write_trace(tmp_path / "trace.jsonl", records)
    assert traced(scenario)[1] == records
    assert list(check(read_trace(tmp_path / "trace.jsonl"))) == []
    assert_neutral(records, tmp_path)


def test_it_has_no_crashes_and_keeps_its_bugs_apart() -> None:
    crash = parse_scenario(
        f"scenario: replicas=a,b,c,d gst=1 protocol={TOY}; 1: a leads a,b,c,d crash=b; 2-9: a leads a,b,c,d"
    )
    with pytest.raises(InputError, match="crash: nodes of protocol toy_protocol:STREAMLET keep nothing"):
        run(crash)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nope", "is none of diembft"),
        ("no_such_module:X", "there is no module"),
        ("toy_protocol:NOTHING", "it has no name"),
        ("toy_protocol:Node", "it has no"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_in_one_line(name: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as error:
        protocol_of(name)
    assert "\n" not in str(error.value)
