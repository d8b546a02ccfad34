from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diembft.pages.data import NONE, PageBlock
from diembft.pages.layout import ancestors, lay_out


def tree(*blocks: tuple[int, int], committed: tuple[int, ...] = ()) -> list[PageBlock]:
    """Blocks given as (round, parent); those listed as committed are, by one node."""
    return [
        PageBlock("", "", round_, 0, parent, NONE, [], [0 if index in committed else NONE])
        for index, (round_, parent) in enumerate(blocks)
    ]


def places(blocks: list[PageBlock]) -> list[tuple[int, int]]:
    lay_out(blocks)
    return [(block.column, block.row) for block in blocks]


def test_a_chain_keeps_its_row_and_rounds_without_blocks_take_no_room() -> None:
    assert places(tree((0, NONE), (1, 0), (5, 1))) == [(0, 0), (1, 0), (2, 0)]


def test_at_a_fork_the_longer_branch_goes_on_in_the_row() -> None:
    assert places(tree((0, NONE), (1, 0), (2, 0), (3, 2))) == [(0, 0), (1, 1), (2, 0), (3, 0)]


def test_at_a_fork_commits_count_more_than_length() -> None:
    blocks = tree((0, NONE), (1, 0), (2, 0), (3, 2), committed=(1,))
    assert places(blocks) == [(0, 0), (1, 0), (2, 1), (3, 1)]


def test_branches_of_higher_priority_take_their_rows_first() -> None:
    blocks = tree((0, NONE), (1, 0), (2, 1), (2, 1), (3, 0), (4, 4), committed=(2, 3))
    lay_out(blocks, {4: 1, 3: 2})
    assert [block.row for block in blocks] == [0, 0, 2, 0, 1, 1]


def test_a_row_is_used_again_once_its_branch_has_ended() -> None:
    blocks = tree((0, NONE), (1, 0), (2, 0), (3, 1), (4, 3), (5, 3), (6, 5))
    assert [block[1] for block in places(blocks)] == [0, 0, 1, 0, 1, 0, 0]


def test_a_parent_that_is_not_of_an_earlier_round_is_none() -> None:
    blocks = tree((1, 1), (1, 0))
    assert places(blocks) == [(0, 0), (0, 1)]
    assert ancestors(blocks, 0) == [0]


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 40)), max_size=30),
    st.dictionaries(st.integers(0, 30), st.integers(1, 3), max_size=6),
)
def test_no_two_blocks_share_a_place_and_no_edge_crosses_a_block(
    shape: list[tuple[int, int]], priority: dict[int, int]
) -> None:
    blocks = tree((0, NONE), *((round_, parent % (index + 1)) for index, (round_, parent) in enumerate(shape)))
    lay_out(blocks, priority)
    taken = [(block.column, block.row) for block in blocks]
    assert len(set(taken)) == len(taken)
    for index, block in enumerate(blocks):
        if ancestors(blocks, index)[1:]:
            start = blocks[ancestors(blocks, index)[1]].column
            between = [place for place in taken if place[1] == block.row and start < place[0] < block.column]
            assert between == []
