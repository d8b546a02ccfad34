"""From a trace to what one page shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from diembft.pages import data
from diembft.pages.data import NONE, PageVote
from diembft.pages.failure import tell_failure
from diembft.pages.layout import lay_out
from diembft.pages.steps import Reader, clients_of
from diembft.pages.story import blocks_named, tell
from diembft.pages.survey import MAX_BYTES, Survey, choose_window, span, survey
from diembft.trace.files import read_trace
from diembft.trace.records import Header, Record

MAX_STORIES = 20
"""How many violations of one run are told; the first ones say the most."""


def prepare(
    trace: Iterable[Record], rounds: tuple[int, int] | None = None, max_bytes: int = MAX_BYTES
) -> data.PageData:
    """What a page shows of a trace.

    The trace is read twice: a list, or a `TraceFile`. `rounds` (first, last) asks for a part of it; without it as much
    as fits is shown. Raises InputError for a trace that is empty or names unknown nodes, and for rounds that it lacks.
    """
    found = survey(trace)
    window = choose_window(found, rounds, max_bytes)
    reader = Reader(found.header, *span(found, window))
    reader.read(trace)
    reader.mark_earlier_commits()
    window.steps_before, window.steps_after = reader.steps_before, reader.steps_after
    lay_out(reader.catalogue.blocks)
    page = _page(found, window, reader)
    for step, violated in reader.violations[:MAX_STORIES]:
        found_certificates = [reader.catalogue.certificate(certificate) for certificate in violated.certificates]
        certificates = [index for index in found_certificates if index != NONE]
        votes = [
            PageVote(
                NONE if message.sender is None else message.sender,
                vote.round,
                vote.phase,
                reader.catalogue.voted_for(vote),
            )
            for message in violated.signed
            if (vote := message.vote) is not None
        ]
        page.stories.append(tell(page, step, violated, certificates, votes))
    page.reasons = [blocks_named(page, reason) for reason in page.reasons]
    if page.passed is False and not page.stories:
        page.stories += [tell_failure(page, reason) for reason in page.reasons[:MAX_STORIES]]
    if page.stories:  # the blocks that conflict stand in the first rows
        sides = page.stories[0].sides
        lay_out(page.blocks, {block: len(sides) - index for index, side in enumerate(sides) for block in side.chain})
    return page


def _page(found: Survey, window: data.Window, reader: Reader) -> data.PageData:
    header, ended = found.header, found.ended
    nodes = _nodes(found)
    names = ["" for _ in range(header.n)]
    shorts = list(names)
    for node in reversed(nodes):
        if 0 <= node.replica < header.n:
            names[node.replica], shorts[node.replica] = node.name, node.short
    return data.PageData(
        title=_title(header),
        scenario=header.scenario.replace("; ", "\n  "),
        protocol=header.protocol,
        runtime=header.runtime,
        n=header.n,
        quorum=header.quorum,
        delta_s=header.delta_s,
        seed=header.seed,
        replay=header.replay,
        nodes=nodes,
        replicas=names,
        shorts=shorts,
        passed=ended.passed if ended else None,
        reasons=list(ended.reasons) if ended else [],
        figures=ended.figures if ended else {},
        window=window,
        start_states=reader.start_states,
        start_status=reader.start_status,
        blocks=reader.catalogue.blocks,
        certificates=reader.catalogue.certificates,
        given_up=reader.catalogue.given_up,
        messages=reader.messages,
        steps=reader.steps,
        bands=_bands(found, window, reader),
    )


def _title(header: Header) -> str:
    title = header.title or f"A run of {header.n} replicas"
    return title + (f", planted: {', '.join(header.bugs)}" if header.bugs else "")


def _nodes(found: Survey) -> list[data.PageNode]:
    header = found.header
    identities = [node.replica for node in header.nodes]
    names = [node.name for node in header.nodes]
    shorts = _shorts(names)
    nodes = [
        data.PageNode(
            node.name,
            short,
            node.replica,
            node.correct and node.name not in found.byzantine,
            identities.count(node.replica) > 1,
        )
        for node, short in zip(header.nodes, shorts, strict=True)
    ]
    return nodes + [data.PageNode(name, name[:3], NONE, True, False) for name in clients_of(header)]


def _shorts(names: list[str]) -> list[str]:
    """What is left of the names without the letters that all have in common at their beginning; at most three."""
    if not names:
        return []
    common = 0
    first, last = min(names), max(names)
    while common < min(len(first), len(last)) and first[common] == last[common] and not first[common].isdigit():
        common += 1
    shorts = [name[common:][:3] for name in names]
    return shorts if all(shorts) and len(set(shorts)) == len(names) else [name[:3] for name in names]


def _bands(found: Survey, window: data.Window, reader: Reader) -> list[data.Band]:
    leaders: dict[int, set[int]] = {}
    states = [*enumerate(reader.start_states), *((step.node, step.state) for step in reader.steps)]
    for node, state in states:
        if state is not None and found.header.nodes[node].name not in found.byzantine:
            known = {state.leader} - {NONE}  # under a network model a round may begin before its leader is decided
            leaders.setdefault(state.round, set()).update(known)
    entered = [round_ for round_ in sorted(found.entries) if window.first_round <= round_ <= window.last_round]
    _, end = span(found, window)
    ends = [found.entries[round_] for round_ in entered[1:]] + [min(end, found.until)]
    return [
        data.Band(
            round_,
            round(found.entries[round_], 6),
            round(until, 6),
            sorted(leaders.get(round_, ())),
            reader.round_sets.get(round_, []),
        )
        for round_, until in zip(entered, ends, strict=True)
        if round_ > 0 or until > found.entries[round_]
    ]


class TraceFile:
    """A trace on disk, read anew each time: larger than what one wants in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Record]:
        return read_trace(self._path)
