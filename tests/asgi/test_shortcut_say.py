"""Who has a say in a request that the view alone does not see: none of them is passed over."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator

import pytest

from asyncflask import Flask, Request, Response
from asyncflask.sessions import SecureCookieSessionInterface

from ..played import Played, part

pytestmark = pytest.mark.anyio  # each test runs on asyncio and on trio (tests/conftest.py)


async def ask(app: Flask, **more: t.Any) -> Played:
    app._got_first_request = True  # the first takes the long way
    return await Played(part(b"")).play(app, **more)


def add_view(app: Flask) -> None:
    @app.get("/")
    async def view() -> dict[str, int]:
        return {"answer": 42}


async def test_a_class_of_requests_that_trusts_some_hosts_only() -> None:
    trusting = type("Trusting", (Request,), {"trusted_hosts": ["example.org"]})
    for hook in (None, lambda: None):
        app = Flask("say")
        add_view(app)
        if hook is not None:
            app.before_request(hook)
        assert (await ask(app)).status == 200
        app.request_class = trusting
        assert (await ask(app)).status == 400
        await app._budgets.close()


async def test_a_class_of_requests_that_looks_at_each() -> None:
    made: list[str] = []

    class Looking(Request):
        def __init__(self, environ: t.Any, *args: t.Any, **more: t.Any) -> None:
            super().__init__(environ, *args, **more)
            made.append(self.path)

    app = Flask("say")
    app.request_class = Looking
    add_view(app)
    await ask(app)
    assert made == ["/"]


async def test_a_property_that_gives_sessions_of_more_than_one_kind() -> None:
    saved: list[str] = []

    class Noting(SecureCookieSessionInterface):
        def save_session(self, *args: t.Any) -> None:
            saved.append("saved")

    class Choosing(Flask):
        interface: t.Any = SecureCookieSessionInterface()

        @property
        def session_interface(self) -> t.Any:  # type: ignore[override]
            return self.interface

    app = Choosing("say")
    app.secret_key = "k"
    add_view(app)
    await ask(app)
    app.interface = Noting()
    await ask(app)
    assert saved == ["saved"]
    await app._budgets.close()


async def test_a_session_interface_with_a_function_put_in() -> None:
    saved: list[str] = []
    app = Flask("say")
    app.secret_key = "k"
    interface: t.Any = SecureCookieSessionInterface()
    interface.save_session = lambda *args: saved.append("saved")
    app.session_interface = interface
    add_view(app)
    await ask(app)
    assert saved == ["saved"]
    await app._budgets.close()


async def test_a_provider_of_json_with_a_function_put_in() -> None:
    app = Flask("say")
    app.json.response = lambda *args, **more: Response("own")  # type: ignore[method-assign]
    add_view(app)
    assert (await ask(app)).body == b"own"


async def test_an_async_generator_function_takes_no_thread() -> None:
    """It would keep it for as long as its body lasts."""
    app = Flask("say")
    threads: list[int] = []

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield "a"
        threads.append(app.sync_metrics.threads)
        yield "b"

    assert (await ask(app)).body == b"ab"
    assert threads == [0]
    await app._budgets.close()
