"""A module's source executed once more, beside the module that runs: what its names would be if nobody had changed any.

What it imports are the modules that run, so that names that come from elsewhere are the very same there, and only what
the source itself defines is made anew. Modules of a core only define: executing one changes nothing outside of it.
"""

from __future__ import annotations

import builtins
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from diembft.twins.exhaustion.by_file import ByFile
from diembft.twins.exhaustion.core_files import SOURCE, module_of


def _executed(path: Path) -> dict[str, Any]:
    # Compiled from the source, not taken from `__pycache__`: that goes by a time in whole seconds, so that what lies
    # there may be of an earlier source, and then so is what runs.
    name = module_of(path.relative_to(SOURCE).as_posix())
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    module = ModuleType(name)
    module.__file__ = str(path)
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    exec(code, vars(module))
    return vars(module)


fresh_names: Final = ByFile(_executed)
"""The names of the module with this source. Raises whatever executing it raises."""
