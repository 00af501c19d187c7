"""Contexts: pushing and popping, by hand and with `with`, in threads and tasks."""

from __future__ import annotations

import asyncio
import threading
import typing as t

import pytest

import asyncflask
from asyncflask import (
    Flask,
    after_this_request,
    appcontext_popped,
    appcontext_pushed,
    copy_current_request_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
)
from asyncflask.ctx import AppContext, RequestContext
from asyncflask.globals import _cv_app, _cv_request, app_ctx, request_ctx


@pytest.fixture
def app() -> Flask:
    app = Flask("ctx_app")
    app.secret_key = "k"
    return app


def same(proxy: t.Any, value: t.Any) -> bool:
    return proxy._get_current_object() is value


def test_outside_of_any_context_proxies_say_what_to_do() -> None:
    proxies: list[tuple[t.Any, str]]
    proxies = [(current_app, "app.app_context()"), (request, "test_request_context")]
    for proxy, way_out in proxies:
        with pytest.raises(RuntimeError, match="Working outside of") as caught:
            proxy._get_current_object()
        assert way_out in str(caught.value)
    assert not has_app_context()
    assert not has_request_context()
    assert _cv_app.get(None) is _cv_request.get(None) is None
    with pytest.raises(LookupError):
        _cv_app.get()


def test_an_app_context_has_no_request(app: Flask) -> None:
    with app.app_context() as ctx:
        assert same(current_app, app)
        assert same(app_ctx, ctx)
        assert has_app_context()
        assert not has_request_context()
        assert not hasattr(ctx, "request")
        assert not request
    assert not has_app_context()


def test_a_request_context_is_an_app_context_too(app: Flask) -> None:
    with app.test_request_context("/x") as ctx:
        assert isinstance(ctx, RequestContext)
        assert same(request_ctx, ctx)
        assert same(app_ctx, ctx)
        assert same(current_app, app)
        assert request.path == "/x"
        assert "/x" in repr(ctx)


def test_a_request_shares_g_with_the_app_context_around_it(app: Flask) -> None:
    with app.app_context() as outer:
        g.value = 1
        with app.test_request_context():
            assert g.value == 1
            assert same(app_ctx, outer)
        assert g.value == 1


def test_another_apps_context_is_not_shared(app: Flask) -> None:
    other = Flask("other")
    with app.app_context():
        g.value = 1
        with other.test_request_context():
            assert "value" not in g
            assert same(current_app, other)
        assert g.value == 1


def test_an_app_context_inside_a_request_keeps_sight_of_it(app: Flask) -> None:
    with app.test_request_context("/seen"):
        g.value = 1
        with app.app_context():
            assert "value" not in g
            assert request.path == "/seen"
        assert g.value == 1


def test_g_is_a_namespace(app: Flask) -> None:
    with app.app_context():
        g.a = 1
        assert [*g] == ["a"]
        assert g.get("b", 2) == 2
        assert g.setdefault("b", 3) == 3
        assert g.pop("b") == 3
        assert g.pop("b", None) is None
        with pytest.raises(KeyError):
            g.pop("b")
        del g.a
        with pytest.raises(AttributeError):
            _ = g.a
        assert "ctx_app" in repr(g)


def test_teardown_runs_once_at_the_last_pop(app: Flask) -> None:
    seen: list[t.Any] = []
    app.teardown_appcontext(seen.append)
    ctx = app.app_context()
    ctx.push()
    ctx.push()
    ctx.pop()
    assert seen == []
    ctx.pop()
    assert seen == [None]


def test_teardown_gets_the_error_that_left_the_block(app: Flask) -> None:
    seen: list[t.Any] = []
    app.teardown_appcontext(seen.append)
    error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError), app.app_context():
        raise error
    assert seen == [error]


def test_all_teardown_functions_run_even_if_some_fail(app: Flask) -> None:
    seen: list[str] = []

    def fail(name: str) -> t.Callable[[t.Any], None]:
        def teardown(exc: BaseException | None) -> None:
            seen.append(name)
            raise LookupError(name)

        return teardown

    app.teardown_request(fail("request"))
    app.teardown_appcontext(fail("app"))
    with pytest.raises(ExceptionGroup) as caught, app.test_request_context():
        pass
    assert seen == ["request", "app"]
    assert [str(error) for error in caught.value.exceptions] == ["request", "app"]
    assert not has_app_context()


def test_popping_out_of_order_is_refused(app: Flask) -> None:
    first, second = app.app_context(), app.app_context()
    first.push()
    second.push()
    with pytest.raises(AssertionError, match="innermost"):
        first.pop()
    second._cv_tokens.clear()
    asyncflask._current.context.set(None)


def test_signals_tell_of_contexts(app: Flask) -> None:
    seen: list[str] = []

    def pushed(sender: Flask) -> None:
        seen.append("pushed")

    def popped(sender: Flask) -> None:
        seen.append("popped")

    with (
        appcontext_pushed.connected_to(pushed, app),
        appcontext_popped.connected_to(popped, app),
        app.app_context(),
        app.test_request_context(),
    ):
        seen.append("inside")
    assert seen == ["pushed", "inside", "popped"]


def test_a_context_works_in_any_thread(app: Flask) -> None:
    names: list[str] = []

    def work() -> None:
        assert not has_app_context()
        with app.app_context():
            names.append(current_app.name)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert names == ["ctx_app"]


async def test_contexts_of_tasks_are_apart(app: Flask) -> None:
    async def work(number: int) -> int:
        async with app.app_context():
            g.number = number
            await asyncio.sleep(0)
            return t.cast("int", g.number)

    assert await asyncio.gather(*map(work, range(10))) == [*range(10)]


async def test_async_with_awaits_async_teardown(app: Flask) -> None:
    seen: list[t.Any] = []
    loop = asyncio.get_running_loop()

    @app.teardown_appcontext
    async def teardown(exc: BaseException | None) -> None:
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)
        seen.append(exc)

    async with app.app_context():
        assert same(current_app, app)
    assert seen == [None]


def test_a_copy_carries_the_request_into_a_thread(app: Flask) -> None:
    paths: list[str] = []
    with app.test_request_context("/carried"):
        session["k"] = "v"

        @copy_current_request_context
        def work() -> None:
            paths.append(request.path + session["k"])

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert paths == ["/carriedv"]


async def test_a_copy_carries_the_request_into_a_task(app: Flask) -> None:
    async with app.test_request_context("/carried"):

        @copy_current_request_context
        async def work() -> str:
            await asyncio.sleep(0)
            return request.path

        task = asyncio.create_task(work())
    assert await task == "/carried"


def test_what_needs_a_request_says_so() -> None:
    with pytest.raises(RuntimeError, match="after_this_request"):
        after_this_request(lambda response: response)
    with pytest.raises(RuntimeError, match="copy_current_request_context"):
        copy_current_request_context(lambda: None)


def test_an_untrusted_host_is_known_before_the_push(app: Flask) -> None:
    app.config["TRUSTED_HOSTS"] = ["example.com"]
    ctx = app.test_request_context(base_url="http://evil.example")
    error = ctx.request.routing_exception
    assert error is not None
    assert error.code == 400


def test_the_class_names_of_flask_31() -> None:
    assert issubclass(RequestContext, AppContext)
