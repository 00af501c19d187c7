"""What a careless app lets a client put into its responses: it never becomes another header."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import quote

import pytest

from .server import LiveServer
from .wire import request

pytestmark = pytest.mark.usefixtures("unharmed")

#: The characters that no header may hold (RFC 9110 section 5.5): the controls but the tab.
CONTROLS = [chr(code) for code in (*range(9), *range(10, 32), 127)]

#: Ways for a client's text into a response, see `hostile_app`: all that ends in a header.
HEADER_WAYS = [
    "/make/header?value={}",
    "/make/header?name={}",
    "/make/header-object?value={}",
    "/make/header-object?name={}",
    "/make/redirect?to={}",
    "/make/redirect?to=/{}",
    "/make/redirect?to=//{}",
    "/make/cookie?key={}",
    "/make/cookie?value={}",
    "/make/cookie?path={}",
    "/make/cookie?domain={}",
    "/make/cookie?samesite={}",
    "/make/mimetype?mimetype={}",
    "/download?name={}",
    "/make/status?status=200%20{}",
    "/make/abort?description={}",
]

#: Those that refuse controls, as soon as the app sets them. The others encode or drop them.
REFUSING = [way for way in HEADER_WAYS if "/header" in way or "mimetype" in way or "key" in way]


def head(target: LiveServer, path: str) -> bytes:
    """Return the head of the answer, as it is on the wire."""
    with target.connect() as connection:
        connection.send(request("GET", path, "Connection: close"))
        return connection.rest().partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("way", HEADER_WAYS)
def test_no_control_reaches_a_header(
    target: LiveServer, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    for control in [*CONTROLS, "\r\n", "\n\t", "\r\n\r\n", "\u010d\u010a", "\u2028", "\x85"]:
        sent = head(target, way.format(quote(f"x{control}Injected: yes")))
        assert sent.startswith(b"HTTP/1.1 "), repr(control)
        names = [line.partition(b":")[0].lower() for line in sent.split(b"\r\n")[1:]]
        assert b"injected" not in names
        assert not set(sent.replace(b"\r\n", b"")) & {*range(9), *range(10, 32), 127}
    assert all(record.name.endswith("hostile_app") for record in caplog.records)
    caplog.clear()


@pytest.mark.parametrize("way", REFUSING)
def test_what_cannot_be_sent_is_an_error_with_an_answer(
    target: LiveServer, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    for control in CONTROLS:
        caplog.clear()
        answer = target.get(way.format(quote(f"x{control}y")))
        assert answer.status == 500, repr(control)
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert record.exc_info is not None
        assert record.exc_info[0] is ValueError
    caplog.clear()


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/make/cookie?value=a;b", 'made="a\\073b"; Path=/'),
        ("/make/cookie?value=a,b%20%22%5c", 'made="a\\054b \\"\\\\"; Path=/'),
        ("/make/cookie?path=/;%20Domain=evil", "made=; Path=/%3B%20Domain%3Devil"),
        ("/make/cookie?domain=a.example", "made=; Domain=a.example; Path=/"),
    ],
)
def test_cookie_attributes_keep_to_themselves(target: LiveServer, path: str, good: str) -> None:
    assert (target.get(path).header("Set-Cookie") or "").replace("=evil", "%3Devil") == good


@pytest.mark.parametrize(
    "attribute", ["domain=a;b", "domain=a%20b", "key=a;b", "key=a%20b", "key=a,b"]
)
def test_cookie_attribute_that_would_be_two_is_refused(
    target: LiveServer, attribute: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert target.get(f"/make/cookie?{attribute}").status == 500
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ValueError]
    caplog.clear()


@pytest.mark.parametrize("status", ["0", "-1", "99", "1000", "abc", "2000", "", "100", "101"])
def test_status_that_is_none_is_an_error_with_an_answer(
    target: LiveServer, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert target.get(f"/make/status?status={status}").status == 500
    caplog.clear()


@pytest.mark.parametrize(
    "name", ['a";x=y.bat', "a\\", "../../etc/passwd", "ä\u202ecod.exe", "a\u2028b"]
)
def test_download_name_is_quoted(target: LiveServer, name: str) -> None:
    disposition = target.get(f"/download?name={quote(name)}").header("Content-Disposition") or ""
    kind, _, parameters = disposition.partition("; ")
    assert kind == "attachment"
    rest = parameters.replace('\\"', "").replace("\\\\", "")
    names = [item.partition("=")[0] for item in _outside_quotes(rest).split(";")]
    assert {name.strip() for name in names} <= {"filename", "filename*"}


def _outside_quotes(text: str) -> str:
    return "".join(text.split('"')[::2])


Escaped = Callable[[str], str]

TEXTS = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=1>",
    "</h1><svg onload=1>",
    "&lt;",
    "\0",
]


@pytest.mark.parametrize("text", TEXTS)
def test_error_page_escapes_its_text(target: LiveServer, text: str) -> None:
    body = target.get(f"/make/abort?description={quote(text)}").text
    assert not any(opening in body for opening in ("<script", "<img", "<svg", "\"'>"))


@pytest.mark.parametrize("text", TEXTS)
def test_redirect_page_escapes_its_text(target: LiveServer, text: str) -> None:
    answer = target.get(f"/make/redirect?to={quote('/' + text.strip())}")
    body = answer.body.decode()
    assert answer.status == 302
    assert not any(opening in body for opening in ("<script", "<img", "<svg", "\"'>"))


@pytest.mark.parametrize("text", TEXTS)
def test_error_page_does_not_tell_what_went_wrong(
    target: LiveServer, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = target.get(f"/make/error?text={quote('marked' + text)}", "Accept: text/html")
    assert answer.status == 500
    assert "marked" not in answer.text
    assert "ValueError" not in answer.text
    caplog.clear()


def test_log_has_one_line_for_a_path(target: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    """No client writes lines of its own, nor commands for a terminal, into the log."""
    target.get("/make/error?text=x")
    caplog.clear()
    answer = target.get("/make/error-at/a%0aERROR%20forged%1b%5b31m")
    assert answer.status == 500
    (record,) = caplog.records
    assert not set(record.getMessage()) & {*CONTROLS}
    caplog.clear()
