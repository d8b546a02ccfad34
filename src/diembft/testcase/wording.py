"""How a wrong value is shown in an error: on one line, whatever it is, and never longer than a line."""

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def shown(value: object) -> str:
    """A short one-line form of any value, for error messages."""
    return one_line(_SHORT.repr(value))


def one_line(text: str) -> str:
    """`text` with its line breaks and runs of blanks made into single blanks."""
    return " ".join(text.split())
