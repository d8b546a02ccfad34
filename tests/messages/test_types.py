"""Values: frozen, compared by content, named."""

from __future__ import annotations

from typing import get_args

import pytest

from diembft.messages.types import (
    QC,
    BlockRequest,
    BlockResponse,
    Message,
    Relay,
    SyncInfo,
    kind_of,
    round_of,
)
from tests.consensus.rig import Craft, altered


def messages(craft: Craft) -> dict[str, tuple[Message, int]]:
    """One message of each kind, with its round."""
    block = craft.block(4)
    qc = craft.genesis_qc
    return {
        "proposal": (craft.proposal(block, craft.tc(3)), 4),
        "vote": (craft.vote(block, 1), 4),
        "timeout": (craft.timeout(5, 2, None, craft.tc(4)), 5),
        "sync_info": (SyncInfo(6, qc, qc, None), 6),
        "block_request": (BlockRequest(7, block.id, block.id, 1), 7),
        "block_response": (BlockResponse(8, (block,)), 8),
        "relay": (Relay(9, (craft.request(),)), 9),
    }


def test_rounds_and_kinds_of_messages() -> None:
    made = messages(Craft())
    assert {type(message) for message, _ in made.values()} == set(get_args(Message))
    for kind, (message, round_) in made.items():
        assert kind_of(message) == kind
        assert round_of(message) == round_


def test_values_are_frozen_and_compared_by_content() -> None:
    craft = Craft()
    block = craft.block(1)
    with pytest.raises(AttributeError):
        block.round = 2  # type: ignore[misc]  # the very thing that must not work
    again = altered(block)
    assert again == block
    assert again is not block
    assert hash(again) == hash(block)
    assert altered(block, round=2) != block
    assert hash(altered(block, round=2)) != hash(block), "a hash that was remembered belongs to its own value"


def test_what_a_qc_says() -> None:
    craft = Craft()
    first = craft.block(1)
    qc = craft.qc(first)
    assert isinstance(qc, QC)
    assert (qc.round, qc.commits) == (1, True)
    assert not craft.qc(craft.block(5, qc)).commits
