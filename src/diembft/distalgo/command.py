"""DistAlgo programs of this package as commands: run one, bounded in time, and read what it left in its folder."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from diembft.crypto.interface import Crypto
from diembft.distalgo.case_job import TRACE, VERDICT, CaseJob, CaseOutcome
from diembft.distalgo.endpoint import Wires
from diembft.distalgo.folder import RUNS, new_folder
from diembft.distalgo.plan import Plan
from diembft.distalgo.runtime.launch import ProgramRun, launch
from diembft.distalgo.runtime.program import ENVELOPE_BYTES, HEADER_BYTES
from diembft.distalgo.twins_scenarios import SLACK_S, VERDICTS, ScenarioOutcome, bound_of
from diembft.errors import InputError
from diembft.host.cases import CaseFigures
from diembft.testcase.case import TestCase
from diembft.testcase.failures import RuleCount
from diembft.testcase.outcome import CaseVerdict
from diembft.trace.files import read_trace
from diembft.trace.records import Record
from diembft.twins.scenarios.scenario import Scenario

MESSAGE_BUFFER_SIZE: Final = 80_000
"""In bytes, as in the seed's commands."""

OPTIONS: Final = ("--message-buffer-size", str(MESSAGE_BUFFER_SIZE), "--no-log")

START_S: Final = 30.0
"""How long Python and pyDistAlgo may take to begin, and the program to end."""

BAD_INPUT: Final = 2


class CaseRun(NamedTuple):
    """A run of a test case: as `simulation.run_case.CaseResult`, and the folder with its logs, ledgers and trace."""

    verdict: CaseVerdict
    figures: CaseFigures
    real_s: float
    trace: tuple[Record, ...]
    """The records of the run; empty unless asked for."""
    folder: Path
    rules: tuple[RuleCount, ...]


def run_case(
    name_or_file: str,
    case: TestCase,
    *,
    crypto: Crypto = "ed25519",
    bugs: Sequence[str] = (),
    changes: Sequence[str] = (),
    keep_trace: bool = False,
    runs: Path = RUNS,
) -> CaseRun:
    """Run a test case on DistAlgo, with the seeds of `case`, which is what `name_or_file` means with these `changes`
    (`diembft.testcase.changes.words`).

    Raises InputError for what is wrong with the wishes, or when pyDistAlgo is missing; ChildProcessError when the run
    came to no verdict.
    """
    plan = Plan(case, MESSAGE_BUFFER_SIZE - HEADER_BYTES - ENVELOPE_BYTES, crypto, tuple(bugs))
    folder = new_folder(runs, case.name).absolute()
    words = [name_or_file, f"--seed={case.seed!r}", f"--failure-seed={case.failure_seed!r}", "--crypto", crypto]
    words += changes
    for bug in bugs:
        words += ["--bug", bug]
    bound_s = CaseJob(plan, folder, Wires(plan.endpoints, 0.0, lambda data, _: data)).bound_s + START_S
    verdict = _launch("run", [*words, "--folder", str(folder)], bound_s, folder / VERDICT)
    result = msgspec.json.decode(verdict, type=CaseOutcome)
    trace = tuple(read_trace(folder / TRACE)) if keep_trace else ()
    return CaseRun(result.verdict, result.figures, result.real_s, trace, folder, result.rules)


def run_scenarios(
    file: Path, scenarios: Sequence[Scenario], arguments: Sequence[str] = (), *, runs: Path = RUNS
) -> list[ScenarioOutcome]:
    """Execute Twins scenarios of a file on DistAlgo.

    `arguments` are what `testexec.da` takes beside the file, and choose the scenarios out of it. Raises as `run_case`.
    """
    bound_s = sum([bound_of(scenario) for scenario in scenarios]) + SLACK_S + START_S
    folder = new_folder(runs, file.name.partition(".")[0]).absolute()
    words = [str(file), *arguments, "--folder", str(folder)]
    verdicts = _launch("testexec", words, bound_s, folder / VERDICTS)
    return msgspec.json.decode(verdicts, type=list[ScenarioOutcome])


def _launch(program: str, arguments: Sequence[str], bound_s: float, verdict: Path) -> bytes:
    """Run one of the programs of this package; what stands in the file that it writes when it is done."""
    done = launch([*OPTIONS, "-m", f"diembft.distalgo.{program}", *arguments], timeout_s=bound_s)
    if done.status == BAD_INPUT:
        with contextlib.suppress(OSError):
            verdict.parent.rmdir()  # nothing ran, and so nothing is in it
        raise InputError(_last_line(done))
    if done.status is None:
        raise ChildProcessError(f"DistAlgo: the run did not end in {bound_s:.0f} s")
    if done.left:
        raise ChildProcessError(f"DistAlgo: the run left {len(done.left)} processes behind")
    if not verdict.is_file():
        raise ChildProcessError(f"DistAlgo: no verdict: {_last_line(done)}")
    return verdict.read_bytes()


def _last_line(done: ProgramRun) -> str:
    """The last of what a run that failed has said."""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"status {done.status}"
