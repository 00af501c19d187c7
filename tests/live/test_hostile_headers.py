"""Request headers: hosts, doubles, names that pose as others, ranges."""

from __future__ import annotations

import pytest

from .server import LiveServer
from .wire import BYTES, request

pytestmark = pytest.mark.usefixtures("unharmed")

#: Hosts that cannot be one, in whatever reading.
NO_HOSTS = [
    "",
    "a b",
    "a\tb",
    "a,b",
    "a;b",
    "user@evil",
    "evil.example/path?x=",
    "evil.example#",
    "http://evil.example",
    "evil\\example",
    "//evil.example",
    "%00",
    "%61",
    "<script>",
    '"a"',
    "'a'",
    "[::1",
    "[::1]x",
    "::1",
    "a:",
    "a:x",
    "a:-1",
    "a:99999999",
    "..",
    "a..b",
    ".a",
    "a" * 64,
    "a" * 5000,
    "\xe4",
    "$(id)",
]


def lines(*text: str) -> bytes:
    return "\r\n".join([*text, "", ""]).encode("latin-1")


@pytest.mark.parametrize("host", ["a", "a:80", "A.Example", "[::1]", "[::1]:8000", "127.0.0.1:1"])
def test_host_is_the_sender_s(target: LiveServer, host: str) -> None:
    shown = host.lower().removesuffix(":80")
    assert target.get("/make/url", host=host).text == f"http://{shown}/strict/"


@pytest.mark.parametrize("host", NO_HOSTS)
def test_host_that_is_none_makes_no_url(target: LiveServer, host: str) -> None:
    """Browsers read ``http:///x`` as the host x: no such URL may come of a bad `Host`."""
    for path in ("/make/url", "/strict", "//evil.example"):
        answer = target.get(path, host=host)
        made = answer.text if path == "/make/url" else answer.header("Location") or ""
        assert answer.status == 400 or made.startswith("/"), path
        assert "evil" not in made.removeprefix("/evil.example")
    assert target.get("/int/1", host=host).status in (200, 400)


@pytest.mark.parametrize("second", ["here", "other", ""])
@pytest.mark.parametrize(
    "path", ["/int/1", "/make/url", "/strict", "/headers", "/sync/args", "/no/no"]
)
def test_second_host_is_refused(target: LiveServer, path: str, second: str) -> None:
    answer = target.get(path, f"Host: {second}")
    assert answer.status == 400


def test_request_without_a_host_is_for_the_server(target: LiveServer) -> None:
    own = "http://{}:{}/strict/".format(*target.address)
    assert target.ask(lines("GET /make/url HTTP/1.0")).text == own


def test_names_with_underscores_pose_as_no_others(target: LiveServer) -> None:
    headers = [
        "X_Auth_User: root",
        "X-Auth-User: me",
        "X_Forwarded-For: 1.2.3.4",
        "Content_Length: 7",
        "Content_Type: text/evil",
        "Proxy: http://evil.example",
        "pROXY: http://evil.example",
    ]
    seen = target.get("/headers", *headers).json
    assert {key: value for key, value in seen.items() if key != "Host"} == {"X-Auth-User": "me"}
    environ = target.get("/environ", *headers).json
    assert environ["HTTP_X_AUTH_USER"] == "me"
    assert not {key for key in environ if "PROXY" in key or "FORWARDED" in key}
    assert not {"CONTENT_LENGTH", "CONTENT_TYPE"} & environ.keys()


def test_repeated_headers_are_joined_in_order(target: LiveServer) -> None:
    headers = ["X-A: 1", "Cookie: a=1", "x-a: 2", "Cookie: b=2", "X-A:"]
    seen = target.get("/headers", *headers).json
    assert (seen["X-A"], seen["Cookie"]) == ("1,2,", "a=1; b=2")


def test_thousands_of_headers_are_read_in_linear_time(target: LiveServer) -> None:
    many = [f"X-{number}: x" for number in range(1000)]
    assert len(target.get("/headers", *many).json) == 1001
    same = ["X-A: x"] * 5000
    assert target.get("/headers", *same).json["X-A"] == ",".join("x" * 5000)


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: -5"],
        ["Content-Length: +5"],
        ["Content-Length: 5 5"],
        ["Content-Length: \xd9\xa5"],  # the digit five in Arabic
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: chunked, chunked"],
    ],
    ids=" & ".join,
)
def test_framing_that_is_none_is_refused(target: LiveServer, headers: list[str]) -> None:
    for prefix in ("/sync", "/async"):
        raw = request("POST", f"{prefix}/data", BYTES, *headers) + b"hello"
        assert target.ask(raw, "POST").status == 400


ODD_HEADERS = [
    "Accept: " + "*/*;q=9," * 2000,
    "Accept: text/html;q=nan",
    "Accept-Language: " + "-" * 9999,
    "Accept-Encoding: \xff",
    "Authorization: Basic \xff",
    "Authorization: Basic ====",
    "Authorization: Digest " + 'a="' * 999,
    "Authorization:",
    "Cache-Control: max-age=x, max-age=-1, =",
    "Content-Type: \xff/\xff; \xff",
    "Content-MD5: ?",
    "Date: Tue, 99 Foo 9999 99:99:99 GMT",
    "If-Modified-Since: Mon, 01 Jan 99999 00:00:00 GMT",
    "If-Unmodified-Since: 1",
    "If-Range: W/",
    'If-None-Match: "',
    "If-None-Match: " + '"x",' * 5000,
    "If-Match: *, *",
    "Max-Forwards: -1",
    "Origin: null",
    "Range: bytes=0-0",
    "Referer: \xff:///\\",
    "User-Agent: %s%n{0}${jndi:ldap://x}",
    "X-Forwarded-For: ,,,",
    "X-Forwarded-Host: evil.example",
    "Upgrade: h2c",
]


def test_odd_headers_do_no_harm(target: LiveServer) -> None:
    for header in ODD_HEADERS:
        for path, status in (("/int/1", 200), ("/static/public.txt", 200), ("/no/no", 404)):
            answer = target.get(path, header)
            allowed = {status, 206, 304, 412} if path.startswith("/static") else {status}
            assert answer.status in allowed, (header, path)


#: Ranges of a file of 10,240 bytes, with the status and the length of the answer. As in Flask,
#: several ranges are answered as none that can be satisfied.
RANGES: dict[str, tuple[int, int | None]] = {
    "bytes=0-0": (206, 1),
    "bytes=10239-": (206, 1),
    "bytes=0-99999": (206, 10_240),
    "bytes=-5": (206, 5),
    "bytes=10240-": (416, None),
    "bytes=5-3": (416, None),
    "bytes=": (416, None),
    "bytes=-": (416, None),
    "bytes=--1": (416, None),
    "bytes=1-2-3": (416, None),
    "bytes=x-y": (416, None),
    "bytes=0x0-0x1": (416, None),
    "bytes=\xd9\xa1-": (416, None),
    "bytes=0-" + "9" * 5000: (416, None),
    "bytes=0-0," + "2-2," * 15_000: (416, None),
    "bytes=" + ",".join(f"{2 * number}-{2 * number}" for number in range(101)): (416, None),
    "bytes=" + ",".join(f"{number}-" for number in range(1000)): (416, None),
    "bytes=0-0,-1": (416, None),
    "bytes=0-0,0-0": (416, None),
    "lines=0-1": (416, None),
}


@pytest.mark.parametrize("text", RANGES, ids=lambda text: text[:20])
def test_range_is_satisfied_or_refused(target: LiveServer, text: str) -> None:
    status, length = RANGES[text]
    answer = target.get("/range", f"Range: {text}")
    assert answer.status == status
    if length is None:
        assert answer.header("Content-Range") == "bytes */10240"
    else:
        assert len(answer.body) == length
