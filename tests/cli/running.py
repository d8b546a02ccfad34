"""Runs a command line in this process, as the entry point does."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from diembft.cli.main import main


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The single line on standard error; nothing else was printed, and the status says bad input."""
        assert self.status == 2
        assert self.out == ""
        assert self.err.startswith("diembft: ")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("diembft: ").rstrip("\n")


def diembft(capsys: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    capsys.readouterr()
    status = main(arguments)
    out, err = capsys.readouterr()
    return Outcome(status, out, err)
