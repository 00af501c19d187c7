"""JSON by orjson: the values of the default provider, on every way that an answer goes."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import math
import re
import runpy
import sys
import typing as t
import uuid

import anyio.lowlevel
import orjson
import pytest
from hypothesis import given
from markupsafe import Markup
from werkzeug.datastructures import MultiDict

from asyncflask import Flask, Response, jsonify, request, session
from asyncflask.json import orjson as ours
from asyncflask.json.orjson import OrjsonProvider
from asyncflask.json.provider import DefaultJSONProvider, needs_no_response
from asyncflask.typing import ResponseReturnValue

from .test_json import HOSTILE, Html, Point, special, values


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Pair(t.NamedTuple):
    left: int
    right: str


class Name(str):
    def __str__(self) -> str:
        return "never asked"


class Amount(float):
    pass


def make(*, debug: bool = False, **attributes: t.Any) -> Flask:
    """Return an app with the provider, some of whose attributes are set."""
    app = Flask(__name__)
    app.debug, app.secret_key = debug, "key"
    app.json = OrjsonProvider(app)
    for name, value in attributes.items():
        setattr(app.json, name, value)
    return app


def provider(app: Flask) -> OrjsonProvider:
    return t.cast("OrjsonProvider", app.json)


@pytest.fixture(scope="module")
def app() -> Flask:
    return make()


default = Flask(__name__).json


def without_nan(value: t.Any) -> t.Any:
    """Return a value read from JSON with None for what JSON has no numbers for."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class TestSameValues:
    @given(values)
    def test_as_the_default_providers(self, app: Flask, value: t.Any) -> None:
        expected = without_nan(json.loads(default.dumps(value)))
        for text in (app.json.dumps(value), provider(app).response_body(value)):
            assert without_nan(json.loads(text)) == expected

    @given(values)
    def test_are_read_as_they_were_written(self, app: Flask, value: t.Any) -> None:
        text = app.json.dumps(value)
        big = re.search(r"\d{19}", text)
        if big is None and "NaN" not in text and "Infinity" not in text:
            assert app.json.loads(text) == json.loads(text)
            assert app.json.loads(text.encode()) == json.loads(text)

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param([2**64, -(2**63) - 1], id="integers beyond 64 bits"),
            pytest.param({10: "a", 9: "b"}, id="keys that are numbers"),
            pytest.param({None: 1}, id="a key that is null"),
            pytest.param(["\ud800"], id="a lone surrogate"),
            pytest.param({Name("b"): 1, "a": 2}, id="keys of a subclass"),
            pytest.param(eval("[" * 90 + "]" * 90), id="levels"),
            pytest.param(
                MultiDict([("a", "1"), ("a", "2")]), id="a dict that holds more than it shows"
            ),
            pytest.param(collections.OrderedDict(b=1, a=2), id="a subclass of dict"),
            pytest.param(collections.UserDict, id="nothing that can be written"),
            pytest.param([Name("x"), Amount(1.5), Pair(1, "r"), Level.HIGH], id="subclasses"),
            pytest.param([Markup("<b>")], id="markup"),
            pytest.param({"when": datetime.date(2026, 1, 2), "who": Point(1, 2)}, id="our types"),
            pytest.param([Html(), uuid.UUID(int=1)], id="our other types"),
            pytest.param(datetime.time(1), id="a time of day"),
            pytest.param({1: 1, "a": 2}, id="keys of two types"),
            pytest.param({1, 2}, id="a set"),
            pytest.param(b"bytes", id="bytes"),
        ],
    )
    def test_of_what_orjson_would_refuse_or_change(self, app: Flask, value: t.Any) -> None:
        try:
            expected = json.loads(default.dumps(value))
        except TypeError as error:
            for write in (app.json.dumps, provider(app).response_body):
                with pytest.raises(TypeError, match=re.escape(str(error))):
                    write(value)
            return
        assert json.loads(app.json.dumps(value)) == expected
        assert json.loads(provider(app).response_body(value)) == expected

    def test_more_levels_than_orjson_writes(self, app: Flask) -> None:
        value: t.Any = []
        for _ in range(400):
            value = [value]
        assert app.json.dumps(value) == "[" * 401 + "]" * 401
        assert app.json.loads(app.json.dumps(value)) == value

    def test_a_circular_value_is_an_error(self, app: Flask) -> None:
        circle: list[t.Any] = []
        circle.append(circle)
        with pytest.raises(ValueError, match="Circular"):
            app.json.dumps(circle)

    def test_what_differs(self, app: Flask) -> None:
        dumps = app.json.dumps
        assert dumps("ä\u2028") == '"ä\u2028"'
        assert dumps([math.nan, math.inf]) == "[null,null]"
        assert dumps({"b": 1, "a": [Color.RED]}) == '{"a":["red"],"b":1}'
        assert dumps({1: Color.RED}) == '{"1":"red"}'  # the standard library wrote that one
        assert app.json.loads("18446744073709551616") == 2.0**64


class TestOptions:
    def test_are_read_at_each_call(self) -> None:
        json = provider(make())
        value = {"b": {2}, "a": datetime.date(2026, 1, 2)}
        json.default = lambda value: type(value).__name__
        assert json.dumps(value) == '{"a":"date","b":"set"}'
        json.sort_keys = False
        assert json.dumps(value) == '{"b":"set","a":"date"}'
        json.option = 0
        assert json.dumps(value) == '{"b":"set","a":"2026-01-02"}'
        assert json.dumps({**value, "n": 2**64}) == (
            '{"b":"set","a":"2026-01-02","n":18446744073709551616}'
        )
        json.option = orjson.OPT_NON_STR_KEYS
        assert json.dumps({datetime.date(2026, 1, 2): 1}) == '{"2026-01-02":1}'

    def test_a_dataclass_that_orjson_cannot_write_whole(self) -> None:
        assert provider(make(option=0)).dumps(Point(2**64, 1)) == '{"x":18446744073709551616,"y":1}'

    def test_those_of_json_dumps_are_the_standard_librarys(self, app: Flask) -> None:
        value = {"b": "ä", "a": datetime.date(2026, 1, 2)}
        for options in ({"indent": 1}, {"ensure_ascii": False}, {"separators": (", ", ":")}):
            assert app.json.dumps(value, **options) == default.dumps(value, **options)
        assert app.json.dumps({1}, default=lambda value: "set") == '"set"'

    def test_those_of_json_loads_are_the_standard_librarys(self, app: Flask) -> None:
        assert app.json.loads("[1.50]", parse_float=str) == ["1.50"]
        with pytest.raises(ValueError, match="deep"):
            app.json.loads("[" * 100_000, parse_float=str)

    def test_a_method_as_default(self) -> None:
        class Own(OrjsonProvider):
            def default(self, o: t.Any) -> t.Any:
                return ["own", *o]

        app = Flask(__name__)
        app.json = Own(app)
        assert app.json.dumps({1}) == '["own",1]'
        assert app.json.dumps({2: {1}}) == '{"2":["own",1]}'

    @pytest.mark.parametrize("key", ["a", 1], ids=["orjson", "standard library"])
    def test_an_async_default(self, key: t.Any) -> None:
        async def load(value: t.Any) -> t.Any:
            await anyio.lowlevel.checkpoint()
            return sorted(value)

        app = make(default=load)
        app.add_url_rule("/", "show", lambda: {key: {2, 1}})
        assert app.test_client().get("/").data == b'{"%s":[1,2]}\n' % str(key).encode()

    @pytest.mark.parametrize("error", [KeyError("k"), KeyboardInterrupt(), GeneratorExit()])
    def test_an_error_of_default_comes_out_as_it_is(self, error: BaseException) -> None:
        calls = []

        def fail(value: t.Any) -> t.Any:
            calls.append(value)
            raise error

        app = make(default=fail)
        for write in (app.json.dumps, provider(app).response_body):
            with pytest.raises(type(error)) as caught:
                write([object()])
            assert caught.value is error
            assert caught.value.__context__ is None
        assert len(calls) == 2


class TestResponse:
    @given(values)
    def test_indents_as_the_default_in_debug_mode(self, value: t.Any) -> None:
        app, theirs = make(debug=True), Flask(__name__)
        theirs.debug = True
        mine = provider(app).response_body(value)
        if b'"' not in mine and b"e" not in mine and b"u" not in mine:  # in the same notation
            assert mine == t.cast("DefaultJSONProvider", theirs.json).response_body(value)
        assert mine.endswith(b"\n")

    def test_the_layouts(self) -> None:
        value = {"b": [1, {}], "a": "x"}
        indented = b'{\n  "a": "x",\n  "b": [\n    1,\n    {}\n  ]\n}\n'
        assert provider(make()).response_body(value) == b'{"a":"x","b":[1,{}]}\n'
        assert provider(make(debug=True)).response_body(value) == indented
        assert provider(make(debug=True, compact=True)).response_body([1, 2]) == b"[1,2]\n"
        assert provider(make(compact=False)).response_body(value) == indented
        assert provider(make(compact=False)).response_body({1: 2}) == b'{\n  "1": 2\n}\n'

    def test_jsonify(self) -> None:
        app = make(mimetype="application/vnd.api+json")
        with app.app_context():
            response = jsonify(b=1, a="ä")
        assert (response.data, response.mimetype) == (
            '{"a":"ä","b":1}\n'.encode(),
            "application/vnd.api+json",
        )
        with pytest.raises(TypeError, match="either args or kwargs, not both"):
            app.json.response(1, a=2)

    def test_a_subclass_with_dumps_of_its_own(self) -> None:
        class Shouting(OrjsonProvider):
            def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
                return super().dumps(obj, **kwargs).upper()

        app = Flask(__name__)
        app.json = Shouting(app)
        assert provider(app).response_body(["a"]) == b'["A"]\n'

    def test_the_provider_class_of_an_app(self) -> None:
        class App(Flask):
            json_provider_class = OrjsonProvider

        app = App(__name__)
        app.add_url_rule("/", "show", lambda: ["ä"])
        assert app.test_client().get("/").data == '["ä"]\n'.encode()


class Own(DefaultJSONProvider):
    """A provider as people write it, whose text is that of the default one, but in a list."""

    mimetype = "text/json"

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        return super().dumps([obj], **kwargs)


@pytest.mark.anyio
class TestShortWay:
    """A plain answer without a response object has the bytes that a response has."""

    @staticmethod
    def with_views(kind: type[DefaultJSONProvider], value: t.Any, *, is_async: bool) -> Flask:
        app = Flask(__name__)
        app.secret_key = "key"
        app.json = kind(app)

        async def async_view() -> ResponseReturnValue:
            return t.cast("ResponseReturnValue", value)

        app.add_url_rule("/", "show", async_view if is_async else lambda: value)

        async def touching() -> ResponseReturnValue:
            session.get("nothing")
            return t.cast("ResponseReturnValue", value)

        app.add_url_rule("/touching", "touching", touching)
        return app

    @pytest.mark.parametrize("kind", [DefaultJSONProvider, OrjsonProvider, Own])
    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    @pytest.mark.parametrize(
        "value", [{"b": "ä", "a": 1}, [1, {"x": None}], {}, {1: 2}, ["\ud800"], {"n": 2**64}]
    )
    async def test_same_bytes(
        self, kind: type[DefaultJSONProvider], is_async: bool, value: t.Any
    ) -> None:
        answers = []
        for path in ("/", "/touching"):
            for after in (False, True):
                app = self.with_views(kind, value, is_async=is_async)
                if after:
                    app.after_request(lambda response: response)
                async with app.async_client() as client:
                    await client.get(path)  # the first request goes the whole way
                    answer = await client.get(path)
                assert app._answers_plainly
                raw = sorted(each for each in answer.headers.raw if each[0].lower() != b"vary")
                answers.append((answer.status_code, raw, answer.content))
        assert answers[0][2] == provider(app).response_body(value)
        assert all(each == answers[0] for each in answers)

    async def test_makes_no_response(self, monkeypatch: pytest.MonkeyPatch) -> None:
        app = self.with_views(OrjsonProvider, {"a": 1}, is_async=True)
        made: list[t.Any] = []
        original = Response.__init__

        def watched(self: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
            made.append(args)
            original(self, *args, **kwargs)

        monkeypatch.setattr(Response, "__init__", watched)
        async with app.async_client() as client:
            for _ in range(2):
                assert (await client.get("/")).json() == {"a": 1}
            before = len(made)
            await client.get("/")
            assert len(made) == before
            app.after_request_funcs[None] = [lambda response: response]
            await client.get("/")
            assert len(made) == before + 1

    async def test_not_with_a_response_of_ones_own(self) -> None:
        class Wrapping(OrjsonProvider):
            def response(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
                answer = super().response(*args, **kwargs)
                answer.headers["X-Own"] = "1"
                return answer

        app = self.with_views(Wrapping, {"a": 1}, is_async=True)
        async with app.async_client() as client:
            for _ in range(2):
                assert (await client.get("/")).headers["X-Own"] == "1"
        assert not app._answers_plainly

    async def test_an_answer_that_cannot_be_written_is_an_error(self) -> None:
        app = self.with_views(OrjsonProvider, {"a": object()}, is_async=True)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        async with app.async_client() as client:
            assert [(await client.get("/")).status_code for _ in range(2)] == [500, 500]


def test_needs_no_response() -> None:
    app = Flask(__name__)
    for kind in (DefaultJSONProvider, OrjsonProvider, Own):
        own = kind(app)
        assert needs_no_response(own)
        for name in ("response", "_prepare_response_obj"):
            assert not needs_no_response(
                type("Sub", (kind,), {name: lambda self, *args: None})(app)
            )
        own.response = lambda *args, **kwargs: Response()  # type: ignore[method-assign]
        assert not needs_no_response(own)


class TestHostileText:
    BAD: t.ClassVar[list[t.Any]] = [
        "{",
        "",
        "nul",
        "\x00",
        "NaN",
        '"\\ud800"',
        b"\xff",
        b"\xfe\xff",
    ]

    @pytest.mark.parametrize("text", [*HOSTILE, *BAD])
    def test_is_a_value_error(self, app: Flask, text: str | bytes) -> None:
        with pytest.raises(ValueError, match="line 1 column"):
            app.json.loads(text)

    @pytest.mark.parametrize("text", [*HOSTILE, *BAD])
    def test_is_answered_with_400(self, text: str | bytes) -> None:
        app = make()
        app.add_url_rule("/", "read", lambda: {"got": request.get_json()}, methods=["POST"])
        client = app.test_client()
        answer = client.post("/", data=text, content_type="application/json")
        assert answer.status_code == 400

    @given(special | values)
    def test_get_json(self, app: Flask, value: t.Any) -> None:
        text = app.json.dumps(value)
        options: t.Any = {"data": text, "content_type": "application/json", "method": "POST"}
        with app.test_request_context(**options):
            got = request.get_json(silent=True)
        try:
            assert got == orjson.loads(text)
        except ValueError:
            assert got is None  # NaN, as the standard library wrote it


def test_other_text_of_the_app() -> None:
    """Session cookies and templates keep their bytes; test clients and filters can be used."""
    app = make()

    @app.post("/")
    def show() -> str:
        session["x"] = request.get_json()
        return app.jinja_env.from_string("{{ {'b': '<', 'a': 'ä'}|tojson }}").render()

    plain = Flask(__name__)
    plain.secret_key = "key"
    plain.add_url_rule("/", "show", show, methods=["POST"])
    answers = [each.test_client().post("/", json={"b": 1, "a": "ä"}) for each in (app, plain)]
    assert answers[0].data == answers[1].data
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    for each in answers:
        value = re.match("session=([^;]+)", each.headers["Set-Cookie"])
        assert value is not None
        assert serializer.loads(value[1]) == {"x": {"b": 1, "a": "ä"}}


def test_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(ImportError, match=r"pip install 'asyncflask\[orjson\]'") as caught:
        runpy.run_path(ours.__file__, run_name="asyncflask.json.orjson")
    assert caught.value.name == "orjson"


def test_the_dataclasses_of_others_are_left_alone(app: Flask) -> None:
    @dataclasses.dataclass
    class Nested:
        at: datetime.date
        points: list[Point]

    written = app.json.dumps(Nested(datetime.date(2026, 1, 2), [Point(1, 2)]))
    assert json.loads(written) == {
        "at": "Fri, 02 Jan 2026 00:00:00 GMT",
        "points": [{"x": 1, "y": 2}],
    }
