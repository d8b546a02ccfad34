"""The parts of a replica that a Twins scenario supplies, for the exploration."""

from diembft.protocols.diembft.parts import MarkerMachine, MarkerPayload, ScriptedLeaders
from diembft.protocols.interface import NOBODY

__all__ = ["NOBODY", "MarkerMachine", "MarkerPayload", "ScriptedLeaders"]
