"""Figures of the exploration: fixed points, how quick it is, and what a visited state takes.

    python benchmarks/exploration.py [--seconds 600] [--jobs 1] [NAME ...]

For each question: choices a round, states, rounds to the fixed point or decided, and processor time. NAME picks
questions; without one, all but the long ones are decided.
"""

from __future__ import annotations

import argparse
import resource
import time
import tracemalloc
from hashlib import blake2b

from diembft.twins.campaigns.workers import executors
from diembft.twins.exhaustion.conjecture import Conjecture
from diembft.twins.exhaustion.question import Question
from diembft.twins.exhaustion.search import Limits, search

QUESTIONS = {
    "barrier-164": Question("barrier", sets=3),
    "barrier-52": Question("barrier", quorum_filter=True),
    "lazy-52": Question("lazy", quorum_filter=True),
    "lazy-164": Question("lazy", sets=3),
    "two-phase-676": Question("two-phase", quorum_filter=True, twins_lead=True),
    "two-phase-2704": Question("two-phase", quorum_filter=True),
    "barrier-7-replicas": Question("barrier", replicas=7, faulty=2, quorum_filter=True, twins_lead=True),
}

LONG = {"two-phase-2704", "two-phase-676", "lazy-164", "barrier-7-replicas"}

SUCCESSORS = 30
"""How many different ones a state has, about."""

VISITED = 200_000
"""How many states the memory is measured with."""


def cpu_s() -> float:
    """Processor time of this process and of workers that have ended."""
    own, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime


def bytes_a_state() -> float:
    """Memory for a visited state that has left the frontier, and for one on it, half of each."""
    tracemalloc.start()
    conjecture = Conjecture()
    frontier = []
    for number in range(VISITED):
        conjecture.add(blake2b(number.to_bytes(8, "big"), digest_size=16).digest())
        if number % 2:
            frontier.append((0, *divmod(number, 100)))
    keys = conjecture.keys
    for number in range(VISITED // 2):
        conjecture.follow(keys[number : number + SUCCESSORS])
    del keys
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken / VISITED


def main() -> None:
    """Decide what is asked for, and print a row for each question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--seconds", type=float, default=600.0, help="stop each after so long")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    options = parser.parse_args()
    names = options.names or [name for name in QUESTIONS if name not in LONG]
    print(f"{bytes_a_state():.0f} bytes a visited state")
    print("question             choices   states  rounds  ending         processor s  states/s  transitions/s")
    for name in names:
        begun, clock = cpu_s(), time.monotonic()
        with executors(options.jobs) as (make_executor, _), make_executor() as executor:
            result = search(QUESTIONS[name], limits=Limits(seconds=options.seconds), executor=executor)
        visited = len(result.conjecture)
        taken, passed = cpu_s() - begun, time.monotonic() - clock
        print(
            f"{name:20} {result.choices:7,} {visited:8,} {result.levels[-1].round - 1:7} {result.ending.value:14} "
            f"{taken:11.1f} {visited / taken:9.1f} {result.transitions / taken:14,.0f}   ({passed:.0f} s passed)"
        )


if __name__ == "__main__":
    main()
