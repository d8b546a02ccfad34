"""Does any run of a test case on DistAlgo hang, lose a verdict, or leave something behind?

Runs a case of four replicas many times, one run after another, each as a command of its own, and checks that it
passes, in time, and that every process has ended. From the project's root:

    python -m benchmarks.distalgo_runs                # 200 runs of a short case
    python -m benchmarks.distalgo_runs -n 20 --case configs/faulty_dropouts.da
    python -m benchmarks.distalgo_runs --seconds 480  # as many as fit into eight minutes, 200 at most

Ends with status 1 when a run was lost, and shows all that it printed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from diembft.distalgo.runtime.launch import ProgramRun, launch

ROOT: Final = Path(__file__).parents[1]
TIMEOUT_S: Final = 120.0

SHORT: Final = """
from config import *
config = Config(4, 1, [Workload(WorkloadType.retransmit, 5, 2, 60)], 0.01, 1)
failure_config = FailureConfig([
    Failure("_", "_", MsgType.Wildcard, "_", 0.05),
    Failure("leader", "_", MsgType.Proposal, [4], 1),
], 1)
"""
"""A case that takes about a second: a leader is silent once, and one message in twenty is lost."""


def once(case: Path, folder: Path) -> ProgramRun:
    """One run, as the seed's command has it."""
    command: list[str | Path] = ["--message-buffer-size", "80000", "--no-log", "src/run.da", case, "--runs", folder]
    return launch(command, timeout_s=TIMEOUT_S, front=("-m", "da"), cwd=ROOT)


def main() -> int:
    """Run as often as the command line says, and say what was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distalgo_runs", description=__doc__.split("\n")[0])
    parser.add_argument("-n", "--runs", type=int, default=200, help="how often (%(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no run after so many seconds")
    parser.add_argument("--case", type=Path, help="a test case that passes, in place of the short one")
    arguments = parser.parse_args()
    began_s = time.monotonic()
    seconds: list[float] = []
    lost: list[ProgramRun] = []
    with tempfile.TemporaryDirectory() as folder:
        case = arguments.case
        if case is None:
            case = Path(folder) / "short.da"
            case.write_text(SHORT)
        while len(seconds) < arguments.runs and time.monotonic() < began_s + arguments.seconds:
            outcome = once(case, Path(folder) / "runs")
            seconds.append(outcome.seconds)
            if not outcome.in_time or outcome.status != 0:
                lost.append(outcome)
                print(f"lost: {outcome}", flush=True)
    print(
        f"Python {sys.version.split()[0]}: {len(seconds)} runs of {case.name}, {len(lost)} lost; "
        f"median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s"
    )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
