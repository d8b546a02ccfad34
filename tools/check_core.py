"""Check a core thoroughly, and record it if nothing differs: docs/exhaustion.md says what a record is.

    python tools/check_core.py                      check and record the cores of all protocols that come with diembft
    python tools/check_core.py diembft --jobs 2     only that of DiemBFT, with two workers
    python tools/check_core.py --walk-seconds 600   walk for so long in each model, by the clock, on all workers

For each network model: a search; walks against it; all unreduced states of two rounds; pairs of states of one key. What
is printed is what the record will say. Exit status 1: something differs, and nothing is recorded; `--models` records
the others, and nothing is said of any length in a model that a record does not name. It takes a quarter of an hour a
protocol on two cores. A core must be checked again whenever its digest changes, in the same commit.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any, NamedTuple

from diembft.protocols.by_name import BUILT_IN
from diembft.twins.campaigns.workers import executors
from diembft.twins.exhaustion.checks import CheckReport, Setting, brute_force, pairs
from diembft.twins.exhaustion.core_files import core_files
from diembft.twins.exhaustion.core_records import CheckedQuestion, CoreRecord, read_records, write_record
from diembft.twins.exhaustion.cores import core_of, digest_here
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, search
from diembft.twins.exhaustion.walking import WalkPlan, walk_on
from diembft.twins.exhaustion.walks import rounds_of
from diembft.twins.runs.models import MODELS

BRUTE_FORCE_ROUNDS = 2

PAIRS = 40

PAIR_ROUNDS = 5

PAIR_CHOICES = 24


class Check(NamedTuple):
    """One model of a protocol."""

    question: Question
    brute_choices: int | None
    """Of how many choices of a round unreduced states are compared; None: of all."""


def checks_of(protocol: str) -> list[Check]:
    """What is checked of a protocol: all network models, with four replicas of which one has a twin."""
    wide = protocol == "diembft"  # the other keys have far more states where nothing is filtered
    return [
        Check(Question("barrier", sets=3 if wide else 2, quorum_filter=not wide, protocol=protocol), 52),
        Check(Question("lazy", quorum_filter=True, protocol=protocol), 52),
        Check(Question("two-phase", quorum_filter=True, twins_lead=True, protocol=protocol), 60),
    ]


class Differs(Exception):
    """A check found a difference."""


def main(arguments: list[str]) -> int:
    """Check what is asked for; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("protocols", nargs="*", metavar="PROTOCOL", help=f"of {', '.join(BUILT_IN)}; without: all")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="draws walks and pairs (default 0)")
    parser.add_argument("--walk-seconds", type=float, default=180.0, help="in each model, by the clock (default 180)")
    parser.add_argument("--search-seconds", type=float, default=300.0, help="at most, for each model (default 300)")
    parser.add_argument(
        "--models",
        nargs="+",
        choices=list(MODELS),
        default=list(MODELS),
        help="only these; others stay as they are recorded, or are not: a record is for the models that it names",
    )
    options = parser.parse_args(arguments)
    unknown = set(options.protocols) - set(BUILT_IN)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not of {', '.join(BUILT_IN)}")
    try:
        for protocol in options.protocols or BUILT_IN:
            record = checked(protocol, options)
            write_record(record)
            print(f"{protocol}: recorded core {record.digest}", flush=True)
    except Differs as difference:
        print(f"not recorded: {difference}", file=sys.stderr)
        return 1
    return 0


def checked(protocol: str, options: argparse.Namespace) -> CoreRecord:
    """The record of a core, if nothing differs."""
    files = core_files(protocol)
    known = [record for record in read_records() if (record.protocol, record.digest) == (protocol, files.digest)]
    questions = [question for record in known for question in record.questions if question.model not in options.models]
    with executors(options.jobs) as (make_executor, _), make_executor() as executor:
        for check in checks_of(protocol):
            if check.question.model not in options.models:
                continue
            print(f"{protocol}, {check.question.model}:", flush=True)
            questions.append(of_model(check, executor, options))
    if core_files(protocol) != files:
        raise Differs("the sources have changed since the check began")
    record = CoreRecord(
        protocol=protocol,
        digest=files.digest,
        files=files.files,
        questions=tuple(sorted(questions, key=lambda question: question.model)),
        python=platform.python_version(),
    )
    changed = core_of(protocol, records=[record]).because
    if changed:
        raise Differs(changed)
    return record


def of_model(check: Check, executor: Executor, options: argparse.Namespace) -> CheckedQuestion:
    """All checks in one model."""
    question, began = check.question, time.monotonic()
    searched = search(question, limits=Limits(seconds=options.search_seconds), executor=executor, attest=digest_here)
    rounds = searched.levels[-1].round - 1
    say(f"search: {len(searched.conjecture):,} states, {rounds} rounds, {searched.ending.value}", began)
    if searched.found is not None or searched.failure:
        raise Differs(f"{question.model}: {searched.found or searched.failure}")
    seconds, jobs = options.walk_seconds, options.jobs
    plan = WalkPlan(rounds_of(rounds), options.seed, seconds=seconds, streams=jobs, attest=digest_here)
    walked = walk_on(question, plan, searched.conjecture, executor, lambda walked: None)
    say(f"walks: {walked.walks:,}, {walked.steps:,} steps, {walked.keys:,} keys met", began)
    if walked.difference is not None or walked.found is not None:
        raise Differs(f"{question.model}: {walked.difference or walked.found}")
    if searched.cores | walked.cores != {digest_here(question.protocol)}:
        raise Differs("workers ran other code than this process")
    reports = list(_against_unreduced(check, options.seed))
    for report in reports:
        say(f"{report.check}: {report.compared}", began)
        if report.differences:
            raise Differs(f"{question.model}: {report.differences[0].detail}")
    return CheckedQuestion(
        model=question.model,
        options=_options(question),
        states=len(searched.conjecture),
        rounds=rounds,
        ended=searched.ending.value,
        walks=walked.walks,
        steps=walked.steps,
        seeds=(options.seed,),
        brute_force_rounds=BRUTE_FORCE_ROUNDS,
        brute_force_states=int(reports[0].compared.split()[0]),
        pairs=int(reports[1].compared.split()[0]),
    )


def _against_unreduced(check: Check, seed: int) -> Iterator[CheckReport]:
    yield brute_force(Setting(check.question, choices=check.brute_choices, seed=seed), BRUTE_FORCE_ROUNDS)
    yield pairs(Setting(check.question, choices=PAIR_CHOICES, seed=seed), count=PAIRS, rounds=PAIR_ROUNDS)


def _options(question: Question) -> dict[str, bool | int]:
    """What of a question is not as by default, but for the model and the protocol."""
    default = Question()
    fields: dict[str, Any] = {name: getattr(question, name) for name in question.__struct_fields__}
    return {
        name: value
        for name, value in fields.items()
        if name not in ("model", "protocol", "bugs") and value != getattr(default, name)
    }


def say(line: str, began: float) -> None:
    """A line with the time since then."""
    print(f"  {line} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
