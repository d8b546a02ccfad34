"""Who plays in a test: replicas, which are ids with a key, and nodes, which are running copies of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple


class Cast(NamedTuple):
    """Replicas, and nodes, which are their copies. Masks have bit i set for node i."""

    names: tuple[str, ...]
    """Of the nodes: the replicas, then the twins."""
    identity: tuple[int, ...]
    """Of each node: the replica whose key it holds."""
    n: int
    """Replicas."""
    faulty: tuple[int, ...]
    """Replicas with a twin."""
    correct: tuple[int, ...]
    """Nodes that neither have a twin nor are one."""
    copies: tuple[int, ...]
    """Of each replica: the mask of its nodes."""

    @property
    def f(self) -> int:
        """How many faulty replicas the protocol tolerates."""
        return (self.n - 1) // 3

    @property
    def quorum(self) -> int:
        """Distinct replicas in a quorum: n - f, written again on purpose."""
        return self.n - (self.n - 1) // 3

    def names_of(self, nodes: Iterable[int]) -> tuple[str, ...]:
        """The names of nodes."""
        return tuple([self.names[node] for node in nodes])


@lru_cache(maxsize=256)
def cast_of(replicas: tuple[str, ...], twins: tuple[str, ...]) -> Cast:
    """The cast of replicas and twins of these names: the twins of `a` are `a'`, `a''` and so on."""
    names = replicas + twins
    number = {name: index for index, name in enumerate(replicas)}
    identity = tuple([number[replica_of(name)] for name in names])
    faulty = tuple(sorted({number[replica_of(twin)] for twin in twins}))
    return Cast(
        names,
        identity,
        len(replicas),
        faulty,
        tuple([node for node in range(len(replicas)) if node not in faulty]),
        tuple(
            [sum(1 << node for node, own in enumerate(identity) if own == replica) for replica in range(len(replicas))]
        ),
    )


def replica_of(node: str) -> str:
    """The replica whose copy a node is: ``a`` for ``a`` and for ``a'``."""
    return node.rstrip("'")
