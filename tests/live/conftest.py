"""The target of the hostile requests, and what must hold of it after each of them.

For websockets: the servers, the kinds of handlers, and what these tell.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from .hostile_app import make_app
from .server import STACKS, LiveServer, serving
from .sockets import SOCKET_STACKS, Heard, Stack


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server of `hostile_app`, on either stack."""
    loop, http = request.param
    with serving(make_app(tmp_path_factory.mktemp("hostile")), loop=loop, http=http) as server:
        yield server


@pytest.fixture
def unharmed(target: LiveServer, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test after which the server does not serve on, or has logged an error.

    A test that provokes errors on purpose looks at them and calls `caplog.clear`.
    """
    yield
    target.rest()
    assert target.get("/sync/ignore").text == "ignored"
    assert target.get("/async/ignore").text == "ignored"
    logged = [*caplog.get_records("call"), *caplog.records]
    assert [record for record in logged if record.levelno >= logging.ERROR or record.exc_info] == []


@pytest.fixture(scope="module", params=SOCKET_STACKS, ids="-".join)
def socket_stack(request: pytest.FixtureRequest) -> Stack:
    """How uvicorn is run: each of its websocket implementations."""
    found: Stack = request.param
    return found


@pytest.fixture(params=["/async", "/sync"])
def kind(request: pytest.FixtureRequest) -> str:
    """Where the handlers of a kind are."""
    return str(request.param)


@pytest.fixture(scope="module")
def heard() -> Heard:
    """What handlers tell."""
    return Heard()
