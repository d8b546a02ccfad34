"""No field of a replica is forgotten by `fork` or by `state_key`.

The fields are found by looking. Each stands in one of the tables below: as *shared* by a replica and its forks, because
it never changes; as *derived* from others, so that the key need not have it; as of the *step under way*, and empty
between steps; or as *state*, with changes of it, each of which must show in the key and in no fork. A field that stands
in no table fails the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import pytest
from msgspec.structs import replace

from diembft.consensus.block_tree import BlockTree
from diembft.consensus.leader_election import LeaderElection
from diembft.consensus.mempool import Mempool
from diembft.consensus.pacemaker import Pacemaker
from diembft.consensus.replica import Replica
from diembft.consensus.rest import Rest
from diembft.consensus.safety import Safety
from diembft.consensus.sync import Fetch, Sync
from diembft.faults.planting import NO_BUGS
from diembft.faults.tampering import Tampered, tampered
from tests.consensus.harvest import harvest
from tests.consensus.rig import Craft, make_machine

CONFIG, FIXED, SIGNS = "frozen, made once", "a number", "holds a key and nothing else"
REMEMBERS = "remembers answers that nothing changes"

PARTS: dict[str, type[Any]] = {
    "safety": Safety,
    "tree": BlockTree,
    "pacemaker": Pacemaker,
    "election": LeaderElection,
    "mempool": Mempool,
    "sync": Sync,
    "rest": Rest,
}
"""The parts of a replica that have a state of their own."""

SHARED: dict[type[Any], dict[str, str]] = {
    Replica: {
        "config": CONFIG,
        "me": FIXED,
        "machine": "executes immutable states, and has none",
        "_digests": CONFIG,
        "_genesis": CONFIG,
        "quorums": CONFIG,
        "verifier": REMEMBERS,
    },
    Tampered: {},
    Safety: {"_me": FIXED, "_signer": SIGNS, "_digests": CONFIG},
    BlockTree: {
        "_config": CONFIG,
        "_digests": CONFIG,
        "_machine": "executes immutable states, and has none",
        "_quorums": CONFIG,
        "_genesis_id": CONFIG,
        "_kept_commits": FIXED,
    },
    Pacemaker: {"_config": CONFIG, "_quorums": CONFIG},
    LeaderElection: {"_n": FIXED, "_window": FIXED, "_excluded": FIXED},
    Mempool: {"_config": CONFIG},
    Sync: {"_config": CONFIG, "_me": FIXED},
    Rest: {"_config": CONFIG, "_me": FIXED},
}

DERIVED: dict[type[Any], dict[str, str]] = {
    LeaderElection: {"_drawn": REMEMBERS, "_signers": REMEMBERS, "_undrawn": REMEMBERS},
    Mempool: {"_per_client": "counts what waits"},
}

STEP: dict[type[Any], dict[str, Any]] = {
    Replica: {"_own": [], "_committed": [], "_checkpoint": None, "_must_persist": False},
}
"""What belongs to the step under way, and what it is between steps."""

HANDED_OUT = {"_out", "_now_ms"}
"""The effects of the last step, which its caller has, and the time of its event: each step begins with its own."""

Change = Callable[[Any, Craft], object]

craft = Craft(harvest()[0])
BLOCK = craft.block(1, payload=(craft.request(77),))
QC, TC = craft.qc(BLOCK, [1, 2, 3]), craft.tc(40)
ID = bytes(range(32))


def put(name: str, value: Any) -> Change:
    """Another value."""
    return lambda part, _: setattr(part, name, value)


def count(name: str) -> Change:
    """A number that is higher by one."""
    return lambda part, _: setattr(part, name, getattr(part, name) + 1)


def first_bucket(tree: BlockTree) -> dict[int, Any]:
    buckets = next(iter(tree.votes.values()))
    return next(iter(buckets.values()))


STATE: dict[type[Any], dict[str, list[Change]]] = {
    Replica: {
        "proposals": [
            lambda replica, craft: replica.proposals.update({3: craft.proposal(BLOCK)}),
            lambda replica, craft: replica.proposals.clear(),
            lambda replica, craft: replica.proposals.update(
                {author: craft.proposal(BLOCK) for author in replica.proposals}
            ),
        ],
        "last_sent": [put("last_sent", craft.timeout(50, 2, tc=craft.tc(49))), put("last_sent", None)],
        "_unsaved": [lambda replica, craft: replica._unsaved.append(BLOCK)],
    },
    Tampered: {
        "leader_override": [put("leader_override", (1, 2))],
        "duplicate_transactions": [put("duplicate_transactions", True)],
    },
    Safety: {
        "highest_vote_round": [count("highest_vote_round")],
        "highest_qc_round": [count("highest_qc_round")],
        "voted_id": [put("voted_id", ID)],
    },
    BlockTree: {
        "high_qc": [put("high_qc", QC)],
        "high_commit_qc": [put("high_commit_qc", QC)],
        "height": [count("height")],
        "root": [  # the rest of it follows from its id, which comes first in `nodes`
            lambda tree, _: setattr(tree, "root", replace(tree.root, work_round=tree.root.work_round + 1)),
            lambda tree, _: setattr(tree, "root", replace(tree.root, commit_round=tree.root.commit_round + 1)),
        ],
        "nodes": [
            lambda tree, _: tree.nodes.update({ID: tree.root}),
            lambda tree, _: tree.nodes.popitem(),
        ],
        "committed": [
            lambda tree, _: tree.committed.update({ID: BLOCK}),
            lambda tree, _: tree.committed.popitem(),
        ],
        "votes": [
            lambda tree, _: tree.votes.update({99: {}}),
            lambda tree, _: tree.votes.clear(),
            lambda tree, craft: next(iter(tree.votes.values())).update({craft.commit_info(craft.vote_info(BLOCK)): {}}),
            lambda tree, craft: first_bucket(tree).update({9: craft.vote(BLOCK, 3)}),
            lambda tree, _: first_bucket(tree).clear(),
        ],
    },
    Pacemaker: {
        "current_round": [count("current_round")],
        "last_round_tc": [put("last_round_tc", TC)],
        "timeouts": [lambda pacemaker, craft: pacemaker.timeouts.update({9: craft.timeout(3, 3).tmo_info})],
    },
    LeaderElection: {},
    Mempool: {
        "_waiting": [
            lambda mempool, craft: mempool.add(craft.request(88)),
            lambda mempool, craft: mempool.forget((craft.request(89),)),
        ],
    },
    Sync: {
        "fetch": [put("fetch", Fetch((1, 3))), put("fetch", Fetch((1, 3), 0, ID, 2)), put("fetch", Fetch((1, 3), 1))]
    },
    Rest: {
        "timer_round": [put("timer_round", 123)],
        "resting": [lambda rest, _: setattr(rest, "resting", not rest.resting)],
        "next_peer": [count("next_peer")],
    },
}


def of(table: dict[type[Any], Any], kind: type[Any]) -> Any:
    """What a table says of a class; a replica that can be tampered with is a replica."""
    found = dict(table.get(kind, {}))
    return found | table.get(Replica, {}) if kind is Tampered else found


def fields(value: Any) -> set[str]:
    """All attributes and slots of an object, and what its classes give it as defaults."""
    found: set[str] = set(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__[:-1]:
        slots = vars(kind).get("__slots__", ())
        found.update([slots] if isinstance(slots, str) else slots)
        for name, default in vars(kind).items():
            if not name.startswith("__") and not callable(default) and not hasattr(default, "__get__"):
                found.add(name)
    return found


def rich(kind: type[Replica] = Replica) -> Replica:
    """A replica in the midst of a run: it holds blocks, votes, timeouts, requests and proposals."""
    config, events = harvest()
    if kind is Tampered:
        keys = craft.keys
        replica: Replica = tampered(NO_BUGS)(config, 2, keys.replicas[2], keys.ring, make_machine())
        assert type(replica) is Tampered
    else:
        replica = Craft(config).replica(2)
    for event in events:
        replica.step(event)
    replica.mempool.add(craft.request(89))
    tree = replica.tree
    tree.add_vote(craft.vote(BLOCK, 1))
    replica.proposals.update({1: craft.proposal(craft.block(1, author=1))})
    replica.pacemaker.timeouts.update({1: craft.timeout(1, 1).tmo_info})
    assert all([tree.nodes, tree.committed, tree.votes, first_bucket(tree), replica.last_sent])
    return replica


def everything(kind: type[Replica]) -> Iterator[tuple[Callable[[Any], Any], type[Any]]]:
    """The replica and its parts: how each is reached, and what it is."""
    yield (lambda replica: replica), kind
    if kind is Replica:
        for name, part in PARTS.items():
            yield attrgetter(name), part


PLACES = [*everything(Replica), *everything(Tampered)]
ALL = pytest.mark.parametrize(("reach", "kind"), PLACES, ids=[kind.__name__ for _, kind in PLACES])
CHANGES = [
    pytest.param(reach, kind, name, change, id=f"{kind.__name__}.{name}-{number}")
    for reach, kind in PLACES
    for name, changes in STATE[kind].items()
    for number, change in enumerate(changes)
]


def made(kind: type[Any]) -> Replica:
    return rich(Tampered if kind is Tampered else Replica)


@ALL
def test_every_field_stands_in_one_table(reach: Callable[[Any], Any], kind: type[Any]) -> None:
    part = reach(made(kind))
    assert type(part) is kind
    tables = [set(of(table, kind)) for table in (SHARED, DERIVED, STEP, STATE)]
    if issubclass(kind, Replica):
        tables += [set(PARTS), HANDED_OUT]
    declared = [name for table in tables for name in table]
    assert len(declared) == len(set(declared))
    assert fields(part) == set(declared)


@ALL
def test_what_never_changes_is_shared(reach: Callable[[Any], Any], kind: type[Any]) -> None:
    replica = made(kind)
    part, its = reach(replica), reach(replica.fork())
    for name, reason in of(SHARED, kind).items():
        assert getattr(its, name) is getattr(part, name), f"{name}: {reason}"


def containers(value: Any) -> Iterator[Any]:
    """All that can change inside a value made of containers."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from containers(inner)
    elif isinstance(value, list | set):
        yield value
        for inner in value:
            yield from containers(inner)


@ALL
def test_containers_are_not_shared_and_hold_the_same(reach: Callable[[Any], Any], kind: type[Any]) -> None:
    replica = made(kind)
    part, its = reach(replica), reach(replica.fork())
    assert (part is its) is False
    for name in (*of(DERIVED, kind), *of(STEP, kind), *of(STATE, kind)):
        mine, copied = getattr(part, name), getattr(its, name)
        assert copied == mine, name
        shared = {id(inner) for inner in containers(mine)} & {id(inner) for inner in containers(copied)}
        assert not shared, name
    if issubclass(kind, Replica):
        assert all(getattr(part, name) is not getattr(its, name) for name in PARTS)
        assert its._out == []


@pytest.mark.parametrize(("reach", "kind", "name", "change"), CHANGES)
def test_a_change_shows_in_the_key_and_in_no_other(
    reach: Callable[[Any], Any], kind: type[Any], name: str, change: Change
) -> None:
    replica = made(kind)
    fork, key = replica.fork(), replica.state_key()
    assert fork.state_key() == key
    change(reach(replica), craft)
    changed = replica.state_key()
    assert changed != key, f"{name} is not in the key"
    assert hash(changed) != hash(key)
    assert fork.state_key() == key, f"{name} leaks into a fork"
    assert replica.fork().state_key() == changed, f"{name} is lost in a fork"
    assert getattr(reach(replica.fork()), name) == getattr(reach(replica), name)
    change(reach(fork), craft)
    assert fork.state_key() == changed, "from a fork it is the same change"


@pytest.mark.parametrize("kind", [Replica, Tampered])
def test_what_belongs_to_a_step_is_gone_after_it(kind: type[Replica]) -> None:
    config, events = harvest()
    del config
    replica = rich(kind)
    for event in events:
        effects = replica.step(event)
        assert replica._out is effects
        assert {name: getattr(replica, name) for name in STEP[Replica]} == STEP[Replica]


@pytest.mark.parametrize("kind", [Replica, Tampered])
def test_a_forgotten_field_is_found(kind: type[Replica]) -> None:
    """The test itself: an attribute that nobody declared."""
    replica = rich(kind)
    replica.new_field = 1  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        test_every_field_stands_in_one_table(lambda _: replica, kind)
