"""The simulated network: how long each message takes, and whether it arrives at all, or twice.

Everything is drawn from the generator that is handed in, one message after the other, so that a seed fixes all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from random import Random
from typing import Protocol, TypeAlias, assert_never

from msgspec import Struct
from typing_extensions import override

from diembft.errors import require, require_factor, require_seconds, require_types
from diembft.host.recording import LOSS
from diembft.messages.types import Message, Reply, Request
from diembft.testcase.failures import CLIENT

PARTITION = "partition"
"""Dropped because sender and receiver are in different sets."""


class Constant(Struct, frozen=True, tag=True):
    """Every message takes the same time, in seconds. The fastest to simulate."""

    delay_s: float

    def __post_init__(self) -> None:
        require_types(self)
        require_seconds(self.delay_s, "Constant.delay_s", zero=True)


class Uniform(Struct, frozen=True, tag=True):
    """Drawn evenly from `low_s` to `high_s` seconds.

    >>> from diembft import Uniform
    >>> Uniform(0.01, 0.05).high_s
    0.05
    """

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        require_types(self)
        require_seconds(self.high_s, "Uniform.high_s", zero=True)
        require(0 <= self.low_s <= self.high_s, "Uniform.low_s", self.low_s, "is not between 0 and high_s")


class Exponential(Struct, frozen=True, tag=True):
    """`low_s` seconds and an exponentially distributed part of mean `mean_s`; never more than `high_s` in all."""

    low_s: float
    mean_s: float
    high_s: float

    def __post_init__(self) -> None:
        require_types(self)
        require_seconds(self.high_s, "Exponential.high_s", zero=True)
        require(0 <= self.low_s <= self.high_s, "Exponential.low_s", self.low_s, "is not between 0 and high_s")
        require_seconds(self.mean_s, "Exponential.mean_s")


class LogNormal(Struct, frozen=True, tag=True):
    """Log-normally distributed with this median in seconds, as real networks often are; never more than `high_s`.

    `sigma` is the deviation of the logarithm: 0.5 is a calm network, 1.5 a wild one.
    """

    median_s: float
    sigma: float
    high_s: float

    def __post_init__(self) -> None:
        require_types(self)
        require_seconds(self.high_s, "LogNormal.high_s")
        require(
            0 < self.median_s <= self.high_s, "LogNormal.median_s", self.median_s, "is not above 0 and up to high_s"
        )
        require_factor(self.sigma, "LogNormal.sigma", 0, MOST_SIGMA)


MOST_SIGMA = 100.0
"""The wildest of networks: beyond it there are no such numbers any more."""

Latency: TypeAlias = Constant | Uniform | Exponential | LogNormal


def longest_s(latency: Latency) -> float:
    """The longest delay that the distribution gives, in seconds."""
    match latency:
        case Constant(delay_s):
            return delay_s
        case Uniform() | Exponential() | LogNormal():
            return latency.high_s
        case _:
            assert_never(latency)


def sampler(latency: Latency, rng: Random) -> Callable[[], float]:
    """A function that draws one delay, in seconds, each time it is called."""
    draw = rng.random
    match latency:
        case Constant(delay_s):
            return lambda: delay_s
        case Uniform(low_s, high_s):
            span_s = high_s - low_s
            return lambda: low_s + span_s * draw()
        case Exponential(low_s, mean_s, high_s):
            return lambda: min(low_s - mean_s * log(1.0 - draw()), high_s)
        case LogNormal(median_s, sigma, high_s):
            mu, normal = log(median_s), rng.lognormvariate
            return lambda: min(normal(mu, sigma), high_s)
        case _:
            assert_never(latency)


class Conditions(Struct, frozen=True, kw_only=True):
    """What the network does to messages between replicas, and clients and replicas. Probabilities are 0 to 1.

    >>> from diembft import Conditions, Settings, Uniform, simulate
    >>> lossy = Conditions(latency=Uniform(0.01, 0.05), loss=0.1)
    >>> simulate(Settings(conditions=lossy, requests=5, seed=1)).held
    True
    """

    latency: Latency = Constant(0.05)
    loss: float = 0.0
    duplication: float = 0.0
    """How probably a message arrives twice, the second time after a delay of its own."""
    reordering: float = 0.0
    """How probably a message is overtaken: it takes up to four times its delay."""

    def __post_init__(self) -> None:
        require_types(self)
        for field in ("loss", "duplication", "reordering"):
            probability = getattr(self, field)
            require(0 <= probability <= 1, f"Conditions.{field}", probability, "is no probability, which is 0 to 1")

    @property
    def longest_s(self) -> float:
        """The longest time from sending to arrival, in seconds, of a message that is not lost."""
        return longest_s(self.latency) * (OVERTAKEN if self.reordering else 1)


OVERTAKEN = 4.0
"""By what factor the delay of an overtaken message grows, at most."""

Carried: TypeAlias = Message | Request | Reply
"""All that crosses the simulated network."""

Arrivals: TypeAlias = tuple[float, ...] | str
"""After how many seconds a message arrives (twice, if it is duplicated), or the reason why it never does."""


class Network(Protocol):
    """Decides the fate of messages. `src` and `dest` are indices of nodes, or CLIENT."""

    @property
    def constant_delay_s(self) -> float | None:
        """The delay of every message as long as nothing changes; None if messages must be asked for one by one."""
        ...

    def arrivals(self, src: int, dest: int, message: Carried) -> Arrivals:
        """The fate of one message to one receiver."""
        ...

    def own_copy(self, node: int, message: Message) -> None:
        """A node handles its own copy of what it sends: this crosses no network, but failure rules may care."""
        ...


class SeededNetwork(Network):
    """The network under changing conditions and partitions. Clients are in no set and reach everybody."""

    __slots__ = ("_conditions", "_draw", "_rng", "_set_of", "constant_delay_s")

    constant_delay_s: float | None

    def __init__(self, nodes: int, conditions: Conditions, rng: Random) -> None:
        self._rng = rng
        self._set_of = [0] * nodes
        self.conditions = conditions

    @property
    def conditions(self) -> Conditions:
        """What holds now."""
        return self._conditions

    @conditions.setter
    def conditions(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._draw = sampler(conditions.latency, self._rng)
        self._choose_path()

    def partition(self, sets: Sequence[Sequence[int]]) -> None:
        """From now on nodes hear only those of their set; nodes in no set hear nobody.

        One set of all: the network is whole.
        """
        nodes = len(self._set_of)
        self._set_of = [-1 - node for node in range(nodes)]
        for number, members in enumerate(sets):
            for node in members:
                self._set_of[node] = number
        self._choose_path()

    def connected(self, first: int, second: int) -> bool:
        """Whether two nodes can hear each other."""
        return first == CLIENT or second == CLIENT or self._set_of[first] == self._set_of[second]

    @override
    def arrivals(self, src: int, dest: int, message: Carried) -> Arrivals:
        if not self.connected(src, dest):
            return PARTITION
        conditions = self._conditions
        draw = self._rng.random
        if conditions.loss and draw() < conditions.loss:
            return LOSS
        delay_s = self._draw()
        if conditions.reordering and draw() < conditions.reordering:
            delay_s *= 1 + (OVERTAKEN - 1) * draw()
        if conditions.duplication and draw() < conditions.duplication:
            return delay_s, self._draw()
        return (delay_s,)

    @override
    def own_copy(self, node: int, message: Message) -> None:
        """Nothing to do."""

    def _choose_path(self) -> None:
        conditions = self._conditions
        certain = not (conditions.loss or conditions.duplication or conditions.reordering)
        whole = len(set(self._set_of)) <= 1
        latency = conditions.latency
        self.constant_delay_s = latency.delay_s if isinstance(latency, Constant) and certain and whole else None
