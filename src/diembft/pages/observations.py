"""What the messages of a run show against the protocol's rules, one sentence each: the reader's hints to the cause.

These are observations for a reader, not verdicts (those are the oracles'). Nodes are looked at as copies: that two
copies of one identity contradict each other is equivocation, told elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set

from diembft.pages.data import NONE, RULES_KNOWN, Observation, PageData, PageMessage

ANYWHERE = frozenset({"quorum", "vote_once", "commit_order"})
"""The rules of every protocol with certificates and one vote in a round."""
_SHOWN = 3
"""How many observations of one rule are shown."""


def observe(page: PageData, until: int, blocks: Set[int] = frozenset()) -> list[Observation]:
    """All observations up to a step, the first few of each rule, in the order of the rules below.

    Of a protocol whose rules are not known only those that every protocol of certificates forbids.

    Those about one of `blocks` come first.
    """
    found = [
        *_certificates(page, until),
        *_given_up(page, until),
        *_votes(page, until),
        *_commits(page, until),
    ]
    if page.protocol != RULES_KNOWN:
        found = [observation for observation in found if observation.rule in ANYWHERE]
    found.sort(key=lambda observation: observation.block not in blocks)
    seen: Counter[str] = Counter()
    shown = []
    for observation in found:
        seen[observation.rule] += 1
        if seen[observation.rule] <= _SHOWN:
            shown.append(observation)
    for observation in shown:
        if seen[observation.rule] > _SHOWN and observation is [o for o in shown if o.rule == observation.rule][-1]:
            observation.text += f" (and {seen[observation.rule] - _SHOWN} more like this)"
    return shown


def _certificates(page: PageData, until: int) -> Iterator[Observation]:
    for certificate in page.certificates:
        first = min((step for step in certificate.known if step != NONE), default=NONE)
        if certificate.round == 0 or first > until:
            continue
        block = page.blocks[certificate.block]
        if len(certificate.signers) < page.quorum:
            signers = _replicas(page, certificate.signers)
            text = (
                f"The certificate of {block.name} has {len(certificate.signers)} distinct signers ({signers}); "
                f"a quorum is {page.quorum} of {page.n}."
            )
            yield Observation("quorum", text, first, certificate.block)
        # Genesis is committed from the beginning: that its commit is shown says nothing.
        if certificate.commits and 0 < certificate.parent_round != certificate.round - 1:
            parent = page.blocks[block.parent].name if block.parent != NONE else f"round {certificate.parent_round}"
            text = (
                f"The certificate of {block.name} commits {parent}, although rounds {certificate.parent_round} and "
                f"{certificate.round} are not consecutive."
            )
            yield Observation("two_chain", text, first, certificate.block)


def _given_up(page: PageData, until: int) -> Iterator[Observation]:
    first: dict[int, int] = {}
    """The step at which a node held such a certificate first."""
    for number, step in enumerate(page.steps[: until + 1]):
        if step.state is not None and step.state.given_up != NONE:
            first.setdefault(step.state.given_up, number)
    for index, number in first.items():
        given_up = page.given_up[index]
        signers = sorted(set(given_up.signers))
        if len(signers) < page.quorum:
            text = (
                f"The certificate that round {given_up.round} is given up has {len(signers)} distinct signers "
                f"({_replicas(page, signers)}); a quorum is {page.quorum} of {page.n}."
            )
            yield Observation("quorum", text, number)


def _votes(page: PageData, until: int) -> Iterator[Observation]:
    voted: dict[tuple[int, int, str], int] = {}
    """The block that a node voted for in a round and phase."""
    highest: dict[int, int] = {}
    """The highest round that a node voted in."""
    given_up: dict[int, int] = {}
    """The highest round that a node timed out in."""
    proposals = {message.block: message for message in reversed(page.messages) if message.kind == "proposal"}
    for message in page.messages:
        if message.step > until or message.step == NONE:
            continue
        node, name = message.node, page.nodes[message.node].name
        if message.kind == "timeout":
            given_up[node] = max(given_up.get(node, 0), message.round)
        elif message.kind == "vote" and message.block != NONE:
            block = page.blocks[message.block]
            first = voted.setdefault((node, message.round, message.phase), message.block)
            if first != message.block:
                where = f"round {message.round}{in_phase(message.phase)}"
                text = f"{name} voted twice in {where}: for {page.blocks[first].name} and for {block.name}."
                yield Observation("vote_once", text, message.step, message.block)
            elif message.round < highest.get(node, 0):
                text = f"{name} voted for {block.name} of round {message.round} after a vote of round {highest[node]}."
                yield Observation("vote_forward", text, message.step, message.block)
            elif node in given_up and message.round <= given_up[node]:
                text = f"{name} voted for {block.name} after its timeout of round {given_up[node]}."
                yield Observation("vote_after_timeout", text, message.step, message.block)
            highest[node] = max(highest.get(node, 0), message.round)
            yield from _extension(page, message, proposals.get(message.block))
            yield from _recipients(page, message)


def _extension(page: PageData, vote: PageMessage, proposal: PageMessage | None) -> Iterator[Observation]:
    """Whether the vote's block extends a certificate that the rules allow."""
    if proposal is None or vote.parent_round + 1 == vote.round:
        return
    name, block = page.nodes[vote.node].name, page.blocks[vote.block].name
    if proposal.given_up == NONE:
        text = (
            f"{name} voted for {block}, which follows round {vote.parent_round}, and nothing shows that a quorum gave "
            f"round {vote.round - 1} up."
        )
        yield Observation("safe_to_extend", text, vote.step, vote.block)
        return
    given_up = page.given_up[proposal.given_up]
    if given_up.round + 1 != vote.round or vote.parent_round < max(given_up.high_rounds, default=0):
        text = (
            f"{name} voted for {block}, which extends round {vote.parent_round}; the round that was given up is "
            f"{given_up.round}, and shows a certificate of round {max(given_up.high_rounds, default=0)}."
        )
        yield Observation("safe_to_extend", text, vote.step, vote.block)


def _recipients(page: PageData, vote: PageMessage) -> Iterator[Observation]:
    """Whether a vote went to the leader of the next round; only where leaders are scripted, and so the same for all."""
    leaders = {band.round: band.leaders for band in page.bands} if page.runtime == "twins" else {}
    to = {page.nodes[delivery.to].replica for delivery in vote.deliveries}
    following = leaders.get(vote.round + 1, [])
    if to and following and not to & set(following) and to <= set(leaders.get(vote.round, [])):
        text = (
            f"{page.nodes[vote.node].name} sent its vote for {page.blocks[vote.block].name} to "
            f"{_replicas(page, sorted(to))}, the leader of round {vote.round}, and not to that of the next one, "
            f"{_replicas(page, following)}."
        )
        yield Observation("vote_recipient", text, vote.step, vote.block)


def _commits(page: PageData, until: int) -> Iterator[Observation]:
    last: dict[int, int] = {}
    """The block that a node committed last."""
    seen: set[tuple[int, int]] = set()
    for number, step in enumerate(page.steps[: until + 1]):
        for commit in step.commits:
            block, name = page.blocks[commit.block], page.nodes[step.node].name
            certificate = page.certificates[commit.certificate]
            before = last.get(step.node)
            if (step.node, commit.block) in seen:
                yield Observation("commit_order", f"{name} committed {block.name} a second time.", number, commit.block)
            elif before is not None and block.parent != before:
                text = f"{name} committed {block.name} after {page.blocks[before].name}, which is not its parent."
                yield Observation("commit_order", text, number, commit.block)
            if certificate.block == commit.block:
                text = f"{name} committed {block.name} by its own certificate, without a certified successor."
                yield Observation("one_chain", text, number, commit.block)
            elif not certificate.commits:
                text = f"{name} committed {block.name} by a certificate that commits nothing."
                yield Observation("commit_rule", text, number, commit.block)
            last[step.node] = commit.block
            seen.add((step.node, commit.block))


def in_phase(phase: str) -> str:
    """What names the phase of a vote, where a protocol votes more than once in a round."""
    return f", phase {phase}" if phase else ""


def _replicas(page: PageData, replicas: list[int]) -> str:
    return ", ".join(page.replicas[replica] if replica < len(page.replicas) else str(replica) for replica in replicas)
