"""A response as it goes out: the headers that werkzeug completes, in ASGI's form."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as WerkzeugResponse

from asyncflask import Flask, Response, request, session
from asyncflask.wrappers import wire
from asyncflask.wrappers.wire import RawHeaders, as_whole, is_whole, whole, wire_start


class Stamped(Response):
    """A response that completes its headers in its own way."""

    def get_wsgi_headers(self, environ: t.Any) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["X-Stamp"] = "1"
        return headers


class Absolute(Response):
    autocorrect_location_header = True


def headers_of(response: Response, asked: t.Any) -> RawHeaders:
    """Return a response's headers as they are sent."""
    headers: RawHeaders = wire_start(response, asked)["headers"]
    return headers


RESPONSES: dict[str, t.Callable[[], Response]] = {
    "text": lambda: Response("text"),
    "own length": lambda: Response("text", headers={"Content-Length": "4", "X-A": "b"}),
    "no length": lambda: Response(["te", "xt"]),
    "letters in the location": lambda: Response("", 302, {"Location": "/ä"}),
    "absolute location": lambda: Absolute("", 302, {"Location": "there"}),
    "letters in the content location": lambda: Response("", headers={"Content-Location": "/ä"}),
    "nothing to say": lambda: Response("left over", 204),
    "not modified": lambda: Response("left over", 304, {"Last-Modified": "today"}),
    "its own way": lambda: Stamped("text"),
    "twice": lambda: Response("text", headers=[("X-A", "1"), ("X-A", "2")]),
    "two locations": lambda: Response("", 302, [("Location", "/a"), ("location", "/b")]),
    "absolute content location": lambda: Absolute("", headers={"Content-Location": "/a"}),
    "both locations": lambda: Response("", 201, {"Location": "/a", "content-location": "/b"}),
    "a location without a length": lambda: Response(["x"], 302, {"Location": "/a"}),
    "capitals": lambda: Response("text", headers=[("LOCATION", "/ä")]),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_the_headers_are_those_that_werkzeug_completes(name: str) -> None:
    with Flask("app").test_request_context("/a/b"):
        expected = RESPONSES[name]().get_wsgi_headers(request.environ)
        sent = headers_of(RESPONSES[name](), request)
    assert sent == [(key.lower().encode(), value.encode()) for key, value in expected]


URLS = st.lists(
    st.sampled_from(["/", "//", "a", "Z", "0", "?", "#", "%", "%2", "%e4", ":", "@", "&", "=", "+"])
    | st.sampled_from(
        [" ", "\t", ";", "[", "]", "\\", '"', "<", "ä", "\u20ac", "..", "~", "http:", "^"]
    )
).map("".join)


@given(url=URLS, name=st.sampled_from(["Location", "Content-Location"]))
def test_a_url_is_sent_as_werkzeug_sends_it(url: str, name: str) -> None:
    for value in (url, "/" + url):
        response = Response("", 302, {name: value})
        expected: t.Any
        try:
            expected = [value.strip(" \t") for _, value in response.get_wsgi_headers({})]
        except Exception as error:
            expected = type(error)
        sent: t.Any
        try:
            sent = [value.decode("latin-1") for _, value in headers_of(response, UNASKED)]
        except Exception as error:
            sent = type(error)
        assert sent == expected


class Unasked:
    """Asked for nothing."""

    ends_connection = False
    environ: t.ClassVar[dict[str, t.Any]] = {}


UNASKED = Unasked()


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_hook_may_answer_with_another_librarys_response(in_thread: bool) -> None:
    app = Flask("app")

    if in_thread:

        @app.get("/")
        def view() -> str:
            return "view"

        @app.after_request
        def replace(response: Response) -> WerkzeugResponse:
            return WerkzeugResponse("hook", 201)
    else:

        @app.get("/")
        async def view_on_loop() -> str:
            return "view"

        @app.after_request
        async def replace_on_loop(response: Response) -> WerkzeugResponse:
            return WerkzeugResponse("hook", 201)

    async with app.async_client() as client:
        response = await client.get("/")
    assert (response.status_code, response.text) == (201, "hook")


async def test_cookies_are_the_same_whether_or_not_the_headers_were_asked_for() -> None:
    app = Flask("app")

    @app.get("/<first>")
    def cookies(first: str) -> list[t.Any]:
        if first == "headers":
            assert request.headers["Cookie"] == "a=1; b=2; a=3"
        return [*request.cookies.items(multi=True)]

    async with app.async_client() as client:
        sent = [("cookie", "a=1"), ("cookie", "b=2; a=3")]
        direct = await client.get("/cookies", headers=sent)
        after = await client.get("/headers", headers=sent)
    assert direct.json() == after.json() == [["a", "1"], ["a", "3"], ["b", "2"]]


@pytest.mark.parametrize(
    ("before", "after"), [(None, "Cookie"), ("Accept", "Accept, Cookie"), ("cookie", "cookie")]
)
@pytest.mark.parametrize("write", [False, True])
def test_an_answer_that_depends_on_the_session_varies_by_cookie_once(
    before: str | None, after: str, write: bool
) -> None:
    app = Flask("app")
    app.secret_key = "key"

    @app.get("/")
    def view() -> Response:
        if write:
            session["user"] = 5
        response = Response(str(session.get("user")))
        if before is not None:
            response.headers["vary"] = before
        return response

    assert app.test_client().get("/").headers.getlist("Vary") == [after]


def test_a_header_that_was_sent_before_is_sent_as_it_is_now() -> None:
    with Flask("app").test_request_context("/"):
        for value in ("1", "2", "1", "x" * 39, "x" * 40, " blank\t"):
            response = Response("text", headers={"X-A": value})
            assert (b"x-a", value.strip().encode()) in headers_of(response, request)
        for _ in range(2):
            response = Response("text")
            response.headers._list.append(("X-A", "a\r\nX-B: b"))
            with pytest.raises(ValueError, match="cannot be sent"):
                headers_of(response, request)


class Unheard(Headers):
    """Headers that show one more than they hold."""

    def __iter__(self) -> t.Any:
        yield from super().__iter__()
        yield "X-Unheard", "1"


def changed(response: Response, /, **values: t.Any) -> Response:
    """Return a response with other attributes."""
    for name, value in values.items():
        setattr(response, name, value)
    return response


def closing() -> Response:
    response = Response("text")
    response.call_on_close(print)
    return response


WHOLE: dict[str, t.Callable[[], t.Any]] = {
    **RESPONSES,
    "kept": lambda: Response("text", headers={"X-A": "b"}),
    "the same headers with another status": lambda: Response("text", 203, {"X-A": "b"}),
    "the same headers and no body": lambda: Response("text", 204, {"X-A": "b"}),
    "the same headers, not modified": lambda: Response("text", 304, {"X-A": "b"}),
    "the same headers with no status": lambda: changed(Response("text"), status_code=99),
    "the same headers with too high a status": lambda: changed(Response("text"), status_code=600),
    "the same headers in another order": lambda: Response(
        "text", headers=[("Content-Length", "4"), ("X-A", "b")]
    ),
    "headers of another kind": lambda: changed(
        Response("text"), headers=Unheard({"X-A": "b", "Content-Length": "4"})
    ),
    "the same headers of the usual kind": lambda: changed(
        Response("text"), headers=Headers({"X-A": "b", "Content-Length": "4"})
    ),
    "no headers": lambda: changed(Response("text"), headers=Headers()),
    "pieces of both kinds": lambda: Response(t.cast("t.Any", ["te", b"xt"]), headers={"X-A": "b"}),
    "text after all": lambda: changed(Response("text"), response=["t\u00e4xt"]),
    "a tuple": lambda: changed(Response("text"), response=(b"te", b"xt")),
    "an iterator": lambda: changed(Response("text"), response=iter([b"text"])),
    "one that is closed": closing,
    "trailers": lambda: changed(Response("text"), trailers={"X-End": "1"}),
    "an application": lambda: changed(Response("text"), asgi_app=print),
    "a line break": lambda: changed(
        Response("text"), headers=_listed(("X-A", "b\r\nc"), ("Content-Length", "4"))
    ),
    "a bad name": lambda: changed(Response("text"), headers=_listed(("X A", "b"))),
    "a header that is none": lambda: changed(Response("text"), headers=_listed("X-A")),
    "a header that is a list": lambda: changed(Response("text"), headers=_listed(["X-A", "b"])),
    "a long value": lambda: Response("text", headers={"X-A": "b" * 100}),
    "a location that is sent as it is": lambda: Response("", 302, {"Location": "/a"}),
    "the same location, completed": lambda: changed(
        Response("", 302, {"Location": "/a"}), autocorrect_location_header=True
    ),
    "a subclass that has more": lambda: type("Own", (Response,), {"trailers": {"X": "1"}})("text"),
    "werkzeug's": lambda: WerkzeugResponse("text", 201),
}


def _listed(*headers: t.Any) -> Headers:
    made = Headers()
    made._list = [*headers]
    return made


def outcome_of(func: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
    """Return what a function returns, or the kind of what it raises, and its text."""
    try:
        return func(*args)
    except Exception as error:
        return type(error), str(error)


def plainly(response: t.Any, asked: t.Any) -> t.Any:
    return as_whole(response, asked) if is_whole(response) else None


@pytest.mark.parametrize("names", [[*WHOLE], [*reversed(WHOLE)]], ids=["forth", "back"])
def test_a_response_is_sent_the_same_as_often_as_it_is_sent(names: list[str]) -> None:
    wire._heads.clear()
    with Flask("app").test_request_context("/a/b"):
        for name in names * 3:
            expected = outcome_of(plainly, WHOLE[name](), request)
            assert outcome_of(whole, WHOLE[name](), request, False) == expected, name
    assert wire._heads


@pytest.mark.parametrize("name", ["get_wsgi_headers", "trailers", "asgi_app"])
def test_a_change_to_the_class_counts_for_what_is_sent_later(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        before = whole(Response("text"), UNASKED, False)
    monkeypatch.setattr(Response, name, lambda response, environ: Headers({"X-Own": "1"}))
    after = whole(Response("text"), UNASKED, False)
    assert after == plainly(Response("text"), UNASKED)
    assert after != before


def test_the_last_response_of_a_connection_says_so() -> None:
    class Last(Unasked):
        ends_connection = True

    for _ in range(3):
        start, _ = t.cast("wire.Whole", whole(Response("text"), Last(), True))
        assert (b"connection", b"close") in start["headers"]
        start, _ = t.cast("wire.Whole", whole(Response("text"), UNASKED, False))
        assert (b"connection", b"close") not in start["headers"]


def test_what_is_done_to_a_message_is_not_done_to_the_next() -> None:
    expected = as_whole(Response("text"), UNASKED)
    for _ in range(3):
        messages = t.cast("wire.Whole", whole(Response("text"), UNASKED, False))
        assert messages == expected
        messages[0]["headers"].append((b"x-added", b"1"))
        messages[0]["status"] = 500


def test_headers_that_differ_each_time_are_not_kept() -> None:
    wire._heads.clear()
    for number in range(100):
        assert whole(Response("text", headers={"X-Id": f"only {number}"}), UNASKED, False)
    assert not wire._heads


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_KEPT", 10)
    for number in range(100):
        for _ in range(3):
            assert whole(Response("text", headers={"X-Id": f"{number}"}), UNASKED, False)
    assert 0 < len(wire._heads) <= 10
