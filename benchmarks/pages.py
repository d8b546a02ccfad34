"""Sizes of pages, and how long it takes to make and to open them: ``python benchmarks/pages.py``.

Opens each page several times in an installed Chromium, each time in a new tab. *ready* is from the
start of navigation until the first picture is drawn, in milliseconds; the median and the longest are shown.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from msgspec import structs
from playwright.sync_api import BrowserContext, sync_playwright

from diembft.pages.page import write_page
from diembft.pages.prepare import prepare
from diembft.simulation.api import Settings, simulate
from diembft.simulation.network import Conditions, Uniform
from diembft.simulation.run_case import run_case
from diembft.testcase.loader import load
from diembft.trace.records import Record
from diembft.twins.runs.tracing import traced
from diembft.twins.scenarios.scenario_files import read_scenarios

ROOT = Path(__file__).parents[1]
RUNS = 5
LOSSY = Conditions(latency=Uniform(0.01, 0.05), loss=0.02)
READY = """async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now();
}"""


def traces() -> Iterator[tuple[str, tuple[Record, ...] | list[Record]]]:
    """The runs whose pages are measured."""
    for case in ("normal_operation", "faulty_dropouts", "must_fail/conflicting_commits"):
        yield case, run_case(load(str(ROOT / "configs" / f"{case}.da")), keep_trace=True).trace
    for file, name in (("small_quorum_bug", "equivocation_with_bug"), ("gap_commit_bug", "with_bug")):
        scenarios = read_scenarios(ROOT / "executor_configs" / f"{file}.py")
        yield file, traced(next(scenario for scenario in scenarios if scenario.name == name))[1]
    settings = Settings(n=7, seed=1, blocks=200, conditions=LOSSY, trace=True)
    yield "7 replicas, 200 blocks", simulate(settings).trace
    yield "7 replicas, 200 blocks, requests", simulate(structs.replace(settings, requests=400)).trace
    yield "7 replicas, 2,000 blocks", simulate(structs.replace(settings, blocks=2000)).trace


def main() -> int:
    """Print a table."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        print("Chromium is missing: apt-get install chromium", file=sys.stderr)
        return 1
    print(f"{'run':34} {'records':>8} {'rounds shown':>16} {'made in s':>10} {'MB':>6} {'ready ms':>9} {'longest':>8}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            Path(folder) / "profile",
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu"],
            viewport={"width": 1366, "height": 768},
        )
        for name, trace in traces():
            began_s = time.process_time()
            page = prepare(trace)
            path = Path(folder) / "page.html"
            write_page(path, page)
            made_s = time.process_time() - began_s
            ready_ms = [opened_ms(context, path) for _ in range(RUNS)]
            window = page.window
            rounds = f"{window.first_round}-{window.last_round} of {window.all_rounds}"
            print(
                f"{name:34} {len(trace):8,} {rounds:>16} {made_s:10.2f} {path.stat().st_size / 1e6:6.2f} "
                f"{median(ready_ms):9.0f} {max(ready_ms):8.0f}"
            )
        context.close()
    return 0


def opened_ms(context: BrowserContext, path: Path) -> float:
    """How long it takes until the page has drawn its first picture."""
    tab = context.new_page()
    tab.goto(path.as_uri())
    ready_ms = float(tab.evaluate(READY))
    tab.close()
    return ready_ms


if __name__ == "__main__":
    sys.exit(main())
