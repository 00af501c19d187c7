"""Functions that views and templates call: URLs, responses, messages, streams.

Files are in `files`, and offered here too.
"""

from __future__ import annotations

import typing as t
from functools import lru_cache, partial

from werkzeug.exceptions import abort as _wz_abort
from werkzeug.utils import redirect as _wz_redirect
from werkzeug.wrappers import Response as BaseResponse

from ._current import app_context, require_app_context, require_request_context, session
from .config import get_debug_flag, get_load_dotenv
from .files import send_file, send_from_directory
from .packages import get_root_path
from .signals import message_flashed
from .streams import stream_with_context
from .wrappers import Response

__all__ = [
    "abort",
    "flash",
    "get_debug_flag",
    "get_flashed_messages",
    "get_load_dotenv",
    "get_root_path",
    "get_template_attribute",
    "make_response",
    "redirect",
    "send_file",
    "send_from_directory",
    "stream_with_context",
    "url_for",
]


def make_response(*args: t.Any) -> Response:
    """Return the response that a view would send by returning `args`.

    For views that want to change it first::

        response = make_response(render_template("hot.html"), 418)
        response.headers["X-Tea"] = "green"
        return response

    :param args: a view's return value; several are taken as a tuple, none gives an empty response.
    :raises RuntimeError: if no app is current.
    """
    app = require_app_context().app
    if not args:
        made = app.response_class()
    else:
        made = app.make_response(args[0] if len(args) == 1 else args)
    return t.cast("Response", made)


def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: t.Any,
) -> str:
    """Return the URL of an endpoint, as the current app's ``url_for`` builds it.

    :param endpoint: the endpoint's name. One that starts with a dot is the current blueprint's.
    :param _anchor: what comes after ``#``.
    :param _method: of several rules, the one for this HTTP method.
    :param _scheme: the scheme, which makes the URL an external one.
    :param _external: whether scheme and host are part of it. Outside a request they are, unless
        this says otherwise.
    :param values: the rule's arguments; others become the query.
    :raises RuntimeError: if no app is current.
    :raises werkzeug.routing.BuildError: if no rule fits, and no handler of the app helps.
    """
    choices = {
        "_anchor": _anchor,
        "_method": _method,
        "_scheme": _scheme,
        "_external": _external,
    }
    return t.cast("str", require_app_context().app.url_for(endpoint, **choices, **values))


def redirect(
    location: str, code: int = 302, Response: type[BaseResponse] | None = None
) -> BaseResponse:
    """Return a response that sends the client elsewhere.

    Does not check `location`: never redirect to a URL that came from outside unseen.

    :param location: where to.
    :param code: the status code: 301, 302, 303, 305, 307 or 308.
    :param Response: the response's class, where no app is current to name it.
    """
    ctx = app_context()
    if ctx is None:
        return _wz_redirect(location, code=code, Response=Response)
    return t.cast("BaseResponse", ctx.app.redirect(location, code=code))


def abort(code: int | BaseResponse, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
    """End the request with an HTTP error.

    :param code: a status code that ``app.aborter`` knows, or a response to send.
    :param args: arguments of the exception, its description first.
    :param kwargs: named arguments of the exception.
    :raises werkzeug.exceptions.HTTPException: always, of the class for `code`.
    :raises LookupError: if there is no class for it.
    """
    ctx = app_context()
    if ctx is not None:
        ctx.app.aborter(code, *args, **kwargs)
    _wz_abort(code, *args, **kwargs)


def get_template_attribute(template_name: str, attribute: str) -> t.Any:
    """Return what a template defines at its top level, such as a macro, for use in Python.

    With ``{% macro button(text) %}...{% endmacro %}`` in ``_forms.html``::

        button = get_template_attribute("_forms.html", "button")
        return button("Send")

    :param template_name: the template's name.
    :param attribute: the name of the macro or variable.
    :raises AttributeError: if the template defines no such thing.
    """
    module = require_app_context().app.jinja_env.get_template(template_name).module
    return getattr(module, attribute)


def flash(message: str, category: str = "message") -> None:
    """Keep a message for the visitor, to be shown by `get_flashed_messages` on the next page.

    :param message: the message.
    :param category: its kind: ``"message"``, ``"error"``, ``"info"``, ``"warning"``, or any other
        word that your templates look for.
    """
    # NOTE: read, append, assign: a session that lives outside the process hands out copies, and
    # an assignment is what every session notices.
    waiting = session.get("_flashes", [])
    waiting.append((category, message))
    session["_flashes"] = waiting
    app = require_app_context().app
    wrap = partial(partial, app._call_at_once)
    message_flashed.send(app, _async_wrapper=wrap, message=message, category=category)


def get_flashed_messages(
    with_categories: bool = False, category_filter: t.Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Take the visitor's messages out of the session and return them.

    Asked again in the same request, it gives the same messages.

    :param with_categories: return ``(category, message)`` pairs in place of messages.
    :param category_filter: only messages of these categories; all if empty.
    """
    ctx = require_request_context()
    if ctx.flashes is None:
        ctx.flashes = session.pop("_flashes") if session.get("_flashes") else []
    flashes: list[tuple[str, str]] = ctx.flashes
    if category_filter:
        flashes = [flash for flash in flashes if flash[0] in category_filter]
    return flashes if with_categories else [flash[1] for flash in flashes]


@lru_cache(maxsize=1024)
def _split_blueprint_path(name: str) -> list[str]:
    """Return a nested blueprint's name and its parents', innermost first."""
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(len(parts), 0, -1)]
