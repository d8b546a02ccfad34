"""Whether a protocol keeps the contract of `diembft.protocols.interface`, on which all that the tester says rests.

One scenario is executed, in which a leader is cut off and a twin leads; each value that comes out of the protocol is
looked at. Then every node is made anew and handed the same events: what it does must be the same, in this process and,
if asked for, in fresh ones in which the order of sets is another. Copies (`fork`) run ahead of their originals and
behind them, and neither may notice.

That is a test and no proof: it takes a fraction of a second, and comes before anything is said of a protocol.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, TypeAlias

from typing_extensions import override

from diembft.errors import InputError, in_one_line
from diembft.machine.events import Received, TimerFired
from diembft.protocols.by_name import BUILT_IN, protocol_of
from diembft.protocols.cast import cast_of
from diembft.protocols.interface import Leaders, Replica, System, UnderTest
from diembft.twins.runs.blame import blamed, described, own_places
from diembft.twins.runs.by_model import execute as execute_model
from diembft.twins.runs.contract_values import KINDS, Flaw, Values, digest
from diembft.twins.runs.steps import StepFailed, fork, guarded, step
from diembft.twins.runs.timed import TimedRun, script_of, time_limit
from diembft.twins.runs.timed_nodes import Effects, Event
from diembft.twins.scenarios.text import parse_scenario

RULES: Final[Mapping[str, str]] = {
    "protocol": "the protocol under test has what it needs, of the right types",
    "nodes": "system and System.node make nodes with step, fork and current_round",
    "steps": "each step ends, raises nothing, and no round goes down",
    "effects": "steps return effects, to replicas that there are",
    "messages": "messages are values, have a kind and a round",
    "reading": "what messages tell is told, as their kinds demand",
    "blocks": "blocks have id and round, a link to their parent, and requests",
    "certificates": "certificates are values, and say who signed what",
    "deterministic": "the same events lead to the same effects",
    "forks": "a step of a copy is not seen by its original, nor the other way round",
    "exploring": "the network model `barrier` can execute it",
    "processes": "the same in fresh processes, whatever the order of sets is there",
}
"""Each rule, in the order in which they are looked at."""

SCENARIO: Final = (
    "scenario contract: replicas=a,b,c,d twins=a' gst=6; 1: a leads a,b,c,d,a'; 2: b leads a,b,c,d,a'; "
    "3: a leads a,b|c,d,a'; 4: b leads a,b,c,d,a'; 5: c leads c|a,b,d,a'; 6: d leads d,a|b,c,a'; "
    "7: c leads a,b,c,d,a'; 8: d leads a,b,c,d,a'; 9: b leads a,b,c,d,a'; 10: c leads a,b,c,d,a'"
)
"""What is executed: a twin leads, and by it the leader of the next round is behind; then a leader is cut off."""

HASH_SEEDS = ("1", "2")
"""Of the fresh processes."""

_COPIES_OF_A_NODE = 24
_STEPS_OF_A_COPY = 16

_Step: TypeAlias = tuple[Event, bytes]
"""An event, and a digest of the effects."""


class Report(NamedTuple):
    """What was found of a protocol."""

    flaws: tuple[Flaw, ...]
    checked: tuple[str, ...]
    """The rules that were looked at; others could not be, because of flaws."""


class BrokenContract(InputError):
    """A protocol does not keep the contract; `lines` has one line for each flaw."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


_asked: dict[str, None] = {}
"""The names of all protocols that this process was asked to find, the last one last, but for those that come with the
tester."""


def found(name: str) -> UnderTest:
    """The protocol of this name. Raises InputError, with the place in the user's own code if that is to blame."""
    if name not in BUILT_IN:
        _asked.pop(name, None)
        _asked[name] = None
    module, _, attribute = name.partition(":")
    try:
        return protocol_of(name)
    except InputError as error:
        inner = error.__context__
        places = own_places(inner) if isinstance(inner, (TypeError, ValueError)) else []
        if inner is not None and places:
            raise InputError(f"protocol: {name!r}: {described(inner)} ({', '.join(places)})") from None
        if module in sys.modules and not hasattr(sys.modules[module], attribute):
            raise InputError(f"protocol: {name!r}: there is no {attribute!r} in the module {module!r}") from None
        raise
    except (Exception, SystemExit) as error:  # whatever a module does while it is imported
        places = own_places(error)
        where = f" ({', '.join(places)})" if places else ""
        raise InputError(f"protocol: {name!r}: {described(error)}{where}") from None


@lru_cache(maxsize=64)
def require(name: str) -> None:
    """Raise BrokenContract unless a protocol keeps the contract; those that come with the tester do."""
    if name in BUILT_IN:
        return
    flaws = report(found(name), name).flaws
    if flaws:
        raise BrokenContract(tuple([f"protocol: {name}: {flaw.what}" for flaw in flaws]))


def blamed_of_all(error: BaseException) -> str | None:
    """One line on an exception that came from the code of a protocol that this process was asked to find."""
    return blamed(error, reversed(_asked))


def report(protocol: UnderTest, name: str, *, processes: bool = False) -> Report:
    """What does not hold of a protocol that was found by this name, each flaw once; with `processes`, also what differs
    in fresh ones."""
    flaws = dict.fromkeys(_of_protocol(protocol, name))
    if flaws:
        return Report(tuple(flaws), ("protocol",))
    trial = _Trial(protocol)
    flaws |= trial.executed()
    if flaws:
        places = list(RULES)
        return Report(tuple(flaws), tuple(places[: places.index("deterministic")] if trial.began else places[:2]))
    flaws |= trial.repeated()
    if not flaws:
        flaws |= trial.forked()
        flaws |= trial.explored()
    if processes:
        flaws |= trial.elsewhere(name)
    left_out = {"forks", "exploring"} if any(flaw.rule == "deterministic" for flaw in flaws) else set()
    left_out |= set() if processes else {"processes"}
    left_out |= {"exploring"} if protocol.exploring is None else set()
    return Report(tuple(flaws), tuple([rule for rule in RULES if rule not in left_out]))


def transcript(name: str) -> list[str]:
    """For each step of each node in the scenario: the node, the event, and a digest of the effects."""
    trial = _Trial(found(name))
    trial.executed()
    names = trial.cast.names
    return [
        f"{names[node]}\t{at(event)}\t{effects.hex()}"
        for node, steps in enumerate(trial.log)
        for event, effects in steps
    ]


# --- the protocol itself


_CALLED = {
    "": ("round_of", "system"),
    "reading": ("told", "link", "certificate", "requests"),
    "exploring": ("system", "keys", "order", "root", "has_committed", "certificates", "has_own", "progress"),
    "showing": ("header", "message", "certificate", "refusals", "effect", "state"),
}
_OPTIONAL = ("commit_bounds", "timed_rounds", "accountable", "bugs", "exploring", "showing")


def _of_protocol(protocol: Any, name: str) -> Iterable[Flaw]:
    """Fields and their types."""
    lacking = [field for field in _OPTIONAL if not hasattr(protocol, field)]
    if lacking:
        yield Flaw("protocol", f"has no {', '.join(lacking)}: inherit from interface.UnderTest")
        return
    own, kinds, bugs, bounds = protocol.name, protocol.kinds, protocol.bugs, protocol.commit_bounds
    if own != name:
        yield Flaw("protocol", f"name: is {in_one_line(own)}, but it is found by {name!r}")
    if not isinstance(kinds, Mapping) or not kinds:
        yield Flaw("protocol", f"kinds: {in_one_line(kinds)} is no mapping of types of messages")
    else:
        for kind, value in kinds.items():
            if not isinstance(kind, type) or isinstance(value, bool) or value not in KINDS:
                pair = f"{in_one_line(kind)}: {in_one_line(value)}"
                yield Flaw("protocol", f"kinds: {pair} is not a type of messages with PROPOSAL, VOTE, TIMEOUT, ...")
    if not _is_whole(protocol.chain, 1):
        yield Flaw("protocol", f"chain: {in_one_line(protocol.chain)} is no number of blocks, 1 or more")
    if bounds is not None and not _is_whole(bounds, 1):
        yield Flaw("protocol", f"commit_bounds: {in_one_line(bounds)} is neither None nor a number, 1 or more")
    if not isinstance(bugs, Mapping) or not all(isinstance(word, str) for pair in bugs.items() for word in pair):
        yield Flaw("protocol", f"bugs: {in_one_line(bugs)} is no mapping of names to sentences")
    for field in ("timed_rounds", "accountable"):
        if not isinstance(getattr(protocol, field), bool):
            yield Flaw("protocol", f"{field}: {in_one_line(getattr(protocol, field))} is neither True nor False")
    for field, functions in _CALLED.items():
        value = getattr(protocol, field) if field else protocol
        if value is None and field in _OPTIONAL:
            continue
        for function in functions:
            if not callable(getattr(value, function, None)):
                where = f"{field}.{function}" if field else function
                base = field.capitalize() or "UnderTest"
                yield Flaw("protocol", f"{where}: {in_one_line(value)} has no such function (see interface.{base})")


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


# --- one scenario


class _Trial:
    """One protocol in the scenario."""

    def __init__(self, protocol: UnderTest) -> None:
        self.protocol = protocol
        self.scenario = parse_scenario(SCENARIO)
        self.cast = cast_of(self.scenario.replicas, self.scenario.twins)
        self.values = Values(protocol, self.cast)
        self.log: list[list[_Step]] = [[] for _ in self.cast.names]
        self.began = False

    def executed(self) -> dict[Flaw, None]:
        """The flaws that show in one execution."""
        try:
            system = self._system()
            nodes = [self._node(system, node) for node in range(len(self.cast.names))]
        except _Unmade as unmade:
            return {Flaw("nodes", str(unmade)): None}
        if len({id(node) for node in nodes}) < len(nodes):
            return {Flaw("nodes", "System.node: gives the same object for several nodes"): None}
        self.began = True
        script, after = script_of(self.scenario, system)
        run = _Watched(self, system, script, len(script), after=after, limit=time_limit(self.scenario))
        record = run.run()
        flaws = dict.fromkeys(self.values.flaws.values())
        for failed in record.failed:
            flaws[Flaw("steps", f"{self.cast.names[failed.node]}: {failed.what}")] = None
        if not flaws and not self.values.messages:
            flaws[Flaw("messages", "nobody sends anything, though there is always something to propose")] = None
        return flaws

    def _system(self) -> System:
        make = partial(self.protocol.system, bugs=(), delay_bound_s=self.scenario.delay_bound_s)
        try:
            system = guarded("its making", make, self.cast)
        except StepFailed as failure:
            raise _Unmade(f"system: {failure.what}") from None
        lacking = [name for name in ("cast", "leaders", "delay_bound_s", "node") if not hasattr(system, name)]
        if lacking:
            raise _Unmade(f"system: gives {in_one_line(system)}, which has no {', '.join(lacking)}")
        leaders, delay_bound_s = system.leaders, system.delay_bound_s
        if system.cast != self.cast:
            raise _Unmade(f"system.cast: {in_one_line(system.cast)} is not the cast that was given")
        if not isinstance(leaders, Leaders):
            raise _Unmade(f"system.leaders: {in_one_line(leaders)} is no table of Leaders")
        if not isinstance(delay_bound_s, (int, float)) or delay_bound_s <= 0:
            raise _Unmade(f"system.delay_bound_s: {in_one_line(delay_bound_s)} is no number of seconds")
        lacking = [name for name in ("node", "storage", "signed") if not callable(getattr(system, name, None))]
        if lacking:
            raise _Unmade(f"system: has no {', '.join(lacking)}: inherit from interface.System")
        return system

    def _node(self, system: System, node: int) -> Replica:
        name = self.cast.names[node]
        try:
            replica = guarded("its making", system.node, node)
        except StepFailed as failure:
            raise _Unmade(f"System.node: {name}: {failure.what}") from None
        lacking = [field for field in ("step", "fork") if not callable(getattr(replica, field, None))]
        if lacking:
            raise _Unmade(f"System.node: gives {in_one_line(replica)}, which has no {', '.join(lacking)}")
        _round_of(replica, f"{name}, when it is made,")
        return replica

    # --- the same events again

    def _anew(self) -> list[Replica]:
        """The nodes, made anew."""
        system = self._system()
        script_of(self.scenario, system)
        return [self._node(system, node) for node in range(len(self.cast.names))]

    def _differs(self, replica: Replica, steps: list[_Step]) -> tuple[Event, str] | None:
        """At which event a replica does something else than before, and what; None if it does the same."""
        for event, effects in steps:
            try:
                if digest(step(replica, event)) != effects:
                    return event, "has other effects"
            except StepFailed as failure:
                return event, failure.what
        return None

    def repeated(self) -> dict[Flaw, None]:
        """Whether the same events lead to the same effects."""
        for node, replica in enumerate(self._anew()):
            differs = self._differs(replica, self.log[node])
            if differs is not None:
                event, what = differs
                said = f"{self.cast.names[node]}, made anew and told the same, {what} at {at(event)}"
                return {Flaw("deterministic", f"not deterministic: {said}"): None}
        return {}

    def forked(self) -> dict[Flaw, None]:
        """Whether copies are independent: those that run ahead of their original, and those that run after it."""
        for node, replica in enumerate(self._anew()):
            try:
                flaw = self._forked(replica, self.log[node], self.cast.names[node], node)
            except StepFailed as failure:
                flaw = f"fork: {self.cast.names[node]}: {failure.what}"
            if flaw is not None:
                return {Flaw("forks", flaw): None}
        return {}

    def _forked(self, replica: Replica, steps: list[_Step], name: str, offset: int) -> str | None:
        every = max(1, len(steps) // _COPIES_OF_A_NODE)
        behind: list[tuple[int, Replica]] = []
        for place, one in enumerate(steps):
            if place % every == offset % every:
                ahead, later = fork(replica), fork(replica)
                if ahead is replica or not callable(getattr(ahead, "step", None)):
                    return f"fork: {name} gives {'itself' if ahead is replica else in_one_line(ahead)}, no copy"
                if self._differs(ahead, steps[place : place + _STEPS_OF_A_COPY]):
                    return f"fork: a copy of {name} does not do what {name} does, from {at(one[0])} on"
                behind.append((place, later))
            differs = self._differs(replica, [one])
            if differs is not None:
                event, what = differs
                return f"fork: {name} {what} at {at(event)} once a copy of it made steps: they share state"
        for place, later in behind:
            if self._differs(later, steps[place : place + _STEPS_OF_A_COPY]):
                return f"fork: a copy of {name} has other effects once {name} made steps: they share state"
        return None

    # --- under a network model, and elsewhere

    def explored(self) -> dict[Flaw, None]:
        """Whether a network model can execute it."""
        if self.protocol.exploring is None:
            return {}
        text = SCENARIO.replace("gst=6;", f"gst=6 model=barrier protocol={self.protocol.name};")
        try:
            record = execute_model(parse_scenario(text))
        except Exception as error:
            places = own_places(error)
            where = f" ({', '.join(places)})" if places else ""
            return {Flaw("exploring", f"exploring: {described(error)}{where} in the model barrier"): None}
        named = [f"{self.cast.names[failed.node]}: {failed.what}" for failed in record.failed]
        return {Flaw("exploring", f"exploring: {what}"): None for what in named[:1]}

    def elsewhere(self, name: str) -> dict[Flaw, None]:
        """Whether fresh processes come to the same."""
        here = transcript(name)
        for seed in HASH_SEEDS:
            there = _transcript_elsewhere(name, seed)
            if there == here:
                continue
            parts = next((mine for mine, its in zip(here, there, strict=False) if mine != its), "a\tthe end\t")
            node, event, _ = parts.split("\t")
            said = f"in a fresh process (PYTHONHASHSEED={seed}) {node} has other effects at {event}"
            return {Flaw("processes", f"not deterministic: {said}: does it use the order of a set, or hash()?"): None}
        return {}


def _transcript_elsewhere(name: str, seed: str) -> list[str]:
    code = f"from diembft.twins.runs.contract import transcript; print('\\n'.join(transcript({name!r})))"
    paths = os.pathsep.join([path or os.curdir for path in sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


class _Unmade(Exception):
    """Nodes cannot be made."""


class _Watched(TimedRun):
    """An execution that looks at all that a protocol gives. What is not as it should be goes no further."""

    def __init__(self, trial: _Trial, system: System, *args: Any, **options: Any) -> None:
        super().__init__(trial.protocol, system, *args, **options)
        self.trial = trial

    @override
    def react(self, node: int, event: Event) -> tuple[Replica, Effects]:
        trial = self.trial
        by = f"{trial.cast.names[node]} at {at(event)}"
        replica, effects = super().react(node, event)
        sound = [effect for effect in effects if trial.values.sound(effect, by)]
        trial.log[node].append((event, digest(effects)))
        try:
            round_ = _round_of(replica, by)
        except _Unmade as flaw:
            raise StepFailed(str(flaw), node) from None
        if round_ < self.rounds[node]:
            raise StepFailed(f"current_round goes down from {self.rounds[node]} to {round_} at {at(event)}", node)
        return replica, sound


def _round_of(replica: Replica, by: str) -> int:
    round_ = getattr(replica, "current_round", None)
    if not isinstance(round_, int):
        raise _Unmade(f"current_round: {by} has {in_one_line(round_)}, no whole number")
    return round_


def at(event: Event) -> str:
    """An event in a word or two."""
    match event:
        case Received(message=message):
            return f"Received({type(message).__name__})"
        case TimerFired(timer=timer, round=round_):
            return f"TimerFired({timer.name}, {round_})"
        case _:
            return type(event).__name__
