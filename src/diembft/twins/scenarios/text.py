"""The text form of scenarios, for people, tests and error reports::

    scenario split: replicas=a,b,c,d twins=d' gst=3 bugs=small_quorum
      1-3: d leads a,d|b,c,d' drop=a>d:vote,_>c:*
      4-10: a leads a,b,c,d,d'

It parses back to the same value, also on one line with ``;`` for the line breaks. Left out are the defaults: a delay
bound of 0.8 s (``bound``), a timeout of 30 s (``timeout``), the seed 0, the model ``timed``, the protocol
``diembft``. A round may also have
``timeouts=a,b|c,d,d'``, ``timers``, ``order``, ``undelivered``, ``crash`` and ``restart``, see ``scenario.Extras``.

A text may hold several scenarios, one after the other, and lines that begin with ``#``, which tell their story.
"""

import json
import re
from collections.abc import Iterable
from typing import Final

from diembft.errors import InputError, require_type
from diembft.testcase.wording import shown
from diembft.twins.scenarios.scenario import (
    DEFAULT_DELAY_BOUND_S,
    DEFAULT_PROTOCOL,
    DEFAULT_TIMEOUT_S,
    Drop,
    Extras,
    NodeSets,
    Round,
    Scenario,
    default_gst,
)

_HEADER: Final = re.compile(r'\s*scenario(?:\s+("(?:[^"\\]|\\.)*"|[^\s":;]+))?\s*:([^;\n]*)')
_SIMPLE_NAME: Final = re.compile(r"[^\s\":;]+")
MOST_ROUNDS: Final = 100_000
"""How many rounds a text has at most: it may say very many in one line."""

_ROUND: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?:\s*(\S+)\s+leads\s+(\S+)((?:\s+\S+)*)")


def format_scenario(scenario: Scenario, *, one_line: bool = False) -> str:
    """The text form, on several lines or on one."""
    name = scenario.name if _SIMPLE_NAME.fullmatch(scenario.name) else json.dumps(scenario.name)
    settings = [f"replicas={','.join(scenario.replicas)}"]
    if scenario.twins:
        settings.append(f"twins={','.join(scenario.twins)}")
    settings.append(f"gst={scenario.gst}")
    if scenario.delay_bound_s != DEFAULT_DELAY_BOUND_S:
        settings.append(f"bound={scenario.delay_bound_s!r}")
    if scenario.timeout_s != DEFAULT_TIMEOUT_S:
        settings.append(f"timeout={scenario.timeout_s!r}")
    if scenario.seed != 0:
        settings.append(f"seed={scenario.seed!r}")
    if scenario.bugs:
        settings.append(f"bugs={','.join(scenario.bugs)}")
    if scenario.model != "timed":
        settings.append(f"model={scenario.model}")
    if scenario.protocol != DEFAULT_PROTOCOL:
        settings.append(f"protocol={scenario.protocol}")
    head = f"scenario {name}: " if scenario.name else "scenario: "
    lines = [head + " ".join(settings), *_format_rounds(scenario.rounds)]
    return "; ".join(lines) if one_line else "\n  ".join(lines)


def _format_rounds(rounds: tuple[Round, ...]) -> list[str]:
    lines: list[str] = []
    first = 0
    while first < len(rounds):
        last = first
        while last + 1 < len(rounds) and rounds[last + 1] == rounds[first]:
            last += 1
        span = f"{first + 1}" if last == first else f"{first + 1}-{last + 1}"
        lines.append(f"{span}: {format_round(rounds[first])}")
        first = last + 1
    return lines


def format_round(round_: Round) -> str:
    """One round of the text form, without its number."""
    parts = [f"{round_.leader} leads {_format_partition(round_.partition)}"]
    if round_.exceptions:
        parts.append("drop=" + ",".join(f"{d.src}>{d.dst}:{d.msg_type}" for d in round_.exceptions))
    extras = round_.extras
    if extras.timeout_partition is not None:
        parts.append(f"timeouts={_format_partition(extras.timeout_partition)}")
    for key, value in (("timers", extras.timers), ("order", extras.order), ("undelivered", extras.undelivered)):
        if value is not None:
            parts.append(f"{key}={value}")
    for key, names in (("crash", extras.crash), ("restart", extras.restart)):
        if names:
            parts.append(f"{key}={','.join(names)}")
    return " ".join(parts)


def _format_partition(partition: NodeSets) -> str:
    return "|".join(",".join(group) for group in partition)


def parse_scenario(text: str) -> Scenario:
    """The scenario of a text form; ``InputError`` names what cannot be read.

    >>> from diembft import parse_scenario
    >>> parse_scenario("scenario: replicas=a,b,c,d twins=a' gst=1; 1: a leads a,b|c,d,a'").rounds[0].leader
    'a'
    """
    require_type(text, str, "parse_scenario")
    header = _HEADER.match(text)
    if header is None:
        raise InputError(f"scenario: {shown(text)} does not begin with 'scenario NAME: ...'")
    name = header[1] or ""
    if name.startswith('"'):
        try:
            name = json.loads(name)
        except ValueError:
            raise InputError(f"scenario: the name {name} is no JSON string") from None
    fields = _parse_settings("scenario", header[2].split())
    rounds: list[Round] = []
    for line in re.split(r"[;\n]", text[header.end() :]):
        if line.strip():
            rounds += _parse_rounds(line.strip(), len(rounds) + 1)
    settings: dict[str, object] = {
        "name": name,
        "replicas": _names(fields.pop("replicas", "")),
        "twins": _names(fields.pop("twins", "")),
        "rounds": tuple(rounds),
        "gst": default_gst(rounds),
    }
    for key, value in fields.items():
        match key:
            case "gst":
                settings["gst"] = _integer(key, value)
            case "bound":
                settings["delay_bound_s"] = _real(key, value)
            case "timeout":
                settings["timeout_s"] = _real(key, value)
            case "seed":
                settings["seed"] = _integer(key, value) if re.fullmatch(r"-?\d+", value) else _real(key, value)
            case "bugs":
                settings["bugs"] = _names(value)
            case "model" | "protocol":
                settings[key] = value
            case _:
                raise InputError(f"scenario: {key!r} is no setting")
    return Scenario(**settings)  # type: ignore[arg-type]  # each value was made for its key above


def parse_scenarios(text: str) -> list[Scenario]:
    """All scenarios of a text; ``InputError`` names the line at which one begins, and what cannot be read."""
    begun: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if _HEADER.match(line) or not begun:
            begun.append((number, []))
        begun[-1][1].append(line)
    scenarios = []
    for number, lines in begun:
        try:
            scenarios.append(parse_scenario("\n".join(lines)))
        except InputError as error:
            raise InputError(f"line {number}: {error}") from None
    return scenarios


def _parse_settings(where: str, words: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise InputError(f"{where}: {shown(word)} is not KEY=VALUE")
        if key in fields:
            raise InputError(f"{where}: {key!r} is there twice")
        fields[key] = value
    return fields


def _parse_rounds(line: str, expected: int) -> list[Round]:
    found = _ROUND.fullmatch(line)
    if found is None:
        raise InputError(f"round {expected}: {shown(line)} is not 'NUMBER: LEADER leads SET|SET ...'")
    first, last = int(found[1]), int(found[2] or found[1])
    if first != expected or last < first:
        raise InputError(f"round {expected}: found the number {line.partition(':')[0]!r} instead")
    if last > MOST_ROUNDS:
        raise InputError(f"round {last}: a scenario has at most {MOST_ROUNDS} rounds")
    where = f"round {first}"
    fields = _parse_settings(where, found[5].split())
    drops = tuple(_parse_drop(where, word) for word in _names(fields.pop("drop", "")))
    extras: dict[str, object] = {}
    for key, value in fields.items():
        match key:
            case "timeouts":
                extras["timeout_partition"] = _parse_partition(value)
            case "timers" | "order" | "undelivered":
                extras[key] = value
            case "crash" | "restart":
                extras[key] = _names(value)
            case _:
                raise InputError(f"{where}: {key!r} is no setting of a round")
    round_ = Round(
        found[3],
        _parse_partition(found[4]),
        drops,
        Extras(**extras),  # type: ignore[arg-type]  # the scenario's check judges the values
    )
    return [round_] * (last - first + 1)


def _parse_drop(where: str, word: str) -> Drop:
    found = re.fullmatch(r"([^>:]+)>([^>:]+):(.+)", word)
    if found is None:
        raise InputError(f"{where}: drop: {shown(word)} is not SRC>DST:TYPE")
    return Drop(found[1], found[2], found[3])  # type: ignore[arg-type]  # the scenario's check judges the type


def _parse_partition(text: str) -> NodeSets:
    return tuple(_names(group) for group in text.split("|"))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _integer(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{field}: {text!r} is not a whole number") from None


def _real(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{field}: {text!r} is not a number") from None
