"""What can be taken out of a random run, kind by kind: each gives sound runs that are smaller (see `promise`).

A run is smaller if it has less of anything that `sizes` counts, or plainer numbers, and more of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from msgspec.structs import replace

from diembft.client.client import Retransmit, Timed, Workload
from diembft.consensus.config import Config, max_faulty
from diembft.reducing import Reduction, runs
from diembft.simulation.drawing import DELTA_S, TWIN, DrawnClient, DrawnRun
from diembft.simulation.network import Conditions, Constant
from diembft.simulation.promise import problem_of, stable_from
from diembft.simulation.schedule import Change, Crash, Incident, Partition, Pause, Restart, Resume, Stabilise

PLAIN = Constant(DELTA_S / 2)
"""The plainest of latencies: every message takes half of delta."""
PLAINEST_ACTOR = "silent"
_DIGITS = (1, 2, 3)
"""To how many digits numbers are rounded."""


def sizes(run: DrawnRun) -> dict[str, float]:
    """How much there is of each thing, by name."""
    conditions = _all_conditions(run)
    return {
        "replicas": run.config.n,
        "Byzantine": len(run.byzantine),
        "incidents": sum([incident.at_s < run.gst_s for incident in run.schedule]),
        "clients": len(run.clients),
        "requests": sum([client.count for client in run.clients]),
        "stray requests": len(run.strays),
        "network troubles": sum([_troubles(one) for one in conditions]),
        "skewed clocks": sum([rate != 1.0 for rate in run.clock_rates]),
        "GST (s)": run.gst_s,
    }


def _all_conditions(run: DrawnRun) -> list[Conditions]:
    return [run.before, *[incident.conditions for incident in run.schedule if isinstance(incident, Change)]]


def _troubles(conditions: Conditions) -> int:
    chances = (conditions.loss, conditions.duplication, conditions.reordering)
    return sum([chance > 0 for chance in chances]) + (not isinstance(conditions.latency, Constant))


def _changed(run: DrawnRun, **changes: Any) -> Iterator[DrawnRun]:
    """The run with these changes and the promise of synchrony as early as it may be, if it is another and a sound one.

    Whatever of the schedule lay at GST lies there again.
    """
    smaller = replace(run, **changes)
    gst_s = smaller.gst_s
    schedule = [_at(one, gst_s) if one.at_s == run.gst_s else one for one in smaller.schedule[:-1]]
    schedule = sorted([one for one in schedule if one.at_s <= gst_s], key=_time)
    smaller = replace(smaller, schedule=tuple(schedule))
    smaller = replace(smaller, schedule=(*schedule, Stabilise(stable_from(smaller), DELTA_S)))
    if smaller != run and problem_of(smaller) is None:
        yield smaller


def _time(incident: Incident) -> float:
    return incident.at_s


def _at(incident: Incident, at_s: float) -> Incident:
    return replace(incident, at_s=at_s)


def _without_incidents(run: DrawnRun) -> Iterator[DrawnRun]:
    """All but the promise of synchrony; what else must hold from GST on `problem_of` sees."""
    for start, end in runs(len(run.schedule) - 1, len(run.schedule) - 1):
        yield from _changed(run, schedule=run.schedule[:start] + run.schedule[end:])


def _without_strays(run: DrawnRun) -> Iterator[DrawnRun]:
    for start, end in runs(len(run.strays), len(run.strays)):
        yield from _changed(run, strays=run.strays[:start] + run.strays[end:])


def _without_clients(run: DrawnRun) -> Iterator[DrawnRun]:
    for start, end in runs(len(run.clients), len(run.clients)):
        yield from _changed(run, clients=run.clients[:start] + run.clients[end:])


def _without_byzantine(run: DrawnRun) -> Iterator[DrawnRun]:
    """With a Byzantine replica made correct, or one that is merely silent."""
    for place, (replica, actor) in enumerate(run.byzantine):
        others = (*run.byzantine[:place], *run.byzantine[place + 1 :])
        for byzantine in (others, tuple(sorted([*others, (replica, PLAINEST_ACTOR)]))):
            gone = set() if actor != TWIN else {_copy_of(run, replica)}
            yield from _with_nodes_left(run, gone, run.config, byzantine)


def _copy_of(run: DrawnRun, replica: int) -> int:
    """The node that is the second copy of a twin."""
    return run.nodes.index(replica, run.config.n)


def _without_replicas(run: DrawnRun) -> Iterator[DrawnRun]:
    """With only the first four, or without one."""
    n = run.config.n
    for removed in ([set(range(4, n))] if n > 5 else []) + [{replica} for replica in range(n - 1, -1, -1)]:
        if len(removed) == n:
            continue
        byzantine = tuple([(replica, actor) for replica, actor in run.byzantine if replica not in removed])
        copies = {_copy_of(run, replica) for replica, actor in run.byzantine if replica in removed and actor == TWIN}
        config = replace(run.config, **_fields_for(run.config, n - len(removed)))
        yield from _with_nodes_left(run, removed | copies, config, byzantine)


def _fields_for(config: Config, n: int) -> dict[str, int | None]:
    """What changes in a configuration for fewer replicas, so that leader reputation stays within its bounds."""
    f, excluded = max_faulty(n), config.exclude_size
    return {"n": n, "exclude_size": excluded if excluded is not None and f <= excluded <= 2 * f else None}


def _with_nodes_left(
    run: DrawnRun, gone: set[int], config: Config, byzantine: tuple[tuple[int, str], ...]
) -> Iterator[DrawnRun]:
    """Without these nodes, the others numbered anew; replicas keep their places before the copies of twins."""
    left = [node for node in range(len(run.nodes)) if node not in gone]
    number = {old: new for new, old in enumerate(left)}
    strays = [(stray, _numbered(stray.nodes, number)) for stray in run.strays]
    yield from _changed(
        run,
        config=config,
        byzantine=tuple([(number[replica], actor) for replica, actor in byzantine]),
        clock_rates=tuple([run.clock_rates[node] for node in left]),
        schedule=tuple([incident for old in run.schedule for incident in _renumbered(old, number)]),
        strays=tuple([replace(stray, nodes=nodes) for stray, nodes in strays if nodes]),
    )


def _renumbered(incident: Incident, number: dict[int, int]) -> Iterator[Incident]:
    """The incident, if it befalls somebody who is left."""
    match incident:
        case Crash() | Restart() | Pause() | Resume():
            if incident.node in number:
                yield replace(incident, node=number[incident.node])
        case Partition(sets=sets):
            numbered = [_numbered(members, number) for members in sets]
            yield replace(incident, sets=tuple([members for members in numbered if members]))
        case _:
            yield incident


def _numbered(nodes: tuple[int, ...], number: dict[int, int]) -> tuple[int, ...]:
    return tuple([number[node] for node in nodes if node in number])


def _fewer_requests(run: DrawnRun) -> Iterator[DrawnRun]:
    for place, client in enumerate(run.clients):
        for count in dict.fromkeys((1, client.count // 2, client.count - 1)):
            if 0 < count < client.count:
                fewer = DrawnClient(_workload_of(client.workload, count), count)
                yield from _changed(run, clients=(*run.clients[:place], fewer, *run.clients[place + 1 :]))


def _workload_of(workload: Workload, count: int) -> Workload:
    """The workload for fewer requests."""
    return Timed(workload.pauses_s[: count - 1]) if isinstance(workload, Timed) else workload


def _calmer(run: DrawnRun) -> Iterator[DrawnRun]:
    """The conditions of the network, from the start on and after each change, with a trouble less."""
    for conditions in _calmer_than(run.before):
        yield from _changed(run, before=conditions)
    for place, incident in enumerate(run.schedule):
        if isinstance(incident, Change):
            for conditions in _calmer_than(incident.conditions):
                yield from _incident_changed(run, place, conditions=conditions)


def _calmer_than(conditions: Conditions) -> Iterator[Conditions]:
    without = {field: 0.0 for field in ("loss", "duplication", "reordering") if getattr(conditions, field)}
    if conditions.latency != PLAIN:
        yield Conditions(latency=PLAIN)
        yield replace(conditions, latency=PLAIN)
    if len(without) > 1:
        yield replace(conditions, **without)
    for field in without:
        yield replace(conditions, **{field: 0.0})


def _incident_changed(run: DrawnRun, place: int, **changes: Any) -> Iterator[DrawnRun]:
    changed = replace(run.schedule[place], **changes)
    yield from _changed(run, schedule=(*run.schedule[:place], changed, *run.schedule[place + 1 :]))


def _good_clocks(run: DrawnRun) -> Iterator[DrawnRun]:
    rates = run.clock_rates
    yield from _changed(run, clock_rates=(1.0,) * len(rates))
    for node, rate in enumerate(rates):
        if rate != 1.0:
            yield from _changed(run, clock_rates=(*rates[:node], 1.0, *rates[node + 1 :]))


def _default_settings(run: DrawnRun) -> Iterator[DrawnRun]:
    """The configuration as it is by default, all of it or one field; and nobody noticing connections."""
    config = run.config
    default = Config(n=config.n, delta_s=DELTA_S)
    yield from _changed(run, config=default)
    for field in Config.__struct_fields__:
        if getattr(config, field) != getattr(default, field):
            yield from _changed(run, config=replace(config, **{field: getattr(default, field)}))
    yield from _changed(run, notice_connections=False)


def _shorter(run: DrawnRun) -> Iterator[DrawnRun]:
    """GST at once, right after the last incident, or in half the time; and all that comes before it earlier."""
    early = [*[one.at_s for one in run.schedule if one.at_s < run.gst_s], *[stray.at_s for stray in run.strays]]
    for gst_s in (0.0, max(early, default=0.0) + DELTA_S, run.gst_s / 2):
        if gst_s <= run.gst_s - DELTA_S:
            strays = tuple([stray for stray in run.strays if stray.at_s <= gst_s])
            yield from _changed(run, gst_s=gst_s, strays=strays)
    for by_s in (min(early, default=0.0), min(early, default=0.0) / 2):
        if by_s >= DELTA_S:
            yield from _changed(
                run,
                gst_s=run.gst_s - by_s,
                schedule=tuple([_earlier(one, by_s) if one.at_s < run.gst_s else one for one in run.schedule]),
                strays=tuple([replace(stray, at_s=stray.at_s - by_s) for stray in run.strays]),
            )


def _earlier(incident: Incident, by_s: float) -> Incident:
    return _at(incident, incident.at_s - by_s)


def _plainer_incidents(run: DrawnRun) -> Iterator[DrawnRun]:
    """Crashes between steps, and partitions into fewer sets."""
    for place, incident in enumerate(run.schedule):
        if isinstance(incident, Crash) and incident.mid_step:
            yield from _incident_changed(run, place, mid_step=False)
        if isinstance(incident, Partition) and len(incident.sets) > 2:
            for one, other in combinations(incident.sets, 2):
                rest = [members for members in incident.sets if members not in (one, other)]
                yield from _incident_changed(run, place, sets=(tuple(sorted(one + other)), *rest))


def _rounder(run: DrawnRun) -> Iterator[DrawnRun]:
    """Times with few digits: all of them, or one; then those of clients."""
    for digits in _DIGITS:
        yield from _all_rounded(run, digits)
    for digits in _DIGITS:
        for place, incident in enumerate(run.schedule):
            if incident.at_s < run.gst_s:
                yield from _incident_changed(run, place, at_s=_down(incident.at_s, digits))
        for place, stray in enumerate(run.strays):
            rounded = replace(stray, at_s=_down(stray.at_s, digits))
            yield from _changed(run, strays=(*run.strays[:place], rounded, *run.strays[place + 1 :]))
        for place, client in enumerate(run.clients):
            plainer = replace(client, workload=_workload_rounded(client.workload, digits))
            yield from _changed(run, clients=(*run.clients[:place], plainer, *run.clients[place + 1 :]))


def _all_rounded(run: DrawnRun, digits: int) -> Iterator[DrawnRun]:
    yield from _changed(
        run,
        gst_s=_down(run.gst_s, digits),
        schedule=tuple([_at(one, _down(one.at_s, digits)) if one.at_s < run.gst_s else one for one in run.schedule]),
        strays=tuple([replace(stray, at_s=_down(stray.at_s, digits)) for stray in run.strays]),
    )


def _workload_rounded(workload: Workload, digits: int) -> Workload:
    if isinstance(workload, Retransmit):
        wait_s = _down(workload.first_wait_s, digits)
        return replace(workload, first_wait_s=wait_s) if wait_s >= DELTA_S else workload
    if isinstance(workload, Timed):
        return Timed(tuple([_down(pause_s, digits) for pause_s in workload.pauses_s]))
    return workload


def _down(number: float, digits: int) -> float:
    """The number rounded down to so many digits; one that has no more stays."""
    rounded = round(number, digits)
    return rounded if rounded <= number else round(rounded - 10**-digits, digits)


REDUCTIONS: tuple[Reduction[DrawnRun], ...] = (
    _without_incidents,
    _without_strays,
    _without_clients,
    _without_byzantine,
    _without_replicas,
    _fewer_requests,
    _calmer,
    _good_clocks,
    _default_settings,
    _shorter,
    _plainer_incidents,
    _rounder,
)
