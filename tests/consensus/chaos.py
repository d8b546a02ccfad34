"""Random runs from a seed: every event and effect as bytes. `python -m tests.consensus.chaos SEED ...` prints digests.

It is run as a program of its own under several values of PYTHONHASHSEED.
"""

from __future__ import annotations

import sys
from hashlib import blake2b
from random import Random

import msgspec

from diembft.consensus.config import Config
from diembft.consensus.effects import Effect, Persist
from diembft.consensus.events import Event
from tests.consensus.rig import Rig, altered

_encode = msgspec.msgpack.Encoder().encode


def without_ledger(effect: Effect) -> Effect:
    if isinstance(effect, Persist) and effect.checkpoint is not None:
        bare: Effect = altered(effect, checkpoint=altered(effect.checkpoint, ledger=None))
        return bare
    return effect


def run(seed: int, steps: int = 600) -> list[bytes]:
    """Validators under random delivery, loss, repetition, timers, crashes; the bytes of each step's event and effects.

    The ledger's states are not written (maps have no order of their own); their ids are.
    """
    random = Random(seed)
    n = random.choice([4, 5, 7])
    rig = Rig(config=Config(n=n, rest=random.random() < 0.5, sync_batch=3), twins=(0,), start=False)
    told: list[bytes] = []

    def stepped(index: int, event: Event, effects: list[Effect]) -> None:
        shown = [without_ledger(effect) for effect in effects]
        kinds = [type(effect).__name__ for effect in effects]
        told.append(_encode((index, type(event).__name__, event, kinds, shown)))

    rig.observe = stepped
    for node in rig.nodes:
        rig.start(node.index)
    for number in range(steps):
        node = rig.nodes[random.randrange(len(rig.nodes))]
        choice = random.random()
        if choice < 0.02:
            rig.request(number, b"op%d" % number, to=[node.index])
        elif choice < 0.07 and node.timers:
            rig.fire(node.index, random.choice(list(node.timers)))
        elif choice < 0.08 and node.replica is not None:
            rig.crash(node.index)
        elif choice < 0.12 and node.replica is None:
            rig.restart(node.index)
        elif choice < 0.2 and rig.flights:
            rig.flights.pop(random.randrange(len(rig.flights)))
        elif rig.flights:
            near = min(len(rig.flights), 8)
            rig.deliver(rig.flights[random.randrange(near)], keep=random.random() < 0.05)
    return told


def digest(seed: int) -> str:
    """Of all that happens in the run of this seed."""
    return blake2b(b"".join(run(seed)), digest_size=16).hexdigest()


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(digest(int(argument)))
