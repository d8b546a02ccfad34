"""Campaigns: what is expected, no scenario lost and none counted twice, whatever is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diembft.errors import InputError
from diembft.judge.verdict import Verdict
from diembft.twins.campaigns.campaign import CampaignProgress, run_campaign
from diembft.twins.campaigns.chunks import Chunk, Manner, execute_chunk, result_of
from diembft.twins.campaigns.results_file import read_results
from diembft.twins.campaigns.sources import ScenarioList, ScenarioRange, ScenarioSource, neighbourly
from diembft.twins.campaigns.summary import CampaignSummary
from diembft.twins.campaigns.workers import Inline, Lasting
from diembft.twins.runs.judging import run
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.space import Space
from diembft.twins.scenarios.text import parse_scenario

SPACE = Space(replicas=4, faulty=1, sets=2, rounds=2)
RANGE = ScenarioRange(SPACE, 1000, 47)
PLAIN = Manner()


def campaigned(
    source: ScenarioSource,
    results: Path | None = None,
    *,
    chunk: int = 10,
    manner: Manner = PLAIN,
    **more: Any,
) -> CampaignSummary:
    return run_campaign(source, manner, make_executor=Inline, workers=1, results=results, chunk=chunk, **more)


def listed(*texts: str) -> ScenarioList:
    return ScenarioList(tuple([parse_scenario(text) for text in texts]))


GOOD = "scenario good: replicas=a,b,c,d; 1-7: a leads a,b,c,d"
WITH_A_BUG = "scenario bad: replicas=a,b,c,d bugs=small_quorum; 1: a leads a,b|c,d; 2-8: a leads a,b,c,d"
HARMLESS_BUG = "scenario harmless: replicas=a,b,c,d bugs=late_replay; 1-7: a leads a,b,c,d"

# --- what is expected


def test_without_bugs_it_must_hold_and_with_bugs_it_must_be_violated() -> None:
    summary = campaigned(listed(GOOD, WITH_A_BUG, HARMLESS_BUG))
    assert (summary.scenarios, summary.as_expected, summary.violated) == (3, 2, 1)
    assert [result.name for result in summary.unexpected] == ["harmless"]
    assert not summary.passed


def test_expect_violation_is_about_every_scenario() -> None:
    summary = campaigned(listed(GOOD, WITH_A_BUG), manner=Manner(expect="violation"))
    assert [result.name for result in summary.unexpected] == ["good"]


def test_liveness_that_is_promised_and_undecided_is_not_as_expected() -> None:
    scenario = parse_scenario(GOOD)
    judgement = run(scenario)
    findings = tuple(
        [
            msgspec.structs.replace(f, verdict=Verdict.UNDECIDED) if f.oracle.startswith("liveness") else f
            for f in judgement.findings
        ]
    )
    result = result_of(0, scenario, judgement._replace(findings=findings), PLAIN)
    assert (result.as_expected, result.unkept) == (False, True)
    summary = CampaignSummary()
    summary.add(result)
    assert (summary.unkept, summary.passed) == (1, False)


def test_what_is_undecided_is_counted() -> None:
    summary = campaigned(RANGE)
    assert summary.undecided["durability"] == summary.undecided["accountability"] == 47
    assert 0 < summary.undecided["liveness_bound"] < 47
    assert sum(summary.endings.values()) == 47


@pytest.mark.parametrize(
    "manner",
    [Manner(), Manner(share=False), Manner(delayed=True), Manner(crypto="ed25519"), Manner(expect="violation")],
    ids=str,
)
def test_results_are_those_of_executing_each_scenario(manner: Manner, tmp_path: Path) -> None:
    source = ScenarioRange(SPACE, 500, 12)
    campaigned(source, tmp_path / "r.jsonl", manner=manner)
    expected = [
        result_of(index, scenario, run(scenario, delayed=manner.delayed, crypto=manner.crypto), manner)
        for index, scenario in enumerate(source.scenarios(0, 12))
    ]
    assert read_results(tmp_path / "r.jsonl") == expected


def test_sharing_is_for_neighbours() -> None:
    together = list(RANGE.scenarios(0, 47))
    apart = list(ScenarioRange(SPACE, 0, 47, seed=1).scenarios(0, 47))
    assert neighbourly([*map(SPACE.scenario, range(50))]) is False  # two rounds alone: one of them is always new
    long = Space(replicas=4, faulty=1, sets=2, rounds=5)
    assert neighbourly([*map(long.scenario, range(50))])
    assert not neighbourly([*map(long.scenario, long.ranks(0, 50, seed=1))])
    assert not neighbourly([])
    assert execute_chunk(Chunk(ScenarioList(tuple(together)), 0, PLAIN)) == execute_chunk(Chunk(RANGE, 0, PLAIN))
    assert len(apart) == 47


# --- sources


@pytest.mark.parametrize(
    "source",
    [
        RANGE,
        ScenarioRange(SPACE, 10, 47, seed=3),
        ScenarioRange(SPACE, 10, 47, canonical=True),
        ScenarioList(tuple(RANGE.scenarios(0, 47))),
    ],
    ids=["range", "sample", "canonical", "list"],
)
def test_parts_of_a_source_are_the_source(source: ScenarioSource) -> None:
    whole = list(source.scenarios(0, source.count))
    cut: list[Scenario] = []
    for start in range(0, source.count, 9):
        part = source.part(start, 9)
        cut += part.scenarios(0, part.count)
    assert cut == whole
    assert source.count == 47


def test_a_digest_says_which_scenarios_these_are() -> None:
    sources: list[ScenarioSource] = [
        RANGE,
        ScenarioRange(SPACE, 1001, 47),
        ScenarioRange(SPACE, 1000, 48),
        ScenarioRange(SPACE, 1000, 47, seed=1),
        ScenarioRange(SPACE, 1000, 47, canonical=True),
        listed(GOOD),
        listed(GOOD, GOOD),
    ]
    assert len({source.digest() for source in sources}) == len(sources)
    assert ScenarioRange(SPACE, 1000, 47).digest() == RANGE.digest()


# --- interrupted and gone on with


def test_every_scenario_has_one_line_and_every_chunk_a_mark(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    campaigned(RANGE, results)
    kinds = [msgspec.json.decode(line)["kind"] for line in results.read_bytes().splitlines()]
    assert kinds.count("result") == 47
    assert kinds.count("done") == 5
    assert [result.index for result in read_results(results)] == list(range(47))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.93, 0.999])
def test_a_file_that_was_cut_off_anywhere_is_gone_on_with(share: float, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    summary = campaigned(RANGE, whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    executed: list[int] = []
    again = campaigned(RANGE, cut, watch=lambda progress: executed.append(progress.done))
    assert cut.read_bytes() == content
    assert msgspec.structs.asdict(again) == msgspec.structs.asdict(summary)
    whole_lines = content[: int(len(content) * share)].rpartition(b"\n")[0]
    assert len(executed) == 5 - whole_lines.count(b'"kind":"done"')


def test_what_is_done_is_not_executed_again(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    campaigned(RANGE, results)

    def never() -> Executor:
        return Refuses()

    summary = run_campaign(RANGE, PLAIN, make_executor=never, workers=1, results=results)
    assert (summary.scenarios, summary.passed) == (47, True)


def test_the_chunks_of_a_file_stay_as_they_are(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    campaigned(RANGE, results, chunk=10)
    content = results.read_bytes()
    results.write_bytes(content[: content.index(b'"chunk":2}') + 11])
    campaigned(RANGE, results, chunk=7)
    assert results.read_bytes() == content


def test_sharing_makes_no_other_campaign(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    campaigned(RANGE, results)
    assert campaigned(RANGE, results, manner=Manner(share=False)).scenarios == 47


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"hello\n", "line 1: no line of results"),
        (b'{"kind":"done","chunk":0}\n', "line 1: the first line, and no other, tells of the campaign"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(content: bytes, complaint: str, tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    results.write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        campaigned(RANGE, results)
    assert results.read_bytes() == content


@pytest.mark.parametrize(
    ("source", "manner"),
    [
        (ScenarioRange(SPACE, 1000, 48), PLAIN),
        (ScenarioRange(SPACE, 1000, 47, seed=0), PLAIN),
        (RANGE, Manner(expect="violation")),
        (RANGE, Manner(delayed=True)),
        (RANGE, Manner(crypto="ed25519")),
    ],
)
def test_a_file_of_another_campaign_is_refused_and_left_alone(
    source: ScenarioRange, manner: Manner, tmp_path: Path
) -> None:
    results = tmp_path / "r.jsonl"
    campaigned(RANGE, results)
    before = results.read_bytes()
    with pytest.raises(InputError, match="holds the results of another campaign"):
        campaigned(source, results, manner=manner)
    assert results.read_bytes() == before


def test_a_file_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        campaigned(RANGE, tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_results(tmp_path / "none.jsonl")


def test_what_is_unexpected_is_kept_by_index_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diembft.twins.campaigns.summary.SHOWN_UNEXPECTED", 5)
    summary = campaigned(RANGE, manner=Manner(expect="violation"))
    assert [result.index for result in summary.unexpected] == [0, 1, 2, 3, 4]
    assert summary.as_expected == 0


# --- workers that die


class Refuses(Executor):
    """Must not be asked."""

    def submit(self, *_args: Any, **_kwargs: Any) -> Future[Any]:
        raise AssertionError("nothing is left to do")


class Breaks(Inline):
    """Takes so many chunks. The next one is lost with its worker; and after it no more are taken, unless `takes`."""

    def __init__(self, after: int, *, takes: bool = False) -> None:
        self.after = after
        self.takes = takes

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.after -= 1
        if self.after >= 0:
            return super().submit(function, *args, **kwargs)
        if self.after < -1 and not self.takes:
            raise BrokenExecutor("no new work")
        lost: Future[Any] = Future()
        lost.set_exception(BrokenExecutor("a worker died"))
        return lost


@pytest.mark.parametrize("takes", [False, True])
@pytest.mark.parametrize("ends", [[9, 100], [7, 0, 3, 8, 100], [0, 0, 100], [6, 6, 6, 6, 6, 100]], ids=str)
def test_chunks_of_workers_that_die_are_handed_out_again(ends: list[int], takes: bool, tmp_path: Path) -> None:
    """Nothing is lost, nothing counts twice, whatever is under way when workers die."""
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    expected = campaigned(RANGE, whole, chunk=4)
    left = iter(ends)

    def lasting() -> Executor:
        return Lasting(lambda: Breaks(next(left), takes=takes), 2)

    summary = run_campaign(RANGE, PLAIN, make_executor=lasting, workers=2, results=broken, chunk=4)
    assert msgspec.structs.asdict(summary) == msgspec.structs.asdict(expected)
    assert read_results(broken) == read_results(whole)
    marks = [line for line in broken.read_bytes().splitlines() if b'"kind":"done"' in line]
    assert len(marks) == len(set(marks)) == 12


def test_chunks_that_kill_every_worker_are_named(tmp_path: Path) -> None:
    with pytest.raises(ChildProcessError, match=r"died 4 times over the same work: scenarios 0 to 4"):
        run_campaign(RANGE, PLAIN, make_executor=lambda: Lasting(lambda: Breaks(0), 1), workers=1, chunk=5)


def test_progress_tells_the_rate_and_what_remains() -> None:
    told: list[CampaignProgress] = []
    campaigned(RANGE, manner=Manner(expect="violation"), watch=told.append)
    assert [progress.done for progress in told] == [10, 20, 30, 40, 47]
    assert {progress.total for progress in told} == {47}
    assert [progress.unexpected for progress in told] == [10, 20, 30, 40, 47]
    for progress in told:
        assert progress.rate > 0
        assert progress.remaining_s == pytest.approx((47 - progress.done) / progress.rate)
