"""JSON providers: how an app turns values into JSON text or responses, and text into values.

`JSONProvider` says what an app asks for; `DefaultJSONProvider` does it with the standard library.
"""

from __future__ import annotations

import dataclasses
import gc
import inspect
import json
import sys
import typing as t
import weakref
from datetime import date
from functools import cached_property, lru_cache
from uuid import UUID

from werkzeug.http import http_date
from werkzeug.sansio.response import Response

from .. import _current
from ..watched import Telling

#: Makes a response's body of a value.
Writer = t.Callable[[t.Any], bytes]


class JSONHost(t.Protocol):
    """What a provider needs of the app that it serves."""

    @property
    def config(self) -> t.Mapping[str, t.Any]:
        """The settings: of ``DEBUG``, whether people read what the app sends."""
        ...

    @property
    def response_class(self) -> t.Any:
        """What responses are made of."""
        ...


class JSONProvider(Telling):
    """What an app needs of a JSON library.

    Subclass this, write at least `dumps` and `loads`, and name the class in
    ``Flask.json_provider_class``, or assign an instance to ``app.json``.

    :param app: the app to serve. It owns the provider, so only a weak reference is kept.
    """

    def __init__(self, app: JSONHost) -> None:
        self._app: JSONHost = weakref.proxy(app)

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Return `obj` as JSON text; every provider writes its own.

        :param obj: the value.
        :param kwargs: options of the library behind the provider.
        """
        raise NotImplementedError

    def dump(self, obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
        """Write `obj` as JSON text.

        :param obj: the value.
        :param fp: a text file open for writing, UTF-8 if others are to read it.
        :param kwargs: as for `dumps`.
        """
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Return the value that JSON text stands for; every provider writes its own.

        A provider raises `ValueError` for anything that it cannot read: that is what
        ``request.get_json()`` answers with 400.

        :param s: the text, or its UTF-8 bytes.
        :param kwargs: options of the library behind the provider.
        """
        raise NotImplementedError

    def load(self, fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
        """Return the value that the JSON text in a file stands for.

        :param fp: a file open for reading, text or UTF-8 bytes.
        :param kwargs: as for `loads`.
        """
        return self.loads(fp.read(), **kwargs)

    def _prepare_response_obj(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> t.Any:
        """Return the one value meant by the arguments of `response`."""
        if args and kwargs:
            raise TypeError(
                "app.json.response() takes either args or kwargs, not both: pass a list or a dict"
                " that holds everything."
            )
        if len(args) == 1:
            return args[0]
        return args or kwargs or None

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """Return a JSON response; `asyncflask.json.jsonify` calls this.

        :param args: one value, or several that become a list. None at all gives ``null``.
        :param kwargs: the items of a dict, in place of `args`.
        :raises TypeError: if both kinds are given.
        """
        text = self.dumps(self._prepare_response_obj(args, kwargs))
        made: Response = self._app.response_class(text, mimetype="application/json")
        return made


def _is_decimal(o: t.Any) -> bool:
    """Whether a value is a `decimal.Decimal`; who has one has imported the module."""
    decimal: t.Any = sys.modules.get("decimal")
    return decimal is not None and isinstance(o, decimal.Decimal)


def _default(o: t.Any) -> t.Any:
    """Return a JSON value for the types that the standard library does not know."""
    match o:
        case date():
            return http_date(o)
        case UUID():
            return str(o)
        case _ if _is_decimal(o):
            return str(o)
        case _ if dataclasses.is_dataclass(o):
            return dataclasses.asdict(o)  # type: ignore[arg-type]
        case _ if hasattr(o, "__html__"):
            return str(o.__html__())
    raise TypeError(f"Object of type {type(o).__name__} is not JSON serializable")


def _at_once(default: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
    """Return an ``async def`` default as a plain function, which the current app calls."""

    def call(value: t.Any) -> t.Any:
        return _current.require_app_context().app._call_at_once(default, value)

    return call


class _Encoder(json.JSONEncoder):
    """The standard library's encoder, whose inner one is made once.

    PERF: 0.9 us for a small dict, 1.4 where each call makes its own.
    """

    @cached_property
    def _chunks(self) -> t.Callable[[t.Any, int], t.Iterable[str]] | None:
        """Makes the pieces of a value's text; None where only Python's code can do that.

        It keeps no account of what it is in the middle of: threads would find each other's there.
        """
        names: t.Any = json.encoder
        make = getattr(names, "c_make_encoder", None)
        if make is None or self.indent is not None:
            return None
        quote = names.encode_basestring_ascii if self.ensure_ascii else names.encode_basestring
        separators = self.key_separator, self.item_separator
        options = self.sort_keys, self.skipkeys, self.allow_nan
        made: t.Any = make(None, self.default, quote, None, *separators, *options)
        return t.cast("t.Callable[[t.Any, int], t.Iterable[str]]", made)

    def encode(self, o: t.Any) -> str:
        """Return a value's text."""
        chunks = self._chunks
        if chunks is not None and type(o) is not str:
            try:
                return "".join(chunks(o, 0))
            except RecursionError:  # it may be in itself, which the usual way tells
                pass
        return super().encode(o)


@lru_cache(maxsize=32)
def _encoder(
    default: t.Callable[[t.Any], t.Any],
    ensure_ascii: bool,
    sort_keys: bool,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
) -> json.JSONEncoder:
    """Return an encoder for these options.

    PERF: `json.dumps` builds one on each call, which is 0.9 of the 2.2 us of a small dict.
    """
    return _Encoder(
        default=_at_once(default) if inspect.iscoroutinefunction(default) else default,
        ensure_ascii=ensure_ascii,
        sort_keys=sort_keys,
        indent=indent,
        separators=separators,
    )


def _encoder_for(*options: t.Any) -> json.JSONEncoder:
    try:
        return _encoder(*options)
    except TypeError:  # they cannot be hashed
        return _encoder.__wrapped__(*options)


#: Reads the value that text begins with.
#: PERF: 1 us less for a small value than `json.loads`, which first looks for blanks around it.
_scan: t.Callable[[str, int], tuple[t.Any, int]] = vars(json.JSONDecoder())["scan_once"]


#: Letters from which on text is read without collections: in less there is hardly one.
LARGE = 16_384


def uncollected(read: t.Callable[[t.Any], t.Any], s: str | bytes) -> t.Any:
    """Return ``read(s)``, which makes a value of JSON text and nothing else, undisturbed by gc.

    Python collects after every 700 objects, to find that all of a value's are in use. From 3.12 on
    it waits for the end of such a call by itself; earlier, it is told to.
    PERF: 1 MB of JSON, 25,000 lists and dicts: 13 ms, and 21 with the collections; by orjson 6
    ms, and 10.
    """
    if len(s) < LARGE or not gc.isenabled():
        return read(s)
    gc.disable()
    try:
        return read(s)
    finally:
        gc.enable()


def read_json(s: str | bytes, **kwargs: t.Any) -> t.Any:
    """`json.loads`, with one kind of error for whatever is wrong with the text.

    :raises ValueError: if `s` is no JSON, nests deeper than Python's stack allows, or holds an
        integer of more digits than `sys.get_int_max_str_digits` allows.
    """
    try:
        kind = type(s)
        if (kind is bytes or kind is str) and not kwargs and len(s) < LARGE:
            try:
                # NOTE: in other encodings of Unicode it has a byte 0, which is nowhere in JSON, or
                # begins with what is none. PERF: 1.5 us less than to have `json.loads` look.
                text: t.Any = s.decode("utf-8", "surrogatepass") if isinstance(s, bytes) else s
                value, end = _scan(text, 0)
                if end == len(text):
                    return value
            except (StopIteration, ValueError):  # `json.loads` knows what to say
                pass
        return json.loads(s, **kwargs) if kwargs else uncollected(json.loads, s)
    except RecursionError:
        raise ValueError("The JSON text nests too deeply to be read.") from None


class DefaultJSONProvider(JSONProvider):
    """JSON with the standard library's `json`, and more types.

    It also writes

    - `datetime.datetime` and `datetime.date` as HTTP dates (RFC 9110, section 5.6.7),
    - `decimal.Decimal` and `uuid.UUID` as strings,
    - dataclasses as objects,
    - whatever has an ``__html__`` method, such as `markupsafe.Markup`, as the string it gives.
    """

    #: Called with each value that `json` cannot write. Returns one that it can, or raises
    #: `TypeError`.
    default: t.Callable[[t.Any], t.Any] = staticmethod(_default)

    #: Escape everything that is not ASCII. Off, the text is shorter, and UTF-8.
    ensure_ascii = True

    #: Sort the keys of objects, so that equal values give equal text (as caches like it). Keys
    #: of mixed types cannot be sorted: all strings, or all numbers.
    sort_keys = True

    #: Whether `response` leaves out indentation and spaces; None: unless the app is in debug mode.
    compact: bool | None = None

    #: The media type of `response`.
    mimetype = "application/json"

    #: The options that text without spaces had last, and the encoder's method for them.
    _last_compact: tuple[t.Any, t.Callable[[t.Any], str]] = (None, str)

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Return `obj` as JSON text.

        :param obj: the value.
        :param kwargs: arguments of `json.dumps`. They win over `default`, `ensure_ascii` and
            `sort_keys` of the provider.
        """
        if not kwargs:
            return self._encoder().encode(obj)
        if kwargs == _COMPACTLY:
            return self._compact(obj, self.default)
        options = {
            "default": self.default,
            "ensure_ascii": self.ensure_ascii,
            "sort_keys": self.sort_keys,
            **kwargs,
        }
        try:
            encoder = _encoder(**options)
        except TypeError:  # further options, or some that cannot be hashed
            return json.dumps(obj, **options)
        return encoder.encode(obj)

    def _compact(self, obj: t.Any, default: t.Callable[[t.Any], t.Any]) -> str:
        """Return text without spaces, which sessions are kept in.

        PERF: 8,000 instructions less than to put all the options together again each time.
        """
        options = default, self.ensure_ascii, self.sort_keys
        last, encode = self._last_compact
        if last != options:
            encode = _encoder_for(*options, None, COMPACT).encode
            vars(self)["_last_compact"] = options, encode  # which is no change to tell of
        return encode(obj)

    def _encoder(self, *layout: t.Any) -> json.JSONEncoder:
        """Return the encoder that the provider's own options make.

        :param layout: the indentation and the separators, if not the usual ones.
        """
        return _encoder_for(self.default, self.ensure_ascii, self.sort_keys, *layout)

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Return the value that JSON text stands for.

        :param s: the text, or its UTF-8 bytes.
        :param kwargs: arguments of `json.loads`.
        :raises ValueError: if `s` is not JSON, or is hostile: thousands of levels or digits.
        """
        return read_json(s, **kwargs)

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """Return a JSON response, indented if `compact` says so.

        :param args: one value, or several that become a list. None at all gives ``null``.
        :param kwargs: the items of a dict, in place of `args`.
        :raises TypeError: if both kinds are given.
        """
        body = self.response_body(self._prepare_response_obj(args, kwargs))
        made: Response = self._app.response_class(body, mimetype=self.mimetype)
        return made

    def response_body(self, obj: t.Any) -> bytes:
        """Return what `response` sends for a value.

        A view's dict or list may be sent with it alone, without a response object.

        :param obj: the value.
        """
        return self._writer()(obj)

    def _writer(self) -> Writer:
        """Return what does the work of `response_body`, until an option is changed."""
        if type(self).dumps is DefaultJSONProvider.dumps and "dumps" not in self.__dict__:
            # PERF: what `dumps` would do with these options, without a dict of them: 0.7 us less.
            encode = self._encoder(*((None, COMPACT) if self._is_compact else (2,))).encode
            return lambda obj: (encode(obj) + "\n").encode()
        layout: dict[str, t.Any] = _COMPACTLY if self._is_compact else {"indent": 2}
        return lambda obj: (self.dumps(obj, **layout) + "\n").encode()

    @property
    def _is_compact(self) -> bool:
        return not self._app.config["DEBUG"] if self.compact is None else self.compact


def needs_no_response(provider: JSONProvider) -> bool:
    """Whether a provider's `mimetype` and `response_body` say all that its `response` does."""
    names = ("response", "_prepare_response_obj")
    return isinstance(provider, DefaultJSONProvider) and all(
        getattr(type(provider), name) is getattr(DefaultJSONProvider, name)
        and name not in vars(provider)
        for name in names
    )


#: The separators of text without spaces, and the only argument of who asks for that.
COMPACT = (",", ":")
_COMPACTLY = {"separators": COMPACT}
