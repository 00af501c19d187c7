"""The debug page: it shows hostile text as text, and no secret, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from asyncflask import Flask, request

from .server import STACKS, LiveServer, serving
from .wire import FORM

SECRET = "the-secret-key-of-the-app"
TOKEN = "token-that-only-the-sender-knows"

HTML = "Accept: text/html"

HOSTILE = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</pre></code></details><script>alert(1)</script>",
    "<!--<script>-->alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "<svg/onload=alert(1)>",
    "<style>@import 'http://evil.example'</style>",
    "<a href=javascript:alert(1)>",
    "<meta http-equiv=refresh content=0;url=http://evil.example>",
    "{{ 7 * 7 }}{% raise %}",
    "\0\x1b[31m\u202e\ud7ff\ufffe",
    "x" * 20_000,
]


class Elements(HTMLParser):
    """Collects what elements a page has, and what could run or load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.suspicious: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "srcdoc", "href", "action", "style"):
                self.suspicious.append(f"{tag} {name}={value}")


class Broken(Exception):
    """An error whose text is whatever the client sent."""

    def __repr__(self) -> str:
        return str(self.args[0])


def make_app() -> Flask:
    app = Flask(__name__)
    app.debug = True
    app.secret_key = SECRET

    def fail(text: str) -> None:
        local = text
        mapping = {text: [local], "password": SECRET, "token": TOKEN}
        raise Broken(text) from KeyError(mapping)

    @app.route("/sync/<path:text>", methods=["GET", "POST"])
    def sync_view(text: str) -> str:
        fail(request.args.get("text", text))
        return ""

    @app.route("/async/<path:text>", methods=["GET", "POST"])
    async def async_view(text: str) -> str:
        _ = request.form
        fail(request.args.get("text", text))
        return ""

    return app


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def target(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    with serving(make_app(), *request.param) as server:
        yield server


@pytest.fixture
def plain(target: LiveServer) -> Elements:
    """The elements of a page with nothing hostile in it."""
    return Elements(target.get("/async/harmless", HTML).text)


@pytest.mark.parametrize("prefix", ["/sync", "/async"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_shown_as_text(
    target: LiveServer, plain: Elements, prefix: str, text: str
) -> None:
    printable = text.replace("\0", "").replace("\x1b", "")
    header = printable.encode().decode("latin-1")
    for path in (
        f"{prefix}/x?text={quote(text)}",
        f"{prefix}/{quote(text)}",
        f"{prefix}/x?{quote(text)}",
    ):
        answer = target.get(path, HTML, f"User-Agent: {header}", f"Cookie: a={header}")
        assert answer.status == 500
        page = Elements(answer.text)
        assert set(page.names) <= {*plain.names, "br"}
        assert page.suspicious == plain.suspicious
        assert not {"script", "img", "svg", "iframe", "form", "input", "base"} & {*page.names}


@pytest.mark.parametrize("prefix", ["/sync", "/async"])
def test_field_names_are_shown_as_text(target: LiveServer, plain: Elements, prefix: str) -> None:
    body = "&".join(f"{quote(text)}=x" for text in HOSTILE).encode()
    page = Elements(target.post(f"{prefix}/x", HTML, FORM, body=body).text)
    assert "script" not in page.names
    assert page.suspicious == plain.suspicious


@pytest.mark.parametrize("prefix", ["/sync", "/async"])
@pytest.mark.parametrize("kind", [HTML, "Accept: text/plain", "Accept: */*", "Accept:"])
def test_secrets_are_masked(target: LiveServer, prefix: str, kind: str) -> None:
    answer = target.get(
        f"{prefix}/x",
        kind,
        f"Authorization: Bearer {TOKEN}",
        f"Cookie: session={TOKEN}; remember={TOKEN}",
        f"X-Api-Key: {TOKEN}",
    )
    assert answer.status == 500
    assert SECRET not in answer.text
    assert "Broken" in answer.text
    if kind == HTML:
        assert TOKEN not in answer.text


def test_page_may_run_and_load_nothing(target: LiveServer, plain: Elements) -> None:
    policy = target.get("/async/x", HTML).header("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert plain.suspicious == []


@pytest.mark.parametrize(
    "path",
    ["/console", "/async/x?__debugger__=yes&cmd=resource&f=debugger.js", "/?__debugger__=yes"],
)
def test_there_is_no_console(target: LiveServer, path: str) -> None:
    answer = target.get(path, HTML)
    assert answer.status in (404, 500)
    assert "EVALEX" not in answer.text
    assert "javascript" not in (answer.header("Content-Type") or "")
