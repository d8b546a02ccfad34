"""Minimise a scenario that violates an oracle: by re-execution, until nothing can go.

What goes: rounds, planted bugs, nodes, what richer network models decide, exceptions, sets. Each step that keeps the
violation is kept. A scenario within the fault model stays within it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
from msgspec import Struct

from diembft.errors import InputError, in_one_line, require_callable, require_type
from diembft.judge.verdict import Finding
from diembft.protocols.interface import Crypto
from diembft.reducing import Reduction, reduced, runs
from diembft.twins.runs.judging import Judgement, run
from diembft.twins.scenarios.scenario import NO_EXTRAS, Drop, MessageType, NodeSets, Round, Scenario, replica_of

OnSmaller: TypeAlias = Callable[[Scenario, int], None]
"""Called with each smaller scenario, and how many were executed so far."""


_TYPES: tuple[MessageType, ...] = ("proposal", "vote", "timeout")
ANY_TYPE = "*"


class Shrunk(Struct, frozen=True):
    """A minimal scenario."""

    scenario: Scenario
    finding: Finding
    """The violation that was kept."""
    judgement: Judgement
    executions: int
    """How many scenarios were executed."""


def shrink(
    scenario: Scenario,
    oracle: str | None = None,
    *,
    delayed: bool = False,
    crypto: Crypto = "symbolic",
    watch: OnSmaller | None = None,
) -> Shrunk:
    """Minimise a scenario as long as it violates this oracle, or else the first one that it violates.

    Raises InputError if it does not violate it.

    >>> from diembft import parse_scenario, shrink
    >>> text = "scenario: replicas=a,b,c,d twins=a' gst=2 bugs=conflicting_votes"
    >>> text += "; 1: a leads a,b,c,d,a'; 2: b leads a,b,c,d,a'"
    >>> len(shrink(parse_scenario(text)).scenario.rounds)
    1
    """
    require_type(scenario, Scenario, "shrink", "parse_scenario makes one")
    if oracle is not None:
        require_type(oracle, str, "shrink: oracle")
    require_callable(watch, "shrink: watch")
    shrinking = _Shrinking(delayed, crypto, watch)
    judgement = run(scenario, delayed=delayed, crypto=crypto)
    violated = [finding.oracle for finding in judgement.violations]
    if not violated or (oracle is not None and oracle not in violated):
        held = "any oracle" if oracle is None else oracle if oracle.isidentifier() else in_one_line(oracle)
        raise InputError(f"{scenario.name or 'scenario'}: does not violate {held}")
    shrinking.oracle = violated[0] if oracle is None else oracle
    shrinking.accept(scenario, judgement)
    reduced(scenario, _REDUCTIONS, shrinking.try_one)
    return Shrunk(shrinking.scenario, shrinking.finding, shrinking.judgement, shrinking.executions)


class _Shrinking:
    """The smallest scenario so far."""

    oracle: str
    scenario: Scenario
    judgement: Judgement
    finding: Finding

    def __init__(self, delayed: bool, crypto: Crypto, watch: OnSmaller | None) -> None:
        self.executions = 1
        self._delayed = delayed
        self._crypto: Crypto = crypto
        self._watch = watch

    def accept(self, scenario: Scenario, judgement: Judgement) -> bool:
        """Take a scenario if it shows the violation."""
        for finding in judgement.violations:
            if finding.oracle == self.oracle:
                self.scenario, self.judgement, self.finding = scenario, judgement, finding
                if self._watch is not None:
                    self._watch(scenario, self.executions)
                return True
        return False

    def try_one(self, candidate: Scenario) -> bool:
        """Execute a scenario, and take it if it shows the violation."""
        self.executions += 1
        try:
            judgement = run(candidate, delayed=self._delayed, crypto=self._crypto)
        except InputError:
            return False  # its network model does not have it
        return self.accept(candidate, judgement)


# --- reductions: smaller scenarios, the most promising first


def _without_rounds(scenario: Scenario) -> Iterator[Scenario]:
    """Runs of rounds left out, long ones first."""
    rounds = scenario.rounds
    for start, end in runs(len(rounds), len(rounds) - 1):
        before = min(end, scenario.gst) - min(start, scenario.gst)
        yield from _changed(
            scenario, rounds=_restarts_repaired(rounds[:start] + rounds[end:]), gst=scenario.gst - before
        )


def _restarts_repaired(rounds: tuple[Round, ...]) -> tuple[Round, ...]:
    """Without crashes of nodes that are down and restarts of nodes that run, as leaving out rounds may make them."""
    down: set[str] = set()
    repaired = []
    for round_ in rounds:
        extras = round_.extras
        if extras.crash or extras.restart:
            crash = tuple([name for name in extras.crash if name not in down])
            down.update(crash)
            restart = tuple([name for name in extras.restart if name in down])
            down.difference_update(restart)
            round_ = _with(round_, extras=msgspec.structs.replace(extras, crash=crash, restart=restart))
        repaired.append(round_)
    return tuple(repaired)


def _without_bugs(scenario: Scenario) -> Iterator[Scenario]:
    for bug in scenario.bugs:
        yield from _changed(scenario, bugs=tuple([other for other in scenario.bugs if other != bug]))


def _without_nodes(scenario: Scenario) -> Iterator[Scenario]:
    """Without a replica and its twins, or without a twin."""
    for gone in (*scenario.replicas[::-1], *scenario.twins):
        nodes = {
            node for node in scenario.nodes if node == gone or (gone in scenario.replicas and replica_of(node) == gone)
        }
        left = tuple([replica for replica in scenario.replicas if replica not in nodes])
        if not left:
            continue
        yield from _changed(
            scenario,
            replicas=left,
            twins=tuple([twin for twin in scenario.twins if twin not in nodes]),
            rounds=tuple([_round_without(round_, nodes, left) for round_ in scenario.rounds]),
        )


def _round_without(round_: Round, gone: set[str], left: tuple[str, ...]) -> Round:
    extras = round_.extras
    if extras != NO_EXTRAS:
        timeouts = extras.timeout_partition
        extras = msgspec.structs.replace(
            extras,
            timeout_partition=timeouts and _partition_without(timeouts, gone),
            crash=tuple([name for name in extras.crash if name not in gone]),
            restart=tuple([name for name in extras.restart if name not in gone]),
        )
    return Round(
        left[0] if round_.leader in gone else round_.leader,
        _partition_without(round_.partition, gone),
        tuple([drop for drop in round_.exceptions if drop.src not in gone and drop.dst not in gone]),
        extras,
    )


def _partition_without(partition: NodeSets, gone: set[str]) -> NodeSets:
    return tuple([tuple([name for name in group if name not in gone]) for group in partition])


def _without_extras(scenario: Scenario) -> Iterator[Scenario]:
    """All that a richer model decides in a round, or one thing of it."""
    for index, round_ in enumerate(scenario.rounds):
        extras = round_.extras
        if extras == NO_EXTRAS:
            continue
        yield from _round_changed(scenario, index, extras=NO_EXTRAS)
        for field in ("timeout_partition", "timers", "order", "undelivered"):
            if getattr(extras, field) is not None:
                yield from _round_changed(scenario, index, extras=msgspec.structs.replace(extras, **{field: None}))
        for name in extras.crash:
            without = _restarts_repaired(
                _replaced(
                    scenario.rounds,
                    index,
                    extras=msgspec.structs.replace(
                        extras, crash=tuple([other for other in extras.crash if other != name])
                    ),
                )
            )
            yield from _changed(scenario, rounds=without)


def _without_exceptions(scenario: Scenario) -> Iterator[Scenario]:
    for index, round_ in enumerate(scenario.rounds):
        drops = round_.exceptions
        if len(drops) > 1:
            yield from _round_changed(scenario, index, exceptions=())
        for drop in drops:
            yield from _round_changed(scenario, index, exceptions=tuple([other for other in drops if other != drop]))
            if drop.msg_type == ANY_TYPE:
                for kind in _TYPES:
                    narrower = Drop(drop.src, drop.dst, kind)
                    changed = tuple([narrower if other == drop else other for other in drops])
                    yield from _round_changed(scenario, index, exceptions=changed)


def _with_fewer_sets(scenario: Scenario) -> Iterator[Scenario]:
    """The whole network instead of a partition, or two sets as one."""
    for index, round_ in enumerate(scenario.rounds):
        sets = round_.partition
        if len(sets) == 1:
            continue
        yield from _round_changed(scenario, index, partition=(scenario.nodes,))
        if len(sets) > 2:
            for first in range(len(sets)):
                for second in range(first):
                    others = [group for place, group in enumerate(sets) if place not in (first, second)]
                    yield from _round_changed(scenario, index, partition=(sets[first] + sets[second], *others))


_REDUCTIONS: tuple[Reduction[Scenario], ...] = (
    _without_rounds,
    _without_bugs,
    _without_nodes,
    _without_extras,
    _without_exceptions,
    _with_fewer_sets,
)


def _with(round_: Round, **changes: object) -> Round:
    return msgspec.structs.replace(round_, **changes)


def _replaced(rounds: tuple[Round, ...], index: int, **changes: object) -> tuple[Round, ...]:
    return (*rounds[:index], _with(rounds[index], **changes), *rounds[index + 1 :])


def _round_changed(scenario: Scenario, index: int, **changes: object) -> Iterator[Scenario]:
    yield from _changed(scenario, rounds=_replaced(scenario.rounds, index, **changes))


def _changed(scenario: Scenario, **changes: object) -> Iterator[Scenario]:
    """The changed scenario, if it is one, is another one, and does not leave the fault model."""
    try:
        changed = msgspec.structs.replace(scenario, **changes)
    except InputError:
        return
    if changed != scenario and changed.too_many_twins <= scenario.too_many_twins:
        yield changed
