"""What an exploration is to decide."""

from __future__ import annotations

import msgspec

from diembft.errors import InputError, require_types
from diembft.protocols.by_name import DEFAULT_PROTOCOL, protocol_of
from diembft.twins.exhaustion.engine import Engine
from diembft.twins.runs.models import MODELS, make_model
from diembft.twins.runs.world import world_of


class Question(msgspec.Struct, frozen=True):
    """What is to be decided: a system, a network model, and which scenarios count.

    >>> from diembft import Question
    >>> Question(model="barrier", quorum_filter=True).replicas
    4
    """

    model: str = "barrier"
    replicas: int = 4
    faulty: int = 1
    sets: int = 2
    twins_lead: bool = False
    """Only validators with twins lead; otherwise all do."""
    quorum_filter: bool = False
    """Only partitions in which some set holds a quorum."""
    bugs: tuple[str, ...] = ()
    crashes: bool = False
    protocol: str = DEFAULT_PROTOCOL

    def __post_init__(self) -> None:
        require_types(self)
        if self.model not in MODELS:
            raise InputError(f"model: {self.model!r} is none of {', '.join(MODELS)}")
        if not 1 <= self.replicas <= 13:
            raise InputError(f"replicas: {self.replicas} is not between 1 and 13")
        if not 0 <= self.faulty <= self.replicas:
            raise InputError(f"faulty: {self.faulty} is not between 0 and the number of replicas, {self.replicas}")
        if self.twins_lead and not self.faulty:
            raise InputError("leaders: twins cannot lead where there are none")
        if not 1 <= self.sets <= self.replicas + self.faulty:
            raise InputError(f"sets: {self.sets} is not between 1 and the number of nodes")

    def engine(self) -> Engine:
        """Something that computes states and successors for this question."""
        protocol = protocol_of(self.protocol)
        world = world_of(protocol, self.replicas, self.faulty, self.bugs, crashes=self.crashes)
        model = make_model(
            self.model, world, max_sets=self.sets, quorum_filter=self.quorum_filter, twins_lead=self.twins_lead
        )
        return Engine(world, model)
