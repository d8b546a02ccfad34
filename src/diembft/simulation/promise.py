"""What a random run must keep to: the fault model, and what it promises from GST on.

All that `draw_run` draws keeps to it. A run that was made smaller must keep to it as well, and so must one of a file:
else what it violates would say nothing of the protocol. With a partition that never heals no client completes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from diembft.client.client import Retransmit, Timed, Workload
from diembft.consensus.config import Config
from diembft.errors import is_finite
from diembft.faults.registry import ACTORS
from diembft.simulation.drawing import DELTA_S, TWIN, DrawnRun
from diembft.simulation.network import Conditions, longest_s
from diembft.simulation.schedule import Change, Crash, Heal, Incident, Partition, Pause, Restart, Resume, Stabilise

MOST_REPLICAS = 100
MOST_CLIENTS = 100
MOST_REQUESTS = 10_000
"""Of one client."""
MOST_INCIDENTS = 10_000
MOST_NUMBER = 10**9
"""The largest whole number in a configuration, and number of a stray request."""
LONGEST_DELTAS = 1000
"""How late GST may be, and how long a message may take, in units of delta."""
SHORTEST_DELTAS = 0.01
"""How short the longest delay of messages, and the wait of a client, may be: in no time they come without an end."""
SLOWEST, FASTEST = 0.01, 100.0
"""How fast clocks may go."""


def problem_of(run: DrawnRun) -> str | None:
    """The first thing that is wrong with a run, as `field: value what would be right`; None if it is a sound one."""
    return next(_problems(run), None)


def calm(conditions: Conditions) -> bool:
    """Whether every message arrives within delta."""
    return not conditions.loss and conditions.longest_s <= DELTA_S


def stable_from(run: DrawnRun) -> float:
    """When all has arrived that was sent before GST, in seconds."""
    changes = [one for one in run.schedule if isinstance(one, Change) and one.at_s < run.gst_s]
    return run.gst_s + max([run.before.longest_s, *[change.conditions.longest_s for change in changes]])


def _problems(run: DrawnRun) -> Iterator[str]:
    yield from _of_config(run.config)
    yield from _of_byzantine(run)
    yield from _of_nodes(run)
    yield from _of_clients(run)
    if not 0 <= run.gst_s <= LONGEST_DELTAS * DELTA_S:
        yield f"gst_s: {run.gst_s!r} is not from 0 to {LONGEST_DELTAS * DELTA_S:g}"
    yield from _of_conditions(run.before, "before")
    yield from _of_schedule(run)


def _of_config(config: Config) -> Iterator[str]:
    if config.n > MOST_REPLICAS:
        yield f"config.n: {config.n} is more than {MOST_REPLICAS}"
    if config.delta_s != DELTA_S:
        yield f"config.delta_s: {config.delta_s!r} is not {DELTA_S:g}, as it is in every random run"
    for field in ("timer_growth", "max_timer_s"):
        value = getattr(config, field)
        if not DELTA_S <= value <= MOST_NUMBER:
            yield f"config.{field}: {value!r} is not from {DELTA_S:g} to {MOST_NUMBER}"
    for field in config.__struct_fields__:
        value = getattr(config, field)
        if isinstance(value, int) and not 0 <= value <= MOST_NUMBER:
            yield f"config.{field}: {value} is not from 0 to {MOST_NUMBER}"


def _of_byzantine(run: DrawnRun) -> Iterator[str]:
    n, f, known = run.config.n, run.config.f, (TWIN, *ACTORS)
    replicas = [replica for replica, _ in run.byzantine]
    if replicas != sorted(set(replicas)) or not all(0 <= replica < n for replica in replicas):
        yield f"byzantine: {replicas} are not different replicas from 0 to {n - 1}, in their order"
    if len(replicas) > f:
        yield f"byzantine: {len(replicas)} replicas are more than f = {f} of {n}"
    for _, actor in run.byzantine:
        if actor not in known:
            yield f"byzantine: {actor!r} is none of {', '.join(known)}"


def _of_nodes(run: DrawnRun) -> Iterator[str]:
    """Whoever is named is there, and every node has a clock."""
    nodes = len(run.nodes)
    if len(run.clock_rates) != nodes:
        yield f"clock_rates: {len(run.clock_rates)} of them, but there are {nodes} nodes"
    for rate in run.clock_rates:
        if not SLOWEST <= rate <= FASTEST:
            yield f"clock_rates: {rate!r} is not from {SLOWEST:g} to {FASTEST:g}"
    for incident in run.schedule:
        yield from _unknown(_nodes_in(incident), nodes, f"schedule: {type(incident).__name__}")
    for stray in run.strays:
        yield from _unknown(stray.nodes, nodes, "strays.nodes")
        if not 0 <= stray.at_s <= run.gst_s:
            yield f"strays.at_s: {stray.at_s!r} is not from 0 to gst_s"
        for field in ("number", "variant"):
            value = getattr(stray, field)
            if not 0 <= value <= MOST_NUMBER:
                yield f"strays.{field}: {value} is not from 0 to {MOST_NUMBER}"


def _nodes_in(incident: Incident) -> tuple[int, ...]:
    match incident:
        case Crash() | Restart() | Pause() | Resume():
            return (incident.node,)
        case Partition(sets=sets):
            return tuple([node for members in sets for node in members])
        case Heal() | Change() | Stabilise():
            return ()
        case _:
            assert_never(incident)


def _unknown(named: Iterable[int], nodes: int, where: str) -> Iterator[str]:
    for node in named:
        if not 0 <= node < nodes:
            yield f"{where}: there is no node {node}: they are 0 to {nodes - 1}"


def _of_clients(run: DrawnRun) -> Iterator[str]:
    if len(run.clients) > MOST_CLIENTS:
        yield f"clients: {len(run.clients)} are more than {MOST_CLIENTS}"
    for client in run.clients:
        if not 0 <= client.count <= MOST_REQUESTS:
            yield f"clients.count: {client.count} is not from 0 to {MOST_REQUESTS}"
        yield from _of_workload(client.workload, client.count)


def _of_workload(workload: Workload, count: int) -> Iterator[str]:
    if isinstance(workload, Timed) and len(workload.pauses_s) != max(count - 1, 0):
        yield f"clients.workload.pauses_s: {len(workload.pauses_s)} pauses do not lie between {count} requests"
    if isinstance(workload, Retransmit) and workload.first_wait_s < SHORTEST_DELTAS * DELTA_S:
        yield (
            f"clients.workload.first_wait_s: {workload.first_wait_s!r} is less than {SHORTEST_DELTAS * DELTA_S:g} s: "
            "it would send without an end"
        )


def _of_conditions(conditions: Conditions, where: str) -> Iterator[str]:
    longest = longest_s(conditions.latency)
    if not SHORTEST_DELTAS * DELTA_S <= longest <= LONGEST_DELTAS * DELTA_S:
        yield (
            f"{where}.latency: a longest delay of {longest!r} s is not from {SHORTEST_DELTAS * DELTA_S:g} "
            f"to {LONGEST_DELTAS * DELTA_S:g} s"
        )


def _of_schedule(run: DrawnRun) -> Iterator[str]:
    """From GST on every node is up, the network whole, and every message arrives within delta."""
    if len(run.schedule) > MOST_INCIDENTS:
        yield f"schedule: {len(run.schedule)} incidents are more than {MOST_INCIDENTS}"
    times = [incident.at_s for incident in run.schedule]
    if times != sorted(times) or not all(map(is_finite, times)):
        yield "schedule: is not in the order of times"
    *before, last = run.schedule or (None,)
    if not isinstance(last, Stabilise) or last.delta_s != DELTA_S or last.at_s < stable_from(run):
        yield (
            f"schedule: does not end with the promise of synchrony, Stabilise with delta_s {DELTA_S:g}, at "
            f"{stable_from(run)!r} s or later, when all has arrived that was sent before GST"
        )
    down, paused, parted, conditions = _left_at_gst(run.before, [one for one in before if one is not None])
    for incident in before:
        if isinstance(incident, Change):
            yield from _of_conditions(incident.conditions, "schedule: Change.conditions")
        if incident is not None and (incident.at_s > run.gst_s or isinstance(incident, Stabilise)):
            yield f"schedule: {type(incident).__name__} at {incident.at_s!r} s is after GST, or promises it too early"
    for nodes, what in ((down, "down"), (paused, "paused")):
        if nodes:
            yield f"schedule: leaves node {min(nodes)} {what} after GST"
    if parted:
        yield "schedule: leaves the network parted after GST"
    if not calm(conditions):
        yield f"schedule: leaves the network with losses, or delays of more than {DELTA_S:g} s, after GST"


def _left_at_gst(conditions: Conditions, schedule: Iterable[Incident]) -> tuple[set[int], set[int], bool, Conditions]:
    """The nodes that are down, those that are paused, whether there is a partition, and the conditions at the end."""
    down: set[int] = set()
    paused: set[int] = set()
    parted = False
    for incident in schedule:
        match incident:
            case Crash(node=node):
                down.add(node)
            case Restart(node=node):
                down.discard(node)
            case Pause(node=node):
                paused.add(node)
            case Resume(node=node):
                paused.discard(node)
            case Partition() | Heal():
                parted = isinstance(incident, Partition)
            case Change(conditions=conditions):
                pass
            case Stabilise():
                pass
            case _:
                assert_never(incident)
    return down, paused, parted, conditions
