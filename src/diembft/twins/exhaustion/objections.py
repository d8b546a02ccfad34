"""What the judge would say of a state as a whole: of the blocks that are certified in it, and of what is committed.

An exploration sees one step at a time. Within a step it objects to what the judge of the whole scenario objects to, by
the same rules and from the same facts; the judge sees, besides, what only several steps together show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from functools import partial

from diembft.judge.agreement import NAME as AGREEMENT
from diembft.judge.agreement import parts
from diembft.judge.certificates import CERTIFIED_UNIQUENESS, lacks_quorum, rivals
from diembft.judge.verdict import listed
from diembft.protocols.interface import Replica
from diembft.twins.runs.world import Fault, World


def certified_by(world: World, replica: Replica) -> frozenset[tuple[int, bytes]]:
    """(round, block) of what is certified by the certificates that a replica would pass on, genesis aside: by a quorum
    of distinct signers."""
    told = [world.reading.certificate(certificate) for certificate in world.exploring.certificates(replica)]
    return frozenset(
        [
            (certificate.round, certificate.block)
            for certificate in told
            if certificate.block is not None
            and certificate.round > 0
            and not lacks_quorum(certificate.round, certificate.signers, world.quorum)
        ]
    )


def certified_twice(
    world: World, round_: int, voted: Set[tuple[int, bytes]], certified: Set[tuple[int, bytes]]
) -> Iterator[Fault]:
    """In a round one block is certified while another is too, or has f + 1 votes of correct nodes.

    `voted`: (node, block) of the votes of correct nodes in the step of this round, which are all of it. `certified`: of
    all nodes after the step (see `certified_by`).
    """
    rounds = [of_round for of_round, _ in certified]
    for of_round in rounds:
        if rounds.count(of_round) > 1:
            yield Fault(CERTIFIED_UNIQUENESS, f"two blocks of round {of_round} are certified")
            return
    if round_ not in rounds:
        return
    voters: dict[bytes, set[int]] = {}
    for node, block in voted:
        if (round_, block) not in certified:
            voters.setdefault(block, set()).add(node)
    for nodes in voters.values():
        if rivals(len(nodes), world.cast.f):
            names = listed(tuple([world.name(node) for node in sorted(nodes)]))
            detail = f"a block of round {round_} is certified, and {names} voted for another"
            yield Fault(CERTIFIED_UNIQUENESS, detail)
            return


def disagreements(world: World, replicas: Mapping[int, Replica]) -> Iterator[Fault]:
    """Two correct nodes whose committed chains are not prefixes of one another. `replicas`: at least of all these."""
    exploring = world.exploring
    correct = range(world.faulty, world.n)
    roots = {node: exploring.root(replicas[node]) for node in correct}
    for one in correct:
        for other in range(one + 1, world.n):
            low, high = sorted((one, other), key=lambda node: roots[node].round)
            root, above = roots[low], roots[high]
            if root is not above and parts(root, above, partial(exploring.has_committed, replicas[high])):
                detail = (
                    f"{world.name(one)} and {world.name(other)} committed conflicting blocks, "
                    f"of rounds {roots[one].round} and {roots[other].round}"
                )
                yield Fault(AGREEMENT, detail)
