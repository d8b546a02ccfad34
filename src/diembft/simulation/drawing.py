"""Random runs: configuration, workload, network and faults of one run, drawn from a seed and an index.

A drawn run is a plain value: it prints, compares and crosses processes. Before `gst_s` anything may happen that the
fault model allows; from then on all correct nodes run, and every message between them arrives within delta.
"""

from __future__ import annotations

from random import Random

from msgspec import Struct

from diembft.client.client import Flood, Retransmit, Timed
from diembft.client.client import Workload as ClientWorkload
from diembft.consensus.config import Config, max_faulty
from diembft.faults.registry import ACTORS
from diembft.simulation.network import Conditions, Constant, Exponential, Latency, LogNormal, Uniform
from diembft.simulation.schedule import (
    Change,
    Crash,
    Heal,
    Incident,
    Partition,
    Pause,
    Restart,
    Resume,
    Stabilise,
)

DELTA_S = 0.1
"""The delay bound of every run: only ratios to it matter."""

TWIN = "twin"
"""The Byzantine actor that is two copies of the protocol with one key. The others are those of `diembft.faults`."""

_SIZES = (4,) * 10 + (7,) * 5 + (1, 2, 3, 5, 6, 8, 10, 13)
"""The numbers of validators to draw from."""


class DrawnClient(Struct, frozen=True):
    """What one client does."""

    workload: ClientWorkload
    count: int


class Stray(Struct, frozen=True):
    """A request of a client that follows no rules: numbers leap and come twice, with the same operation or another."""

    at_s: float
    number: int
    variant: int
    """Which operation."""
    nodes: tuple[int, ...]
    """Who gets it."""
    signed: bool


class DrawnRun(Struct, frozen=True, kw_only=True):
    """One run to be."""

    seed: int
    index: int
    config: Config
    clients: tuple[DrawnClient, ...]
    strays: tuple[Stray, ...]
    byzantine: tuple[tuple[int, str], ...]
    """Which validators are Byzantine, at most f, and the name of the actor that each is."""
    clock_rates: tuple[float, ...]
    """Of each node (see `nodes`)."""
    before: Conditions
    """Of the network, from the start."""
    schedule: tuple[Incident, ...]
    """All that befalls the system, GST included."""
    gst_s: float
    notice_connections: bool

    @property
    def nodes(self) -> tuple[int, ...]:
        """The identity of each node: one for each validator, then the second copies of twins."""
        return (*range(self.config.n), *[replica for replica, actor in self.byzantine if actor == TWIN])


def draw_run(seed: int, index: int) -> DrawnRun:
    """Run number `index` of a seed."""
    rng = Random(f"{seed}/{index}")
    n = rng.choice(_SIZES)
    config = _draw_config(rng, n)
    byzantine = _draw_byzantine(rng, n)
    nodes = n + sum([actor == TWIN for _, actor in byzantine])
    gst_s = rng.uniform(20, 150) * DELTA_S
    before = _draw_conditions(rng, calm=False)
    schedule = _draw_faults(rng, nodes, gst_s)
    longest_s = before.longest_s
    if rng.random() < 0.3:
        changed = _draw_conditions(rng, calm=False)
        longest_s = max(longest_s, changed.longest_s)
        schedule.append(Change(rng.uniform(0, gst_s), changed))
    schedule += [Heal(gst_s), Change(gst_s, _draw_conditions(rng, calm=True))]
    schedule += [Resume(gst_s, node) for node in range(nodes)]
    schedule += [Restart(gst_s, node) for node in range(nodes)]
    schedule.append(Stabilise(gst_s + longest_s, DELTA_S))
    return DrawnRun(
        seed=seed,
        index=index,
        config=config,
        clients=_draw_clients(rng, config),
        strays=_draw_strays(rng, nodes, gst_s),
        byzantine=byzantine,
        clock_rates=tuple([_draw_clock_rate(rng) for _ in range(nodes)]),
        before=before,
        schedule=tuple(sorted(schedule, key=_time)),
        gst_s=gst_s,
        notice_connections=rng.random() < 0.5,
    )


def _time(incident: Incident) -> float:
    return incident.at_s


def _draw_config(rng: Random, n: int) -> Config:
    """Mostly the defaults; now and then limits so small that they are met."""
    f = max_faulty(n)
    return Config(
        n=n,
        delta_s=DELTA_S,
        rest=n == 1 or rng.random() < 0.75,
        max_timer_s=rng.choice((6.0, 60.0)),
        window_size=rng.choice((None, None, 2, n, 2 * n)),
        exclude_size=rng.choice((None, None, f, 2 * f)),
        max_block_requests=rng.choice((1000, 1000, 1, 3)),
        max_relayed_requests=rng.choice((500, 500, 1)),
        max_rounds_ahead=rng.choice((10, 10, 1)),
        sync_batch=rng.choice((100, 100, 2, 4)),
    )


def _draw_byzantine(rng: Random, n: int) -> tuple[tuple[int, str], ...]:
    f, actors = max_faulty(n), (TWIN, *ACTORS)
    count = 0 if rng.random() < 0.4 else rng.randint(0, f)
    return tuple([(replica, rng.choice(actors)) for replica in sorted(rng.sample(range(n), count))])


def _draw_clients(rng: Random, config: Config) -> tuple[DrawnClient, ...]:
    """Without requests, replicas that never rest are enough to see blocks commit."""
    if not config.rest and rng.random() < 0.3:
        return ()
    return tuple([_draw_client(rng) for _ in range(rng.choice((1, 1, 2, 3)))])


def _draw_client(rng: Random) -> DrawnClient:
    kind = rng.random()
    if kind < 0.6:
        return DrawnClient(Retransmit(rng.uniform(4, 20) * DELTA_S, max_wait_s=60 * DELTA_S), rng.randint(1, 15))
    if kind < 0.8:
        return DrawnClient(Flood(), rng.randint(1, 30))
    count = rng.randint(1, 15)
    return DrawnClient(Timed(tuple([rng.expovariate(0.2) * DELTA_S for _ in range(count - 1)])), count)


def _draw_strays(rng: Random, nodes: int, gst_s: float) -> tuple[Stray, ...]:
    if rng.random() < 0.8:
        return ()
    return tuple(
        [
            Stray(
                at_s=rng.uniform(0, gst_s),
                number=rng.choice((0, 1, 2, 3, 600, 5000)),
                variant=rng.randrange(2),
                nodes=tuple(sorted(rng.sample(range(nodes), rng.randint(1, nodes)))),
                signed=rng.random() < 0.9,
            )
            for _ in range(rng.randint(2, 12))
        ]
    )


def _draw_conditions(rng: Random, *, calm: bool) -> Conditions:
    """The network; calm: no message is lost, and each arrives within delta."""
    most_s = DELTA_S if calm else DELTA_S * rng.choice((1, 1, 1, 3, 10))
    latency = _draw_latency(rng, most_s)
    duplication = rng.choice((0.0, 0.0, 0.02, 0.2))
    if calm:
        return Conditions(latency=latency, duplication=duplication)
    loss = rng.choice((0.0, 0.0, 0.02, 0.1, 0.3))
    return Conditions(latency=latency, loss=loss, duplication=duplication, reordering=rng.choice((0.0, 0.0, 0.05, 0.3)))


def _draw_latency(rng: Random, most_s: float) -> Latency:
    match rng.randrange(4):
        case 0:
            return Constant(rng.uniform(0.05, 1) * most_s)
        case 1:
            return Uniform(rng.uniform(0, 0.5) * most_s, most_s)
        case 2:
            return Exponential(rng.uniform(0, 0.3) * most_s, rng.uniform(0.05, 0.5) * most_s, most_s)
        case _:
            return LogNormal(rng.uniform(0.1, 0.5) * most_s, rng.uniform(0.2, 1.5), most_s)


def _draw_clock_rate(rng: Random) -> float:
    """Most clocks are good ones."""
    return 1.0 if rng.random() < 0.7 else rng.uniform(0.85, 1.25)


def _draw_faults(rng: Random, nodes: int, gst_s: float) -> list[Incident]:
    """Crashes, power losses, pauses and partitions before GST, each with its end."""
    faults: list[Incident] = []
    for _ in range(rng.choice((0, 1, 2, 4))):
        begin_s = rng.uniform(0, 0.9) * gst_s
        end_s = begin_s + rng.expovariate(0.1) * DELTA_S
        kind = rng.random()
        if kind < 0.4:
            node = rng.randrange(nodes)
            faults += [Crash(begin_s, node, mid_step=rng.random() < 0.5), Restart(end_s, node)]
        elif kind < 0.55:
            mid_step = rng.random() < 0.5
            for node in range(nodes):
                back_s = end_s + rng.choice((0.0, rng.uniform(0, 5) * DELTA_S))
                faults += [Crash(begin_s, node, mid_step), Restart(back_s, node)]
        elif kind < 0.7:
            node = rng.randrange(nodes)
            faults += [Pause(begin_s, node), Resume(end_s, node)]
        else:
            faults += [Partition(begin_s, _draw_sets(rng, nodes)), Heal(end_s)]
    return [fault for fault in faults if fault.at_s < gst_s]


def _draw_sets(rng: Random, nodes: int) -> tuple[tuple[int, ...], ...]:
    """Two or three sets; or one, of all but one node, which hears nobody."""
    if rng.random() < 0.3:
        alone = rng.randrange(nodes)
        return (tuple([node for node in range(nodes) if node != alone]),)
    sets: list[list[int]] = [[] for _ in range(rng.choice((2, 2, 3)))]
    for node in range(nodes):
        rng.choice(sets).append(node)
    return tuple([tuple(members) for members in sets])
