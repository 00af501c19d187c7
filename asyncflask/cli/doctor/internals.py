"""Names of Flask's that were removed or are private, used by the extensions that are installed."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from types import ModuleType

from ...aliasing import OURS, THEIRS
from .finding import Finding, shown

#: When names went that many extensions used, and what to use.
REMOVED = {
    "_app_ctx_stack": ("3.0", "g, or flask.globals.app_ctx"),
    "_request_ctx_stack": ("3.0", "g, or flask.globals.request_ctx"),
    "before_first_request": ("2.3", "code in the app's factory"),
    "before_app_first_request": ("2.3", "code in the app's factory"),
    "json_encoder": ("2.3", "app.json"),
    "json_decoder": ("2.3", "app.json"),
    "JSONEncoder": ("2.3", "flask.json.provider"),
    "JSONDecoder": ("2.3", "flask.json.provider"),
    "htmlsafe_dump": ("2.3", "the template filter tojson"),
    "htmlsafe_dumps": ("2.3", "the template filter tojson"),
    "session_cookie_name": ("2.3", "app.config"),
    "send_file_max_age_default": ("2.3", "app.config"),
    "use_x_sendfile": ("2.3", "app.config"),
    "propagate_exceptions": ("2.3", "app.config"),
    "templates_auto_reload": ("2.3", "app.config"),
    "Markup": ("3.0", "markupsafe.Markup"),
    "escape": ("3.0", "markupsafe.escape"),
    "safe_join": ("2.1", "werkzeug.utils.safe_join"),
    "_PackageBoundObject": ("2.0", "flask.sansio.scaffold.Scaffold"),
}

#: Names that went from apps and blueprints, distinctive enough to be looked for as attributes.
ATTRIBUTES = frozenset(
    {"before_first_request", "before_app_first_request", "json_encoder", "json_decoder"}
)
#: What apps and blueprints are called where these are looked for.
APPS = re.compile(r"(.*_)?(app|application|blueprint|bp|state)")

#: A release of an extension that is known to work here: this project runs its own test suite.
KNOWN_GOOD = {
    "apiflask": "3.1.2",
    "flask-admin": "2.2.1",
    "flask-caching": "2.5.1",
    "flask-compress": "1.25",
    "flask-cors": "6.0.5",
    "flask-httpauth": "4.8.1",
    "flask-jwt-extended": "4.7.4",
    "flask-limiter": "4.1.1",
    "flask-login": "0.6.3",
    "flask-marshmallow": "1.5.0",
    "flask-migrate": "4.1.0",
    "flask-restful": "0.3.10",
    "flask-restx": "1.3.2",
    "flask-security": "5.9.2",
    "flask-smorest": "0.47.0",
    "flask-socketio": "5.7.0",
    "flask-sqlalchemy": "3.1.1",
    "flask-talisman": "1.1.0",
    "flask-wtf": "1.3.0",
}
#: Extensions that have ended, and what took their place.
SUCCESSORS = {
    "flask-babelex": "Flask-Babel",
    "flask-jwt": "Flask-JWT-Extended",
    "flask-oauthlib": "Authlib",
    "flask-script": "commands of the app itself: @app.cli.command()",
    "flask-security-too": "Flask-Security",
}

_REQUIRES = re.compile(r"flask(?![\w.-])(?!.*\bextra\b)", re.IGNORECASE)
_NOT_RUN = {"test", "tests", "docs", "examples"}


@dataclass(frozen=True)
class Use:
    """A place where a name of Flask's is used.

    :param name: the name, with its module.
    :param path: the file.
    :param line: the line in it.
    """

    name: str
    path: str
    line: int


def check_extensions(app: t.Any) -> Iterator[Finding]:
    """Find removed and private names of Flask's in what is installed for it."""
    loaded = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}
    yield from findings_about(loaded)


def findings_about(loaded: set[str | None]) -> Iterator[Finding]:
    """Iterate over the findings in all extensions that are installed.

    :param loaded: the files that are in use: what is removed is an error there, and a note
        elsewhere.
    """
    for distribution in distributions():
        if any(map(_REQUIRES.match, distribution.requires or ())):
            uses: dict[str, list[Use]] = {}
            for use in _uses(distribution):
                uses.setdefault(use.name, []).append(use)
            for found in uses.values():
                yield _finding(distribution, found, loaded)


def _finding(distribution: Distribution, uses: list[Use], loaded: set[str | None]) -> Finding:
    in_use = [use for use in uses if use.path in loaded]
    first, title = (in_use or uses)[0], f"{distribution.name} {distribution.version}"
    place = f"{shown(first.path)}:{first.line}"
    if exists(first.name):
        return Finding(
            "note",
            place,
            f"{title} uses {first.name}, which is private: it works, but may change.",
            "Nothing for now.",
        )
    gone, instead = REMOVED.get(first.name.rpartition(".")[2], (None, None))
    when = f"was removed in Flask {gone}" if gone else "is not there in Flask 3.1"
    often = f" (and in {len(uses) - 1} more places)" if len(uses) > 1 else ""
    rest = "" if in_use else " Nothing has imported that file so far."
    return Finding(
        "error" if in_use else "note",
        place,
        f"{title} uses {first.name}{often}, which {when}: that code fails or does nothing.{rest}",
        _way_out(distribution, f"; its code has to use {instead}" if instead else ""),
    )


def _way_out(distribution: Distribution, instead: str) -> str:
    name = re.sub(r"[-_.]+", "-", distribution.name).lower()
    if name in SUCCESSORS:
        return f"Use {SUCCESSORS[name]} in its place."
    good = KNOWN_GOOD.get(name)
    if good is not None and good != distribution.version:
        return f"Upgrade it: {good} is known to work."
    return f"Look for a release for Flask 3{instead}."


def _uses(distribution: Distribution) -> Iterator[Use]:
    for file in distribution.files or ():
        if file.suffix == ".py" and _NOT_RUN.isdisjoint(file.parts):
            path = Path(str(distribution.locate_file(file)))
            source = path.read_bytes() if path.is_file() else b""
            if THEIRS.encode() in source:
                yield from uses_in(source, str(path))


def uses_in(source: bytes, path: str) -> Iterator[Use]:
    """Iterate over the uses of removed or private names of Flask's in a file.

    :param source: its text. One that is not Python of this version has none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    reader = _Reader()
    reader.visit(tree)
    for line, name in reader.found:
        if not exists(name) or is_private(name):
            yield Use(name, path, line)


def exists(name: str) -> bool:
    """Return whether ``flask.something`` is there with us, as far as it can be told."""
    found: t.Any = sys.modules[OURS]
    for part in name.split(".")[1:]:
        if not isinstance(found, ModuleType):
            # What a class has can be asked; what an object has, only the object knows.
            return not isinstance(found, type) or hasattr(found, part)
        if not hasattr(found, part) and not _is_submodule(found, part):
            return False
        found = getattr(found, part)
    return True


def is_private(name: str) -> bool:
    """Return whether a name that exists is private in a module; what objects have is not."""
    owner, _, last = name.rpartition(".")
    return last[:1] == "_" and last[:2] != "__" and OURS + owner[len(THEIRS) :] in sys.modules


def _is_submodule(module: ModuleType, name: str) -> bool:
    """Import a submodule of ours, if there is one of that name."""
    path = f"{module.__name__}.{name}"
    if not hasattr(module, "__path__") or importlib.util.find_spec(path) is None:
        return False
    importlib.import_module(path)
    return True


class _Reader(ast.NodeVisitor):
    """Collects the names of Flask's that a file uses, but those that it is prepared to miss."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []
        self._names: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == THEIRS:
                self.found.append((node.lineno, alias.name))
                self._names[alias.asname or THEIRS] = alias.name if alias.asname else THEIRS

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and (node.module or "").split(".")[0] == THEIRS:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if alias.name != "*":
                    self.found.append((node.lineno, name))
                    self._names[alias.asname or alias.name] = name

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = _dotted(node.value)
        root, _, rest = owner.partition(".")
        if node.attr in ATTRIBUTES and APPS.fullmatch(owner.rpartition(".")[2]):
            self.found.append((node.lineno, f"flask.Flask.{node.attr}"))
        elif root in self._names:
            middle = f".{rest}" if rest else ""
            self.found.append((node.lineno, f"{self._names[root]}{middle}.{node.attr}"))
        else:
            self.visit(node.value)

    def visit_Try(self, node: ast.Try) -> None:
        prepared = any(map(_catches_absence, node.handlers))
        for part in [] if prepared else [*node.body, *node.handlers]:
            self.visit(part)
        for part in (*node.orelse, *node.finalbody):
            self.visit(part)

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        if not _ASKS.search(ast.unparse(node.test)):
            self.generic_visit(node)

    visit_IfExp = visit_If


#: What a condition has in it that makes out whether a name is there, or is there for types only.
_ASKS = re.compile(r"version|hasattr|TYPE_CHECKING|getattr", re.IGNORECASE)
_ABSENCE = {"AttributeError", "BaseException", "Exception", "ImportError", "ModuleNotFoundError"}


def _catches_absence(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return not _ABSENCE.isdisjoint(_dotted(one).rpartition(".")[2] for one in caught)


def _dotted(node: ast.expr) -> str:
    """Return a dotted name as it is written, or the empty string for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""
