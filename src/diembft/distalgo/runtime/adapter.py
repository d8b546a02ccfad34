"""pyDistAlgo 1.1.0, unmodified, on Python 3.11, 3.12 and 3.13.

The last release of pyDistAlgo, of 2022, refuses every Python after 3.7. `install` imports it all the same and
puts right what stands in the way; `ADAPTATIONS` lists each step with its reason and the condition under which it
is needed: where it is not, it is not done. Nothing of pyDistAlgo is copied, and no file of it is changed.

It serves any DistAlgo program: `python -m diembft.distalgo ARGS...` takes the arguments of `python -m da`.
Beside that, the folder `da/` at the project's root makes `python -m da ARGS...` itself work from there.

What stays as it is: `--start-method spawn` creates no processes, on Python 3.7 either; `.da` files are held to
Python 3.7's grammar (the modules that they import are not).
"""

import hashlib
import hmac
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from diembft.distalgo.runtime import ast37, program, repairs
from diembft.errors import InputError

KNOWN_VERSION: Final = "1.1.0"
"""The version of pyDistAlgo whose faults and whose compiler are known here."""

PYTHONS: Final = ((3, 11), (3, 13))
"""The first and the last version of Python that the adapter was tried on."""

_HERE: Final = Path(__file__).parent
_CACHE_DEPENDS_ON: Final = ("adapter.py", "ast37.py", "repairs.py")


class MissingDistAlgo(InputError, ImportError):
    """pyDistAlgo is not installed for this Python, or this Python is none that it can be adapted to. One line."""


class Adaptation(NamedTuple):
    """One step: its name, the reason, when it is needed, and what does it."""

    name: str
    reason: str
    needed: Callable[["Installation"], bool]
    apply: Callable[["Installation"], None]


class Installation:
    """What is known of one installation while it goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.importer_refused = False
        self.applied: list[str] = []

    def module(self, name: str) -> Any:
        """A module of pyDistAlgo, by its name below `da`."""
        return importlib.import_module(f"da.{name}")

    @property
    def is_known_version(self) -> bool:
        """Whether this is the release whose faults are known."""
        return bool(self.module("common").__version__ == KNOWN_VERSION)


# 1. The importer


def _importer(state: Installation) -> None:
    """Make `.da` files importable with the newest importer that there is, the one for Python 3.7."""
    chosen = state.module("importer.py37")
    original = chosen.da_cache_from_source
    tag = cache_tag()

    def da_cache_from_source(source_path: str, optimization: str | None = None) -> str:
        stem, suffix = os.path.splitext(original(source_path, optimization=optimization))
        return f"{stem}.{tag}{suffix}"

    chosen.da_cache_from_source = da_cache_from_source
    package = sys.modules["da.importer"]
    package.da_cache_from_source = da_cache_from_source  # type: ignore[attr-defined]  # as 1.1.0's own
    chosen._install()
    # Folders that were looked at before have a finder that does not know `.da`.
    sys.path_importer_cache.clear()


def cache_tag() -> str:
    """What marks compiled `.da` files as made by this very adapter: eight hexadecimal digits."""
    digest = hashlib.sha256()
    for name in _CACHE_DEPENDS_ON:
        digest.update((_HERE / name).read_bytes())
    return f"adapter-{digest.hexdigest()[:8]}"


class _ImporterLoader(Loader):
    """Loads `da.importer` as it is, and without its version check where that refuses this Python."""

    def __init__(self, real: Loader, state: Installation) -> None:
        self._real = real
        self._state = state

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        try:
            self._real.exec_module(module)
        except RuntimeError:
            self._state.importer_refused = True
            _apply(self._state, IMPORTER)


class _Finder(MetaPathFinder):
    """Finds `da` in the folder of the installed package, whatever else on the path has that name."""

    def __init__(self, state: Installation) -> None:
        self._state = state

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "da":
            return importlib.util.spec_from_file_location(
                "da",
                self._state.folder / "__init__.py",
                submodule_search_locations=[str(self._state.folder)],
            )
        if fullname == "da.importer":
            spec = importlib.machinery.PathFinder.find_spec(fullname, path)
            assert spec is not None, "because the folder was chosen for holding it"
            assert isinstance(spec.loader, Loader), "because it is a package with an __init__"
            spec.loader = _ImporterLoader(spec.loader, self._state)
            return spec
        return None


# 2. The compiler's syntax tree


def _dialect(state: Installation) -> None:
    for name in ("parser", "pygen", "incgen"):  # these do `from ast import *`
        module = state.module(f"compiler.{name}")
        for attribute in ast37.NAMES:
            setattr(module, attribute, getattr(ast37, attribute))
    for name in ("compiler.ui", "compiler.symtab", "tools.unparse"):  # these do `import ast`
        state.module(name).ast = ast37
    state.module("compiler.ui").compile = ast37.compile
    state.module("compiler.parser").parse = _parse_and_say_why


def _parse_and_say_why(source: ast37.Source, filename: str = "<unknown>") -> Any:
    """As `ast37.parse`. The compiler reports the text of a syntax error and drops its message: they go together."""
    try:
        return ast37.parse(source, filename)
    except SyntaxError as error:
        error.lineno, error.offset = error.lineno or 0, error.offset or 0
        error.text = f"{error.msg}: {(error.text or '').strip()}\n"
        raise


# 3. Warnings


def _own_warnings(state: Installation) -> None:
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"da(\.|$)")


def _fork_warning(state: Installation) -> None:
    warnings.filterwarnings(
        "ignore",
        message=r".*multi-threaded, use of fork\(\) may lead to deadlocks",
        category=DeprecationWarning,
    )


# 4. Import locks


def _import_early(state: Installation) -> None:
    # Once through, since `new` loads the digest on first use too. The key and the message do not matter.
    hmac.new(b"key", b"message", "md5").digest()


# 5. Faults of 1.1.0


def _repair(state: Installation) -> None:
    repairs.repair(
        repairs.Modules(
            common=state.module("common"),
            sim=state.module("sim"),
            sock=state.module("transport.sock"),
            pygen=state.module("compiler.pygen"),
        )
    )


# 6. The exit status


def _exit_status(state: Installation) -> None:
    api = state.module("api")
    entrypoint = api.entrypoint

    def entrypoint_with_status() -> int:
        status: int = entrypoint()
        return status or program.exit_status()

    api.entrypoint = entrypoint_with_status


EARLY: Final = Adaptation(
    "import locks",
    "Challenges and packets import `hmac` on first use. A process forked while another thread of its parent "
    "does that waits for ever for the lock of an import that nobody will finish: it is imported before.",
    lambda state: hasattr(os, "fork"),
    _import_early,
)

IMPORTER: Final = Adaptation(
    "importer",
    "da.importer consists of a version check and two importers; the one for Python 3.7 works on later ones too. "
    "Its cache of compiled files gets a tag of this adapter, so that a change here outdates them.",
    lambda state: state.importer_refused,
    _importer,
)

ADAPTATIONS: Final = (
    EARLY,
    IMPORTER,
    Adaptation(
        "syntax tree",
        "The compiler makes and takes the syntax tree of Python 3.7, through `ast.X` and through "
        "`from ast import *`; it is given that dialect, which is translated at both ends.",
        lambda state: state.importer_refused,
        _dialect,
    ),
    Adaptation(
        "warnings of da",
        "da.common shows every DeprecationWarning; those of its own modules are not the user's affair.",
        lambda state: state.is_known_version,
        _own_warnings,
    ),
    Adaptation(
        "fork warning",
        "Since Python 3.12 every fork of a process with threads warns, and DistAlgo forks from a thread. The "
        "deadlocks that it warns of are prevented one by one, by `import locks` and by the repairs.",
        lambda state: sys.version_info >= (3, 12),
        _fork_warning,
    ),
    Adaptation(
        "faults of 1.1.0",
        "Races and limits that show as rare hangs, on any Python: see `repairs.REPAIRS`.",
        lambda state: state.is_known_version,
        _repair,
    ),
    Adaptation(
        "exit status",
        "`python -m da` ends with status 0 whatever the program found; a program may now state its own, with "
        "`program.set_exit_status`. Programs that do not are not affected.",
        lambda state: state.is_known_version,
        _exit_status,
    ),
)
"""Every adaptation, in the order of application: one before `da` is imported, one while it is, the rest after."""


def install() -> tuple[str, ...]:
    """Import pyDistAlgo, adapted, as `da`; the names of the adaptations that were needed.

    A module `da` that was imported before, as the one at the project's root, is replaced. A second call changes
    nothing. Raises MissingDistAlgo where there is no pyDistAlgo, or no Python that it is known to work on.
    """
    installed = getattr(sys.modules.get("da"), "_adaptations", None)
    if installed is not None:
        return tuple(installed)
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        raise MissingDistAlgo(f"pyDistAlgo is adapted to Python 3.11 to 3.13, and this is {_python()}")
    state = Installation(_installed_folder())
    _apply(state, EARLY)
    with _imported_first(state):
        package: Any = importlib.import_module("da")
        state.module("compiler")
    for adaptation in ADAPTATIONS:
        if adaptation not in (EARLY, IMPORTER):
            _apply(state, adaptation)
    package._adaptations = tuple(state.applied)
    return tuple(state.applied)


def _apply(state: Installation, adaptation: Adaptation) -> None:
    if adaptation.needed(state):
        adaptation.apply(state)
        state.applied.append(adaptation.name)


@contextmanager
def _imported_first(state: Installation) -> Iterator[None]:
    """While `da` is imported, find it where it is installed; leave nothing half-imported behind."""
    _forget()
    finder = _Finder(state)
    sys.meta_path.insert(0, finder)
    try:
        yield
    except BaseException:
        _forget()
        raise
    finally:
        sys.meta_path.remove(finder)


def _forget() -> None:
    for name in [name for name in sys.modules if name == "da" or name.startswith("da.")]:
        del sys.modules[name]


def _installed_folder() -> Path:
    """The folder of the installed package: the first `da` on the path that is pyDistAlgo's."""
    for entry in sys.path:
        spec = importlib.machinery.PathFinder.find_spec("da", [entry or os.getcwd()])
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent
            if (folder / "importer" / "py37.py").is_file():
                return folder
    raise MissingDistAlgo(
        f"pyDistAlgo is not installed for {_python()} ({sys.executable}): pip install pyDistAlgo=={KNOWN_VERSION}"
    )


def _python() -> str:
    return "Python {}.{}.{}".format(*sys.version_info[:3])
