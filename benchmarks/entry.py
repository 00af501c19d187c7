"""Makes the app that the environment names: what servers, which cannot pass arguments, are given.

``BENCHMARK_APP`` holds ``module:function`` or ``module:function:number``.
"""

from __future__ import annotations

import importlib
import os
import typing as t

VARIABLE = "BENCHMARK_APP"


class MissingError(Exception):
    """Raised when a framework has no such app."""


def make(spec: str) -> t.Any:
    """Return what a function makes.

    :param spec: ``module:function``, and a number behind another colon if it takes one.
    :raises MissingError: if the module has no such function.
    """
    module, function, *numbers = spec.split(":")
    factory = getattr(importlib.import_module(module), function, None)
    if factory is None:
        raise MissingError(spec)
    return factory(*map(int, numbers))


def app(*_: t.Any) -> t.Any:
    """Return the app that the environment names. Sanic's command passes its arguments; unused."""
    return make(os.environ[VARIABLE])


def wrapped() -> t.Any:
    """Return it, a WSGI app, as an ASGI app."""
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(app())
