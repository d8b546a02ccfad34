"""The story of a run that failed, though no invariant was violated: what failed, and where the run came to a halt."""

from __future__ import annotations

from diembft.pages.data import NONE, Observation, PageData, Story
from diembft.pages.observations import observe
from diembft.pages.story import rounds_told

LAST_ROUNDS = 6
"""How many rounds, the last ones, such a story tells of."""

MEANINGS = {
    "workload_timeout": "Every client must have f + 1 equal replies to each request within the time of its workload.",
    "exactly_once": "Every request must be executed once, on the longest committed chain of a correct replica.",
    "outside_fault_model": "At most f replicas may be Byzantine; with more of them the protocol promises nothing.",
}
"""What each of these failures says, for readers."""


def tell_failure(page: PageData, reason: str) -> Story:
    """The story of one of the reasons for which a run failed: its kind, a colon, and what is said of it."""
    kind, colon, detail = reason.partition(": ")
    if not colon:
        kind, detail = "the run", reason
    end = len(page.steps) - 1
    last = max([band.round for band in page.bands], default=0)
    return Story(
        step=end,
        moment=end,
        property=kind,
        meaning=MEANINGS.get(kind, ""),
        detail=detail,
        nodes=[],
        round=NONE,
        certificates=[],
        votes=[],
        sides=[],
        fork=NONE,
        both=[],
        equivocations=[],
        observations=[*(_progress(page) if _shows_end(page) else []), *observe(page, end)],
        rounds=rounds_told(page, max(1, page.window.first_round, last - LAST_ROUNDS + 1), last),
        violation=False,
    )


def _shows_end(page: PageData) -> bool:
    return page.window.last_round == page.window.all_rounds and page.window.cut_s is None


def _progress(page: PageData) -> list[Observation]:
    """When something was committed last, which round was not left, and who was down."""
    told = []
    committed = [index for index, step in enumerate(page.steps) if step.commits]
    if committed:
        last = page.steps[committed[-1]]
        text = f"The last block was committed at {last.at:.3f} s: {page.blocks[last.commits[-1].block].name}."
        told.append(Observation("progress", text, committed[-1]))
    else:
        told.append(Observation("progress", "No block was committed."))
    if page.bands:
        band = page.bands[-1]
        entered = next((index for index, step in enumerate(page.steps) if step.at >= band.start), NONE)
        text = f"No round came after round {band.round}, which the first node entered at {band.start:.3f} s"
        voted, gave_up = [
            len({message.sender for message in page.messages if (message.kind, message.round) == (kind, band.round)})
            for kind in ("vote", "timeout")
        ]
        text += f"; {_count(voted)} voted in it, {_count(gave_up)} gave it up (a quorum is {page.quorum})."
        told.append(Observation("progress", text, entered))
    for node, (status, index) in _down(page).items():
        told.append(Observation("progress", f"{page.nodes[node].name} was {status} at the end.", index))
    return told


def _count(replicas: int) -> str:
    return f"{replicas or 'no'} replica{'' if replicas == 1 else 's'}"


def _down(page: PageData) -> dict[int, tuple[str, int]]:
    """The nodes that were not up at the end, and since which step."""
    down = {
        node: (status, NONE)
        for node, status in enumerate(page.start_status)
        if status != "up" and page.nodes[node].replica != NONE
    }
    for index, step in enumerate(page.steps):
        if step.kind in ("crashed", "paused"):
            down[step.node] = (step.kind, index)
        elif step.kind in ("restarted", "resumed"):
            down.pop(step.node, None)
    return down
