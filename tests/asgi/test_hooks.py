"""What an app does before, while and after it is served: order, contexts, state, and failures."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import anyio
import pytest

from asyncflask import Blueprint, Flask, current_app, g, has_request_context, request
from asyncflask.testing import LifespanError

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)


class Recorded:
    """An app with hooks of all kinds, and what they did."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.app = app = Flask("app", lifespan=self.lifespan)

        @app.while_serving
        async def one() -> AsyncIterator[dict[str, str]]:
            self.log.append("one in")
            yield {"one": "1"}
            self.log.append("one out")

        @app.while_serving
        def two() -> Iterator[None]:
            self.log.append("two in")
            yield
            self.log.append("two out")

        @app.before_serving
        async def before() -> None:
            self.log.append("before")

        @app.before_serving
        def before_sync() -> None:
            self.log.append("before sync")

        @app.after_serving
        async def after() -> None:
            self.log.append("after")

        @app.after_serving
        def after_sync() -> None:
            self.log.append("after sync")

    @asynccontextmanager
    async def lifespan(self, app: Flask) -> AsyncIterator[Mapping[str, str]]:
        assert app is self.app
        self.log.append("lifespan in")
        try:
            yield {"whole": "0"}
        except Exception as error:
            self.log.append(f"lifespan out, {error!r}")
            raise
        self.log.append("lifespan out")


STARTED = ["lifespan in", "one in", "two in", "before", "before sync"]
ENDED = ["after sync", "after", "two out", "one out", "lifespan out"]


async def test_order() -> None:
    recorded = Recorded()
    for _ in range(2):  # an app may be served again
        async with recorded.app.async_client():
            assert recorded.log == STARTED
            del recorded.log[:]
        assert recorded.log == ENDED
        del recorded.log[:]


async def test_blueprints_have_hooks_of_the_app() -> None:
    log: list[str] = []
    blueprint = Blueprint("parts", __name__)

    @blueprint.while_app_serving
    async def around() -> AsyncIterator[None]:
        log.append("in")
        yield
        log.append("out")

    blueprint.before_app_serving(lambda: log.append("before"))
    blueprint.after_app_serving(lambda: log.append("after"))
    app = Flask("app")
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again")
    async with app.async_client():
        assert log == ["in", "before"]
    assert log == ["in", "before", "after", "out"]


async def test_each_end_has_a_context_of_the_app() -> None:
    app = Flask("app")
    seen: list[t.Any] = []
    torn_down: list[BaseException | None] = []

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        g.mine = "start"
        yield
        seen.append(("end", current_app.name, g.get("mine")))

    @app.before_serving
    def before() -> None:
        seen.append(("start", current_app.name, g.mine, has_request_context()))

    app.teardown_appcontext(torn_down.append)
    async with app.async_client():
        assert seen == [("start", "app", "start", False)]
        assert torn_down == [None]
    assert seen[1:] == [("end", "app", None)]
    assert torn_down == [None, None]


async def test_an_app_without_hooks_has_no_context_to_tear_down() -> None:
    app = Flask("app")
    torn_down: list[BaseException | None] = []
    app.teardown_appcontext(torn_down.append)
    async with app.async_client():
        pass
    assert torn_down == []


async def test_plain_hooks_run_in_one_thread_beside_the_loop() -> None:
    app = Flask("app")
    threads: list[int] = []

    @app.while_serving
    def around() -> Iterator[None]:
        threads.append(threading.get_ident())
        yield

    app.before_serving(lambda: threads.append(threading.get_ident()))
    async with app.async_client():
        assert len(threads) == 2
    assert len({*threads}) == 1
    assert threading.get_ident() not in threads


async def test_a_plain_hook_may_wait_for_async_code() -> None:
    app = Flask("app")

    @app.before_serving
    def before() -> None:
        app.async_to_sync(anyio.sleep)(0)
        app.state.ready = True

    async with app.async_client():
        assert app.state.ready


async def test_a_task_group_may_be_held_open() -> None:
    done: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Flask) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            yield
            group.cancel_scope.cancel()

    async def work() -> None:
        done.append("began")
        try:
            await anyio.sleep_forever()
        finally:
            done.append("ended")

    app = Flask("app", lifespan=lifespan)

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            yield
            group.cancel_scope.cancel()

    async with app.async_client() as client:
        assert (await client.get("/")).status_code == 404
        assert done == ["began", "began"]
    assert done == ["began"] * 2 + ["ended"] * 2


# -- state ---------------------------------------------------------------------------------------


async def test_state() -> None:
    recorded = Recorded()
    app = recorded.app

    @app.before_serving
    async def before() -> None:
        app.state.pool = "mine"

    @app.get("/")
    async def view() -> dict[str, t.Any]:
        request.state.mine = request.args["n"]
        return {**vars(request.state), "pool": app.state.pool}

    @app.get("/sync")
    def sync_view() -> dict[str, t.Any]:
        return {"one": request.state.one, "has": "mine" in request.state}

    async with app.async_client() as client:
        first = (await client.get("/?n=1")).json()
        assert first == {"whole": "0", "one": "1", "mine": "1", "pool": "mine"}
        assert (await client.get("/sync")).json() == {"one": "1", "has": False}
    assert {"whole", "one", "pool"} <= {*app.state}
    assert repr(app.state) == "<State ['one', 'pool', 'whole']>"


async def test_middleware_and_views_share_the_state_of_a_request() -> None:
    app = Flask("app")
    seen: list[t.Any] = []

    @app.get("/")
    async def view() -> str:
        seen.append(request.state.user)
        request.state.answer = 42
        return ""

    inner = app.asgi_app

    async def middleware(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] == "http":
            scope["state"]["user"] = "ada"
        await inner(scope, receive, send)
        if scope["type"] == "http":
            seen.append(scope["state"]["answer"])

    app.asgi_app = middleware  # type: ignore[method-assign]
    async with app.async_client() as client:
        await client.get("/")
    assert seen == ["ada", 42]


def test_without_a_server_s_state_it_begins_with_the_app_s() -> None:
    app = Flask("app")
    app.state.pool = "mine"
    with app.test_request_context():
        assert request.state.pool == "mine"
        request.state.pool = "other"
        assert request.state is request.state
        assert request.state.pool == "other"
    assert app.state.pool == "mine"
    with pytest.raises(AttributeError):
        app.state.missing  # noqa: B018


# -- failures ------------------------------------------------------------------------------------


async def failing_start(app: Flask) -> LifespanError:
    with pytest.raises(LifespanError) as caught:
        await app.async_client().__aenter__()
    return caught.value


def place(func: t.Any) -> str:
    return f"({__file__}, line {func.__code__.co_firstlineno})"


async def test_a_failing_start_says_which_hook_failed(caplog: pytest.LogCaptureFixture) -> None:
    recorded = Recorded()
    failure = OSError("no database")

    @recorded.app.before_serving
    async def connect() -> None:
        raise failure

    error = await failing_start(recorded.app)
    assert str(error) == (
        "The app: startup failed: OSError: no database\nRaised by the before_serving hook"
        f" {connect.__qualname__} {place(connect)}."
    )
    assert error.__cause__ is failure
    assert recorded.log == [*STARTED, "two out", "one out", f"lifespan out, {failure!r}"]
    logged = [record for record in caplog.records if record.exc_info]
    assert [record.exc_info[1] for record in logged if record.exc_info] == [failure]


def failing(error: BaseException) -> dict[str, t.Any]:
    async def before() -> None:
        raise error

    def before_sync() -> None:
        raise error

    async def around() -> AsyncIterator[None]:
        raise error
        yield

    def around_sync() -> Iterator[None]:
        raise error
        yield

    return {
        "before_serving": before,
        "before_serving sync": before_sync,
        "while_serving": around,
        "while_serving sync": around_sync,
    }


ERRORS: dict[str, t.Callable[[], BaseException]] = {
    "plain": lambda: ValueError("x"),
    "group of one": lambda: ExceptionGroup("g", [ValueError("x")]),
    "group of two": lambda: ExceptionGroup("g", [ValueError("x"), OSError("y")]),
    "exit": lambda: SystemExit("x"),
}


@pytest.mark.parametrize("kind", [*failing(ValueError())])
@pytest.mark.parametrize("make", ERRORS.values(), ids=[*ERRORS])
async def test_the_very_error_is_raised(kind: str, make: t.Callable[[], BaseException]) -> None:
    app, error = Flask("app"), make()
    getattr(app, kind.split()[0])(failing(error)[kind])
    raised: list[BaseException] = []
    sent: list[t.Any] = []
    received = iter([{"type": "lifespan.startup"}])

    async def receive() -> t.Any:
        return next(received)

    async def send(message: t.Any) -> None:
        sent.append(message)

    try:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    except BaseException as caught:
        raised.append(caught)
    assert raised == [error]
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    for one in error.exceptions if isinstance(error, ExceptionGroup) else [error]:
        assert f"{type(one).__name__}: {one}" in sent[0]["message"]
    assert f"Raised by the {kind.split()[0]} hook" in sent[0]["message"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_hook_that_raises_a_cancellation_fails(anyio_backend: str) -> None:
    app = Flask("app")

    @app.before_serving
    async def before() -> None:
        task = asyncio.ensure_future(asyncio.sleep(10))
        task.cancel()
        await task

    error = await failing_start(app)
    assert "It was cancelled, and not by who ends the app.\nRaised by the before_" in str(error)


async def test_everything_is_left_whoever_fails(caplog: pytest.LogCaptureFixture) -> None:
    recorded = Recorded()

    @recorded.app.after_serving
    async def first_to_fail() -> None:
        raise ValueError("after")

    @recorded.app.while_serving
    def second_to_fail() -> Iterator[None]:
        yield
        raise OSError("around")

    client = recorded.app.async_client()
    await client.__aenter__()
    with pytest.raises(LifespanError) as caught:
        await client.__aexit__(None, None, None)
    text = str(caught.value)
    assert "ValueError: after\nRaised by the after_serving hook" in text
    assert "OSError: around\nRaised by the while_serving hook" in text
    assert recorded.log == STARTED + ENDED
    assert isinstance(caught.value.__cause__, ExceptionGroup)


async def test_a_start_that_fails_twice_raises_the_first_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask("app")

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        yield
        raise OSError("and this")

    @app.before_serving
    async def before() -> None:
        raise ValueError("first")

    error = await failing_start(app)
    assert isinstance(error.__cause__, ValueError)
    raised = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [type(one) for one in raised] == [OSError, ValueError]


# -- what is wrongly given -----------------------------------------------------------------------


def test_a_function_without_yield() -> None:
    async def without() -> None: ...

    for register in (Flask("app").while_serving, Blueprint("b", __name__).while_app_serving):
        with pytest.raises(TypeError, match=r"needs a function with one 'yield', and .*without"):
            register(without)  # type: ignore[type-var]


@asynccontextmanager
async def manager() -> AsyncIterator[None]:
    yield


@contextlib.contextmanager
def sync_manager(app: Flask) -> Iterator[None]:
    yield


async def bare(app: Flask) -> AsyncIterator[None]:
    yield


async def number() -> AsyncIterator[int]:
    yield 1


async def twice() -> AsyncIterator[None]:
    yield
    yield


async def never() -> AsyncIterator[None]:
    for _ in ():
        yield


@pytest.mark.parametrize(
    ("func", "told"),
    [
        (manager, "Leave out the decorator that makes a context manager of it."),
        (number, "It has yielded 1. What is yielded becomes the state"),
        (never, "It has ended without a 'yield'"),
    ],
)
async def test_while_serving_needs_a_generator(func: t.Any, told: str) -> None:
    app = Flask("app")
    app.while_serving(func)
    assert told in str(await failing_start(app))


def twice_sync() -> Iterator[None]:
    yield
    yield


@pytest.mark.parametrize("func", [twice, twice_sync])
async def test_a_second_yield(func: t.Any) -> None:
    app = Flask("app")
    app.while_serving(func)
    client = app.async_client()
    await client.__aenter__()
    with pytest.raises(LifespanError, match="It has a second 'yield'"):
        await client.__aexit__(None, None, None)


@pytest.mark.parametrize("func", [sync_manager, bare])
async def test_lifespan_needs_an_async_context_manager(func: t.Any) -> None:
    error = await failing_start(Flask("app", lifespan=func))
    assert "Put @asynccontextmanager above an 'async def' with one 'yield'." in str(error)


def test_lifespan_needs_a_function() -> None:
    with pytest.raises(TypeError, match="needs a function that takes the app"):
        Flask("app", lifespan=3)  # type: ignore[arg-type]


def test_an_app_that_was_never_started_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("app")
    app.before_serving(lambda: None)
    app.add_url_rule("/", "index", lambda: "hello")
    client = app.test_client()
    for _ in range(2):
        assert client.get("/").text == "hello"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "has been asked before it was started" in caplog.text
    caplog.clear()
    without = Flask("app")
    without.add_url_rule("/", "index", lambda: "hello")
    assert without.test_client().get("/").text == "hello"
    assert caplog.records == []


async def test_hooks_of_the_app_around_mounted_ones() -> None:
    log: list[str] = []

    def make(name: str) -> Flask:
        app = Flask(name)

        @app.while_serving
        async def around() -> AsyncIterator[dict[str, str]]:
            log.append(f"{name} in")
            yield {name: "there"}
            log.append(f"{name} out")

        @app.get("/")
        async def view() -> dict[str, t.Any]:
            return {key: value for key, value in vars(request.state).items() if key in "ab"}

        return app

    outer, inner = make("a"), make("b")
    outer.mount("/b", inner)
    async with outer.async_client() as client:
        assert log == ["a in", "b in"]
        assert (await client.get("/")).json() == {"a": "there"}
        assert (await client.get("/b/")).json() == {"a": "there", "b": "there"}
    assert log == ["a in", "b in", "b out", "a out"]
