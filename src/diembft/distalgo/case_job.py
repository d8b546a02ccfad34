"""Test cases on DistAlgo: what `run.da` is asked for, how long it may take, and the verdict on what it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from msgspec import Struct, structs

from diembft.crypto.interface import Crypto
from diembft.distalgo.arguments import OneLineParser
from diembft.distalgo.client_host import ClientHost
from diembft.distalgo.endpoint import RequireFit, Wires
from diembft.distalgo.folder import RUNS, Ledger, merged, new_folder, write_json, write_records
from diembft.distalgo.plan import Plan
from diembft.distalgo.replica_node import ReplicaNode
from diembft.errors import InputError
from diembft.faults.registry import BUGS
from diembft.host.cases import Account, CaseFigures, settling_delta_s
from diembft.judge import details
from diembft.shell import command_line
from diembft.testcase import changes
from diembft.testcase.case import DelayBy
from diembft.testcase.changes import changed, read_block_size
from diembft.testcase.failures import RuleCount, counted
from diembft.testcase.latency import NOTHING, read_span
from diembft.testcase.loader import case_files, default_folder, load, name_in
from diembft.testcase.outcome import CaseVerdict, remarks
from diembft.trace.files import write_trace
from diembft.trace.records import Dropped, Ended, Record, Sent, State

SETTLE_DELTAS: Final = 40
"""How many delay bounds a run goes on after its clients have ended, so that laggards and late faults show: twice the
time after which resting replicas tell each other what they know, if the bound is a short one."""

SLACK_S: Final = 30.0
"""How much longer than its workloads a run may take, for making processes and for a machine that has other work."""

STOP_S: Final = 20.0
"""How long processes may take to write down what they recorded."""

TRACE: Final = "trace.jsonl"
VERDICT: Final = "verdict.json"
RECORDS: Final = ".records"
"""The suffix of what each process leaves for the verdict."""


class Asked(NamedTuple):
    """What a command line asks for."""

    plans: tuple[Plan, ...]
    runs: Path
    """Where the folder of each run is made."""
    folder: Path | None
    """The folder itself, if there is one case alone and its caller wants to know."""


class CaseJob(NamedTuple):
    """One run of a test case. Every process is given it."""

    plan: Plan
    folder: Path
    wires: Wires

    @property
    def clients_s(self) -> float:
        """In how many seconds the clients must have ended: they give up by themselves before."""
        return max([plan.timeout_s for plan in self.plan.client_plans], default=0.0) + SLACK_S

    @property
    def settle_s(self) -> float:
        """For how many seconds the run goes on then: what failures hold back arrives in that time."""
        case = self.plan.case
        late_s = [rule.action.delay_s for rule in case.failures if isinstance(rule.action, DelayBy)]
        return max([SETTLE_DELTAS * settling_delta_s(case, NOTHING), *late_s])

    @property
    def bound_s(self) -> float:
        """In how many seconds all must be over, whatever hangs."""
        return self.clients_s + self.settle_s + 2 * STOP_S + SLACK_S

    def path(self, index: int, suffix: str) -> Path:
        """A file of endpoint `index`."""
        return self.folder / f"{self.plan.names[index]}{suffix}"

    def replica(self, index: int) -> ReplicaNode:
        """What runs in the process of a replica, new."""
        return ReplicaNode(self.plan, index, self.wires, Ledger(self.path(index, ".ledger")))

    def host(self, index: int) -> ClientHost:
        """What runs in a process of clients, new."""
        return ClientHost(self.plan, index, self.wires)

    def keep(self, index: int, records: Sequence[Record]) -> None:
        """Keep what a process recorded, for the verdict."""
        write_records(self.path(index, RECORDS), records)


class CaseOutcome(Struct, frozen=True):
    """What came of a run."""

    verdict: CaseVerdict
    figures: CaseFigures
    """`virtual_s` is real time here."""
    rules: tuple[RuleCount, ...]
    """How often each failure rule of the case struck, in their order."""
    real_s: float
    """All in all, from the first process to the last."""


# --- what is asked for


def read_arguments(arguments: Sequence[str], payload_limit: int) -> Asked:
    """What the arguments of `run.da` ask for; every case is read and found in order. Raises InputError."""
    parser = OneLineParser(prog="run.da", description="Run test cases on DistAlgo.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="test cases or files (default: all of configs/)")
    parser.add_argument("--seed", type=_number, help="in place of the case's seed")
    parser.add_argument("--failure-seed", type=_number, help="in place of its failures' seed")
    parser.add_argument("--latency", type=read_span, metavar="SECONDS", help="of all messages, as 0.05 or 0.02-0.05")
    parser.add_argument("--block-size", type=read_block_size, metavar="N", help="requests in a block, at most")
    parser.add_argument("--bug", action="append", default=[], choices=list(BUGS), help="plant a bug in all replicas")
    parser.add_argument("--crypto", choices=["ed25519", "symbolic"], default="ed25519", help="signatures")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where the folders of runs are made")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="the folder of the run, which is there and empty")
    asked = parser.parse_args(arguments)
    top = default_folder()
    names = asked.names or [name_in(top, path) for path in case_files(top)]
    if asked.folder is not None and len(names) != 1:
        raise InputError("run.da: --folder: goes with one test case")
    crypto: Crypto = asked.crypto
    change = partial(
        changed,
        seed=asked.seed,
        failure_seed=asked.failure_seed,
        latency=asked.latency,
        block_size=asked.block_size,
    )
    words = changes.words(asked.latency, asked.block_size)
    plans = [Plan(change(load(name)), payload_limit, crypto, tuple(asked.bug), name, words) for name in names]
    return Asked(tuple(plans), asked.runs, asked.folder)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def new_job(asked: Asked, plan: Plan, require_fit: RequireFit) -> CaseJob:
    """The next run, which begins now. Raises InputError if its folder cannot be made."""
    folder = asked.folder or new_folder(asked.runs, plan.case.name)
    return CaseJob(plan, folder.absolute(), Wires(plan.endpoints, monotonic(), require_fit))


# --- what came of it


def conclude(job: CaseJob, completed: Mapping[str, int], struck: Sequence[Sequence[int]]) -> CaseOutcome:
    """Merge what the processes recorded, judge it, and write trace and verdict.

    `completed` says how many requests of each client were executed in time, `struck` for each replica how often each
    failure rule struck there.
    """
    plan = job.plan
    account = Account(plan.header(replay(plan)), keep=True)
    counts = _Counts()
    parts = [job.path(index, RECORDS) for index in range(plan.endpoints)]
    for written in merged(parts):
        record = details.read(written)
        account.observe(record)
        counts.add(record)
    for part in parts:
        part.unlink()
    verdict = account.verdict(plan.case, plan.client_plans, [completed[client.client] for client in plan.client_plans])
    figures = counts.figures(account.longest)
    reasons = tuple([f"{reason.kind}: {reason.text}" for reason in verdict.reasons])
    account.watch.finish(Ended(counts.last_s, verdict.passed, reasons, structs.asdict(figures)))
    rules = counted(plan.case.failures, map(sum, zip(*struck, strict=True)))
    result = CaseOutcome(verdict, figures, rules, monotonic() - job.wires.began_s)
    write_trace(job.folder / TRACE, account.watch.records)
    write_json(job.folder / VERDICT, result)
    return result


class _Counts:
    """What the figures of a run are made of."""

    def __init__(self) -> None:
        self.last_s = 0.0
        self._rounds = self._timeouts = self._messages = self._dropped = 0

    def add(self, record: Record) -> None:
        """Take the next record."""
        match record:
            case Sent():
                self._messages += len(record.to)
                self._timeouts += record.message.kind == "timeout"
            case Dropped():
                self._dropped += 1
            case State():
                self._rounds = max(self._rounds, record.current_round)
            case _:
                pass
        self.last_s = max(self.last_s, getattr(record, "at", 0.0))

    def figures(self, commits: int) -> CaseFigures:
        """The figures."""
        return CaseFigures(
            rounds=self._rounds,
            commits=commits,
            timeouts=self._timeouts,
            messages=self._messages,
            dropped=self._dropped,
            virtual_s=self.last_s,
        )


def replay(plan: Plan) -> str:
    """The command that runs a case again, with the seeds that were drawn for it."""
    case = plan.case
    words = ["diembft", "run", plan.asked_for, "--runtime", "distalgo"]
    if case.drawn_seeds:
        words += ["--seed", repr(case.seed), "--failure-seed", repr(case.failure_seed)]
    for bug in plan.bugs:
        words += ["--bug", bug]
    return command_line([*words, *plan.changes])


def told(job: CaseJob, result: CaseOutcome) -> str:
    """What is printed of a run: the verdict, then the figures and where the rest is."""
    figures = result.figures
    here = Path.cwd()
    folder = job.folder.relative_to(here) if job.folder.is_relative_to(here) else job.folder
    lines = [
        str(result.verdict),
        f"  {figures.rounds} rounds, {figures.commits} blocks, {figures.timeouts} timeouts, "
        f"{figures.messages} messages, {figures.dropped} dropped, {result.real_s:.1f} s: {folder}",
    ]
    if job.plan.case.drawn_seeds:
        lines.append(f"  seeds that were drawn: {replay(job.plan)}")
    lines += [f"  {line}" for line in remarks(job.plan.case, result.rules)]
    return "\n".join(lines)
