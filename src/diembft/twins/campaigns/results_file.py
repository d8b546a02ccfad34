"""The file of results of a campaign: a line of JSON for each scenario, and after each chunk the mark that it is done.

A chunk's results are written in one piece with their mark, so that a campaign goes on where the marks end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from diembft.errors import InputError
from diembft.twins.campaigns.summary import CampaignSummary, ScenarioResult

FORMAT = "diembft-twins-results"
VERSION = 1


class CampaignHeader(Struct, frozen=True, tag_field="kind", tag="campaign"):
    """The first line of a file of results: which campaign it is of."""

    scenarios: int
    chunk: int
    digest: str
    """Of what is executed, and how: results of another campaign are not added to."""
    format: str = FORMAT
    version: int = VERSION


class ChunkDone(Struct, frozen=True, tag_field="kind", tag="done"):
    """The results of chunk number `chunk` stand right before this line."""

    chunk: int


_Line: TypeAlias = CampaignHeader | ScenarioResult | ChunkDone
_decoder = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


def result_line(result: ScenarioResult) -> bytes:
    """The line of a result."""
    return _encoder.encode(result) + b"\n"


class ResultsBook:
    """The file of results: what is in it already, and what is added."""

    def __init__(self, path: Path | None, head: CampaignHeader) -> None:
        self.done: set[int] = set()
        self.summary = CampaignSummary()
        self.chunk = head.chunk
        """Scenarios in a chunk: as the file has them, if there is one."""
        self._file = None
        if path is None:
            return
        try:
            end = self._read(path, head) if path.exists() and path.stat().st_size else 0
            self._file = path.open("r+b" if path.exists() else "wb", buffering=0)
            self._file.truncate(end)
            self._file.seek(end)
            if not end:
                self._file.write(_encoder.encode(head) + b"\n")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error

    def _read(self, path: Path, head: CampaignHeader) -> int:
        """Take in the chunks that are done; returns where the last one ends."""
        end = at = 0
        chunk: list[ScenarioResult] = []
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                at += len(line)
                if not line.endswith(b"\n"):
                    break  # the last write was cut off
                try:
                    entry = _decoder.decode(line)
                except msgspec.MsgspecError as error:
                    raise InputError(f"{path}: line {number}: no line of results: {error}") from None
                if (number == 1) != isinstance(entry, CampaignHeader):
                    raise InputError(f"{path}: line {number}: the first line, and no other, tells of the campaign")
                if isinstance(entry, CampaignHeader):
                    if msgspec.structs.replace(entry, chunk=head.chunk) != head:
                        raise InputError(f"{path}: holds the results of another campaign")
                    self.chunk = entry.chunk
                    end = at
                elif isinstance(entry, ScenarioResult):
                    chunk.append(entry)
                else:
                    for result in chunk:
                        self.summary.add(result)
                    chunk.clear()
                    self.done.add(entry.chunk)
                    end = at
        return end

    def add(self, number: int, lines: bytes) -> None:
        """Count a chunk, and write it in one piece."""
        assert number not in self.done, "because a chunk is handed out again only if it was lost"
        self.done.add(number)
        for line in lines.splitlines():
            entry = _decoder.decode(line)
            assert isinstance(entry, ScenarioResult), "because workers give results"
            self.summary.add(entry)
        if self._file is not None:
            self._file.write(lines + _encoder.encode(ChunkDone(number)) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_results(path: Path) -> list[ScenarioResult]:
    """The results in a file, by index; those of unfinished chunks are left out. Raises InputError."""
    results: list[ScenarioResult] = []
    chunk: list[ScenarioResult] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            entry = _decoder.decode(line)
        except msgspec.MsgspecError as error:
            if number == len(lines):
                break
            raise InputError(f"{path}: line {number}: no line of results: {error}") from None
        if isinstance(entry, ScenarioResult):
            chunk.append(entry)
        elif isinstance(entry, ChunkDone):
            results += chunk
            chunk = []
    return sorted(results, key=lambda result: result.index)
