"""Where the blocks of a tree stand: a column for each round that has a block, a row for each branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from diembft.pages.data import NONE, PageBlock


def lay_out(blocks: Sequence[PageBlock], priority: Mapping[int, int] | None = None) -> None:
    """Set `column` and `row` of every block.

    A branch keeps its row; at a fork the child with the highest `priority` below it, then with the most commits, then
    with the most blocks, goes on in the row of its parent, and the others open the lowest row that is free from there
    to their branch's end. Branches of higher priority (without one it is 0) take their rows first.
    """
    order = sorted(range(len(blocks)), key=lambda index: (blocks[index].round, index))
    columns = {round_: column for column, round_ in enumerate(sorted({block.round for block in blocks}))}
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    for index in order:
        blocks[index].column = columns[blocks[index].round]
        parent = parent_of(blocks, index)
        if parent == NONE:
            roots.append(index)
        else:
            children.setdefault(parent, []).append(index)
    weights = _weights(blocks, order, priority or {})
    taken: list[list[tuple[int, int]]] = []
    """For each row the columns, first to last, that its branches occupy."""
    waiting: list[tuple[int, int, int]] = []
    """Branches without a row: by priority, then the one that was found last, and its first block."""
    for number, root in enumerate(reversed(roots)):
        heappush(waiting, (-weights[root][0], -number, root))
    found = len(roots)
    while waiting:
        head = heappop(waiting)[-1]
        parent = parent_of(blocks, head)
        start = blocks[head].column if parent == NONE else blocks[parent].column + 1
        branch = [head]
        while branch[-1] in children:
            ranked = sorted(children[branch[-1]], key=lambda child: (weights[child], -child), reverse=True)
            for child in reversed(ranked[1:]):
                heappush(waiting, (-weights[child][0], -found, child))
                found += 1
            branch.append(ranked[0])
        row = _free_row(taken, start, blocks[branch[-1]].column)
        for index in branch:
            blocks[index].row = row


def parent_of(blocks: Sequence[PageBlock], index: int) -> int:
    """The parent of a block; NONE also if it is not of an earlier round, which no honest trace shows."""
    parent = blocks[index].parent
    return parent if parent != NONE and blocks[parent].round < blocks[index].round else NONE


def ancestors(blocks: Sequence[PageBlock], index: int) -> list[int]:
    """A block and its ancestors, newest first."""
    chain = []
    while index != NONE:
        chain.append(index)
        index = parent_of(blocks, index)
    return chain


def _weights(
    blocks: Sequence[PageBlock], order: Sequence[int], priority: Mapping[int, int]
) -> list[tuple[int, int, int]]:
    """For each block the highest priority, the number of commits and that of blocks in its subtree."""
    weights = [
        (priority.get(index, 0), sum(step != NONE for step in block.committed), 1) for index, block in enumerate(blocks)
    ]
    for index in reversed(order):
        parent = parent_of(blocks, index)
        if parent != NONE:
            highest, commits, size = weights[parent]
            more = weights[index]
            weights[parent] = (max(highest, more[0]), commits + more[1], size + more[2])
    return weights


def _free_row(taken: list[list[tuple[int, int]]], start: int, end: int) -> int:
    for row, spans in enumerate(taken):
        if all(end < first or start > last for first, last in spans):
            spans.append((start, end))
            return row
    taken.append([(start, end)])
    return len(taken) - 1
