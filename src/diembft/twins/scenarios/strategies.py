"""Hypothesis strategies that draw scenarios, for property-based tests of any protocol.

``scenarios()`` draws checked scenarios with the synchronous suffix. They shrink towards fewer rounds, then fewer sets,
fewer exceptions, no extras, and the first replica as leader: the order in which a person would simplify them::

    @given(scenarios(replicas=4, twins=1, max_rounds=5))
    def test_agreement(scenario):
        assert agreement_holds(scenario), format_scenario(scenario)

Needs Hypothesis, which the package does not depend on.
"""

from collections.abc import Collection, Sequence
from itertools import permutations
from typing import Literal

from diembft.twins.scenarios.partitions import Partitions
from diembft.twins.scenarios.scenario import (
    DEFAULT_PROTOCOL,
    SUFFIX_ROUNDS,
    Drop,
    Extras,
    MessageType,
    Model,
    NodeSets,
    Round,
    Scenario,
    replica_names,
    whole_round,
)

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("diembft.twins.scenarios.strategies needs Hypothesis: pip install hypothesis") from error

DROPPABLE: tuple[MessageType, ...] = ("proposal", "timeout", "vote")


def scenarios(
    *,
    replicas: int = 4,
    twins: int = 1,
    min_rounds: int = 1,
    max_rounds: int = 7,
    sets: int = 2,
    quorum: bool = False,
    leaders: Literal["all", "twins", "correct"] = "all",
    drops: int = 0,
    drop_types: Sequence[MessageType] = DROPPABLE,
    model: Model = "timed",
    crashes: bool = False,
    suffix: int = SUFFIX_ROUNDS,
    bugs: Collection[str] = (),
    protocol: str = DEFAULT_PROTOCOL,
) -> st.SearchStrategy[Scenario]:
    """Scenarios of a shape; the arguments are those of ``space.Space``, with a range of rounds."""
    names = replica_names(replicas)
    twin_names = tuple(f"{name}'" for name in names[:twins])
    rounds_ = rounds(
        replicas=replicas,
        twins=twins,
        sets=sets,
        quorum=quorum,
        leaders=leaders,
        drops=drops,
        drop_types=drop_types,
        model=model,
        crashes=crashes,
    )
    end = (whole_round(names, twin_names, names[-1]),) * suffix

    def scenario(script: list[Round]) -> Scenario:
        return Scenario(
            replicas=names,
            twins=twin_names,
            rounds=(*script, *end),
            gst=len(script),
            bugs=tuple(bugs),
            model=model,
            protocol=protocol,
        )

    return st.lists(rounds_, min_size=min_rounds, max_size=max_rounds).map(scenario)


def rounds(
    *,
    replicas: int = 4,
    twins: int = 1,
    sets: int = 2,
    quorum: bool = False,
    leaders: Literal["all", "twins", "correct"] = "all",
    drops: int = 0,
    drop_types: Sequence[MessageType] = DROPPABLE,
    model: Model = "timed",
    crashes: bool = False,
) -> st.SearchStrategy[Round]:
    """Single rounds of a shape; the arguments are those of ``scenarios``."""
    names = replica_names(replicas)
    first, end = (twins if leaders == "correct" else 0), (twins if leaders == "twins" else replicas)
    assert first < end, "because a round needs a replica that may lead"
    partition = partitions(replicas=replicas, twins=twins, sets=sets, quorum=quorum)

    nodes = names + tuple(f"{name}'" for name in names[:twins])
    possible = [Drop(src, dst, kind) for src, dst in permutations(nodes, 2) for kind in drop_types]

    def round_(leader: str, groups: NodeSets, exceptions: Sequence[Drop], extras: Extras) -> Round:
        group_of = {name: group for group in groups for name in group}
        inside = tuple(drop for drop in exceptions if drop.dst in group_of[drop.src])  # others would say nothing
        return Round(leader, groups, inside, extras)

    return st.builds(
        round_,
        st.sampled_from(names[first:end]),
        partition,
        st.lists(st.sampled_from(possible), max_size=drops, unique=True) if drops and possible else st.just(()),
        _extras(partition if model == "two-phase" else None, names[twins:] if crashes else ()),
    )


def partitions(
    *, replicas: int = 4, twins: int = 1, sets: int = 2, quorum: bool = False
) -> st.SearchStrategy[NodeSets]:
    """Partitions of the nodes into up to ``sets`` sets, by default any; they shrink towards one set."""
    names = replica_names(replicas)
    nodes = names + tuple(f"{name}'" for name in names[:twins])
    needed = replicas - (replicas - 1) // 3 if quorum else 0
    by_sets = [Partitions(replicas, twins, min_sets=k, max_sets=k, quorum=needed) for k in range(1, sets + 1)]

    def of(ways: Partitions) -> st.SearchStrategy[NodeSets]:
        return st.integers(0, ways.count - 1).map(
            lambda rank: tuple(tuple(nodes[node] for node in group) for group in ways.groups(ways.unrank(rank)[0]))
        )

    return st.one_of([of(ways) for ways in by_sets if ways.count])


def _extras(partition: st.SearchStrategy[NodeSets] | None, may_crash: Sequence[str]) -> st.SearchStrategy[Extras]:
    """What a richer model decides: nothing without a partition for timeouts and replicas that may crash."""
    if partition is None and not may_crash:
        return st.just(Extras())
    crashed = st.sampled_from([(), *((name,) for name in may_crash)])
    return st.builds(
        lambda timeouts, timers, order, names: Extras(
            timeout_partition=timeouts, timers=timers, order=order, crash=names, restart=names
        ),
        st.none() if partition is None else st.none() | partition,
        st.none() if partition is None else st.sampled_from([None, "early"]),
        st.none() if partition is None else st.sampled_from([None, "reversed"]),
        crashed,
    )
