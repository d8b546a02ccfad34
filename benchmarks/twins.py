"""Twins in figures, on one core unless said otherwise: ``python benchmarks/twins.py``.

- *generated*: scenarios encoded as JSON Lines and written to a file on disk a second, and read again;
- *plain*: scenarios of a sample executed and judged by all oracles, each alone, with symbolic signatures;
- *sharing*: the same for neighbours, chunks of a campaign from all over the space, executed with what they share;
- *two cores*: the same sample over two processes, against one;
- *all_random_config*: the 10,000 scenarios of the seed's configuration, on two cores.

The shapes: 4 replicas, 1 twin, 2 sets, 7 rounds and the synchronous suffix; 7 replicas, 2 twins, 3 sets, 5 rounds and
the suffix. Each with any partitions, and with those alone in which some set holds a quorum: where none does, nobody
leaves a round, and a scenario is short. Times are those of the processor, but for two cores; `--quick` does a tenth.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from diembft.twins.campaigns.campaign import NEIGHBOURS, run_campaign
from diembft.twins.campaigns.chunks import Chunk, Manner, execute_chunk
from diembft.twins.campaigns.sources import ScenarioList, ScenarioRange, ScenarioSource
from diembft.twins.campaigns.summary import CampaignSummary
from diembft.twins.campaigns.workers import executors
from diembft.twins.runs.judging import run
from diembft.twins.runs.prefixes import PrefixRuns
from diembft.twins.scenarios import scenario_files
from diembft.twins.scenarios.scenario import Scenario
from diembft.twins.scenarios.seed_generator import generate_file
from diembft.twins.scenarios.space import Space

SHAPES = {
    "4 replicas, 1 twin, 2 sets, 7 rounds": Space(replicas=4, faulty=1, sets=2, rounds=7),
    "4 replicas, 1 twin, 2 sets with quorum, 7 rounds": Space(replicas=4, faulty=1, sets=2, rounds=7, quorum=True),
    "7 replicas, 2 twins, 3 sets, 5 rounds": Space(replicas=7, faulty=2, sets=3, rounds=5),
    "7 replicas, 2 twins, 3 sets with quorum, 5 rounds": Space(replicas=7, faulty=2, sets=3, rounds=5, quorum=True),
}
CONFIGS = Path(__file__).parents[1] / "generator_configs"
WARM_UP = 100
"""Scenarios that are executed before the clock starts."""


def processor_s(work: Callable[[], object]) -> float:
    """The processor time that something takes in this process, in seconds."""
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        work()
        return time.process_time() - began
    finally:
        gc.enable()


def rate(count: int, work: Callable[[], object], *, times: int = 3) -> float:
    """Things a second of processor time, at best."""
    return count / min([processor_s(work) for _ in range(times)])


def generated(space: Space, folder: Path, count: int) -> dict[str, float]:
    """Scenarios written, drawn and written, and read a second."""
    path = folder / "scenarios.jsonl"

    def write(seed: int | None) -> None:
        with scenario_files.output(path) as out:
            space.write(out, 0, count, seed=seed)

    written, drawn = rate(count, lambda: write(None)), rate(count, lambda: write(1))
    few = min(count, 5_000)
    with scenario_files.output(path) as out:
        space.write(out, 0, few, seed=1)
    return {"written": written, "drawn": drawn, "read": rate(few, lambda: scenario_files.read_scenarios(path))}


def plain(space: Space, count: int) -> float:
    """Scenarios of a sample a second."""
    drawn = [space.scenario(rank) for rank in space.ranks(0, count + WARM_UP, seed=1)]
    for scenario in drawn[:WARM_UP]:
        run(scenario)
    return rate(count, lambda: [run(scenario) for scenario in drawn[WARM_UP:]], times=1)


def sharing(space: Space, chunks: int) -> float:
    """Neighbours a second, over chunks from all over the space, in the order in which one worker would take them."""
    starts = sorted(Random(1).sample(range(space.count // NEIGHBOURS), chunks))
    together = PrefixRuns()

    def neighbours() -> Iterator[Scenario]:
        for start in starts:
            yield from map(space.scenario, space.ranks(start * NEIGHBOURS, NEIGHBOURS))

    return rate(chunks * NEIGHBOURS, lambda: [together.run(scenario) for scenario in neighbours()], times=1)


def campaign_s(source: ScenarioSource, jobs: int) -> tuple[float, CampaignSummary]:
    """How long a campaign takes over so many processes that are up, in seconds of real time."""
    with executors(jobs) as (make, workers):
        executor = make()
        for up in [executor.submit(time.sleep, 0.5) for _ in range(workers)]:
            up.result()
        few = Chunk(source.part(0, 20), 0, Manner())
        for warm in [executor.submit(execute_chunk, few) for _ in range(4 * workers)]:
            warm.result()
        began = time.monotonic()
        summary = run_campaign(source, Manner(), make_executor=lambda: executor, workers=workers)
        return time.monotonic() - began, summary


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    share = 10 if arguments.quick else 1
    figures: dict[str, float] = {}

    def note(what: str, figure: float, unit: str = "/s") -> None:
        figures[what] = figure
        if not arguments.json:
            print(f"{what:<70} {figure:12,.4g}{unit}" if figure < 100 else f"{what:<70} {figure:12,.0f}{unit}")
            sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        for name, space in SHAPES.items():
            for how, figure in generated(space, folder, 200_000 // share).items():
                note(f"{name}: {how}", figure)
        for name, space in SHAPES.items():
            note(f"{name}: executed, plain", plain(space, 2_000 // share))
            note(f"{name}: executed, sharing", sharing(space, 20 // min(share, 5)))
        source = ScenarioRange(SHAPES["4 replicas, 1 twin, 2 sets with quorum, 7 rounds"], 0, 12_000 // share, seed=2)
        one, _ = campaign_s(source, 1)
        two, _ = campaign_s(source, 2)
        note("two cores, of one", one / two, " times")
        config = CONFIGS / "all_random_config.py"
        count = 10_000
        note(f"{config.name}: generated", rate(count, lambda: generate_file(config, folder)))
        scenarios = tuple(scenario_files.read_scenarios(folder / "all_random_config.json"))
        seconds, summary = campaign_s(ScenarioList(scenarios[: count // share]), 2)
        note(f"{config.name}: executed on two cores, of which violated", summary.violated, "")
        note(f"{config.name}: executed on two cores, {summary.scenarios:,} scenarios in", seconds, " s")
    note("memory at most", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, " MiB")
    if arguments.json:
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
