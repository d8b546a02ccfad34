"""Steps that end: what a replica does, within limits, whatever its code is.

A step of a node under test may have so many effects and take so long; what it raises instead, or does beyond that, is a
finding like any other (`diembft.judge.crash`), and no fault of the tester. So all that a tester asks of a replica, be
it a step, a copy or to come up again, goes through here.

How a step that never ends is ended: `watchdog`.
"""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from diembft.machine.events import Received, TimerFired
from diembft.protocols.interface import Replica
from diembft.twins.runs import watchdog
from diembft.twins.runs.watchdog import Ended, in_time

A = TypeVar("A")
R = TypeVar("R")

MAX_EFFECTS = 10_000
"""How many effects a step may have."""

MESSAGES_A_PAIR_AND_ROUND = 10
"""See `most_steps`."""

_SHOWN_CHARACTERS = 120
_SHOWN_FRAMES = 2
_OURS = (__file__, watchdog.__file__)
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
_PACKAGES = tuple([sysconfig.get_paths()[scheme] + os.sep for scheme in ("purelib", "platlib")])


def most_steps(nodes: int, round_: int) -> int:
    """How many steps so many nodes may make at one moment: in a phase of a model, or in a tick of virtual time.

    What one node tells another in a round is a handful of messages: a proposal, votes, a timeout, a few answers. What
    it must tell besides is what the other has missed, a message or two for each round until then, so that this grows
    with the round. And each node may once have all the effects that a step may have. That is far more than any
    protocol needs, and what goes on for ever is over it within seconds.
    """
    return MAX_EFFECTS * nodes + MESSAGES_A_PAIR_AND_ROUND * round_ * nodes * nodes


class StepFailed(Exception):
    """A replica did not do what it was asked. `what` says why, in one line that does not name the node."""

    def __init__(self, what: str, node: int = -1) -> None:
        super().__init__(what)
        self.what = what
        self.node = node
        """Whoever catches it and knows the node says so."""


# --- what is asked of a replica


def step(replica: Replica, event: Any) -> Sequence[Any]:
    """The effects of one step. Raises StepFailed."""
    effects = guarded(event, replica.step, event)
    try:
        count = len(effects)
    except TypeError:
        raise StepFailed(f"a step returns {type(effects).__name__}, which is no sequence, {_at(event)}") from None
    if count > MAX_EFFECTS:
        raise StepFailed(f"a step has {count:,} effects, more than {MAX_EFFECTS:,}, {_at(event)}")
    return effects


def fork(replica: Replica) -> Replica:
    """An independent copy of a replica. Raises StepFailed."""
    return guarded("fork", _fork, replica)


def _fork(replica: Replica) -> Replica:
    return replica.fork()


def guarded(at: Any, function: Callable[[A], R], argument: A) -> R:
    """Call something of a replica, which must end. `at` is the event, or in a word what is asked. Raises StepFailed."""
    try:
        return in_time(function, argument)
    except (Exception, SystemExit) as failure:  # Ctrl-C, and what else there is, is no matter of the replica
        what = f"{_described(failure)} {_at(at)}"
    raise StepFailed(what)


# --- words


def _at(at: Any) -> str:
    match at:
        case Received(message=message):
            return f"at Received({type(message).__name__})"
        case TimerFired(timer=timer, round=round_):
            return f"at TimerFired({timer.name}, {round_})"
        case str():
            return f"at {at}"
        case _:
            return f"at {type(at).__name__}"


def _described(failure: BaseException) -> str:
    """What happened, and the innermost places in the code of the replica where it did."""
    if isinstance(failure, Ended):
        what = str(failure)
        failure = failure.__cause__ or failure
    else:
        what = type(failure).__name__
        try:
            text = " ".join(str(failure).split())
        except Exception:  # also the words are those of the code under test
            text = ""
        if text:
            what += f": {text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + '...'}"
    places = _places(failure)
    return f"{what} ({places})" if places else what


def _places(failure: BaseException) -> str:
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(failure.__traceback__)
        if frame.f_code.co_filename not in _OURS
    ]
    own = [frame for frame in frames if not _is_library(frame[0])] or frames
    return ", ".join(
        [f"{os.path.basename(file)}:{line} in {name}" for file, line, name in own[: -_SHOWN_FRAMES - 1 : -1]]
    )


def _is_library(file: str) -> bool:
    return file.startswith("<") or (file.startswith(_STDLIB) and not file.startswith(_PACKAGES))
