"""Scenario files: reading every kind, writing both kinds of JSON Lines.

The seed's kind has one JSON value a line: the replicas, the twins, the planted bugs (a list that older files lack),
then one scenario a line, a list of rounds ``[leader, partition, exceptions]``. It is run with a delay bound of
0.8 s, a timeout of 30 s, and gst at its seven last rounds.

Our kind begins with one object, ``{"format": "diembft-scenarios", "version": 1, "replicas": [...], "twins": [...],
"bugs": [...], "model": "..."}``, and a round may have a fourth element, the fields of ``scenario.Extras``. The object
may also hold ``protocol``, ``name``, ``gst``, ``transmission_delay_bound``, ``timeout`` and ``seed`` for all scenarios.
A line may be an object too, ``{"rounds": [...]}`` with what differs from the header, so that any scenarios can be
written together. A protocol that does not come with the tester is ``module:attribute``: running its scenarios imports
that module, if it is installed or in the current folder.

A file may be compressed (``.zst``, with the optional ``zstandard``); ``-`` is standard input, of any kind but Python.
The seed's Python files are read through ``python_files``, files that end in ``.txt`` hold the text form (see ``text``).
Input is read and checked as a whole before anything is returned; output appears under its name only when it is whole.
"""

import json
import re
import types
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from diembft.errors import InputError
from diembft.files import STDIN, reading, replacing, without_mark, writing
from diembft.testcase.wording import one_line, shown
from diembft.twins.scenarios import python_files
from diembft.twins.scenarios.scenario import (
    DEFAULT_DELAY_BOUND_S,
    DEFAULT_PROTOCOL,
    DEFAULT_TIMEOUT_S,
    NO_EXTRAS,
    Model,
    Round,
    Scenario,
    default_gst,
)
from diembft.twins.scenarios.text import parse_scenarios

FORMAT: Final = "diembft-scenarios"
VERSION: Final = 1
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


class FileHeader(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """The first line of a file of our kind: what its scenarios have in common."""

    format: str = msgspec.field()
    version: int = msgspec.field()
    replicas: tuple[str, ...] = msgspec.field()
    twins: tuple[str, ...] = msgspec.field()
    bugs: tuple[str, ...] = msgspec.field()
    model: Model = msgspec.field()
    protocol: str = DEFAULT_PROTOCOL
    name: str | None = None
    gst: int | None = None
    transmission_delay_bound: float = DEFAULT_DELAY_BOUND_S
    timeout: float = DEFAULT_TIMEOUT_S
    seed: int | float = 0


class _Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A scenario with what differs from the header."""

    rounds: tuple[Round, ...]
    name: str | None = None
    replicas: tuple[str, ...] | None = None
    twins: tuple[str, ...] | None = None
    bugs: tuple[str, ...] | None = None
    model: Model | None = None
    protocol: str | None = None
    gst: int | None = None
    transmission_delay_bound: float | None = None
    timeout: float | None = None
    seed: int | float | None = None


class Output(Protocol):
    """Where lines are written to."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""


_header_decoder = msgspec.json.Decoder(FileHeader)
_names_decoder = msgspec.json.Decoder(tuple[str, ...])
_rounds_decoder = msgspec.json.Decoder(tuple[Round, ...])
_line_decoder = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


# --- reading ---


def read_scenarios(path: Path, *, known_bugs: Collection[str] | None = None) -> list[Scenario]:
    """All scenarios of a file of any kind, checked. Raises ``InputError`` with the file, the field and the value.

    With ``known_bugs`` a bug of another name is wrong too. A scenario of a generated file is named after the file
    and its place there, counted from 0: ``all_random_config#17``.
    """
    match path.suffix:
        case ".py":
            scenarios = python_files.read_test_cases(path)
        case ".txt":
            scenarios = _read_text(path, read_bytes(path))
        case _:
            data = read_bytes(path)
            is_text = path == STDIN and not data.lstrip().startswith((b"{", b"["))
            scenarios = _read_text(path, data) if is_text else _read_lines(path, data)
    if known_bugs is not None:
        for scenario in scenarios:
            for bug in scenario.bugs:
                if bug not in known_bugs:
                    raise InputError(
                        f"{path}: {scenario.name}: bugs: {bug!r} is none of {', '.join(sorted(known_bugs))}"
                    )
    return scenarios


def read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed if it is compressed."""
    try:
        with reading(path) as file:
            data = without_mark(file.read())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if path.suffix != ".zst" and not data.startswith(_ZSTD_MAGIC):
        return data
    zstandard = _zstandard(path)
    parts: list[bytes] = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(frame.decompress(data))
        except zstandard.ZstdError as error:
            raise InputError(f"{path}: not readable as zstd: {one_line(str(error))}") from error
        if not frame.eof:
            raise InputError(f"{path}: the compressed data ends too early")
        data = frame.unused_data
    return b"".join(parts)


def _read_lines(path: Path, data: bytes) -> list[Scenario]:
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line and not line.isspace()]
    if not lines:
        raise InputError(f"{path}: is empty")
    header, used = _read_header(path, lines)
    if len(lines) == used:
        raise InputError(f"{path}: there is no scenario in it")
    scenarios = []
    for index, (number, line) in enumerate(lines[used:]):
        given = _read_scenario_line(f"{path}, line {number}", line)
        try:
            scenarios.append(_scenario(header, given, f"{header.name or _stem(path)}#{index}"))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    return scenarios


def _read_text(path: Path, data: bytes) -> list[Scenario]:
    try:
        scenarios = parse_scenarios(data.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {error}") from None
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
    if not scenarios:
        raise InputError(f"{path}: holds no scenario")
    return scenarios


def _read_header(path: Path, lines: Sequence[tuple[int, bytes]]) -> tuple[FileHeader, int]:
    """The header, and how many lines it took; the seed's three lists make a header of ours."""
    number, first = lines[0]
    if first.lstrip().startswith(b"{"):
        where = f"{path}, line {number}"
        header: FileHeader = _decode(_header_decoder, where, first)
        if header.format != FORMAT:
            raise InputError(f"{where}: format: {header.format!r} is not {FORMAT!r}")
        if header.version != VERSION:
            raise InputError(f"{where}: version: {header.version} is not {VERSION}, the one that is understood here")
        return header, 1
    lists: dict[str, tuple[str, ...]] = {"replicas": (), "twins": (), "bugs": ()}
    used = 0
    for field in lists:
        if used == len(lines):
            raise InputError(f"{path}: {field}: the line is missing")
        number, line = lines[used]
        if field == "bugs" and re.match(rb"\s*\[\s*\[", line):
            break  # a scenario already: older generated files have no line of bugs
        lists[field] = _decode(_names_decoder, f"{path}, line {number}", line, root=field)
        used += 1
    return (
        FileHeader(
            format=FORMAT,
            version=VERSION,
            replicas=lists["replicas"],
            twins=lists["twins"],
            bugs=lists["bugs"],
            model="timed",
        ),
        used,
    )


def _read_scenario_line(where: str, line: bytes) -> _Line:
    if line.lstrip().startswith(b"{"):
        given: _Line = _decode(_line_decoder, where, line)
        return given
    return _Line(rounds=_decode(_rounds_decoder, where, line, root="rounds"))


def _scenario(header: FileHeader, line: _Line, name: str) -> Scenario:
    gst = header.gst if line.gst is None else line.gst
    return Scenario(
        replicas=header.replicas if line.replicas is None else line.replicas,
        twins=header.twins if line.twins is None else line.twins,
        rounds=line.rounds,
        gst=default_gst(line.rounds) if gst is None else gst,
        delay_bound_s=header.transmission_delay_bound
        if line.transmission_delay_bound is None
        else line.transmission_delay_bound,
        timeout_s=header.timeout if line.timeout is None else line.timeout,
        bugs=header.bugs if line.bugs is None else line.bugs,
        name=name if line.name is None else line.name,
        seed=header.seed if line.seed is None else line.seed,
        model=header.model if line.model is None else line.model,
        protocol=header.protocol if line.protocol is None else line.protocol,
    )


def _decode(decoder: msgspec.json.Decoder[Any], where: str, line: bytes, root: str = "") -> Any:
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_explain(str(error), line, root)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{where}: {one_line(str(error))}: {shown(line.decode(errors='replace'))}") from None


def _explain(message: str, line: bytes, root: str) -> str:
    """A decoder's complaint with the names of the fields and the value: ``rounds[3].leader: Expected ...``."""
    problem, _, path = message.partition(" - at `$")
    place = root
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):  # the decoder stopped before it came to that
        return f"{problem}: {shown(line.decode(errors='replace'))}"
    for index, key in re.findall(r"\[(\d+)\]|\.(\w+)", path.rstrip("`")):
        place = f"{place}[{index}]" if index else f"{place}.{key}".lstrip(".")
        value = value[int(index)] if index else value[key]
    problem = f"{problem}: {shown(value)}"
    return f"{_field_names(place)}: {problem}" if place else problem


def _field_names(path: str) -> str:
    """Names for the places in a round and an exception: ``rounds[3][0]`` is ``rounds[3].leader``."""

    def name(fields: tuple[str, ...], index: str) -> str:
        return f".{fields[int(index)]}" if int(index) < len(fields) else f"[{index}]"

    path = re.sub(
        r"^(rounds\[\d+\])\[(\d+)\]", lambda m: m[1] + name(("leader", "partition", "exceptions", "extras"), m[2]), path
    )
    return re.sub(r"(\.exceptions\[\d+\])\[(\d+)\]", lambda m: m[1] + name(("src", "dst", "msg_type"), m[2]), path)


# --- writing ---


@contextmanager
def output(path: Path) -> Iterator[Output]:
    """A file to write bytes to, compressed if its name ends in ``.zst``; it appears only when it is complete."""
    zstandard = _zstandard(path) if path.suffix == ".zst" else None
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial, partial.open("wb") as file:
            if zstandard is None:
                yield file
            else:
                with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as compressed:
                    yield compressed


def write_scenarios(path: Path, scenarios: Sequence[Scenario]) -> None:
    """Write scenarios in our kind; ``read_scenarios`` gives back equal ones."""
    if not scenarios:
        raise InputError(f"{path}: there is no scenario to write")
    header = header_of(scenarios[0])
    with output(path) as file:
        file.write(encode_header(header))
        for index, scenario in enumerate(scenarios):
            file.write(_encode_line(header, scenario, default_name=f"{_stem(path)}#{index}"))


def write_seed_file(path: Path, scenarios: Sequence[Scenario]) -> None:
    """Write scenarios in the seed's kind, which has one cast and set of bugs, and no extras, names or times."""
    if not scenarios:
        raise InputError(f"{path}: there is no scenario to write")
    first = scenarios[0]
    for scenario in scenarios:
        same_cast = (scenario.replicas, scenario.twins, scenario.bugs) == (first.replicas, first.twins, first.bugs)
        if (
            not same_cast
            or scenario.protocol != DEFAULT_PROTOCOL
            or any(round_.extras != NO_EXTRAS for round_ in scenario.rounds)
        ):
            raise InputError(f"{path}: the seed's format cannot hold the scenario {scenario.name!r} beside the first")
    with output(path) as file:
        file.write(encode_seed_header(first.replicas, first.twins, first.bugs))
        for scenario in scenarios:
            file.write(encode_rounds(scenario.rounds) + b"\n")


def header_of(scenario: Scenario) -> FileHeader:
    """The header of a file that begins with this scenario."""
    return FileHeader(
        format=FORMAT,
        version=VERSION,
        replicas=scenario.replicas,
        twins=scenario.twins,
        bugs=scenario.bugs,
        model=scenario.model,
        protocol=scenario.protocol,
        transmission_delay_bound=scenario.delay_bound_s,
        timeout=scenario.timeout_s,
        seed=scenario.seed,
    )


def encode_header(header: FileHeader) -> bytes:
    """The first line of a file of our kind."""
    return _encoder.encode(header) + b"\n"


def encode_seed_header(replicas: Sequence[str], twins: Sequence[str], bugs: Sequence[str] = ()) -> bytes:
    """The first three lines of a file of the seed's kind."""
    return b"".join(_encoder.encode(names) + b"\n" for names in (replicas, twins, bugs))


def encode_rounds(rounds: Iterable[Round]) -> bytes:
    """A scenario's line, without its line break."""
    return b"[" + b",".join(encode_round(round_) for round_ in rounds) + b"]"


def encode_round(round_: Round) -> bytes:
    """One round as it stands in a line of either kind: the fourth element only where it says something."""
    parts: tuple[object, ...] = (round_.leader, round_.partition, round_.exceptions)
    return _encoder.encode(parts if round_.extras == NO_EXTRAS else (*parts, round_.extras))


def _encode_line(header: FileHeader, scenario: Scenario, default_name: str) -> bytes:
    different: dict[str, Any] = {
        field: value
        for field, value, common in (
            ("name", scenario.name, default_name),
            ("replicas", scenario.replicas, header.replicas),
            ("twins", scenario.twins, header.twins),
            ("bugs", scenario.bugs, header.bugs),
            ("model", scenario.model, header.model),
            ("protocol", scenario.protocol, header.protocol),
            ("gst", scenario.gst, default_gst(scenario.rounds)),
            ("transmission_delay_bound", scenario.delay_bound_s, header.transmission_delay_bound),
            ("timeout", scenario.timeout_s, header.timeout),
            ("seed", scenario.seed, header.seed),
        )
        if value != common
    }
    if not different:
        return encode_rounds(scenario.rounds) + b"\n"
    head = b",".join(_encoder.encode(field) + b":" + _encoder.encode(value) for field, value in different.items())
    return b"{" + head + b',"rounds":' + encode_rounds(scenario.rounds) + b"}\n"


def _stem(path: Path) -> str:
    return path.name.removesuffix(".zst").removesuffix(".json").removesuffix(".jsonl")


def _zstandard(path: Path) -> types.ModuleType:
    try:
        import zstandard
    except ImportError as error:
        raise InputError(f"{path}: a .zst file needs the package zstandard: pip install zstandard") from error
    return zstandard
