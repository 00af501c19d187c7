"""JSON: the same bytes as Flask's, and errors that are answers."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import gc
import io
import json as stdlib_json
import typing as t
import uuid
from collections.abc import Iterator

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from asyncflask import Flask, json, jsonify, request
from asyncflask.json.orjson import OrjsonProvider
from asyncflask.json.provider import DefaultJSONProvider, JSONProvider, _default, read_json

HOSTILE = [
    pytest.param("[" * 100_000, id="depth of arrays"),
    pytest.param('{"a":' * 100_000, id="depth of objects"),
    pytest.param("9" * 100_000, id="digits"),
    pytest.param('{"n": -' + "1" * 100_000 + "}", id="digits inside"),
]


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Html:
    def __html__(self) -> str:
        return "<b>bold</b>"


special = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=st.just(datetime.UTC)),
    st.dates(),
    st.decimals(),
    st.uuids(),
    st.builds(Point, st.integers(), st.integers()),
    st.text().map(Markup),
    st.just(Html()),
)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec="utf-8"))
)
values = st.recursive(
    plain | special,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.integers(), inner)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def app() -> Flask:
    return Flask(__name__)


theirs = flask.Flask(__name__)


class TestSameBytesAsFlask:
    @given(values)
    def test_dumps(self, app: Flask, value: t.Any) -> None:
        assert app.json.dumps(value) == theirs.json.dumps(value)

    @given(values)
    def test_dumps_outside_of_an_app(self, value: t.Any) -> None:
        assert json.dumps(value) == flask.json.dumps(value)

    @given(values, st.sampled_from([None, True, False]), st.booleans(), st.booleans())
    def test_response(
        self, value: t.Any, compact: bool | None, debug: bool, ensure_ascii: bool
    ) -> None:
        made = []
        for app in (Flask(__name__), flask.Flask(__name__)):
            app.debug = debug
            provider = t.cast("DefaultJSONProvider", app.json)
            provider.compact = compact
            provider.ensure_ascii = ensure_ascii
            response = t.cast("flask.Response", provider.response(value))
            made.append((response.data, response.mimetype, response.status))
        assert made[0] == made[1]

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [((), {}), ((1,), {}), ((1, 2), {}), (([],), {}), ((), {"b": 1, "a": 2})],
    )
    def test_arguments(self, app: Flask, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> None:
        with app.app_context(), theirs.app_context():
            assert jsonify(*args, **kwargs).data == flask.jsonify(*args, **kwargs).data

    @pytest.mark.parametrize("value", [{1: 1, "a": 2}, object(), {1, 2}, b"bytes", Point])
    def test_what_cannot_be_written(self, app: Flask, value: t.Any) -> None:
        messages = []
        for provider in (app.json, theirs.json):
            with pytest.raises(TypeError) as caught:
                provider.dumps(value)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


class TestFunctions:
    def test_use_the_current_apps_provider(self) -> None:
        class Shouting(DefaultJSONProvider):
            def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
                return super().dumps(obj, **kwargs).upper()

            def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
                return ["loaded", super().loads(s, **kwargs)]

        app = Flask(__name__)
        app.json = Shouting(app)
        out = io.StringIO()
        with app.app_context():
            assert json.dumps("a") == '"A"'
            json.dump("b", out)
            assert out.getvalue() == '"B"'
            assert json.loads("1") == ["loaded", 1]
            assert json.load(io.BytesIO(b"2")) == ["loaded", 2]
            assert jsonify("c").data == b'"C"\n'
        assert json.dumps("a") == '"a"'

    def test_without_an_app(self) -> None:
        out = io.StringIO()
        json.dump({"when": datetime.date(2026, 1, 2)}, out)
        assert out.getvalue() == '{"when": "Fri, 02 Jan 2026 00:00:00 GMT"}'
        out.seek(0)
        assert json.load(out) == {"when": "Fri, 02 Jan 2026 00:00:00 GMT"}
        assert json.loads(b"[1]") == [1]

    def test_options_win_over_the_defaults(self, app: Flask) -> None:
        def give(fallback: t.Any) -> str:
            return "?"

        assert json.dumps({2}, default=give) == '"?"'
        with app.app_context():
            assert json.dumps({2}, default=give) == '"?"'
            assert json.dumps({"b": 1, "a": 1}, sort_keys=False) == '{"b": 1, "a": 1}'
            assert json.dumps("ä", ensure_ascii=False) == '"ä"'

    def test_jsonify_needs_an_app(self) -> None:
        with pytest.raises(RuntimeError, match="outside of application context"):
            jsonify(1)

    def test_exports(self) -> None:
        assert json.__all__ == ["dump", "dumps", "jsonify", "load", "loads"]


class TestDefaultProvider:
    def test_attributes_are_read_at_each_call(self) -> None:
        provider = t.cast("DefaultJSONProvider", Flask(__name__).json)
        value = {"b": "ä", "a": 1}
        assert provider.dumps(value) == '{"a": 1, "b": "\\u00e4"}'
        provider.sort_keys = False
        assert provider.dumps(value) == '{"b": "\\u00e4", "a": 1}'
        provider.ensure_ascii = False
        assert provider.dumps(value) == '{"b": "ä", "a": 1}'
        provider.default = lambda o: "x"
        assert provider.dumps({1}) == '"x"'
        assert provider.default is not _default

    def test_takes_every_option_of_json_dumps(self, app: Flask) -> None:
        class Encoder(stdlib_json.JSONEncoder):
            def default(self, o: t.Any) -> t.Any:
                return "never asked"

        dumps = app.json.dumps
        assert dumps([1], cls=Encoder) == "[1]"
        assert dumps([1, 2], separators=[",", ":"]) == "[1,2]"
        assert dumps({(1, 2): 3}, skipkeys=True) == "{}"
        with pytest.raises(ValueError, match="JSON"):
            dumps(float("nan"), allow_nan=False)

    def test_a_circular_value_is_an_error(self, app: Flask) -> None:
        circle: list[t.Any] = []
        circle.append(circle)
        with pytest.raises(ValueError, match="Circular"):
            app.json.dumps(circle)
        assert app.json.dumps([1]) == "[1]"

    def test_mimetype(self) -> None:
        app = Flask(__name__)
        t.cast("DefaultJSONProvider", app.json).mimetype = "application/vnd.api+json"
        with app.app_context():
            assert jsonify(1).mimetype == "application/vnd.api+json"

    def test_keeps_no_app_alive(self) -> None:
        provider = Flask(__name__).json
        with pytest.raises(ReferenceError):
            provider.response(1)

    def test_args_and_kwargs_together(self, app: Flask) -> None:
        with pytest.raises(TypeError, match="either args or kwargs, not both"):
            app.json.response(1, a=2)


class TestOwnProvider:
    def test_everything_rests_on_dumps_and_loads(self) -> None:
        class Repr(JSONProvider):
            def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
                return repr(obj)

            def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
                return ("read", s)

        class App(Flask):
            json_provider_class = Repr

        app, out = App(__name__), io.StringIO()
        app.json.dump({1}, out)
        assert out.getvalue() == "{1}"
        assert app.json.load(out) == ("read", "")
        response = t.cast("flask.Response", app.json.response("x", "y"))
        assert response.data == b"('x', 'y')"
        assert response.mimetype == "application/json"

    def test_the_base_class_does_neither(self, app: Flask) -> None:
        provider = JSONProvider(app)
        with pytest.raises(NotImplementedError):
            provider.dumps(1)
        with pytest.raises(NotImplementedError):
            provider.loads("1")


class TestHostileText:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_is_a_value_error(self, app: Flask, text: str) -> None:
        for loads in (app.json.loads, json.loads):
            with pytest.raises(ValueError, match=r"deep|digits"):
                loads(text)
        with pytest.raises(ValueError, match=r"deep|digits"):
            json.load(io.StringIO(text))

    @pytest.mark.parametrize("text", [*HOSTILE, "{", "", "nul", "\x00", b"\xff", b"\xfe\xff"])
    def test_is_answered_with_400(self, text: str | bytes) -> None:
        app = Flask(__name__)

        @app.post("/")
        def read() -> t.Any:
            return {"got": request.get_json()}

        response = app.test_client().post("/", data=text, content_type="application/json")
        assert response.status_code == 400

    def test_silent_is_none(self) -> None:
        app = Flask(__name__)
        with app.test_request_context(
            method="POST", data="[" * 100_000, content_type="application/json"
        ):
            assert request.get_json(silent=True) is None


def test_default_writes_each_special_type() -> None:
    assert _default(decimal.Decimal("1.10")) == "1.10"
    assert _default(uuid.UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert _default(Point(1, 2)) == {"x": 1, "y": 2}
    assert _default(Html()) == "<b>bold</b>"
    assert _default(datetime.datetime(2026, 1, 2, 3, 4, 5)) == "Fri, 02 Jan 2026 03:04:05 GMT"


@pytest.fixture
def collections() -> Iterator[list[str]]:
    """The collections of garbage that begin from here on."""
    begun: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        begun.append(phase)

    gc.collect()
    gc.callbacks.append(note)
    yield begun
    gc.callbacks.remove(note)
    gc.enable()


MANY = stdlib_json.dumps([{"a": []}] * 10_000)


@pytest.mark.parametrize("kind", [DefaultJSONProvider, OrjsonProvider])
@pytest.mark.parametrize("text", [MANY, MANY.encode()])
def test_reading_much_json_collects_no_garbage_in_between(
    collections: list[str], kind: type[JSONProvider], text: t.Any
) -> None:
    provider = kind(Flask("json"))
    collections.clear()
    value = provider.loads(text)
    assert collections in ([], ["start", "stop"])  # one when all is there: not one in 700 objects
    assert (len(value), gc.isenabled()) == (10_000, True)


@pytest.mark.parametrize("kind", [DefaultJSONProvider, OrjsonProvider])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_no_json_leaves_the_collections_as_they_were(
    collections: list[str], kind: type[JSONProvider], hostile: str
) -> None:
    provider = kind(Flask("json"))
    for change in (gc.disable, gc.enable):
        change()
        with pytest.raises(ValueError):  # noqa: PT011 - each parser has words of its own
            provider.loads(hostile + "]" * 70_000 + "!")
        assert gc.isenabled() is (change is gc.enable)


TEXTS = [
    "1",
    '"',
    "[]",
    "[1]",
    "{}",
    '{"ü": "\ud800 🎉"}',
    "12",
    "123",
    '"\\u0000"',
    "[1] ",
    " 1",
    "",
    "nul",
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-32-be"])
def test_bytes_are_read_in_whatever_encoding_json_loads_finds(text: str, encoding: str) -> None:
    sent = text.encode(encoding, "surrogatepass")
    assert outcome(read_json, sent) == outcome(stdlib_json.loads, sent)


@given(st.binary(max_size=6) | st.text('[]{}"1,:\0\ufeff ', max_size=6).map(str.encode))
def test_bytes_are_read_as_json_loads_reads_them(sent: bytes) -> None:
    assert outcome(read_json, sent) == outcome(stdlib_json.loads, sent)


def outcome(loads: t.Callable[[bytes], t.Any], sent: bytes) -> t.Any:
    try:
        return repr(loads(sent))
    except ValueError as error:
        return type(error), str(error)


class Text(str):
    """A kind of text."""


class Bytes(bytes):
    """A kind of bytes."""


@pytest.mark.parametrize(
    "text",
    [
        " [1] ",
        Text("[1]"),
        b"[1]",
        Bytes(b"[1]"),
        bytearray(b"[1]"),
        b"\xef\xbb\xbf[1]",  # with a mark for the order of bytes
        *("[1]".encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-32-be")),
    ],
    ids=repr,
)
def test_json_is_read_from_whatever_holds_text(app: Flask, text: t.Any) -> None:
    assert DefaultJSONProvider(app).loads(text) == [1] == stdlib_json.loads(text)
