"""Every registry takes ``def`` and ``async def``, whatever the view is: docs/async.md's table."""

from __future__ import annotations

import re
import threading
import typing as t
from collections.abc import Callable
from pathlib import Path

import anyio.lowlevel
import click
import pytest

import asyncflask
from asyncflask import (
    Flask,
    after_this_request,
    flash,
    jsonify,
    message_flashed,
    render_template_string,
    render_template_string_async,
    url_for,
)

PAGE = Path(__file__).parents[1] / "docs" / "async.md"

Callback = Callable[..., t.Any]


class Case(t.NamedTuple):
    """A registry, and how its callbacks come to be called.

    :param register: registers a callback.
    :param result: what the callback returns for its arguments.
    :param trigger: what the view does for it; by default nothing has to be done.
    :param text: what the response is.
    :param at_once: whether it is called by code that can wait in a thread only.
    """

    register: Callable[[Flask, Callback], t.Any]
    result: Callable[..., t.Any] = lambda *args, **kwargs: None
    trigger: Callable[[], t.Any] = lambda: "view"
    text: str = "view"
    at_once: bool = False


class Missing(Exception):
    """What an error handler is for."""


def fail(error: Exception) -> t.Any:
    raise error


def flashed() -> str:
    flash("message")
    return "flashed"


def override(name: str) -> Callable[[Flask, Callback], None]:
    return lambda app, callback: setattr(app, name, callback)


def on_signal(name: str) -> Callable[[Flask, Callback], None]:
    def register(app: Flask, callback: Callback) -> None:
        getattr(asyncflask, name).connect(callback, app)

    return register


def put_before_sending(app: Flask, callback: Callback) -> None:
    """Register with `after_this_request`, which only a request can."""

    @app.before_request
    def put() -> None:
        after_this_request(callback)


def to_json(app: Flask, callback: Callback) -> None:
    t.cast("t.Any", app.json).default = callback


def first_argument(first: t.Any, *rest: t.Any) -> t.Any:
    return first


def rendering(source: str) -> Callable[[], str]:
    return lambda: render_template_string(source)


#: By the registry's name in the documentation.
CASES = {
    "before_request": Case(Flask.before_request),
    "after_request": Case(Flask.after_request, first_argument),
    "teardown_request": Case(Flask.teardown_request),
    "teardown_appcontext": Case(Flask.teardown_appcontext),
    "after_this_request": Case(put_before_sending, first_argument),
    "url_value_preprocessor": Case(Flask.url_value_preprocessor),
    "errorhandler": Case(
        lambda app, f: app.register_error_handler(Missing, f),
        lambda error: "handled",
        lambda: fail(Missing()),
        "handled",
    ),
    "errorhandler(500)": Case(
        lambda app, f: app.register_error_handler(500, f),
        lambda error: "handled",
        lambda: fail(Missing()),
        "handled",
    ),
    "handle_exception, dispatch_request, ... overridden": Case(
        override("handle_user_exception"), lambda error: "own", lambda: fail(Missing()), "own"
    ),
    "request_started, ... receivers": Case(on_signal("request_started")),
    "context_processor": Case(
        Flask.context_processor,
        lambda: {"name": "ada"},
        rendering("{{ name }}"),
        "ada",
        at_once=True,
    ),
    "template_filter": Case(
        lambda app, f: app.add_template_filter(f, "shout"),
        str.upper,
        rendering("{{ request.path | shout }}"),
        "/",
        at_once=True,
    ),
    "template_test": Case(
        lambda app, f: app.add_template_test(f, "rooted"),
        lambda path: bool(path == "/"),
        rendering("{{ request.path is rooted }}"),
        "True",
        at_once=True,
    ),
    "template_global": Case(
        lambda app, f: app.add_template_global(f, "total"),
        lambda: 7,
        rendering("{{ total() }}"),
        "7",
        at_once=True,
    ),
    "before_render_template, template_rendered receivers": Case(
        on_signal("template_rendered"), trigger=rendering("a"), text="a", at_once=True
    ),
    "message_flashed receivers": Case(
        on_signal("message_flashed"), trigger=flashed, text="flashed", at_once=True
    ),
    "url_defaults": Case(
        Flask.url_defaults,
        lambda endpoint, values: values.setdefault("q", "1"),
        lambda: url_for("view"),
        "/?q=1",
        at_once=True,
    ),
    "url_build_error_handlers": Case(
        lambda app, f: app.url_build_error_handlers.append(f),
        lambda error, endpoint, values: f"/{endpoint}",
        lambda: url_for("elsewhere"),
        "/elsewhere",
        at_once=True,
    ),
    "json.default": Case(
        to_json,
        lambda value: sorted(value),
        lambda: jsonify({3, 1}).get_data(as_text=True).strip(),
        "[1,3]",
        at_once=True,
    ),
}

PIPELINE = [name for name, case in CASES.items() if not case.at_once]
AT_ONCE = [name for name, case in CASES.items() if case.at_once]


class Calls:
    """Makes callbacks, which note in which thread they were called."""

    def __init__(self, is_async: bool, waits: bool = True) -> None:
        self.is_async, self.waits = is_async, waits
        self.on_loop: list[bool] = []
        self._loop = threading.get_ident()

    def make(self, case: Case) -> Callback:
        """Return a callback for a registry."""

        def called(*args: t.Any, **kwargs: t.Any) -> t.Any:
            self.on_loop.append(threading.get_ident() == self._loop)
            assert asyncflask.request.path == "/"
            return case.result(*args, **kwargs)

        async def called_async(*args: t.Any, **kwargs: t.Any) -> t.Any:
            if self.waits:
                await anyio.lowlevel.checkpoint()
            return called(*args, **kwargs)

        self.made = called_async if self.is_async else called  # signals refer to it weakly
        return self.made


def make_app(case: Case, callback: Callback, async_view: bool) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.secret_key = "key"
    case.register(app, callback)

    def view(**values: t.Any) -> t.Any:
        return case.trigger()

    async def view_on_loop(**values: t.Any) -> t.Any:
        await anyio.lowlevel.checkpoint()
        return case.trigger()

    app.add_url_rule("/", "view", view_on_loop if async_view else view)
    return app


@pytest.fixture(params=[False, True], ids=["def", "async_def"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return t.cast("bool", request.param)


@pytest.mark.anyio
@pytest.mark.parametrize("async_view", [False, True], ids=["in_def_view", "in_async_view"])
class TestOverASGI:
    @pytest.mark.parametrize("name", PIPELINE)
    async def test_pipeline(self, name: str, is_async: bool, async_view: bool) -> None:
        """An ``async def`` runs on the loop, a ``def`` in the request's thread."""
        calls, case = Calls(is_async), CASES[name]
        app = make_app(case, calls.make(case), async_view)
        async with app.async_client() as client:
            assert (await client.get("/")).text == case.text
        assert calls.on_loop == [is_async]

    @pytest.mark.parametrize("name", AT_ONCE)
    async def test_at_once(self, name: str, is_async: bool, async_view: bool) -> None:
        """In a thread as above; on the loop on the spot, since there nothing can be waited for."""
        calls, case = Calls(is_async, waits=not async_view), CASES[name]
        app = make_app(case, calls.make(case), async_view)
        async with app.async_client() as client:
            assert (await client.get("/")).text == case.text
        assert {*calls.on_loop} == {is_async or async_view}


@pytest.mark.anyio
@pytest.mark.parametrize("name", AT_ONCE)
async def test_what_has_to_wait_cannot_on_the_loop(name: str) -> None:
    calls, case = Calls(is_async=True), CASES[name]
    app = make_app(case, calls.make(case), async_view=True)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    async with app.async_client() as client:
        with pytest.raises(RuntimeError, match=r"called_async had to wait, but plain code called"):
            await client.get("/")
    assert calls.on_loop == []


@pytest.mark.parametrize("async_view", [False, True], ids=["in_def_view", "in_async_view"])
@pytest.mark.parametrize("name", [*CASES])
def test_over_wsgi(name: str, is_async: bool, async_view: bool) -> None:
    calls, case = Calls(is_async), CASES[name]
    if async_view and case.at_once:
        calls.waits = True  # the process's own loop runs the view, and one below it the callback
    app = make_app(case, calls.make(case), async_view)
    assert app.test_client().get("/").text == case.text
    assert calls.on_loop


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["context_processor", "template_filter", "template_global"])
async def test_async_rendering_awaits(name: str, is_async: bool) -> None:
    source = {"context_processor": "{{ name }}", "template_filter": "{{ request.path | shout }}"}
    calls, case = Calls(is_async), CASES[name]
    app = Flask(__name__, static_folder=None)
    case.register(app, calls.make(case))

    @app.get("/")
    async def index() -> str:
        return await render_template_string_async(source.get(name, "{{ total() }}"))

    async with app.async_client() as client:
        assert (await client.get("/")).text == case.text
    # What a template calls, it calls where it is rendered: filters are no place to block.
    assert calls.on_loop == [is_async or name != "context_processor"]


#: The steps of request handling that an app may override, and what it takes to get there.
STEPS: dict[str, Callable[[], t.Any]] = {
    "dispatch_request": lambda: "view",
    "full_dispatch_request": lambda: "view",
    "preprocess_request": lambda: "view",
    "make_response": lambda: "view",
    "finalize_request": lambda: "view",
    "process_response": lambda: "view",
    "handle_user_exception": lambda: fail(Missing()),
    "handle_http_exception": lambda: asyncflask.abort(418),
    "handle_exception": lambda: fail(Missing()),
    "log_exception": lambda: fail(Missing()),
    "do_teardown_request": lambda: "view",
    "do_teardown_appcontext": lambda: "view",
}


@pytest.mark.anyio
@pytest.mark.parametrize("async_view", [False, True], ids=["in_def_view", "in_async_view"])
@pytest.mark.parametrize("name", [*STEPS])
async def test_overridden_steps(name: str, is_async: bool, async_view: bool) -> None:
    """A subclass may have any step as ``async def``, and calls the step itself with `super`."""
    called = []

    class Own(Flask):
        pass

    def own(self: Flask, *args: t.Any, **kwargs: t.Any) -> t.Any:
        called.append(name)
        return getattr(Flask, name)(self, *args, **kwargs)

    async def own_async(self: Flask, *args: t.Any, **kwargs: t.Any) -> t.Any:
        await anyio.lowlevel.checkpoint()
        step = getattr(Flask, name)
        return await anyio.to_thread.run_sync(lambda: own_step(step, self, args, kwargs))

    def own_step(step: Callback, self: Flask, args: t.Any, kwargs: t.Any) -> t.Any:
        called.append(name)
        return step(self, *args, **kwargs)

    setattr(Own, name, own_async if is_async else own)
    app = Own(__name__, static_folder=None)
    app.logger.disabled = True

    def view() -> t.Any:
        return STEPS[name]()

    async def view_on_loop() -> t.Any:
        return STEPS[name]()

    app.add_url_rule("/", "view", view_on_loop if async_view else view)
    expected = {"handle_http_exception": 418}.get(name, 500 if "exception" in name else 200)
    async with app.async_client() as client:
        assert (await client.get("/")).status_code == expected
    assert called == [name]


class TestOutsideOfRequests:
    def test_shell_context_processor(self, is_async: bool) -> None:
        app = Flask(__name__)

        def names() -> dict[str, int]:
            return {"one": 1}

        async def names_async() -> dict[str, int]:
            await anyio.lowlevel.checkpoint()
            return names()

        app.shell_context_processor(names_async if is_async else names)
        assert app.make_shell_context()["one"] == 1

    def test_commands(self, is_async: bool) -> None:
        app = Flask(__name__)

        def said() -> None:
            click.echo(asyncflask.current_app.name)

        async def said_async() -> None:
            await anyio.lowlevel.checkpoint()
            said()

        app.cli.command("say")(said_async if is_async else said)
        assert app.test_cli_runner().invoke(args=["say"]).output == f"{__name__}\n"

    def test_json_default(self, is_async: bool) -> None:
        app = Flask(__name__)

        async def default(value: t.Any) -> t.Any:
            await anyio.lowlevel.checkpoint()
            return sorted(value)

        t.cast("t.Any", app.json).default = default if is_async else sorted
        with app.app_context():
            assert app.json.dumps({2, 1}) == "[1, 2]"


@pytest.mark.anyio
async def test_signals_that_users_send() -> None:
    """blinker's own two ways: `send_async`, or `send` with a wrapper for async receivers."""
    app, got = Flask(__name__, static_folder=None), []

    async def receive(sender: t.Any, message: str, category: str) -> None:
        await anyio.lowlevel.checkpoint()
        got.append(message)

    @app.get("/sync")
    def in_thread() -> str:
        message_flashed.send(app, _async_wrapper=app.ensure_sync, message="a", category="")
        return ""

    @app.get("/async")
    async def on_loop() -> str:
        await message_flashed.send_async(app, message="b", category="")
        return ""

    with message_flashed.connected_to(receive, app):
        async with app.async_client() as client:
            await client.get("/sync")
            await client.get("/async")
    assert got == ["a", "b"]


@pytest.fixture
def table() -> str:
    text = PAGE.read_text()
    return text[text.index("## Callbacks") :]


def test_the_documentation_names_them(table: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    documented = {row.replace("`", "") for row in rows}
    assert {*CASES} <= documented
