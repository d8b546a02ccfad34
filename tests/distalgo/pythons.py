"""The Pythons of this machine that the adapter is for: this one, and others on the path or behind pyenv."""

import os
import shutil
import subprocess
import sys
from functools import cache
from typing import Final

VERSIONS: Final = ("3.11", "3.12", "3.13")

THIS: Final = "{}.{}".format(*sys.version_info[:2])

_TIMEOUT_S: Final = 30.0


@cache
def find(version: str) -> str | None:
    """The executable of a version such as "3.12", None where this machine has none."""
    if version == THIS:
        return sys.executable
    command = f"python{version}"
    if shutil.which(command) is None:
        return None
    found = _ask(command, {})
    if found is None and shutil.which("pyenv") is not None:
        # A pyenv shim runs only the versions that are switched on; the others have to be asked for.
        listed = _output(["pyenv", "whence", command], {}) or ""
        for installed in sorted(listed.split()):
            found = found or _ask(command, {"PYENV_VERSION": installed})
    return found


def _ask(command: str, env: dict[str, str]) -> str | None:
    """The executable behind a command, asked of itself."""
    return _output([command, "-c", "import sys; print(sys.executable)"], env)


def _output(command: list[str], env: dict[str, str]) -> str | None:
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None
