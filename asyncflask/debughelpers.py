"""Errors and explanations for those who are writing an app, shown in debug mode only."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Request

from . import _current
from .sansio.app import App
from .sansio.blueprints import Blueprint
from .sansio.scaffold import Scaffold

if t.TYPE_CHECKING:
    from jinja2 import BaseLoader

#: What a loader found: the source, its file name if it has one, and a check for freshness.
Found = tuple[str, str | None, t.Callable[[], bool] | None]

#: A loader that was asked, whose it is, and what it found.
Attempt: t.TypeAlias = "tuple[BaseLoader, Scaffold, Found | None]"


class RoutedRequest(t.Protocol):
    """What `FormDataRoutingRedirect` needs of a request."""

    @property
    def url(self) -> str:
        """The URL that was asked for."""
        ...

    @property
    def base_url(self) -> str:
        """The same without the query."""
        ...

    @property
    def routing_exception(self) -> HTTPException | None:
        """What the matching raised."""
        ...


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Raised where text was found in place of bytes, or bytes in place of text."""


class DebugFilesKeyError(KeyError, AssertionError):
    """Raised when ``request.files`` lacks a file that the form sent as a plain field.

    :param request: the request.
    :param key: the field's name.
    """

    def __init__(self, request: Request, key: str) -> None:
        self.msg = (
            f"request.files has no {key!r}: the request came as {request.mimetype!r} and not as"
            " 'multipart/form-data', so no file contents were transmitted. Give the <form> the"
            ' attribute enctype="multipart/form-data".'
        )
        if sent := ", ".join(map(repr, request.form.getlist(key))):
            self.msg += f"\n\nThe browser sent the name alone. This was submitted: {sent}"
        super().__init__(self.msg)

    def __str__(self) -> str:
        return self.msg


class FormDataRoutingRedirect(AssertionError):
    """Raised when a redirect to a route's own URL would lose a request's body.

    That is so for every method but GET, HEAD and OPTIONS, unless the status is 307 or 308.

    :param request: the request, whose ``routing_exception`` is the redirect.
    """

    def __init__(self, request: RoutedRequest) -> None:
        target = t.cast("RequestRedirect", request.routing_exception).new_url
        text = (
            f"The request was sent to {request.url!r}, but routing redirects it to the canonical"
            f" URL {target!r}. A browser that follows drops the body. Send it to the canonical"
            " URL, or have routing redirect with 307 or 308."
        )
        if target.partition("?")[0] == request.base_url + "/":
            text += " (The rule ends with a slash; the URL that was asked for does not.)"
        super().__init__(text + "\n\nThis is an error in debug mode only.")


def attach_enctype_error_multidict(request: Request) -> None:
    """Have ``request.files`` explain a missing file with `DebugFilesKeyError`.

    :param request: a request whose form was not sent as ``multipart/form-data``.
    """
    base = type(request.files)

    def look_up(self: t.Any, key: str) -> t.Any:
        try:
            return base.__getitem__(self, key)
        except KeyError as error:
            if key not in request.form:
                raise
            explained = DebugFilesKeyError(request, key)
            raise explained.with_traceback(error.__traceback__) from None

    members = {"__getitem__": look_up, "__module__": base.__module__}
    request.files.__class__ = type(base.__name__, (base,), members)


def _dump_loader_info(loader: BaseLoader) -> t.Iterator[str]:
    """Describe a loader: its class, and its public attributes of simple types."""
    kind = type(loader)
    yield f"class: {kind.__module__}.{kind.__name__}"
    for name, value in sorted(vars(loader).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, (str, int, float, bool)):
            yield f"{name}: {value!r}"
        elif isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            yield f"{name}:"
            yield from (f"  - {item}" for item in value)


def _owner(source: object) -> str:
    """Say whose loader was tried."""
    match source:
        case App():
            return f"application {source.import_name!r}"
        case Blueprint():
            return f"blueprint {source.name!r} ({source.import_name})"
    return repr(source)


def _verdict(found: list[Found]) -> str | None:
    if not found:
        return "Error: the template could not be found."
    if len(found) > 1:
        return "Warning: more than one loader has this template; the first one is used."
    return None


def explain_template_loading_attempts(app: App, template: str, attempts: list[Attempt]) -> None:
    """Log where a template was looked for, and what to make of it.

    :param app: the app, to whose logger the explanation goes, at level INFO.
    :param template: the template's name.
    :param attempts: each loader that was asked, whose it is, and what it found.
    """
    lines = [f"Looking for the template {template!r}:"]
    for number, (loader, source, found) in enumerate(attempts, 1):
        lines.append(f"{number:5}: trying loader of {_owner(source)}")
        lines.extend(f"       {line}" for line in _dump_loader_info(loader))
        outcome = "not there" if found is None else f"found ({found[1] or '<string>'!r})"
        lines.append(f"       -> {outcome}")

    verdict = _verdict([found for _, _, found in attempts if found is not None])
    if verdict is not None:
        lines.append(verdict)
        lines.extend(_blueprint_hint())
    app.logger.info("\n".join(lines))


def _blueprint_hint() -> t.Iterator[str]:
    ctx = _current.request_context()
    name = None if ctx is None else ctx.request.blueprint
    if name is not None:
        yield (
            "  It was looked up from an endpoint that belongs to the blueprint"
            f" {name!r}: is the file in that blueprint's template folder?"
        )
        yield "  See https://flask.palletsprojects.com/blueprints/#templates"
