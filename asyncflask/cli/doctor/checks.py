"""The table of checks."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..locate import NoAppException
from .blocking import check_blocking_calls
from .finding import Finding, is_foreign, shown
from .internals import check_extensions, findings_about
from .settings import (
    check_body_size,
    check_debug,
    check_hosts,
    check_pool_sizes,
    check_secret_key,
    check_session_cookie,
    check_session_interface,
    check_weak_keys,
)
from .wiring import (
    check_class_entry,
    check_converters,
    check_decorated_views,
    check_overridden_steps,
    check_pushed_context,
    check_two_flasks,
    check_wsgi_middleware,
    real_flask,
)

Check = Callable[[Any], Iterable[Finding]]

#: What is looked for, in the order in which it is told.
CHECKS: tuple[Check, ...] = (
    check_two_flasks,
    check_blocking_calls,
    check_secret_key,
    check_weak_keys,
    check_extensions,
    check_debug,
    check_session_cookie,
    check_pushed_context,
    check_wsgi_middleware,
    check_class_entry,
    check_overridden_steps,
    check_pool_sizes,
    check_decorated_views,
    check_converters,
    check_session_interface,
    check_body_size,
    check_hosts,
)


def findings_without_app(error: Exception) -> Iterator[Finding]:
    """Iterate over what there is to say where the app could not be loaded.

    Nothing, if it is only that there is no such app.

    :param error: what was raised.
    """
    cause = error.__context__ if isinstance(error, NoAppException) else error
    frames = traceback.extract_tb(None if cause is None else cause.__traceback__)
    places = [f"{shown(one.filename)}:{one.lineno}" for one in frames if is_foreign(one.filename)]
    if isinstance(cause, SyntaxError):
        places.append(f"{shown(cause.filename or '?')}:{cause.lineno}")
    if places:
        yield Finding(
            "error",
            places[-1],
            f"The app could not be loaded: {type(cause).__name__}: {cause}",
            "Run 'asyncflask routes' for the whole traceback.",
        )
        yield from findings_about({os.path.abspath(frame.filename) for frame in frames})
    elif real_flask() is not None:
        yield Finding(
            "error",
            "import flask",
            f"The real Flask was imported, and no app of asyncflask was found: {error}",
            "Run 'asyncflask --as-flask doctor', so that 'import flask' means asyncflask.",
        )
