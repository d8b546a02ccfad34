"""Work spread over processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diembft.cli.parallel import default_jobs, results_of
from diembft.distalgo.runtime.launch import end_session, wait_until_gone


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fail(number: int) -> int:
    raise ValueError(number)


def die(number: int) -> None:
    os._exit(number)


def die_once(mark: Path) -> str:
    """Dies where the file is not there yet."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return mark.name
    os._exit(1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_has_its_result(jobs: int) -> None:
    results = {item: result for item, (result, _) in results_of(square, range(20), jobs)}
    assert results == {number: number * number for number in range(20)}


def test_one_job_is_this_process_and_more_are_others() -> None:
    assert {pid for _, (_, pid) in results_of(square, range(3), 1)} == {os.getpid()}
    assert os.getpid() not in {pid for _, (_, pid) in results_of(square, range(3), 2)}


def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = results_of(square, items(), 2)
    next(results)
    results.close()
    assert len(taken) <= 8
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_the_function_comes_through(jobs: int) -> None:
    with pytest.raises(ValueError, match="7"):
        list(results_of(fail, [7], jobs))


def test_a_worker_that_dies_is_an_error_and_leaves_no_process() -> None:
    with pytest.raises(ChildProcessError, match="worker processes died 4 times over the same work: 3"):
        list(results_of(die, [3], 2))
    assert multiprocessing.active_children() == []


def test_the_work_of_a_worker_that_dies_is_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marks = [tmp_path / str(number) for number in range(3)]
    assert {name for _, name in results_of(die_once, marks, 2)} == {"0", "1", "2"}
    assert capsys.readouterr().err == "diembft: a worker process died; its work is done again\n"
    assert multiprocessing.active_children() == []


KILLED_AT_WORK = """
import os, signal
from diembft.cli.parallel import results_of
if __name__ == "__main__":
    for _ in results_of(abs, range(1000), 2):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(KILLED_AT_WORK)
    with subprocess.Popen([sys.executable, str(script)], start_new_session=True) as process:
        try:
            assert process.wait(30) == -signal.SIGKILL
            assert wait_until_gone(process.pid, 10.0) == ()
        finally:
            end_session(process.pid)


def test_there_is_at_least_one_job() -> None:
    assert default_jobs() >= 1
