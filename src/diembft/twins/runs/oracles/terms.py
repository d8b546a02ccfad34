"""The terms on which oracles judge a scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from diembft.protocols.by_name import protocol_of
from diembft.protocols.interface import System, UnderTest
from diembft.twins.runs.record import TICKS_PER_BOUND, Cast
from diembft.twins.runs.routes import routes_of
from diembft.twins.scenarios.scenario import Scenario

LIVENESS_BOUNDS = 7
"""How long a block of a synchronous round with correct leaders may take to be committed by all, in delay bounds, where
a chain of two commits; two more for each block that the chain is longer by."""


class Terms(NamedTuple):
    """What a scenario says that an oracle must know."""

    cast: Cast
    last: int
    """The last scripted round."""
    leaders: tuple[int, ...]
    """Of the rounds from 1 to `last`."""
    quorumless: int | None
    """The first round that nobody can leave: none of its sets holds a quorum, and what it drops is lost."""
    gst: int
    """Rounds up to this one are disturbed, none after it is."""
    judged: tuple[int, ...]
    """Correct nodes that stay up after gst; none if more are faulty, or down, than the protocol tolerates."""
    bugs: bool
    """Whether bugs are planted."""
    promises_liveness: bool
    """Whether, as far as the script goes, every correct replica reaches gst and must then commit."""
    signed: Callable[[Any], bool]
    """Whether a client signed a request."""
    protocol: UnderTest

    def leader(self, round_: int) -> int:
        """Who leads a round."""
        return self.leaders[min(round_, self.last) - 1]

    @property
    def bound(self) -> int:
        """How long a block may take to be committed by all, in ticks."""
        return self.bounds * TICKS_PER_BOUND

    @property
    def bounds(self) -> int:
        """The same in delay bounds."""
        own = self.protocol.commit_bounds
        return LIVENESS_BOUNDS + 2 * (self.protocol.chain - 2) if own is None else own


def terms_of(scenario: Scenario, system: System, *, delayed: bool = False) -> Terms:
    """The terms of a scenario; `delayed` as in the executor."""
    cast = system.cast
    routes = [routes_of(scenario.replicas, scenario.twins, round_) for round_ in scenario.rounds]
    gst = scenario.synchronous_from
    down = 0
    for index, round_ in enumerate(routes):
        down = (down | round_.crash) & ~round_.restart
        if round_.crash or round_.restart:
            gst = max(gst, index + 1)
    protocol = protocol_of(scenario.protocol)
    quorumless = None
    for index, round_ in enumerate(() if protocol.timed_rounds else routes):
        if not round_.has_quorum and not (delayed if round_.delayed is None else round_.delayed):
            quorumless = index + 1
            break
    up = tuple([node for node in cast.correct if not down >> node & 1])
    tolerable = cast.n - len(up) <= cast.f
    absent = any(round_.crash & ~round_.restart for round_ in routes)  # as if out of its set, for some rounds
    silencing = any(drop.msg_type == "*" for round_ in scenario.rounds for drop in round_.exceptions)
    leaders = tuple([round_.leader for round_ in routes])
    terms = Terms(
        cast,
        len(routes),
        leaders,
        quorumless,
        gst,
        up if tolerable else (),
        bool(scenario.bugs),
        False,
        system.signed,
        protocol,
    )
    everywhere = all(round_.has_quorum for round_ in routes)  # what is delayed lets nobody leave a round either
    promises = tolerable and everywhere and not absent and not silencing and bool(judged_rounds(terms))
    return terms._replace(promises_liveness=promises)


def judged_rounds(terms: Terms) -> list[int]:
    """The rounds whose blocks must be committed in time, if they are entered: synchronous, with correct leaders in a
    row, as many as a chain that commits has and the one who tells of it."""
    if not terms.judged or not terms.last:
        return []
    faulty = terms.cast.faulty
    leaders = terms.protocol.chain + 1
    return [
        round_
        for round_ in range(terms.gst + 2, terms.last + 1)
        if not any(terms.leader(led) in faulty for led in range(round_, round_ + leaders))
    ]
