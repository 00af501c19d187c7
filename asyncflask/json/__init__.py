"""JSON as the current app reads and writes it.

Each function asks the current app's provider, ``app.json``; where no app is current, the standard
library with the same extra types.
"""

from __future__ import annotations

import json as _json
import typing as t

from .. import _current
from .provider import JSONProvider, _default, read_json

__all__ = ["dump", "dumps", "jsonify", "load", "loads"]


def _provider() -> JSONProvider | None:
    ctx = _current.context.get(None)  # PERF: mostly it is this one, found 500 instructions sooner
    if ctx is not None and ctx._shared is not None:
        ctx = ctx._shared
    provider: JSONProvider | None = None if ctx is None else ctx.app.json
    return provider


def dumps(obj: t.Any, **kwargs: t.Any) -> str:
    """Return `obj` as JSON text.

    :param obj: the value.
    :param kwargs: options of the provider's `dumps`, or of `json.dumps`.
    """
    provider = _provider()
    if provider is not None:
        return provider.dumps(obj, **kwargs)
    return _json.dumps(obj, **{"default": _default, **kwargs})


def dump(obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
    """Write `obj` as JSON text.

    :param obj: the value.
    :param fp: a text file open for writing, UTF-8 if others are to read it.
    :param kwargs: options of the provider's `dump`, or of `json.dump`.
    """
    provider = _provider()
    if provider is not None:
        provider.dump(obj, fp, **kwargs)
    else:
        _json.dump(obj, fp, **{"default": _default, **kwargs})


def loads(s: str | bytes, **kwargs: t.Any) -> t.Any:
    """Return the value that JSON text stands for.

    :param s: the text, or its UTF-8 bytes.
    :param kwargs: options of the provider's `loads`, or of `json.loads`.
    :raises ValueError: if `s` cannot be read.
    """
    provider = _provider()
    return read_json(s, **kwargs) if provider is None else provider.loads(s, **kwargs)


def load(fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
    """Return the value that the JSON text in a file stands for.

    :param fp: a file open for reading, text or UTF-8 bytes.
    :param kwargs: options of the provider's `load`, or of `json.load`.
    :raises ValueError: if the text cannot be read.
    """
    provider = _provider()
    return read_json(fp.read(), **kwargs) if provider is None else provider.load(fp, **kwargs)


def jsonify(*args: t.Any, **kwargs: t.Any) -> t.Any:
    """Return the current app's JSON response for a value.

    A view may return a dict or a list instead and needs this only to change the response.

    :param args: one value, or several that become a list. None at all gives ``null``.
    :param kwargs: the items of a dict, in place of `args`.
    :raises TypeError: if both kinds are given.
    :raises RuntimeError: if no app is current.
    """
    return _current.require_app_context().app.json.response(*args, **kwargs)
