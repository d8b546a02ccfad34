"""Real workers, some of which are killed: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from pathlib import Path
from typing import Any

import pytest

from diembft.errors import InputError
from diembft.twins.campaigns.campaign import CampaignProgress, run_campaign
from diembft.twins.campaigns.chunks import Manner
from diembft.twins.campaigns.results_file import read_results
from diembft.twins.campaigns.sources import ScenarioRange
from diembft.twins.campaigns.workers import Inline, Lasting, Processes, executors, is_breakdown
from diembft.twins.scenarios.space import Space

RANGE = ScenarioRange(Space(replicas=4, faulty=1, sets=2, rounds=4, quorum=True), 5000, 240, seed=1)
CHUNK = 12


def results_of(
    make_executor: Callable[[], Executor], file: Path, watch: Callable[[CampaignProgress], None]
) -> list[Any]:
    summary = run_campaign(
        RANGE, Manner(), make_executor=make_executor, workers=2, results=file, chunk=CHUNK, watch=watch
    )
    assert summary.scenarios == summary.as_expected == RANGE.count
    marks = [line for line in file.read_bytes().splitlines() if b'"kind":"done"' in line]
    assert len(marks) == len(set(marks)) == RANGE.count // CHUNK
    return list(read_results(file))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return results_of(Inline, tmp_path_factory.mktemp("inline") / "r.jsonl", lambda _: None)


def test_processes_of_which_one_is_killed(expected: list[Any], tmp_path: Path) -> None:
    before = {process.pid for process in multiprocessing.active_children()}
    killed: list[int] = []

    def kill_one(progress: CampaignProgress) -> None:
        if not killed:
            mine = [process.pid for process in multiprocessing.active_children() if process.pid not in before]
            pid = next(pid for pid in mine if pid is not None)
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    with executors(2) as (make_executor, workers):
        assert workers == 2
        assert results_of(make_executor, tmp_path / "r.jsonl", kill_one) == expected
    assert killed
    assert {process.pid for process in multiprocessing.active_children()} <= before


def test_processes_end_at_once_if_nobody_waits() -> None:
    before = {process.pid for process in multiprocessing.active_children()}
    executor = Processes(2)
    executor.submit(os.getpid).result()
    executor.shutdown(wait=False)
    assert {process.pid for process in multiprocessing.active_children()} <= before


def deadly(number: int) -> int:
    """Kills its worker where the number is 3."""
    if number == 3:
        os._exit(1)
    return number


def test_what_kills_every_worker_fails_alone() -> None:
    before = {process.pid for process in multiprocessing.active_children()}
    losses: list[None] = []
    with Lasting(lambda: Processes(2), 2, lambda: losses.append(None)) as executor:
        futures = [executor.submit(deadly, number) for number in range(8)]
        assert [future.result() for number, future in enumerate(futures) if number != 3] == [0, 1, 2, 4, 5, 6, 7]
        with pytest.raises(ChildProcessError, match="worker processes died 4 times over the same work"):
            futures[3].result()
    assert len(losses) == 1
    assert {process.pid for process in multiprocessing.active_children()} <= before


def test_work_that_nobody_wants_any_more_keeps_no_other_from_being_done() -> None:
    """A pool of CPython 3.11 whose worker dies hangs if a future that it holds was cancelled."""
    with Lasting(lambda: Processes(2), 2) as executor:
        futures = [executor.submit(deadly, number) for number in range(3, 12)]
        for future in futures[1:6]:
            assert future.cancel()
        assert [future.result() for future in futures[6:]] == [9, 10, 11]


def test_an_error_of_the_work_is_its_result() -> None:
    with pytest.raises(ZeroDivisionError), Lasting(lambda: Processes(2), 2) as executor:
        executor.submit(divmod, 1, 0).result()


def test_one_job_is_this_very_process() -> None:
    with executors(1) as (make_executor, workers), make_executor() as executor:
        assert workers == 1
        assert executor.submit(os.getpid).result() == os.getpid()
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result()


@pytest.mark.slow
def test_a_dask_cluster_of_two_workers_of_which_one_is_killed(expected: list[Any], tmp_path: Path) -> None:
    """A real scheduler, which hands the lost chunks to the worker that is left."""
    import distributed

    library: Any = distributed
    with (
        library.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        library.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        assert len(set(pids)) == 2
        killed: list[int] = []

        def kill_one(progress: CampaignProgress) -> None:
            if not killed:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        with executors(2, cluster.scheduler_address) as (make_executor, workers):
            assert workers == 2
            assert results_of(make_executor, tmp_path / "r.jsonl", kill_one) == expected
        assert killed


@pytest.mark.slow
def test_a_local_dask_cluster_needs_no_address(expected: list[Any], tmp_path: Path) -> None:
    with executors(2, "local") as (make_executor, workers):
        assert workers == 2
        assert results_of(make_executor, tmp_path / "r.jsonl", lambda _: None) == expected


def test_what_dask_says_of_workers_that_died_is_a_breakdown() -> None:
    """A chunk that kills every worker ends the campaign with its name, and not with a traceback."""
    from distributed.scheduler import KilledWorker

    died: Any = KilledWorker
    assert is_breakdown(died("task", None, 3))
    assert is_breakdown(BrokenExecutor())
    assert is_breakdown(CancelledError())
    assert not is_breakdown(InputError("bugs: none"))


def test_no_scheduler_there_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diembft.twins.campaigns.workers.CONNECT_S", 0.2)
    for address in ("tcp://127.0.0.1:1", "no address"):
        with pytest.raises(InputError, match="--dask: no scheduler at"), executors(1, address):
            pass
