"""Paths and methods: out of the static folder, past the converters, off to another host."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from .server import LiveServer
from .wire import request

pytestmark = pytest.mark.usefixtures("unharmed")

#: Ways to write "one folder up".
UP = [
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "..%00",
    "%00..",
    "..;",
    "....",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "%ef%bc%8e%ef%bc%8e",
    "..%20",
    "..%09",
    "..%0a",
]

#: Ways to write the slash behind it.
SLASHES = ["/", "%2f", "%2F", "%5c", "\\", "//", "/%2f", "%252f", "%c0%af", "%ef%bc%8f", "/./"]

#: Names that some system opens as something else than a file in the folder.
ODD_NAMES = [
    "%00",
    "a%00.txt",
    "public.txt%00",
    "%00public.txt",
    "public.txt%0a",
    "public.txt%20",
    "public.txt.",
    "public.txt::$DATA",
    "%ff",
    "%ed%a0%80",
    "%F0%9F%98%80",
    ".",
    "..",
    "%2e",
    "~",
    "~root",
    "sub",
    "sub/",
    "C:/x",
    "C:x",
    "c:%5cwindows%5cwin.ini",
    "%5c%5chost%5cshare%5cf",
    "%5c%5c%3f%5cC:%5cx",
    "CON",
    "con.txt",
    "NUL",
    "sub/NUL",
    "COM1",
    "COM%C2%B9",
    "file:///etc/passwd",
    "http://evil.example/",
    "x" * 255,
    "x" * 5000,
    "x/" * 2000,
    "{name}",
    "%7Bname%7D",
    "$HOME",
    "*",
    "|id",
]


def test_static_files_are_there(target: LiveServer) -> None:
    assert target.get("/static/public.txt").text == "public"
    assert target.get("/static/sub/deep.txt").text == "deep"
    assert target.get("/static/sub/..%2fpublic.txt").text == "public"


def test_no_way_leads_out_of_the_static_folder(target: LiveServer) -> None:
    found = {}
    for up in UP:
        for slash in SLASHES:
            for goal in ("private.txt", f"static1{slash}private.txt"):
                for path in (f"{up}{slash}{goal}", f"sub{slash}{up}{slash}{up}{slash}{goal}"):
                    answer = target.get(f"/static/{path}")
                    if answer.status not in (404, 308) or answer.body == b"private":
                        found[path] = answer.status
    assert found == {}


@pytest.mark.parametrize("slash", ["/", "//", "%2f", "%2f%2f", "/%2f", "%5c", "\\"])
def test_absolute_paths_are_no_static_files(target: LiveServer, slash: str) -> None:
    for path in ("etc/passwd", "host/share/f", "proc/self/environ"):
        answer = target.get(f"/static/{slash}{path}")
        assert answer.status in (404, 308)
        if answer.status == 308:
            location = answer.header("Location") or ""
            assert location == f"http://here/static/{path}"
            assert target.get(urlsplit(location).path).status == 404


def test_odd_names_are_no_static_files(target: LiveServer) -> None:
    found = {name: target.get(f"/static/{name}").status for name in ODD_NAMES}
    assert {name: status for name, status in found.items() if status not in (404, 308)} == {}


def test_outside_paths_answer_the_same_whether_they_exist(target: LiveServer) -> None:
    there = target.get("/static/..%2fprivate.txt")
    missing = target.get("/static/..%2fmissing.txt")
    assert (there.status, there.body) == (missing.status, missing.body)


#: Paths, and the JSON that the view makes of its argument, or None for 404.
CONVERTED: dict[str, object] = {
    "/int/1": "1",
    "/int/1%0a": None,
    "/int/%0a1": None,
    "/int/1%00": None,
    "/int/1%20": None,
    "/int/-1": None,
    "/int/+1": None,
    "/int/1_000": None,
    "/int/0x1": None,
    "/int/1e3": None,
    "/int/%C2%B2": None,  # superscript two is a digit, and no number
    "/int/" + "9" * 5000: None,
    "/float/1.5": "1.5",
    "/float/1.5%0a": None,
    "/float/1": None,
    "/float/nan": None,
    "/float/inf": None,
    "/float/1e5": None,
    "/float/1_0.0": None,
    "/uuid/12345678-1234-5678-1234-567812345678": "12345678-1234-5678-1234-567812345678",
    "/uuid/12345678-1234-5678-1234-567812345678%0a": None,
    "/uuid/12345678123456781234567812345678": None,
    "/uuid/%7B12345678-1234-5678-1234-567812345678%7D": None,
    "/any/one": "one",
    "/any/one%0a": None,
    "/any/onetwo": None,
    "/any/(one)": None,
    "/string/a%2fb": None,
    "/string/a%0a": "a\n",
    "/string/%ff": "\ufffd",
    "/string/%00": "\0",
    "/string/%25": "%",
    "/string/%zz": "%zz",
    "/string/%": "%",
    "/path/../x": "../x",
    "/path/..%2fx": "../x",
    "/path/a//b": "a//b",
    "/path/%0a": "\n",
}


def test_converters_take_what_they_mean(target: LiveServer) -> None:
    found: dict[str, object] = {}
    for path in CONVERTED:
        answer = target.get(path)
        assert answer.status in (200, 404), path
        found[path] = next(iter(answer.json.values())) if answer.status == 200 else None
    assert found == CONVERTED


@pytest.mark.parametrize("path", ["/int/%D9%A1", "/int/%EF%BC%91", "/float/%D9%A1.5"])
def test_digits_of_other_scripts_are_numbers_or_nothing(target: LiveServer, path: str) -> None:
    """As in Flask, `int` takes them; what reaches the view is a number all the same."""
    answer = target.get(path)
    assert answer.status == 404 or next(iter(answer.json.values())) in ("1", "1.5")


@pytest.mark.parametrize(
    "method",
    ["FOO", "TRACE", "PROPFIND", "DELETE", "_x", "__call__", "dispatch_request", "A" * 999],
)
def test_unknown_method_is_refused(target: LiveServer, method: str) -> None:
    """By us, or by a server that knows no such method."""
    answer = target.ask(request(method, "/int/1"))
    assert answer.status in (405, 400)
    if answer.status == 405:
        assert sorted((answer.header("Allow") or "").split(", ")) == ["GET", "HEAD", "OPTIONS"]


def test_methods_are_not_found_out_for_paths_that_are_not_there(target: LiveServer) -> None:
    assert target.post("/int/x").status == 404


#: Targets that a careless redirect turns into another host's URL.
LEADING_AWAY = [
    f"{before}{name}{after}"
    for name in ("evil.example", "evil.example:80", "user@evil.example")
    for before in (
        "//",
        "///",
        "/\\",
        "/%5c",
        "/%2f",
        "/%2f%2f",
        "/%09/",
        "/%0d%0a/",
        "/;/",
        "/.//",
    )
    for after in ("", "/", "/..", "/%2e%2e", "/%2f..", "?//evil.example", "#/", "%23", "%00")
] + [
    "/folder//evil.example",
    "/folder/%2f%2fevil.example",
    "/folder/%5c%5cevil.example",
    "/folder/..//evil.example",
    "//strict",
    "//evil.example//strict",
    "/strict?//evil.example",
    "/strict?x=%0d%0aSet-Cookie:%20a=b",
    "/x%0d%0aSet-Cookie:%20a=b",
    "/%E2%80%AE",
    "/.evil.example",
    "/@evil.example",
    "/javascript:alert(1)",
    "@evil.example",
    "evil.example",
    "http://evil.example/strict",
    "http://evil.example/evil2.example",
    "https:evil.example",
    "http:/evil.example",
]


def test_redirects_stay_on_the_host(target: LiveServer) -> None:
    off = {}
    redirects = 0
    for path in LEADING_AWAY:
        answer = target.get(path)
        assert answer.status in (200, 308, 400, 404), path
        if answer.status == 308:
            redirects += 1
            location = answer.header("Location") or ""
            parts = urlsplit(location)
            if (parts.scheme, parts.netloc) != ("http", "here") or "\\" in location:
                off[path] = location
            assert parts.path.startswith("/")
            assert not parts.path.startswith("//")
        assert answer.header("Set-Cookie") is None
    assert off == {}
    assert redirects > 50


def test_redirect_page_shows_its_target_escaped(target: LiveServer) -> None:
    answer = target.get("/%3Cscript%3Ealert(1)%3C%2fscript%3E%22%27")
    assert b"<script" not in answer.body
    answer = target.get("/strict?<script>&'\">")
    assert b"<script" not in answer.body


def test_error_page_does_not_show_the_path(target: LiveServer) -> None:
    answer = target.get("/int/%3Cscript%3Ealert(1)%3C%2fscript%3E")
    assert answer.status == 404
    assert b"script" not in answer.body
