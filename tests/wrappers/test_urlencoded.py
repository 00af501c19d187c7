"""URL-encoded forms, read as `urllib` and werkzeug read them."""

from __future__ import annotations

import typing as t
from functools import partial
from urllib.parse import parse_qsl, urlencode

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from asyncflask import Flask, Request, request
from asyncflask.wrappers import urlencoded
from asyncflask.wrappers.urlencoded import (
    _as_json,
    _in_python,
    urlencoded_fields,
    urlencoded_pairs,
)

FIELDS = [("name", "Ann & Bob"), ("note", "1 + 1 = 2 %"), ("empty", ""), ("städte", "Köln 🎉")]


def expected(form: bytes) -> list[tuple[str, str]]:
    return parse_qsl(form.decode(), keep_blank_values=True, errors="werkzeug.url_quote")


class Upper(ImmutableMultiDict[str, str]):
    """A kind of an app's own, with a constructor of its own."""

    def __init__(self, pairs: t.Iterable[tuple[str, str]] = ()) -> None:
        super().__init__((name.upper(), value) for name, value in pairs)


def pairs(form: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a form, of which the fields say the same."""
    found = urlencoded_pairs(form)
    by_name = urlencoded_fields(form)
    assert [*by_name.lists()] == [*MultiDict(found).lists()]
    return found


@pytest.mark.parametrize(
    "form",
    [b"", b"&", b"a=1&&b=2", b"=1", b"a&b", b"a=1&a=2", b"a=1=2", b"a=&a", b"a=1&a=2=3&", b"%61=1"],
)
def test_fields_are_as_those_of_pairs(form: bytes) -> None:
    made = urlencoded_fields(form)
    assert isinstance(made, ImmutableMultiDict)
    assert made == MultiDict(expected(form))
    assert made.to_dict(flat=False) == MultiDict(expected(form)).to_dict(flat=False)
    assert {type(values) for values in dict.values(t.cast("t.Any", made))} <= {list}


JSON_LIKE = st.lists(
    st.sampled_from(
        [b"a", b"b", b"&", b"=", b"+", b'"', b"\\", b"]", b"[", b":", b",", b"\n", b"%41"]
    )
    | st.binary(max_size=3)
    | st.text(max_size=3).map(lambda text: text.encode(errors="replace"))
).map(b"".join)


def fields_or_error(read: t.Callable[[bytes], t.Any], form: bytes) -> t.Any:
    try:
        return [*read(form).items()]
    except UnicodeDecodeError as error:
        return str(error)


@given(JSON_LIKE)
@example(b'a=b","c')
@example(b'a=b"],"c":["d')
@example(b"a=1&a=2")
@example(b"=1&b=2")
@example(b"a=\x00")
@example(b"a=\xff")
@example(b"a=\xed\xa0\x80")
@example("städte=Köln 🎉&a=\x7f\u2028".encode())
def test_what_is_read_as_json_is_read_alike_in_python(form: bytes) -> None:
    assert fields_or_error(partial(_as_json, loads=orjson.loads), form) == fields_or_error(
        _in_python, form
    )


@pytest.mark.parametrize("form", [b"a=1&b=x+y", b"a=1&a=2", b"a&b=1", b'a="', b"", b"a=%41&b=1"])
def test_without_the_package_the_same(form: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    made = urlencoded_fields(form)
    monkeypatch.setattr(urlencoded, "_loads", None)
    assert [*urlencoded_fields(form).lists()] == [*made.lists()]
    assert type(urlencoded_fields(form)) is type(made)


def test_fields_of_a_browser() -> None:
    assert pairs(urlencode(FIELDS).encode()) == FIELDS


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"&&",
        b"=",
        b"a",
        b"a=",
        b"=a",
        b"a=1&a=2&&b",
        b"=&=",
        b"a&b=1=2",
        b"a=b=c&d",
        b"a=1&=2&b=",
        b"a=%41&b=%42&a=%43=",
        b"a%3Db=%26&c=d",
        b"a=b=c==",
        b"a=%3D%26%2B%25+x",
        b"a=%",
        b"a=%4",
        b"a=%zz&b=%41",
        b"a=%C3%BC&b=%c3",
        b"a=%ff&b=%FE&c=%Ff",
        b"a=b\r\n",
        b"a=b%0D%0A&c=%00",
        b"a=1 \t&b=_=20",
        b"a= &b=x ",
        "ü=%C3%BC".encode(),
        b"a;b=c",
    ],
)
def test_the_same_as_urllib(form: bytes) -> None:
    assert pairs(form) == expected(form)


@given(st.text("ab=&+%;_ 0129cCfFeE\r\n\x01\x02üß", max_size=40))
def test_the_same_as_urllib_whatever_is_sent(text: str) -> None:
    assert pairs(text.encode()) == expected(text.encode())


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=8))
def test_what_browsers_send_comes_back(fields: list[tuple[str, str]]) -> None:
    sent = urlencode(fields, errors="surrogatepass").encode()
    assert pairs(sent) == expected(sent)


@pytest.mark.parametrize("kind", [None, ImmutableMultiDict, MultiDict, Upper])
@pytest.mark.parametrize("form", [b"", b"a=1&b=2", b"b=1&a=2&b=%33", b"a=1&&a", b"a=\xff"])
async def test_fields_are_kept_as_werkzeug_keeps_them(kind: t.Any, form: bytes) -> None:
    """In the kind that is asked for, whose constructor gets the pairs."""
    app, made = Flask(__name__), list[t.Any]()
    theirs = (kind or ImmutableMultiDict)([] if b"\xff" in form else expected(form))

    @app.post("/")
    async def index() -> str:
        if kind is not None:
            request.parameter_storage_class = kind
        made[:] = request.form, request.files
        return ""

    await app.async_client().post("/", content=form, headers={"content-type": TYPES[0]})
    fields, files = made
    assert type(files) is (kind or ImmutableMultiDict)
    assert type(fields).__name__ == type(files).__name__
    assert isinstance(fields, type(files))
    assert fields == theirs
    assert [*fields.lists()] == [*theirs.lists()]
    assert [*fields.items(multi=True)] == [*theirs.items(multi=True)]
    assert hash_of(fields) == hash_of(theirs)
    assert not files


def hash_of(fields: t.Any) -> int | None:
    return hash(fields) if isinstance(fields, ImmutableMultiDict) else None


@pytest.mark.parametrize("form", [b"a=\xff", b"\xc3=1"])
@pytest.mark.parametrize("looked_first", [False, True])
async def test_unescaped_bytes_that_are_no_text_are_no_form(
    form: bytes, looked_first: bool
) -> None:
    app = form_app(looked_first)
    headers = {"content-type": TYPES[0]}
    answer = await app.async_client().post("/", content=form, headers=headers)
    assert answer.json() == ["0"]


def form_app(looked_first: bool) -> Flask:
    app = Flask(__name__)

    @app.post("/")
    async def index() -> list[str]:
        if looked_first:
            request.headers  # noqa: B018 - made before the form is
        return [*request.form.getlist("a"), str(len(request.files))]

    return app


TYPES = [
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-8",
    "Application/X-WWW-Form-URLencoded",
    "text/plain",
    "",
]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("looked_first", [False, True])
async def test_by_its_content_type(content_type: str, looked_first: bool) -> None:
    app = form_app(looked_first)
    headers = {"content-type": content_type} if content_type else {}
    client = app.async_client()
    answer = await client.post("/", content=b"a=1&a=%32", headers=headers)
    found = ["1", "2"] if "form" in content_type.lower() else []
    assert answer.json() == [*found, "0"]


@pytest.mark.parametrize("content_type", TYPES)
def test_by_its_content_type_under_wsgi(content_type: str) -> None:
    app = wsgi_app()
    found = ["1", "2"] if "form" in content_type.lower() else []
    answer = app.test_client().post("/", data=b"a=1&a=%32", content_type=content_type or None)
    assert answer.get_json() == [*found, "0"]
    assert app.test_client().post("/", data=b"a=\xff", content_type=TYPES[0]).get_json() == ["0"]


def test_too_long_a_form_is_refused_under_wsgi() -> None:
    app = wsgi_app()
    app.config["MAX_CONTENT_LENGTH"] = 8
    client = app.test_client()
    assert client.post("/", data=b"a=1&a=2&", content_type=TYPES[0]).get_json() == ["1", "2", "0"]
    assert client.post("/", data=b"a=1&a=2&b", content_type=TYPES[0]).status_code == 413


def wsgi_app() -> Flask:
    app = Flask(__name__)

    @app.post("/")
    def index() -> list[str]:
        return [*request.form.getlist("a"), str(len(request.files))]

    return app


@pytest.mark.parametrize("asked_first", [False, True])
async def test_headers_that_were_changed_say_what_the_body_is(asked_first: bool) -> None:
    """As werkzeug has it: the content type is parsed when it is first asked for."""
    app = Flask(__name__)

    @app.post("/")
    async def index() -> list[str]:
        if asked_first:
            assert request.mimetype == TYPES[0]
        t.cast("t.Any", request.headers)["Content-Type"] = "text/plain"
        return [*request.form]

    @app.post("/other")
    async def other() -> list[str]:
        if asked_first:
            assert request.mimetype == "text/plain"
        t.cast("t.Any", request.headers)["Content-Type"] = TYPES[0]
        return [*request.form]

    client = app.async_client()
    answer = await client.post("/", content=b"a=1", headers={"content-type": TYPES[0]})
    assert answer.json() == (["a"] if asked_first else [])
    answer = await client.post("/other", content=b"a=1", headers={"content-type": "text/plain"})
    assert answer.json() == ([] if asked_first else ["a"])


async def test_a_request_class_that_says_otherwise() -> None:
    class Picky(Request):
        @property
        def want_form_data_parsed(self) -> bool:
            return False

    app = Flask(__name__)
    app.request_class = Picky

    @app.post("/")
    async def index() -> list[str]:
        return [*request.form]

    answer = await app.async_client().post("/", data={"a": "1"})
    assert answer.json() == []
