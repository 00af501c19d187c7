"""Bodies that are broken, endless, or made to cost much: forms, JSON, and their limits."""

from __future__ import annotations

import json
import typing as t

import pytest

from .server import LiveServer
from .wire import BYTES, FORM, JSON, MULTIPART, chunked, multipart, part, request

pytestmark = pytest.mark.usefixtures("unharmed")
both = pytest.mark.parametrize("prefix", ["/sync", "/async"])

MB = 1_000_000
EMPTY: t.Final[dict[str, t.Any]] = {"form": {}, "files": {}}


def form(**sizes: int) -> dict[str, t.Any]:
    return {"form": sizes, "files": {}}


def disposition(rest: bytes) -> bytes:
    return multipart(b"Content-Disposition: form-data; " + rest + b"\r\n\r\nv")


GOOD = multipart(part(b"a"))

#: What werkzeug, and so Flask, makes of forms that are no forms: nothing, and no error.
BROKEN_FORMS: dict[str, tuple[str, bytes, dict[str, t.Any]]] = {
    "no boundary": ("Content-Type: multipart/form-data", GOOD, EMPTY),
    "empty boundary": ("Content-Type: multipart/form-data; boundary=", GOOD, EMPTY),
    "open quote": ('Content-Type: multipart/form-data; boundary="', GOOD, EMPTY),
    "long boundary": ("Content-Type: multipart/form-data; boundary=" + "X" * 9999, GOOD, EMPTY),
    "other boundary": ("Content-Type: multipart/form-data; boundary=Y", GOOD, EMPTY),
    "strange boundary": ("Content-Type: multipart/form-data; boundary=\xff", GOOD, EMPTY),
    "no last boundary": (MULTIPART, multipart(part(b"a"), closed=False), EMPTY),
    "cut in a boundary": (MULTIPART, GOOD[:-4], EMPTY),
    "boundary alone": (MULTIPART, b"--X", EMPTY),
    "no parts": (MULTIPART, multipart(), EMPTY),
    "text before": (MULTIPART, b"text\r\n" + GOOD, form(a=1)),
    "text after": (MULTIPART, GOOD + b"text", form(a=1)),
    "no header lines": (MULTIPART, multipart(b"\r\nv"), EMPTY),
    "no colon": (MULTIPART, multipart(b"header\r\n\r\nv"), EMPTY),
    "no name": (MULTIPART, multipart(part(None)), form(null=1)),
    "NUL in the name": (MULTIPART, disposition(b'name="a\0b"'), {"form": {"a\0b": 1}, "files": {}}),
    "open quote in the name": (MULTIPART, disposition(b'name="a'), form(null=1)),
    "two names": (MULTIPART, disposition(b"name=a; name=b"), form(b=1)),
    "two kinds of name": (MULTIPART, disposition(b"name=a; name*=utf-8''b"), form(b=1)),
    "no encoding": (MULTIPART, multipart(part(b"a", b"\xff\xfe")), form(a=2)),
    "unknown encoding": (
        MULTIPART,
        multipart(part(b"a", b"v", b"Content-Type: text/plain; charset=nonsense")),
        form(a=1),
    ),
    "transfer encoding": (
        MULTIPART,
        multipart(part(b"a", b"dg==", b"Content-Transfer-Encoding: base64")),
        form(a=4),
    ),
    "file without a name": (
        MULTIPART,
        multipart(part(b"a", filename=b"")),
        {"form": {}, "files": {"a": ["", 1]}},
    ),
    "urlencoded: bad escapes": (FORM, b"a=%ff%zz%&%=1", {"form": {"a": 7, "%": 1}, "files": {}}),
    "urlencoded: no ASCII": (FORM, b"a=\xff", EMPTY),
    "urlencoded: semicolons": (FORM, b"a=1;b=2", form(a=5)),
    "urlencoded: separators": (FORM, b"&&&=&=", {"form": {"": 0}, "files": {}}),
    "type: backslashes": (FORM + '; !="' + "\\" * 50_000, b"a=1", form(a=1)),
    "type: separators": ("Content-Type: ;;;=;=;", b"a=1", EMPTY),
    "type: empty": ("Content-Type:", b"a=1", EMPTY),
}


@both
@pytest.mark.parametrize("case", BROKEN_FORMS)
def test_broken_form_is_no_error(target: LiveServer, prefix: str, case: str) -> None:
    kind, body, expected = BROKEN_FORMS[case]
    answer = target.post(f"{prefix}/form", kind, body=body)
    assert (answer.status, answer.json) == (200, expected)


#: Within its limit or beyond it: the answer, and for how many bytes or parts.
LIMITED_FORMS: dict[str, tuple[int, bytes]] = {
    "1000 fields": (200, multipart(*[part(b"a%d" % number) for number in range(1000)])),
    "1001 fields": (413, multipart(*[part(b"a%d" % number) for number in range(1001)])),
    "1001 files": (413, multipart(*[part(b"a", filename=b"f")] * 1001)),
    "field of 500 kB": (200, multipart(part(b"a", b"x" * 500_000))),
    "field of 500 kB and a byte": (413, multipart(part(b"a", b"x" * 500_001))),
    "field of 5 MB": (413, multipart(part(b"a", b"x" * 5 * MB))),
    "header of 1 MB": (413, multipart(part(b"a", b"v", b"X-A: " + b"x" * MB))),
    "100,000 headers": (413, multipart(part(b"a", b"v", *[b"X-A: x"] * 100_000))),
    "name of 1 MB": (413, multipart(part(b"x" * MB))),
    "2 MB before": (413, b"\r\n" * MB + GOOD),
    "2 MB after": (413, GOOD + b"\r\n" * MB),
    "file of line ends": (200, multipart(part(b"a", b"\r\n" * MB, filename=b"f"))),
    "file of a line end and 5 MB": (
        200,
        multipart(part(b"a", b"\r" + b"x" * 5 * MB, filename=b"f")),
    ),
    "file of half boundaries": (200, multipart(part(b"a", b"\r\n--" * MB, filename=b"f"))),
}


@both
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("case", LIMITED_FORMS)
def test_form_has_limits(target: LiveServer, prefix: str, framing: str, case: str) -> None:
    status, body = LIMITED_FORMS[case]
    headers = [MULTIPART]
    if framing == "chunks":
        headers.append("Transfer-Encoding: chunked")
        body = chunked(body, 16_384)
    assert target.post(f"{prefix}/form", *headers, body=body).status == status


@both
def test_endless_field_in_small_chunks_is_refused(target: LiveServer, prefix: str) -> None:
    """Of 50 MB, no more is taken than the limits allow: the answer comes before the end is sent."""
    chunk = chunked(b"x" * 1000)[:-5] * 1000
    with target.connect() as connection:
        connection.send(request("POST", f"{prefix}/form", MULTIPART, "Transfer-Encoding: chunked"))
        connection.send(chunked(multipart(part(b"a"), closed=False)[:-2])[:-5])
        for _ in range(49):
            connection.send(chunk)
        assert connection.answer("POST").status == 413


#: JSON texts and the status of the answer.
JSON_TEXTS: dict[str, tuple[int, bytes]] = {
    "empty": (400, b""),
    "cut": (400, b'{"a": '),
    "not UTF-8": (400, b'"\xff"'),
    "overlong UTF-8": (400, b'"\xc0\xaf"'),
    "a line end in a string": (400, b'"a\nb"'),
    "text behind": (400, b"{} {}"),
    "single quotes": (400, b"{'a': 1}"),
    "100,000 open lists": (400, b"[" * 100_000),
    "100,000 lists": (400, b"[" * 100_000 + b"]" * 100_000),
    "100,000 objects": (400, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a number of 100,000 digits": (400, b"1" * 100_000),
    "a number of 100,000 digits in a list": (400, b"[-" + b"1" * 100_000 + b"]"),
    "an exponent": (200, b"1e9999999"),
    "no object": (200, b"[1, null]"),
    "null": (200, b"null"),
    "the same key twice": (200, b'{"a": 1, "a": 2}'),
    "a surrogate in UTF-8, as Flask takes it": (200, b'"\xed\xa0\x80"'),
    "half a pair": (200, b'"\\ud800"'),
    "UTF-16, as Flask takes it": (200, '"\xe9"'.encode("utf-16")),
}


@both
@pytest.mark.parametrize("case", JSON_TEXTS)
def test_json_is_read_or_refused(target: LiveServer, prefix: str, case: str) -> None:
    status, body = JSON_TEXTS[case]
    answer = target.post(f"{prefix}/json", JSON, body=body)
    assert answer.status == status
    if status == 200:
        assert answer.json == json.loads(body)


@both
@pytest.mark.parametrize(
    "kind",
    [
        "X-Nothing: x",
        "Content-Type:",
        "Content-Type: text/plain",
        "Content-Type: application/jsonx",
        "Content-Type: text/json",
        "Content-Type: application/x-www-form-urlencoded; application/json",
        "Content-Type: application",
        'Content-Type: "application/json"',
        FORM,
        MULTIPART,
    ],
)
def test_json_of_another_type_is_refused(target: LiveServer, prefix: str, kind: str) -> None:
    assert target.post(f"{prefix}/json", kind, body=b"{}").status == 415


@both
def test_body_that_nobody_reads_is_no_request(target: LiveServer, prefix: str) -> None:
    inner = request("GET", "/int/666") * 1000
    for path, status in ((f"{prefix}/ignore", 200), ("/nowhere/at/all", 404), ("/int/1", 405)):
        for extra in ((), ("Transfer-Encoding: chunked",)):
            body = chunked(inner) if extra else inner
            with target.connect() as connection:
                connection.send(request("POST", path, BYTES, *extra, body=body))
                assert connection.answer("POST").status == status
                connection.send(request("GET", "/int/2"))
                assert connection.answer().json == {"int": "2"}


@both
def test_pipelined_requests_are_answered_in_order(target: LiveServer, prefix: str) -> None:
    paths = [f"{prefix}/args?number={number}" for number in range(50)]
    last = request("GET", f"{prefix}/args?number=last", "Connection: close")
    with target.connect() as connection:
        connection.send(b"".join(request("GET", path) for path in paths) + last)
        lines = connection.rest().splitlines()
    assert [json.loads(line)["number"] for line in lines if line.startswith(b"{")] == [
        *map(str, range(50)),
        "last",
    ]
