"""Runs the seed's Python files and makes checked values of what they define.

A file says ``from testconfig import *`` or ``from src.testconfig import *``, wherever it lies, and gets
``diembft.twins.scenarios.testconfig``. Whatever is wrong is one ``InputError`` that names the file, the field and the
value.

The liberties of files in the wild: ``bugs`` may be ``{}``, any collection or none; case names may repeat; ``twins``
may be empty; ``gst`` may be 0, left out, or the number of rounds; a leader may be written as the twin; rounds and
exceptions may be plain tuples or lists; message types may be written as their values.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from diembft.errors import InputError
from diembft.testcase.user_file import execute
from diembft.testcase.wording import shown
from diembft.twins.scenarios import testconfig
from diembft.twins.scenarios.scenario import Drop, Extras, NodeSets, Round, Scenario, default_gst

_TESTCONFIG_NAMES = ("testconfig", "src.testconfig")


def run_file(path: Path) -> dict[str, Any]:
    """The global variables of a configuration file after it ran."""
    return execute(path, dict.fromkeys(_TESTCONFIG_NAMES, testconfig)).variables


def read_test_cases(path: Path) -> list[Scenario]:
    """The scenarios of an executor file: its ``test_cases``, in their order."""
    cases = run_file(path).get("test_cases")
    if not isinstance(cases, list | tuple):
        raise InputError(f"{path}: test_cases: {'is not defined' if cases is None else f'{shown(cases)} is no list'}")
    if not cases:
        raise InputError(f"{path}: test_cases: is empty")
    scenarios = []
    for index, case in enumerate(cases):
        if not isinstance(case, testconfig.TestConfig):
            raise InputError(f"{path}: test_cases[{index}]: {shown(case)} is no TestConfig")
        try:
            scenarios.append(scenario_of(case))
        except InputError as error:
            raise InputError(f"{path}: test_cases[{index}].{error}") from None
    return scenarios


def scenario_of(case: testconfig.TestConfig) -> Scenario:
    """The checked scenario that a ``TestConfig`` describes; ``InputError`` names the field and the value."""
    rounds = tuple(_round(f"rounds[{index}]", value) for index, value in enumerate(_list("rounds", case.rounds)))
    return Scenario(
        replicas=_names("replicas", case.replicas),
        twins=_names("twins", case.twins),
        rounds=rounds,
        gst=default_gst(rounds) if case.gst is None else _whole("gst", case.gst),
        delay_bound_s=_number("transmission_delay_bound", case.transmission_delay_bound),
        timeout_s=_number("timeout", case.timeout),
        bugs=_bugs(case.bugs),
        name=_name("name", case.name),
        seed=0 if case.seed is None else _number("seed", case.seed),
    )


def _round(field: str, value: object) -> Round:
    if not isinstance(value, tuple | list) or not 2 <= len(value) <= 4:
        raise InputError(f"{field}: {shown(value)} is not (leader, partition, exceptions)")
    leader, partition = value[:2]
    exceptions = value[2] if len(value) > 2 else ()
    extras = value[3] if len(value) > 3 else None
    return Round(
        _name(f"{field}.leader", leader),
        _partition(f"{field}.partition", partition),
        tuple(
            _drop(f"{field}.exceptions[{index}]", drop)
            for index, drop in enumerate(_list(f"{field}.exceptions", exceptions))
        ),
        _extras(f"{field}.extras", extras),
    )


def _drop(field: str, value: object) -> Drop:
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise InputError(f"{field}: {shown(value)} is not (src, dst, msg_type)")
    src, dst, msg_type = value
    try:
        kind = testconfig.MsgType(msg_type)
    except ValueError:
        raise InputError(f"{field}.msg_type: {shown(msg_type)} is no MsgType") from None
    return Drop(_name(f"{field}.src", src), _name(f"{field}.dst", dst), kind.value)


def _extras(field: str, value: object) -> Extras:
    if value is None:
        return Extras()
    if not isinstance(value, Mapping):
        raise InputError(f"{field}: {shown(value)} is no dictionary")
    given: dict[str, Any] = {}
    for key, item in value.items():
        match key:
            case "timeout_partition":
                given[key] = None if item is None else _partition(f"{field}.{key}", item)
            case "timers" | "order" | "undelivered":
                given[key] = None if item is None else _name(f"{field}.{key}", item)
            case "crash" | "restart":
                given[key] = _names(f"{field}.{key}", item)
            case _:
                raise InputError(f"{field}: {shown(key)} is no field of a round")
    return Extras(**given)


def _partition(field: str, value: object) -> NodeSets:
    return tuple(_names(f"{field}[{index}]", group) for index, group in enumerate(_list(field, value)))


def _names(field: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Collection):
        raise InputError(f"{field}: {shown(value)} is no list of names")
    # A set has no order of its own: sorted, so that equal files give equal scenarios.
    items = value if isinstance(value, Sequence) else sorted(value, key=str)
    return tuple(_name(field, item) for item in items)


def _bugs(value: object) -> tuple[str, ...]:
    """Names of bugs; an empty dictionary is what ``{}`` is, where an empty set was meant."""
    if value is None or (isinstance(value, Mapping) and not value):
        return ()
    return _names("bugs", value)


def _list(field: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{field}: {shown(value)} is no list")
    return value


def _name(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{field}: {shown(value)} is no name")
    return str(value)


def _whole(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{field}: {shown(value)} is no whole number")
    return value


def _number(field: str, value: object) -> int | float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"{field}: {shown(value)} is no number")
    return value
