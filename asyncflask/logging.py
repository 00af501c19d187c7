"""The app's logger, and the handler that it gets if nothing else was configured."""

from __future__ import annotations

import logging
import sys
import typing as t

from werkzeug.local import LocalProxy

from . import _current


class LoggerOwner(t.Protocol):
    """What `create_logger` needs of the app."""

    @property
    def name(self) -> str:
        """The app's name, which becomes the logger's."""

    @property
    def debug(self) -> bool:
        """Whether debug messages are wanted."""


def _find_errors_stream() -> t.TextIO:
    ctx = _current.request_context()
    found = None if ctx is None else ctx.request.environ.get("wsgi.errors")
    return sys.stderr if found is None else t.cast("t.TextIO", found)


#: Where errors go: the error stream of the request being handled if its server provides one
#: (``wsgi.errors``), else `sys.stderr`. It can be named in a logging configuration, as
#: ``ext://asyncflask.logging.wsgi_errors_stream``.
wsgi_errors_stream: LocalProxy[t.TextIO] = LocalProxy(_find_errors_stream)


def has_level_handler(logger: logging.Logger) -> bool:
    """Whether a message of the logger's effective level reaches a handler that accepts it.

    :param logger: the logger to start at; its parents count as far as it propagates.
    """
    level = logger.getEffectiveLevel()
    link: logging.Logger | None = logger
    while link is not None:
        if any(level >= handler.level for handler in link.handlers):
            return True
        link = link.parent if link.propagate else None
    return False


#: Writes to `wsgi_errors_stream`: ``[time] LEVEL in module: message``. To be rid of it, call
#: ``app.logger.removeHandler(default_handler)`` or configure logging before the app logs.
default_handler = logging.StreamHandler(t.cast("t.TextIO", wsgi_errors_stream))
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


def create_logger(app: LoggerOwner) -> logging.Logger:
    """Return the logger that bears the app's name, configured as far as it is not yet.

    In debug mode its level becomes ``DEBUG`` unless one is set. It gets `default_handler` unless
    a handler, its own or a parent's, takes its messages already.

    :param app: the app.
    """
    logger = logging.getLogger(app.name)
    if logger.level == logging.NOTSET and app.debug:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger
