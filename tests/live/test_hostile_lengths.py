"""`MAX_CONTENT_LENGTH`, however the body is framed and whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .hostile_app import make_app
from .server import STACKS, LiveServer, serving
from .wire import BYTES, FORM, JSON, MULTIPART, chunked, multipart, part

pytestmark = pytest.mark.usefixtures("unharmed")
both = pytest.mark.parametrize("prefix", ["/sync", "/async"])

LIMIT = 1000


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    app = make_app(tmp_path_factory.mktemp("limited"), MAX_CONTENT_LENGTH=LIMIT)
    with serving(app, *request.param) as server:
        yield server


@both
@pytest.mark.parametrize("rule", ["/data", "/form", "/json"])
def test_body_that_is_declared_too_long(target: LiveServer, prefix: str, rule: str) -> None:
    """The answer does not wait for the body, of which nothing is sent here."""
    kind = {"/data": BYTES, "/form": FORM, "/json": JSON}[rule]
    for length in (LIMIT + 1, 10**9, 10**18):
        answer = target.post(prefix + rule, kind, f"Content-Length: {length}")
        assert answer.status == 413


@both
@pytest.mark.parametrize("size", [1, 999, 100_000])
def test_body_that_is_found_too_long(target: LiveServer, prefix: str, size: int) -> None:
    """A chunked body declares no length: what was received counts."""
    for rule, kind, body in (
        ("/data", BYTES, b"x" * (LIMIT + 1)),
        ("/form", FORM, b"a=" + b"x" * LIMIT),
        ("/form", MULTIPART, multipart(part(b"a", b"x" * LIMIT, filename=b"f"))),
        ("/json", JSON, b'"%s"' % (b"x" * LIMIT)),
    ):
        answer = target.post(
            prefix + rule, kind, "Transfer-Encoding: chunked", body=chunked(body, size)
        )
        assert answer.status == 413, rule


@both
def test_body_that_is_just_short_enough(target: LiveServer, prefix: str) -> None:
    body = b"x" * LIMIT
    assert target.post(f"{prefix}/data", BYTES, body=body).text == "1000"
    answer = target.post(
        f"{prefix}/data", BYTES, "Transfer-Encoding: chunked", body=chunked(body, 7)
    )
    assert answer.text == "1000"


@both
def test_body_that_is_no_matter_if_nobody_reads(target: LiveServer, prefix: str) -> None:
    for length in (LIMIT + 1, 10**18):
        answer = target.post(f"{prefix}/ignore", BYTES, f"Content-Length: {length}")
        assert answer.status == 200
