"""Orders, early returns, errors and overrides: the same on every way a request can take."""

from __future__ import annotations

import threading
import typing as t
from functools import partial

import pytest
from werkzeug.exceptions import Forbidden, HTTPException, InternalServerError, NotFound

from asyncflask import (
    Blueprint,
    Flask,
    Response,
    abort,
    after_this_request,
    g,
    got_request_exception,
    redirect,
    request,
    request_finished,
    request_started,
    request_tearing_down,
    session,
)

from .conftest import Fetch

KINDS = ["sync", "async"]


def of_kind(kind: str, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """Return `func`, or an async function that does the same."""
    if kind == "sync":
        return func

    async def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
        return func(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize("hook_kind", KINDS)
@pytest.mark.parametrize("view_kind", KINDS)
async def test_the_order_is_flasks(
    app: Flask, fetch: Fetch, view_kind: str, hook_kind: str
) -> None:
    seen: list[str] = []

    def note(name: str, value: t.Any = None) -> t.Callable[..., t.Any]:
        def hook(*args: t.Any) -> t.Any:
            seen.append(name)
            return args[0] if name.startswith("after") else None

        return of_kind(hook_kind, hook)

    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    for scaffold, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        for number in "12":
            scaffold.before_request(note(f"before {name} {number}"))
            scaffold.after_request(note(f"after {name} {number}"))
            scaffold.teardown_request(note(f"teardown {name} {number}"))
    app.url_value_preprocessor(note("values app"))
    inner.url_value_preprocessor(note("values inner"))
    app.teardown_appcontext(note("teardown context"))

    def view() -> str:
        seen.append("view")

        @after_this_request
        def this(response: Response) -> Response:
            seen.append("after this")
            return response

        return "ok"

    inner.add_url_rule("/", view_func=of_kind(view_kind, view), endpoint="view")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert (await fetch()).text == "ok"
    assert seen == [
        "values app",
        "values inner",
        *(f"before {name} {n}" for name in ("app", "outer", "inner") for n in "12"),
        "view",
        "after this",
        *(f"after {name} {n}" for name in ("inner", "outer", "app") for n in "21"),
        *(f"teardown {name} {n}" for name in ("inner", "outer", "app") for n in "21"),
        "teardown context",
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_before_request_function_can_answer(app: Flask, fetch: Fetch, kind: str) -> None:
    app.before_request(of_kind(kind, lambda: ("early", 418)))
    app.after_request(of_kind(kind, lambda response: response))

    @app.route("/")
    def view() -> str:
        raise AssertionError("not reached")

    response = await fetch()
    assert (response.text, response.status_code) == ("early", 418)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_handler_of_the_closest_class_gets_the_error(
    app: Flask, fetch: Fetch, kind: str
) -> None:
    app.register_error_handler(LookupError, of_kind(kind, lambda error: "lookup"))
    app.register_error_handler(KeyError, of_kind(kind, lambda error: ("key", 400)))
    app.register_error_handler(404, of_kind(kind, lambda error: ("missing", error.code)))
    app.register_error_handler(HTTPException, of_kind(kind, lambda error: error))
    errors = {"key": KeyError("x"), "index": IndexError(), "no": NotFound(), "403": Forbidden()}

    @app.route("/<name>")
    async def view(name: str) -> str:
        raise errors[name]

    assert (await fetch("/key")).text == "key"
    assert (await fetch("/index")).text == "lookup"
    assert (await fetch("/no")).text == "missing"
    assert (await fetch("/no/such")).text == "missing"
    assert (await fetch("/403")).status_code == 403


async def test_a_blueprints_handler_comes_before_the_apps(app: Flask, fetch: Fetch) -> None:
    bp = Blueprint("bp", __name__)
    bp.register_error_handler(404, lambda error: ("blueprint", 404))
    app.register_error_handler(404, lambda error: ("app", 404))
    bp.add_url_rule("/bp", view_func=lambda: abort(404), endpoint="view")
    app.register_blueprint(bp)
    assert (await fetch("/bp")).text == "blueprint"
    assert (await fetch("/other")).text == "app"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unhandled_error_is_a_500_with_its_cause(
    app: Flask, fetch: Fetch, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[t.Any] = []
    torn: list[t.Any] = []
    app.teardown_request(torn.append)

    @app.errorhandler(500)
    def handler(error: InternalServerError) -> tuple[str, int]:
        errors.append(error.original_exception)
        return "sorry", 500

    def fail() -> None:
        raise ZeroDivisionError

    app.add_url_rule("/", view_func=of_kind(kind, fail), endpoint="fail")
    response = await fetch()
    assert (response.text, response.status_code) == ("sorry", 500)
    assert [type(error) for error in (*errors, *torn)] == [ZeroDivisionError] * 2
    [record] = caplog.records
    assert record.getMessage() == "Exception on / [GET]"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_the_plain_500_tells_nothing(app: Flask, fetch: Fetch) -> None:
    @app.route("/")
    def fail() -> str:
        raise LookupError("the secret")

    response = await fetch()
    assert response.status_code == 500
    assert "secret" not in response.text


async def test_errors_of_after_functions_are_logged_while_an_error_is_handled(
    app: Flask, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    @app.after_request
    def after(response: Response) -> Response:
        raise LookupError("after")

    @app.route("/")
    async def fail() -> str:
        raise ZeroDivisionError

    assert (await fetch()).status_code == 500
    assert "after-request function failed" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
async def test_signals_are_sent_and_receivers_of_both_kinds_called(
    app: Flask, fetch: Fetch, kind: str
) -> None:
    seen: list[str] = []
    signals = (request_started, request_finished, request_tearing_down, got_request_exception)

    def receiver(name: str) -> t.Callable[..., t.Any]:
        return of_kind(kind, lambda sender, **values: seen.append(name))

    receivers = [(signal, receiver(signal.name)) for signal in signals]
    for signal, func in receivers:
        signal.connect(func, app)

    @app.route("/")
    async def view() -> str:
        return "ok"

    @app.route("/fail")
    async def fail() -> str:
        raise ZeroDivisionError

    try:
        await fetch()
        assert seen == ["request-started", "request-finished", "request-tearing-down"]
        seen.clear()
        await fetch("/fail")
        assert seen == [
            "request-started",
            "got-request-exception",
            "request-finished",
            "request-tearing-down",
        ]
    finally:
        for signal, func in receivers:
            signal.disconnect(func, app)


async def test_overridden_steps_are_called_and_call_through(fetch: Fetch, app: Flask) -> None:
    seen: list[str] = []

    def through(name: str, own: t.Callable[[], t.Any]) -> t.Any:
        seen.append(name)
        return own()

    for name in ("full_dispatch_request", "dispatch_request", "preprocess_request"):
        own = getattr(app, name)
        setattr(app, name, partial(through, name, own))
    handle = app.handle_user_exception

    def handle_user(error: Exception) -> t.Any:
        seen.append("handle_user_exception")
        return handle(error)

    setattr(app, "handle_user_exception", handle_user)  # noqa: B010 - as extensions do

    @app.route("/")
    async def view() -> str:
        return "ok"

    assert (await fetch()).text == "ok"
    assert seen == ["full_dispatch_request", "preprocess_request", "dispatch_request"]
    seen.clear()
    assert (await fetch("/missing")).status_code == 404
    assert seen[-1] == "handle_user_exception"


async def test_an_override_can_be_taken_back(app: Flask, fetch: Fetch) -> None:
    @app.route("/")
    async def view() -> str:
        return "own"

    app.dispatch_request = lambda: "override"  # type: ignore[method-assign]
    assert (await fetch()).text == "override"
    del app.dispatch_request
    assert (await fetch()).text == "own"


async def test_sync_code_of_a_request_shares_a_thread_and_g(app: Flask, fetch: Fetch) -> None:
    threads: list[int] = []

    def note() -> None:
        threads.append(threading.get_ident())

    @app.before_request
    def before() -> None:
        note()
        g.value = "kept"

    @app.route("/sync")
    def sync_view() -> str:
        note()
        return str(g.value)

    @app.route("/async")
    async def async_view() -> str:
        return str(g.value)

    @app.after_request
    def after(response: Response) -> Response:
        note()
        return response

    @app.teardown_request
    def teardown(exc: BaseException | None) -> None:
        note()

    for path, pieces in (("/sync", 4), ("/async", 3)):
        assert (await fetch(path)).text == "kept"
        assert len(threads) == pieces
        assert len(set(threads)) == 1
        threads.clear()


async def test_methods_options_and_redirects(app: Flask, fetch: Fetch) -> None:
    @app.route("/slash/", methods=["GET", "PUT"])
    async def view() -> str:
        return request.method

    assert (await fetch("/slash/", "PUT")).text == "PUT"
    options = await fetch("/slash/", "OPTIONS")
    assert set(options.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "PUT"}
    assert (await fetch("/slash/", "POST")).status_code == 405
    redirected = await fetch("/slash?a=1")
    assert (redirected.status_code, redirected.headers["location"]) == (
        308,
        "http://localhost/slash/?a=1",
    )
    head = await fetch("/slash/", "HEAD")
    assert (head.status_code, head.text, head.headers["content-length"]) == (200, "", "4")


async def test_the_session_is_kept_between_requests(app: Flask, fetch: Fetch) -> None:
    @app.route("/")
    async def view() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    @app.route("/untouched")
    async def untouched() -> str:
        return "x"

    assert "set-cookie" not in (await fetch("/untouched")).headers
    first = await fetch()
    assert first.headers["vary"] == "Cookie"
    assert (first.text, (await fetch()).text) == ("1", "2")
    assert "set-cookie" not in (await fetch("/untouched")).headers


async def test_a_permanent_session_is_refreshed_even_if_nobody_asks_for_it(
    app: Flask, fetch: Fetch
) -> None:
    @app.route("/login")
    async def login() -> str:
        session.permanent = True
        return ""

    @app.route("/untouched")
    async def untouched() -> str:
        return "x"

    await fetch("/login")
    refreshed = await fetch("/untouched")
    assert "expires" in refreshed.headers["set-cookie"].lower()
    assert refreshed.headers["vary"] == "Cookie"


async def test_a_custom_session_interface_of_either_kind(app: Flask, fetch: Fetch) -> None:
    from asyncflask.sessions import SecureCookieSession, SessionInterface

    stored: dict[str, t.Any] = {}

    class Stored(SecureCookieSession):
        pass

    class Interface(SessionInterface):
        def open_session(self, app: t.Any, request: t.Any) -> Stored:
            return Stored(stored)

        def save_session(self, app: t.Any, session: t.Any, response: t.Any) -> None:
            stored.update(session)

    app.session_interface = Interface()

    @app.route("/")
    async def view() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    assert [(await fetch()).text for _ in range(2)] == ["1", "2"]


async def test_redirect_answers_relative(app: Flask, fetch: Fetch) -> None:
    app.add_url_rule("/", view_func=lambda: redirect("/there"), endpoint="view")
    assert (await fetch()).headers["location"] == "/there"


async def test_teardown_functions_are_told_of_no_error_that_the_app_ignores(
    app: Flask, fetch: Fetch
) -> None:
    seen: list[t.Any] = []
    app.teardown_request(seen.append)
    app.should_ignore_error = lambda error: True  # type: ignore[method-assign]

    @app.route("/")
    def fail() -> str:
        raise ZeroDivisionError

    await fetch()
    assert seen == [None]


@pytest.mark.anyio
async def test_teardown_functions_that_take_no_error_stop_no_others() -> None:
    app, ran = Flask("app"), list[str]()

    @app.teardown_request
    async def last(error: t.Any) -> None:
        ran.append("last")

    async def first() -> None:
        ran.append("first")

    app.teardown_request_funcs[None].append(first)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        async with app.test_request_context("/"):
            pass
    assert ran == ["last"]
