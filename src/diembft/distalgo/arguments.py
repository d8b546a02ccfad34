"""The command lines of DistAlgo programs: like all wrong input, a wrong argument is an InputError, in one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from diembft.errors import InputError


class OneLineParser(argparse.ArgumentParser):
    """Raises InputError where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Complain."""
        raise InputError(f"{self.prog}: {message}")
