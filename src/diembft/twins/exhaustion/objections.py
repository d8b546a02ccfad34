"""What oracles object to in a whole state, after a step: properties that no set of nodes shows alone.

They read what replicas tell (certificates, commits) and what was voted for, and nothing of any key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial

from diembft.judge.agreement import NAME as AGREEMENT
from diembft.judge.agreement import parts
from diembft.judge.certificates import CERTIFIED_UNIQUENESS, rivals
from diembft.protocols.interface import Replica
from diembft.twins.runs.world import Fault, World


def of_step(world: World, voted: Set[tuple[int, bytes]], replicas: Sequence[Replica]) -> Iterator[Fault]:
    """The objections to a state after a step in which correct nodes voted so; `replicas` node by node."""
    yield from certified_twice(world, voted, replicas)
    yield from disagreements(world, {node: replicas[node] for node in range(world.faulty, world.n)})


def certified_twice(world: World, voted: Set[tuple[int, bytes]], replicas: Sequence[Replica]) -> Iterator[Fault]:
    """In a round one block is certified while another has f + 1 votes of correct nodes. `voted`: (node, block)."""
    blocks = {block for _, block in voted}
    if len(blocks) < 2:
        return
    read, certificates = world.reading.certificate, world.exploring.certificates
    known = {read(certificate).block for replica in replicas for certificate in certificates(replica)}
    certified = blocks & known
    for block in sorted(blocks):
        votes = len({node for node, voted_for in voted if voted_for == block})
        if certified - {block} and rivals(votes, world.cast.f):
            detail = f"{world.cast.f + 1} correct nodes voted against a block that is certified"
            yield Fault(CERTIFIED_UNIQUENESS, detail)
            return


def disagreements(world: World, replicas: Mapping[int, Replica]) -> Iterator[Fault]:
    """Two correct nodes whose committed chains are not prefixes of one another; `replicas` by node."""
    exploring = world.exploring
    roots = {node: exploring.root(replica) for node, replica in replicas.items()}
    for one in replicas:
        for other in replicas:
            if other <= one:
                continue
            low, high = sorted((one, other), key=lambda node: roots[node].round)
            root, above = roots[low], roots[high]
            if root is not above and parts(root, above, partial(exploring.has_committed, replicas[high])):
                detail = (
                    f"{world.name(one)} and {world.name(other)} committed conflicting blocks, "
                    f"of rounds {roots[one].round} and {roots[other].round}"
                )
                yield Fault(AGREEMENT, detail)
