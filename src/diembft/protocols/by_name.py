"""Protocols by the names that scenarios and commands give them."""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from diembft.errors import InputError
from diembft.protocols.interface import UnderTest

BUILT_IN = {
    "diembft": "diembft.protocols.diembft.protocol:DIEMBFT",
    "hotstuff": "diembft.protocols.hotstuff.protocol:HOTSTUFF",
    "fast-hotstuff": "diembft.protocols.hotstuff.protocol:FAST_HOTSTUFF",
}
"""Those that come with the tester: where they are, by their short names."""

DEFAULT_PROTOCOL = "diembft"
"""The protocol of scenarios that name none."""


def default_protocol() -> UnderTest:
    """The protocol of scenarios that name none."""
    return protocol_of(DEFAULT_PROTOCOL)


@lru_cache(maxsize=64)
def protocol_of(name: str) -> UnderTest:
    """The protocol of this name: a short one, or `module:attribute`; the module may be in the current folder.

    Raises InputError if there is none.
    """
    module_name, colon, attribute = BUILT_IN.get(name, name).partition(":")
    if not colon:
        raise InputError(f"protocol: {name!r} is none of {', '.join(BUILT_IN)}, nor a module:name")
    here = str(Path.cwd())
    if name not in BUILT_IN and here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise InputError(f"protocol: {name!r}: there is no module {module_name!r}") from None
        raise
    except (TypeError, ValueError):
        raise InputError(f"protocol: {name!r}: {module_name!r} is no name of a module") from None
    found: Any = getattr(module, attribute, None)
    lacking = [
        field for field in ("name", "reading", "kinds", "chain", "round_of", "system") if not hasattr(found, field)
    ]
    if lacking:
        raise InputError(f"protocol: {name!r}: is no protocol under test: it has no {', '.join(lacking)}")
    protocol: UnderTest = found
    return protocol
