"""Mempool: the requests that wait to be proposed, first come first served, bounded in all and per client."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from diembft.consensus.block_tree import Node, RequestKey, key_of
from diembft.consensus.config import Config
from diembft.consensus.effects import Reason
from diembft.messages.sizes import operations_bytes, request_bytes
from diembft.messages.types import Payload, Request


class Mempool:
    """Verified requests that are not known to be committed."""

    __slots__ = ("_config", "_per_client", "_waiting")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._waiting: dict[RequestKey, Request] = {}
        self._per_client: dict[str, int] = {}

    def fork(self) -> Mempool:
        """An independent copy."""
        copy = object.__new__(type(self))
        copy._config = self._config
        copy._waiting = self._waiting.copy()
        copy._per_client = self._per_client.copy()
        return copy

    def state_key(self) -> Hashable:
        """The whole state, exact."""
        return tuple(self._waiting.values())

    def __len__(self) -> int:
        return len(self._waiting)

    def holds(self, request: Request) -> bool:
        """Whether this very request waits here, so that its signature was verified."""
        held = self._waiting.get(key_of(request))
        return held is not None and held == request

    def refusal(self, request: Request) -> Reason | None:
        """Why a request would not be taken; its signature is not looked at."""
        if key_of(request) in self._waiting:
            return Reason.DUPLICATE
        if len(self._waiting) >= self._config.max_waiting_requests:
            return Reason.FULL
        if self._per_client.get(request.client, 0) >= self._config.max_waiting_per_client:
            return Reason.FULL
        return None

    def add(self, request: Request) -> None:
        """Take a verified request that `refusal` has no reason against."""
        self._waiting[key_of(request)] = request
        self._per_client[request.client] = self._per_client.get(request.client, 0) + 1

    def select(self, round_: int, ancestors: Iterable[Node]) -> Payload:
        """What to propose in `round_`: the oldest requests within the limits of a block that no uncommitted ancestor
        has."""
        taken = [node.request_keys for node in ancestors if node.request_keys]
        count, space = self._config.max_block_requests, self._config.max_block_bytes
        operations = self._config.max_block_operations
        payload: list[Request] = []
        for key, request in self._waiting.items():
            if len(payload) >= count:
                break
            if any(key in keys for keys in taken):
                continue
            space -= operations_bytes(request)
            operations -= len(request.operations)
            if space < 0 or operations < 0:
                break
            payload.append(request)
        return tuple(payload)

    def forget(self, payload: Payload) -> None:
        """Drop what was committed, whatever operations came under the same number."""
        for request in payload:
            if self._waiting.pop(key_of(request), None) is not None:
                left = self._per_client[request.client] - 1
                if left:
                    self._per_client[request.client] = left
                else:
                    del self._per_client[request.client]

    def oldest(self, count: int, max_bytes: int) -> Payload:
        """The requests that have waited longest: at most so many, and so many bytes on the wire."""
        taken: list[Request] = []
        space = max_bytes
        for request in self._waiting.values():
            space -= request_bytes(request)
            if len(taken) >= count or space < 0:
                break
            taken.append(request)
        return tuple(taken)
