"""The alias: from `install_as_flask` on, ``import flask`` is this package.

A leaf that imports no sibling, because it has to act before anything else is loaded: `cli` and
`compat` both use it.

How it works
------------
- ``sys.modules["flask"]`` is this package's module object itself, and so is every loaded
  submodule under its second name. One identity: a class, a proxy or a patched attribute is the
  same whichever name is written.
- Submodules that are not loaded yet are answered by `ModuleAliases`, a finder at the head of
  ``sys.meta_path``. It imports ours and hands over the same object, so nothing runs twice.
- ``flask.__version__`` has to answer with Flask's version and ``asyncflask.__version__`` with
  our own, on one module object. The module's ``__getattr__`` reads which of the two names the
  asking code wrote (`_name_written`).
- ``importlib.metadata.version("flask")`` is answered by `FlaskMetadata` where no Flask
  distribution is installed; one that is installed speaks for itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import typing as t
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType

if t.TYPE_CHECKING:  # slow to import, and this module is imported wherever a process starts
    from importlib import metadata
    from importlib.abc import InspectLoader, Loader

#: The package that stands in: the one this file belongs to.
OURS = __name__.partition(".")[0]
#: The name it takes over.
THEIRS = "flask"
#: The Flask release whose API this is; what ``flask.__version__`` answers.
FLASK_VERSION = "3.1.3"
#: Set to 1, the alias is put in place as soon as this package is imported, here and in children.
VARIABLE = "ASYNCFLASK_AS_FLASK"

TOO_LATE = """\
install_as_flask() came too late: the real Flask is already imported ({where}).

Two Flasks in one process do not know each other's apps, contexts and sessions. {holders}

Call asyncflask.install_as_flask() before the first import of flask or of an extension (at the
top of the program's first file), or start with `asyncflask --as-flask ...` or
{variable}=1 in the environment.\
"""


def install_as_flask() -> None:
    """Make ``import flask`` mean this package, for the rest of the process.

    Extensions and whole apps written for Flask then run unmodified, with the Flask distribution
    installed or not. Calling it again does nothing.

    :raises RuntimeError: if the real Flask is imported already. The message names the modules
        that hold it.
    """
    package = sys.modules[OURS]
    found = sys.modules.get(THEIRS)
    if found is not None and found is not package:
        raise RuntimeError(_too_late(found))
    for name, module in list(sys.modules.items()):
        if _within(name, OURS):
            sys.modules[THEIRS + name[len(OURS) :]] = module
    if not installed():
        sys.meta_path.insert(0, ModuleAliases())
        sys.meta_path.append(FlaskMetadata())  # last: a real distribution goes first
    _answer_version(package)


def installed() -> bool:
    """Return whether ``import flask`` means this package."""
    return any(isinstance(finder, ModuleAliases) for finder in sys.meta_path)


def install_if_asked() -> None:
    """Call `install_as_flask` if the environment variable ``ASYNCFLASK_AS_FLASK`` says so.

    Unset, empty, ``0``, ``false`` and ``no`` mean no. The package calls this at the end of its
    own import; where that is a reload, the alias is put in place again.

    :raises RuntimeError: if the real Flask is imported already.
    """
    asked = os.environ.get(VARIABLE, "").strip().lower() not in {"", "0", "false", "no"}
    if asked or installed():
        install_as_flask()


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


# -- submodules --------------------------------------------------------------------------------


class ModuleAliases:
    """Finds ``flask`` and ``flask.anything``: as ours of the same name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec that loads our module, or None if it is not Flask's or we have none."""
        if not _within(fullname, THEIRS):
            return None
        ours = importlib.util.find_spec(OURS + fullname[len(THEIRS) :])
        if ours is None:
            return None
        spec = ModuleSpec(fullname, t.cast("Loader", SameModule(ours)), origin=ours.origin)
        spec.submodule_search_locations = ours.submodule_search_locations
        return spec


class SameModule:
    """Hands over the module that is already known under our name.

    :param ours: the spec of our module.
    """

    def __init__(self, ours: ModuleSpec) -> None:
        self.ours = ours
        self._own_spec: ModuleSpec | None = ours

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import ours, if that has not happened yet, and return it."""
        module = importlib.import_module(self.ours.name)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing: give the module back the spec that the import system has replaced.

        `importlib.reload` and `importlib.resources` go by it.
        """
        module.__spec__ = self._own_spec

    def get_source(self, fullname: str) -> str | None:
        """Return the source of our module."""
        return self._inspect().get_source(self.ours.name)

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of our module, which is what ``python -m flask`` runs."""
        return self._inspect().get_code(self.ours.name)

    def is_package(self, fullname: str) -> bool:
        """Return whether our module is a package."""
        return self.ours.submodule_search_locations is not None

    def _inspect(self) -> InspectLoader:
        return t.cast("InspectLoader", self.ours.loader)


# -- the version -------------------------------------------------------------------------------


def _answer_version(package: ModuleType) -> None:
    """Let ``package.__version__`` answer by the name under which it is asked for."""
    names = vars(package)
    own = names.pop("__version__", None)
    if own is not None:  # None: done before
        names["__getattr__"] = VersionByName(own, names.get("__getattr__"))


class VersionByName:
    """The package's ``__getattr__``: its ``__version__`` depends on who it is taken for.

    :param own: our own version.
    :param before: the ``__getattr__`` that the package had.
    """

    def __init__(self, own: str, before: t.Callable[[str], t.Any] | None) -> None:
        self.own = own
        self.before: t.Callable[[str], t.Any] | None
        # After a reload of the package, the one that is replaced is ours.
        self.before = before.before if isinstance(before, VersionByName) else before

    def __call__(self, name: str) -> t.Any:
        """Return what the package has not got.

        :raises AttributeError: if it is neither the version nor known to `before`.
        """
        if name == "__version__":
            return self.own if _name_written(sys._getframe(1)) == OURS else FLASK_VERSION
        if self.before is not None:
            return self.before(name)
        raise AttributeError(f"module {OURS!r} has no attribute {name!r}")


def _name_written(frame: FrameType) -> str:
    """Return which of the package's names stands last before the place where `frame` is.

    Code that says neither (``version = getattr(module, "__version__")``) was written for Flask:
    who wants our own version says so.
    """
    import dis

    name = THEIRS
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset >= frame.f_lasti:
            break
        # Two locals loaded by one instruction are a tuple.
        value = instruction.argval
        for written in value if isinstance(value, tuple) else (value,):
            name = written if written in (OURS, THEIRS) else name
    return name


class FlaskMetadata:
    """Answers for the Flask distribution where none is installed: what ``importlib.metadata`` asks.

    It stands in ``sys.meta_path``, but finds no modules.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Find no module."""

    def find_distributions(
        self, context: metadata.DistributionFinder.Context | None = None
    ) -> Iterator[metadata.Distribution]:
        """Yield the virtual distribution, if it is asked for and no real one is on the path."""
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        asked = context or DistributionFinder.Context()
        if asked.name not in (None, THEIRS, THEIRS.capitalize()) or asked.path != sys.path:
            return
        real = MetadataPathFinder.find_distributions(DistributionFinder.Context(name=THEIRS))
        if next(iter(real), None) is None:
            yield _virtual_flask()


def _virtual_flask() -> metadata.Distribution:
    # Local, since the import takes longer than that of this whole module, and few ask.
    from importlib.metadata import Distribution

    class VirtualFlask(Distribution):
        def read_text(self, filename: str) -> str | None:
            known = f"Metadata-Version: 2.1\nName: Flask\nVersion: {FLASK_VERSION}\n"
            return known if filename == "METADATA" else None

        def locate_file(self, path: str | os.PathLike[str]) -> Path:
            return Path(__file__).parent.parent / path

    return VirtualFlask()


# -- too late ----------------------------------------------------------------------------------


def _too_late(real: ModuleType) -> str:
    holders = "\n".join(f"  - {line}" for line in _holders(real))
    told = f"It is held by:\n{holders}" if holders else "No loaded module holds it any more."
    where = getattr(real, "__file__", None) or "no file"
    return TOO_LATE.format(where=where, holders=told, variable=VARIABLE)


def _holders(real: ModuleType) -> list[str]:
    """Return the loaded modules that refer to `real` or to an object of its, with their files."""
    marks = _marks(real)
    return [
        f"{name} ({getattr(module, '__file__', None) or 'no file'})"
        for name, module in sorted(sys.modules.items())
        if isinstance(module, ModuleType)
        and not _within(name, THEIRS)
        and any(id(value) in marks for value in list(vars(module).values()))
    ]


def _marks(real: ModuleType) -> set[int]:
    """Return the identities of what one gets from Flask by importing it or from it."""
    from werkzeug.local import LocalProxy

    modules = [m for name, m in list(sys.modules.items()) if _within(name, THEIRS)]
    marks = {id(module) for module in [real, *modules] if module is not None}
    own = (type, FunctionType)
    for value in list(vars(real).values()):
        # `type(...)`, not `isinstance`: that would look through the proxy, outside any context.
        proxy = type(value) is LocalProxy
        if proxy or (isinstance(value, own) and _within(value.__module__, THEIRS)):
            marks.add(id(value))
    return marks
