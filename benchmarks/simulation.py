"""The speed of the simulator on one core: ``python -m benchmarks.simulation``.

Committed blocks a second with constant latency, empty payloads, no trace and no invariants, where each replica
verifies for itself (none uses what another verified); and how long the project's test cases take, with all invariants.
Medians of several runs, by the processor's time, which other programs on the machine disturb less than time by the
clock.
"""

import gc
import sys
from pathlib import Path
from statistics import median
from time import process_time

from diembft.crypto.interface import Crypto
from diembft.simulation.api import Settings, simulate
from diembft.simulation.run_case import run_case
from diembft.testcase.case import TestCase
from diembft.testcase.loader import case_files, load

RUNS = 5
BLOCKS: dict[tuple[int, Crypto], int] = {
    (4, "symbolic"): 5000,
    (7, "symbolic"): 2000,
    (13, "symbolic"): 800,
    (31, "symbolic"): 200,
    (100, "symbolic"): 250,
    (4, "ed25519"): 500,
}
"""How many blocks to commit, by the number of replicas and the kind of signatures: so many that leaders are elected by
reputation most of the time."""

CONFIGS = Path(__file__).parents[1] / "configs"


def blocks_a_second(n: int, crypto: Crypto, blocks: int) -> float:
    """Of one run."""
    settings = Settings(n=n, crypto=crypto, blocks=blocks, invariants=False, until_s=1e9)
    gc.collect()
    began_s = process_time()
    outcome = simulate(settings)
    assert outcome.blocks >= blocks, "because nothing disturbs the run"
    return outcome.blocks / (process_time() - began_s)


def seconds(case: TestCase) -> float:
    """What one run of a test case takes."""
    began_s = process_time()
    assert run_case(case).verdict.passed, "because the cases pass"
    return process_time() - began_s


def main() -> int:
    """Measure and print."""
    print("simulated committed blocks a second, on one core")
    for (n, crypto), blocks in BLOCKS.items():
        rates = [blocks_a_second(n, crypto, blocks) for _ in range(RUNS)]
        print(f"  n = {n:3}  {crypto:8}  {median(rates):8,.0f}   (from {min(rates):,.0f} to {max(rates):,.0f})")
    dropouts = load(str(CONFIGS / "faulty_dropouts.da"))
    cases = [load(str(path)) for path in case_files(CONFIGS)]
    print("test cases, on one core, with all invariants, s")
    print(f"  faulty_dropouts   {median([seconds(dropouts) for _ in range(RUNS)]):5.2f}")
    print(f"  all {len(cases)} in configs {sum([seconds(case) for case in cases]):5.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
