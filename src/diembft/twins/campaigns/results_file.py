"""The file of results of a campaign: a line of JSON for each scenario, and after each chunk the mark that it is done.

A chunk's results are written in one piece with their mark, so that a campaign goes on where the marks end.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from diembft.errors import InputError
from diembft.files import writing
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

    def __init__(self, path: Path | None, head: CampaignHeader, summary: CampaignSummary) -> None:
        self.done: set[int] = set()
        self.summary = summary
        self.chunk = head.chunk
        """Scenarios in a chunk: as the file has them, if there is one."""
        self._path = path
        self._file: FileIO | None = None
        if path is None:
            return
        with writing(path):
            if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe, which keeps nothing
                self._file = FileIO(path, "w")
                end = 0
            else:
                end = self._read(path, head) if path.exists() and path.stat().st_size else 0
                self._file = FileIO(path, "r+" if path.exists() else "w")
                self._file.truncate(end)
                self._file.seek(end)
        if not end:
            self._write(_encoder.encode(head) + b"\n")

    def _write(self, lines: bytes) -> None:
        """All of it, or none that counts: what is cut off is taken away when the campaign goes on."""
        if self._file is None or self._path is None:
            return
        with writing(self._path):
            left = memoryview(lines)
            while left:  # a full disk takes a part, and says so only when it is given the rest
                left = left[self._file.write(left) :]

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
        """Write a chunk in one piece, and count it. Raises NotWritten."""
        assert number not in self.done, "because a chunk is handed out again only if it was lost"
        self._write(lines + _encoder.encode(ChunkDone(number)) + b"\n")
        self.done.add(number)
        for line in lines.splitlines():
            entry = _decoder.decode(line)
            assert isinstance(entry, ScenarioResult), "because workers give results"
            self.summary.add(entry)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None and self._path is not None:
            with writing(self._path):
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
