"""Scenarios generated, written and read a second, on one core: ``python benchmarks/generation.py``.

Each figure is the best of three runs. Written means: encoded as JSON Lines into a file of our kind on disk.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from diembft.twins import formats
from diembft.twins.seed_generator import generate_file
from diembft.twins.space import Space

SPACES = {
    "4 replicas, 1 twin, 2 sets with quorum, 7 rounds": Space(replicas=4, faulty=1, sets=2, rounds=7, quorum=True),
    "4 replicas, 1 twin, 3 sets, 8 rounds": Space(replicas=4, faulty=1, sets=3, rounds=8),
    "4 replicas, 1 twin, two-phase, 7 rounds": Space(
        replicas=4, faulty=1, sets=2, rounds=7, quorum=True, model="two-phase"
    ),
    "7 replicas, 2 twins, 3 sets, 5 rounds": Space(replicas=7, faulty=2, sets=3, rounds=5, quorum=True),
}
CONFIGS = Path(__file__).parents[1] / "generator_configs"


def rate(count: int, work: Callable[[], object]) -> float:
    """Things a second, at best."""
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return count / min(seconds)


def write_range(space: Space, path: Path, count: int, *, seed: int | None = None, canonical: bool = False) -> None:
    """Write a file of scenarios, as ``diembft twins generate`` does."""
    with formats.output(path) as file:
        space.write(file, 0, count, seed=seed, canonical=canonical)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenarios.json"
        for name, space in SPACES.items():
            print(f"{name}: {space.choices} choices a round, {space.count:.3g} scenarios")
            count = 200_000
            print(f"  range written  {rate(count, lambda: write_range(space, path, count)):12,.0f}/s")  # noqa: B023 - called at once
            count = 50_000
            print(f"  sample written {rate(count, lambda: write_range(space, path, count, seed=1)):12,.0f}/s")  # noqa: B023
            count = 5_000
            write_range(space, path, count, seed=1)
            print(f"  sample read    {rate(count, lambda: formats.read_scenarios(path)):12,.0f}/s")
            ranks = list(space.ranks(0, count, seed=1))
            print(f"  made as values {rate(count, lambda: [space.scenario(rank) for rank in ranks]):12,.0f}/s")  # noqa: B023
        config = CONFIGS / "all_random_config.py"
        print(f"{config.name}: {rate(10_000, lambda: generate_file(config, Path(folder))):,.0f} scenarios/s written")


if __name__ == "__main__":
    main()
