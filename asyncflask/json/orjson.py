"""JSON by orjson, which is several times as fast as the standard library.

It is used by an app that asks for it::

    from asyncflask.json.orjson import OrjsonProvider

    app.json = OrjsonProvider(app)
"""

from __future__ import annotations

import inspect
import typing as t

from .provider import (
    _COMPACTLY,
    LARGE,
    DefaultJSONProvider,
    Writer,
    _at_once,
    read_json,
    uncollected,
)

try:
    import orjson
except ImportError as error:
    raise ImportError(
        "asyncflask.json.orjson writes and reads JSON with the package orjson, which is not"
        " installed here. Install it with `pip install 'asyncflask[orjson]'`, or leave app.json as"
        " it is: the standard library does the same, more slowly.",
        name="orjson",
    ) from error


T = t.TypeVar("T")

_dumps, _loads, _SORTED = orjson.dumps, orjson.loads, orjson.OPT_SORT_KEYS
_COMPACT = orjson.OPT_APPEND_NEWLINE
_INDENTED = _COMPACT | orjson.OPT_INDENT_2


def _nothing(obj: t.Any) -> None:
    """Write nothing."""


class OrjsonProvider(DefaultJSONProvider):
    """JSON with `orjson`: the same values as `DefaultJSONProvider`'s, in other words.

    Text is UTF-8 without escapes, floats may have another notation (``1e-7``, ``1e-07``), and NaN
    and infinity, which JSON has not, are ``null``. `enum.Enum` members are written too, as their
    values; they and `uuid.UUID` never come to `default`.

    What orjson refuses is written by the standard library: integers beyond 64 bits, keys that
    are no strings, lone surrogates, and more than 254 levels. `ensure_ascii` is for that only.

    Reading follows RFC 8259 to the letter: UTF-8 only, without a byte order mark, no NaN, no lone
    surrogates. An integer beyond 64 bits is read as a float.
    """

    #: Flags of `orjson.dumps`, ``orjson.OPT_...``. As they are here, dates and dataclasses are
    #: left to `default`, and subclasses of dict and list are written as what they show.
    #: `sort_keys` and `compact` add theirs.
    option: int = (
        orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Return `obj` as JSON text, without spaces.

        :param obj: the value.
        :param kwargs: arguments of `json.dumps`. With any of them, the standard library writes.
        """
        if not kwargs:
            written = self._writing(0, _nothing)(obj)
            if written is not None:
                return written.decode()
            kwargs = _COMPACTLY
        if kwargs == _COMPACTLY:
            return self._compact(obj, self._as_orjson)
        return super().dumps(obj, **{"default": self._as_orjson, **kwargs})

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Return the value that JSON text stands for.

        :param s: the text, or its UTF-8 bytes.
        :param kwargs: arguments of `json.loads`. With any of them, the standard library reads.
        :raises ValueError: if `s` is not JSON, or nests deeper than 1024 levels.
        """
        if kwargs:
            return read_json(s, **kwargs)
        return _loads(s) if len(s) < LARGE else uncollected(_loads, s)

    def _writer(self) -> Writer:
        otherwise = super()._writer
        if type(self).dumps is OrjsonProvider.dumps and "dumps" not in self.__dict__:
            option = _COMPACT if self._is_compact else _INDENTED
            return self._writing(option, lambda obj: otherwise()(obj))
        return otherwise()

    def _writing(
        self, option: int, otherwise: t.Callable[[t.Any], T]
    ) -> t.Callable[[t.Any], bytes | T]:
        """Return what writes by orjson, or otherwise what orjson cannot.

        orjson hides what `default` raised behind an error of its own. A `TypeError` says that
        `default` does not know the value, which the standard library tells once more, in Flask's
        words. Anything else, a cancellation among them, is raised as it was.
        """
        known = self._known
        option |= self.option | (_SORTED if self.sort_keys else 0)

        def write(obj: t.Any) -> bytes | T:
            try:
                return _dumps(obj, known, option)
            except TypeError as error:
                cause = error.__cause__
            if cause is None or isinstance(cause, TypeError):
                return otherwise(obj)
            try:
                raise cause
            finally:
                del cause  # it refers to this frame

        return write

    def _known(self, value: t.Any) -> t.Any:
        """Return a value that orjson writes for one that it left to us."""
        if isinstance(value, _KINDS):
            return next(plain(value) for kind, plain in _PLAIN.items() if isinstance(value, kind))
        default = self.default
        return (_at_once(default) if inspect.iscoroutinefunction(default) else default)(value)

    def _as_orjson(self, value: t.Any) -> t.Any:
        """Return a value that the standard library writes as orjson does this one."""
        try:
            return orjson.loads(orjson.dumps(value, None, self.option))
        except TypeError:
            return self._known(value)


#: What the standard library sees in instances of subclasses: their contents, whatever their
#: methods say, but for a dict's `items`. (A `werkzeug.datastructures.MultiDict` holds lists.)
_PLAIN: dict[type, t.Callable[[t.Any], t.Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    dict: lambda value: dict(value.items()),
    list: list.copy,
    tuple: lambda value: [*tuple.__iter__(value)],
}
_KINDS = tuple(_PLAIN)
