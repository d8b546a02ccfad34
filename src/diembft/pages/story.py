"""The story of a violation: which property, which blocks conflict, who certified each, and what made it possible."""

from __future__ import annotations

import re
from collections.abc import Iterable

from diembft.pages.data import (
    NONE,
    Lost,
    Observation,
    PageData,
    PageEquivocation,
    PageMessage,
    PageStatement,
    PageVote,
    Side,
    Story,
    StoryRound,
)
from diembft.pages.layout import ancestors, parent_of
from diembft.pages.observations import observe
from diembft.trace.records import Violated

_ID = re.compile(r"\b[0-9a-f]{8,64}\b")

SHOWN_ROUNDS = 40
"""How many rounds, the last ones, a story tells of."""

MEANINGS = {
    "agreement": "The committed chains of any two correct replicas must be prefixes of one another.",
    "certified_uniqueness": (
        "When a block is certified, no other block of its round may have votes of f + 1 correct replicas."
    ),
    "commit_chain": "All globally committed blocks must lie on one chain.",
    "honest_vote_once": (
        "A correct replica signs at most one vote in a round, and none in a round that it gave up before."
    ),
    "quorum_progress": (
        "Nobody leaves a round in which no set of the network held a quorum of distinct replicas, and every "
        "certificate has a quorum of distinct signers."
    ),
    "liveness_commit": "Once the network is whole, every correct replica commits.",
    "liveness_bound": (
        "Once the network is whole, the block of a round led by a correct replica, as the next two are, is committed "
        "everywhere in bounded time."
    ),
    "commit_order": "A correct replica commits every block once, after its parent.",
    "execution": "A correct replica executes each request at most once, and only if its client signed it.",
    "durability": "A restarted replica does not contradict what it signed before.",
    "monotonicity": ("Rounds, what was voted for and what was committed never go back, also across a restart."),
    "certificates": "Every certificate that a correct replica holds or sends verifies.",
    "validity": "Every request that is executed was signed by its client.",
    "liveness": "Once the network is whole, every request that a correct replica holds is committed in bounded time.",
    "exception": "The protocol's code raises no exception, whatever it receives.",
    "crash": "A step of a replica raises no exception, has not too many effects, and ends; and so do messages.",
    "accountability": "A violation of agreement can be pinned on f + 1 signers.",
}
"""What each property says, for readers."""


def tell(page: PageData, step: int, violated: Violated, certificates: list[int], votes: list[PageVote]) -> Story:
    """The story of one violation; `certificates` and `votes` are those of its record, as the page knows them."""
    nodes = {node.name: index for index, node in enumerate(page.nodes)}
    concerned = [nodes[name] for name in violated.nodes if name in nodes]
    certificates = [index for index in certificates if page.certificates[index].round > 0]
    tips = _conflict(page, step, violated.property, concerned, certificates, votes)
    fork, sides = _sides(page, step, tips)
    observations = observe(page, step, frozenset(block for side in sides for block in side.chain))
    rounds = _rounds(page, fork, sides, certificates, violated.round)
    first, last = (rounds[0].round, rounds[-1].round) if rounds else (0, -1)
    return Story(
        step=step,
        moment=min(step, _moment(page, step, sides, concerned, certificates, votes, violated, observations)),
        property=violated.property,
        meaning=MEANINGS.get(violated.property, ""),
        detail=blocks_named(page, violated.detail),
        nodes=concerned,
        round=NONE if violated.round is None else violated.round,
        certificates=certificates,
        votes=votes,
        sides=sides,
        fork=fork,
        both=_both(page, sides),
        equivocations=_equivocations(page, step, first, last),
        observations=observations,
        rounds=rounds,
    )


def blocks_named(page: PageData, text: str) -> str:
    """A text of an oracle with the blocks as the pictures name them: oracles know beginnings of their ids alone."""

    def name(found: re.Match[str]) -> str:
        names = {block.name for block in page.blocks if block.id.startswith(found[0])}
        return names.pop() if len(names) == 1 else found[0]

    return _ID.sub(name, text)


def _conflict(
    page: PageData, until: int, name: str, nodes: list[int], certificates: list[int], votes: list[PageVote]
) -> dict[int, int]:
    """The blocks that conflict: by commits, certificates or votes, whichever the property is about.

    Each with the newest block that shows it: itself, unless votes for its child do.
    """
    by_commits = _committed_apart(page, until, nodes)
    certified = [page.certificates[index].block for index in certificates]
    by_certificates = _apart(page, certified)
    voted_for = [vote.block for vote in votes]
    candidates = [by_certificates, _apart(page, voted_for), _apart(page, certified + voted_for), by_commits]
    if name == "agreement":
        candidates.insert(0, by_commits)
    found = next((blocks for blocks in candidates if len(blocks) > 1), [])
    tips = {block: block for block in found}
    if name == "commit_chain":  # votes for a child of the next round commit its parent
        parents = {parent_of(page.blocks, block): block for block in found}
        tips = parents if len(_apart(page, parents)) == len(found) else tips
    return dict(sorted(tips.items(), key=lambda tip: (page.blocks[tip[0]].round, tip[0])))


def _committed_apart(page: PageData, until: int, nodes: list[int]) -> list[int]:
    """The different blocks at the lowest height at which committed chains differ."""
    looked_at = nodes or [index for index, node in enumerate(page.nodes) if node.correct]
    at_height: dict[int, list[int]] = {}
    for step in page.steps[: until + 1]:
        if step.node in looked_at:
            for commit in step.commits:
                blocks = at_height.setdefault(commit.height, [])
                if commit.block not in blocks:
                    blocks.append(commit.block)
    return next((at_height[height] for height in sorted(at_height) if len(at_height[height]) > 1), [])


def _apart(page: PageData, blocks: Iterable[int]) -> list[int]:
    """Those of the blocks that lie on different branches; none if all lie on one."""
    tips: list[int] = []
    for block in sorted(set(blocks), key=lambda index: -page.blocks[index].round):
        if not any(block in ancestors(page.blocks, tip) for tip in tips):
            tips.append(block)
    return tips if len(tips) > 1 else []


def _sides(page: PageData, until: int, tips: dict[int, int]) -> tuple[int, list[Side]]:
    if not tips:
        return NONE, []
    chains = [ancestors(page.blocks, block) for block in tips]
    fork = next((index for index in chains[0] if all(index in chain for chain in chains[1:])), NONE)
    return fork, [_side(page, until, block, tip, fork) for block, tip in tips.items()]


def _side(page: PageData, until: int, block: int, tip: int, fork: int) -> Side:
    certificates = [
        index
        for index, certificate in enumerate(page.certificates)
        if certificate.block == block and any(NONE < step <= until for step in certificate.known)
    ]
    side = Side(block, certificates)
    for step in page.steps[: until + 1]:
        for commit in step.commits:
            if commit.block == block and step.node not in side.committed_by:
                side.committed_by.append(step.node)
                if side.commit_certificate == NONE:
                    side.commit_certificate = commit.certificate
                    tip = page.certificates[commit.certificate].block
    chain = ancestors(page.blocks, tip)
    if block not in chain:
        chain = ancestors(page.blocks, block)
    if fork in chain:
        chain = chain[: chain.index(fork)]
    side.chain = chain[::-1]
    side.votes = [
        index for index, message in enumerate(page.messages) if message.kind == "vote" and message.block in side.chain
    ]
    voted = {page.messages[index].sender for index in side.votes if page.messages[index].block == block}
    side.voters = sorted(voted)
    return side


def _moment(
    page: PageData,
    noted: int,
    sides: list[Side],
    concerned: list[int],
    certificates: list[int],
    votes: list[PageVote],
    violated: Violated,
    observations: list[Observation],
) -> int:
    """The step by which what shows the violation had happened: commits, certificates, votes, or the end of a round."""
    wrong = [one.step for one in observations if one.rule == "commit_order" and page.steps[one.step].node in concerned]
    if violated.property in ("commit_order", "execution") and wrong:
        happened = [min(wrong)]
    elif all(side.committed_by for side in sides) and sides:
        happened = [_first_commit(page, side, concerned) for side in sides]
    elif certificates:
        happened = [_first(page.certificates[index].known) for index in certificates]
    elif votes:
        voted = {
            (message.sender, message.round, message.phase, message.block): message.step
            for message in reversed(page.messages)
        }
        happened = [voted.get((vote.replica, vote.round, vote.phase, vote.block), NONE) for vote in votes]
    elif violated.property == "quorum_progress":
        happened = [_left(page, concerned, violated.round)]
    else:
        end = next((band.end for band in page.bands if band.round == violated.round), None)
        happened = [index for index, step in enumerate(page.steps[:noted]) if end is not None and step.at < end]
    return min(noted, max(happened)) if happened and NONE not in happened else noted


def _left(page: PageData, concerned: list[int], round_: int | None) -> int:
    """The first step by which one of these nodes has left a round."""
    for index, step in enumerate(page.steps):
        if step.node in concerned and step.state is not None and round_ is not None and step.state.round > round_:
            return index
    return NONE


def _first_commit(page: PageData, side: Side, concerned: list[int]) -> int:
    """When a side's block was committed first, by a node that the violation concerns if one of them did."""
    committed = page.blocks[side.block].committed
    by_concerned = _first([committed[node] for node in concerned if node < len(committed)])
    return _first(committed) if by_concerned == NONE else by_concerned


def _first(steps: list[int]) -> int:
    return min((step for step in steps if step != NONE), default=NONE)


def _both(page: PageData, sides: list[Side]) -> list[int]:
    """The replicas that signed certificates on more than one side."""
    signers = [
        {
            signer
            for certificate in page.certificates
            if certificate.block in side.chain
            for signer in certificate.signers
        }
        for side in sides
    ]
    counted = [signer for group in signers for signer in sorted(group)]
    return sorted({signer for signer in counted if counted.count(signer) > 1})


def _equivocations(page: PageData, until: int, first: int, last: int) -> list[PageEquivocation]:
    """Identities that proposed or voted for different blocks in one of the rounds first to last, in one phase of it."""
    said: dict[tuple[int, str, int, str], list[int]] = {}
    for index, message in enumerate(page.messages):
        if message.kind in ("proposal", "vote") and first <= message.round <= last and message.step <= until:
            said.setdefault((message.round, message.kind, message.sender, message.phase), []).append(index)
    found = []
    for (round_, kind, replica, phase), indices in sorted(said.items()):
        messages = [page.messages[index] for index in indices]
        if len({message.block for message in messages}) > 1:
            told = [
                PageStatement(message.node, index, message.block, _heard(message, until))
                for index, message in zip(indices, messages, strict=True)
            ]
            found.append(PageEquivocation(replica, kind, round_, phase, told))
    return found


def _heard(message: PageMessage, until: int) -> list[int]:
    return [
        delivery.to
        for delivery in message.deliveries
        if delivery.fate in ("delivered", "ignored") and NONE < delivery.step <= until
    ]


def _rounds(
    page: PageData, fork: int, sides: list[Side], certificates: list[int], violated: int | None
) -> list[StoryRound]:
    """The rounds from the fork to the last block that matters, and the violated one."""
    of_interest = [page.blocks[block].round for side in sides for block in side.chain]
    of_interest += [page.certificates[index].round for index in certificates]
    of_interest += [violated] if violated is not None else []
    if not of_interest:
        return []
    first = page.blocks[fork].round + 1 if fork != NONE else min(of_interest)
    if not sides:  # the rounds around it tell why
        first, of_interest = first - 1, [*of_interest, min(max(of_interest) + 2, page.window.last_round)]
    return rounds_told(page, first, max(of_interest))


def rounds_told(page: PageData, first: int, last: int) -> list[StoryRound]:
    """Rounds from the first to the last one, and no more than a story can hold."""
    bands = {band.round: band for band in page.bands}
    return [
        StoryRound(
            round_,
            bands[round_].leaders if round_ in bands else [],
            bands[round_].sets if round_ in bands else [],
            [index for index, certificate in enumerate(page.certificates) if certificate.round == round_],
            sorted(
                {message.sender for message in page.messages if message.kind == "timeout" and message.round == round_}
            ),
            _lost(page, round_),
        )
        for round_ in range(max(1, first, last - SHOWN_ROUNDS + 1), last + 1)
    ]


def _lost(page: PageData, round_: int) -> list[Lost]:
    """The proposals, votes and timeouts of a round that were lost otherwise than by a partition."""
    receivers: dict[tuple[str, str, int], set[int]] = {}
    for message in page.messages:
        if message.round == round_ and message.kind in ("proposal", "vote", "timeout"):
            for delivery in message.deliveries:
                if delivery.fate == "lost" and delivery.reason != "partition":
                    receivers.setdefault((message.kind, delivery.reason, message.node), set()).add(delivery.to)
    senders: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    for (kind, reason, node), nodes in receivers.items():
        senders.setdefault((kind, reason, tuple(sorted(nodes))), []).append(node)
    return [Lost(kind, sorted(nodes), list(to), reason) for (kind, reason, to), nodes in senders.items()]
