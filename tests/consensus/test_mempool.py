"""Mempool: first come first served, bounded, without what ancestors have."""

from __future__ import annotations

from typing import Any

import pytest

from diembft.consensus.block_tree import BlockTree, Node
from diembft.consensus.config import Config
from diembft.consensus.effects import Reason
from diembft.consensus.mempool import Mempool
from diembft.consensus.quorums import Quorums
from diembft.messages.sizes import REQUEST_OVERHEAD_BYTES, request_bytes
from diembft.messages.types import Request
from tests.consensus.rig import Craft, altered, make_machine


@pytest.fixture
def craft() -> Craft:
    return Craft()


def holding(*requests: Request, **parameters: Any) -> Mempool:
    mempool = Mempool(Config(n=4, **parameters))
    for request in requests:
        assert mempool.refusal(request) is None
        mempool.add(request)
    return mempool


def node_with(craft: Craft, *requests: Request) -> Node:
    tree = BlockTree(craft.config, craft.digests, craft.genesis, make_machine(), Quorums(craft.config))
    return tree.execute(craft.block(1, payload=requests))


def test_first_come_first_served(craft: Craft) -> None:
    requests = [craft.request(number) for number in (3, 1, 2)]
    mempool = holding(*requests)
    assert len(mempool) == 3
    assert mempool.select(1, []) == tuple(requests)
    assert len(mempool) == 3, "what is proposed waits until it is committed"


def test_what_an_uncommitted_ancestor_has_is_left_out(craft: Craft) -> None:
    requests = [craft.request(number) for number in range(4)]
    mempool = holding(*requests)
    other_operation = craft.request(2, b"other")
    ancestors = [node_with(craft, requests[1]), node_with(craft), node_with(craft, other_operation)]
    assert mempool.select(1, ancestors) == (requests[0], requests[3])


def test_limits_of_a_block(craft: Craft) -> None:
    requests = [craft.request(number, bytes(10)) for number in range(5)]
    assert holding(*requests, max_block_requests=2).select(1, []) == tuple(requests[:2])
    small = {"max_request_bytes": 10, "sync_batch_bytes": 100}
    assert holding(*requests, max_block_bytes=30, **small).select(1, []) == tuple(requests[:3])
    assert holding(*requests, max_block_bytes=39, **small).select(1, []) == tuple(requests[:3])
    several = [craft.request(number, b"", "alice", b"") for number in range(3)]
    few = {"max_request_operations": 2}
    assert holding(*several, max_block_operations=4, **few).select(1, []) == tuple(several[:2])
    assert holding(*several, max_block_operations=5, **few).select(1, []) == tuple(several[:2])


def test_sessions_are_kept_apart(craft: Craft) -> None:
    one, other = craft.request(1), craft.request(1, session=bytes(16))
    mempool = holding(one, other)
    assert mempool.select(1, [node_with(craft, one)]) == (other,)
    mempool.forget((one,))
    assert mempool.select(1, []) == (other,)


def test_refusals(craft: Craft) -> None:
    mempool = holding(craft.request(1), max_waiting_requests=3, max_waiting_per_client=2)
    assert mempool.refusal(craft.request(1)) is Reason.DUPLICATE
    assert mempool.refusal(craft.request(1, b"other")) is Reason.DUPLICATE
    mempool.add(craft.request(2))
    assert mempool.refusal(craft.request(3)) is Reason.FULL, "this client's share is used up"
    assert mempool.refusal(craft.request(1, client="bob")) is None
    mempool.add(craft.request(1, client="bob"))
    assert mempool.refusal(craft.request(2, client="bob")) is Reason.FULL


def test_what_is_committed_is_forgotten_whatever_operation_won(craft: Craft) -> None:
    mempool = holding(craft.request(1), craft.request(2), craft.request(3), max_waiting_per_client=3)
    mempool.forget((craft.request(2, b"other"), craft.request(7)))
    assert mempool.select(1, []) == (craft.request(1), craft.request(3))
    assert mempool.refusal(craft.request(4)) is None, "its place is free"
    mempool.forget((craft.request(1), craft.request(3)))
    assert len(mempool) == 0
    assert mempool.state_key() == holding().state_key()
    assert mempool._per_client == {}


def test_holds_this_very_request(craft: Craft) -> None:
    request = craft.request(1)
    mempool = holding(request)
    assert mempool.holds(request)
    assert not mempool.holds(altered(request, signature=b"?"))
    assert not mempool.holds(craft.request(1, b"other"))
    assert not mempool.holds(craft.request(2))


def test_oldest_within_limits(craft: Craft) -> None:
    requests = [craft.request(number) for number in range(4)]
    mempool = holding(*requests)
    assert mempool.oldest(2, 10_000) == tuple(requests[:2])
    assert mempool.oldest(9, 10_000) == tuple(requests)
    assert mempool.oldest(9, 3 * request_bytes(requests[0])) == tuple(requests[:3])
    assert mempool.oldest(9, REQUEST_OVERHEAD_BYTES) == ()


def test_fork_and_state_key(craft: Craft) -> None:
    mempool = holding(craft.request(1), craft.request(2))
    key = mempool.state_key()
    fork = mempool.fork()
    assert fork.state_key() == key
    fork.add(craft.request(3))
    fork.forget((craft.request(1),))
    assert mempool.state_key() == key != fork.state_key()
    assert mempool._per_client == {"alice": 2}
    assert fork._per_client == {"alice": 2}
    reordered = holding(craft.request(2), craft.request(1))
    assert reordered.state_key() != key, "the order decides what is proposed first"
