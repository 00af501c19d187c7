"""Class-based views: Flask's rules, plain and ``async def``, alone and mixed."""

from __future__ import annotations

import functools
import inspect
import threading
import typing as t

import flask
import flask.views
import pytest
from werkzeug.exceptions import MethodNotAllowed

import asyncflask
from asyncflask import Flask, request
from asyncflask.views import MethodView, View, http_method_funcs


@pytest.fixture
def app() -> Flask:
    app = Flask("views", root_path="/")
    app.testing = True
    return app


def thread() -> str:
    return "main" if threading.current_thread() is threading.main_thread() else "worker"


# What must be the same on Flask


@pytest.fixture(params=[asyncflask, flask], ids=["asyncflask", "flask"])
def web(request: pytest.FixtureRequest) -> t.Any:
    return request.param


class Site:
    """An app of either framework, with a client."""

    def __init__(self, web: t.Any) -> None:
        self.app = web.Flask("views", root_path="/")
        self.app.testing = True
        self.client = self.app.test_client()

    def add(self, view: t.Any, **options: t.Any) -> None:
        self.app.add_url_rule("/", view_func=view.as_view("index"), **options)

    def allowed(self) -> list[str]:
        return sorted(self.client.options("/").allow)


@pytest.fixture
def site(web: t.Any) -> Site:
    return Site(web)


def test_view(web: t.Any, site: Site) -> None:
    class Index(web.views.View):  # type: ignore[misc]
        methods = ("GET", "POST")

        def dispatch_request(self) -> str:
            return str(web.request.method)

    site.add(Index)
    assert site.client.get("/").text == "GET"
    assert site.client.post("/").text == "POST"
    assert site.client.put("/").status_code == 405
    assert site.allowed() == ["GET", "HEAD", "OPTIONS", "POST"]


def test_method_view(web: t.Any, site: Site) -> None:
    class Index(web.views.MethodView):  # type: ignore[misc]
        def get(self) -> str:
            return "GET"

        def post(self) -> str:
            return "POST"

    site.add(Index)
    assert Index.methods == {"GET", "POST"}
    assert site.client.get("/").text == "GET"
    assert site.client.post("/").text == "POST"
    assert site.client.put("/").status_code == 405
    assert site.allowed() == ["GET", "HEAD", "OPTIONS", "POST"]


def test_url_values_and_arguments(web: t.Any, site: Site) -> None:
    class Item(web.views.View):  # type: ignore[misc]
        def __init__(self, prefix: str, suffix: str = "!") -> None:
            self.prefix, self.suffix = prefix, suffix

        def dispatch_request(self, id: int) -> str:
            return f"{self.prefix}{id}{self.suffix}"

    view = Item.as_view("item", "#", suffix="?")
    site.app.add_url_rule("/<int:id>", view_func=view)
    assert site.client.get("/7").text == "#7?"


def test_attributes_of_the_function(web: t.Any) -> None:
    class Index(web.views.View):  # type: ignore[misc]
        """Show the index."""

        methods = ("PUT",)
        provide_automatic_options = False

    view = Index.as_view("called")
    assert view.__name__ == "called"
    assert view.__doc__ == "Show the index."
    assert view.__module__ == __name__
    assert view.view_class is Index
    assert view.methods == ("PUT",)
    assert view.provide_automatic_options is False


def test_view_class_may_be_replaced(web: t.Any, site: Site) -> None:
    class Index(web.views.MethodView):  # type: ignore[misc]
        def get(self) -> str:
            raise ZeroDivisionError

    class Other(Index):
        def get(self) -> str:
            return "other"

    view = Index.as_view("index")
    view.view_class = Other
    site.app.add_url_rule("/", view_func=view)
    assert site.client.get("/").text == "other"


def test_methods_are_inherited(web: t.Any) -> None:
    class Get(web.views.MethodView):  # type: ignore[misc]
        def get(self) -> str:
            return "GET"

    class Delete(web.views.MethodView):  # type: ignore[misc]
        def delete(self) -> str:
            return "DELETE"

    class Both(Get, Delete):
        pass

    class More(Both):
        def patch(self) -> str:
            return "PATCH"

    class Less(Both):
        methods = ("GET",)

    class Special(web.views.MethodView):  # type: ignore[misc]
        methods: t.ClassVar[t.Collection[str]] = ["GET", "PROPFIND"]

    class Child(Special):
        def get(self) -> str:
            return "GET"

        def propfind(self) -> str:
            return "PROPFIND"

    class Empty(web.views.MethodView):  # type: ignore[misc]
        pass

    assert Both.methods == {"GET", "DELETE"}
    assert More.methods == {"GET", "DELETE", "PATCH"}
    assert Less.methods == ("GET",)
    assert Child.methods == {"GET", "PROPFIND"}
    assert Empty.methods is None

    site = Site(web)
    site.add(Child)
    assert site.client.get("/").text == "GET"
    assert site.client.open("/", method="PROPFIND").text == "PROPFIND"


def test_restricted_methods(web: t.Any, site: Site) -> None:
    class Index(web.views.MethodView):  # type: ignore[misc]
        methods = ("GET",)

        def get(self) -> str:
            return "GET"

        def post(self) -> str:
            raise AssertionError

    site.add(Index)
    assert site.client.get("/").text == "GET"
    assert site.client.post("/").status_code == 405


def test_methods_of_the_rule(web: t.Any, site: Site) -> None:
    class Index(web.views.MethodView):  # type: ignore[misc]
        def get(self) -> str:
            return "GET"

        def link(self) -> str:
            return "LINK"

    site.add(Index, methods=["LINK"])
    assert site.client.open("/", method="LINK").text == "LINK"
    assert site.client.get("/").status_code == 405


def test_implicit_head(web: t.Any, site: Site) -> None:
    class Index(web.views.MethodView):  # type: ignore[misc]
        def get(self) -> t.Any:
            return web.Response("body", headers={"X-Method": web.request.method})

    site.add(Index)
    assert site.client.get("/").headers["X-Method"] == "GET"
    head = site.client.head("/")
    assert head.headers["X-Method"] == "HEAD"
    assert head.data == b""


def test_explicit_head(web: t.Any, site: Site) -> None:
    class Index(web.views.MethodView):  # type: ignore[misc]
        def get(self) -> str:
            return "GET"

        def head(self) -> t.Any:
            return web.Response(headers={"X-Method": "HEAD"})

    site.add(Index)
    assert site.client.get("/").text == "GET"
    assert site.client.head("/").headers["X-Method"] == "HEAD"


@pytest.mark.parametrize(
    ("methods", "automatic", "allowed", "status"),
    [
        (None, None, ["GET", "HEAD", "OPTIONS"], 200),
        (None, False, ["GET", "HEAD"], 405),
        (("OPTIONS",), True, ["OPTIONS"], 200),
        (("OPTIONS",), None, [], 200),
    ],
)
def test_automatic_options(
    web: t.Any, site: Site, methods: t.Any, automatic: t.Any, allowed: list[str], status: int
) -> None:
    name = "methods"
    attributes = {name: methods, "provide_automatic_options": automatic}
    attributes["dispatch_request"] = lambda self: "view"
    site.add(type("Index", (web.views.View,), attributes))
    response = site.client.options("/")
    assert response.status_code == status
    assert sorted(response.allow) == allowed


@pytest.mark.parametrize("every", [True, False])
def test_instances(web: t.Any, site: Site, every: bool) -> None:
    made = []

    class Index(web.views.View):  # type: ignore[misc]
        init_every_request = every

        def __init__(self) -> None:
            made.append(self)

        def dispatch_request(self) -> str:
            return str(made.index(self))

    site.add(Index)
    assert len(made) == (0 if every else 1)
    assert [site.client.get("/").text for _ in range(3)] == (list("012") if every else list("000"))


def test_decorators(web: t.Any, site: Site) -> None:
    def adding(mark: str) -> t.Any:
        def decorator(f: t.Any) -> t.Any:
            assert f.__name__ == "index"

            @functools.wraps(f)
            def wrapper(*args: t.Any, **kwargs: t.Any) -> t.Any:
                response = web.make_response(f(*args, **kwargs))
                response.data += mark.encode()
                return response

            return wrapper

        return decorator

    class Index(web.views.MethodView):  # type: ignore[misc]
        decorators = (adding("1"), adding("2"))

        def get(self) -> str:
            return "0"

    site.add(Index)
    assert site.client.get("/").text == "012"
    assert site.app.view_functions["index"].view_class is Index


def test_view_has_to_be_written(web: t.Any, site: Site) -> None:
    site.add(web.views.View)
    with pytest.raises(NotImplementedError):
        site.client.get("/")


def test_overriding_dispatch_sees_finished_results() -> None:
    class Index(MethodView):
        def dispatch_request(self, **kwargs: t.Any) -> str:
            return str(super().dispatch_request(**kwargs).upper())

        async def get(self) -> str:
            return "async"

        def post(self) -> str:
            return "plain"

    site = Site(asyncflask)
    site.add(Index)
    assert site.client.get("/").text == "ASYNC"
    assert site.client.post("/").text == "PLAIN"


def test_decorators_of_mixed_handlers_see_finished_results() -> None:
    def shout(f: t.Any) -> t.Any:
        return lambda **kwargs: f(**kwargs).upper()

    class Index(MethodView):
        decorators: t.ClassVar[list[t.Any]] = [shout]

        async def get(self) -> str:
            return "async"

        def post(self) -> str:
            return "plain"

    site = Site(asyncflask)
    site.add(Index)
    assert site.client.get("/").text == "ASYNC"
    assert site.client.post("/").text == "PLAIN"


def test_method_names() -> None:
    assert http_method_funcs == flask.views.http_method_funcs


# Which views run on the event loop


class Async(View):
    async def dispatch_request(self, **kwargs: t.Any) -> str:
        return thread()


class Plain(View):
    def dispatch_request(self, **kwargs: t.Any) -> str:
        return thread()


class AsyncMethods(MethodView):
    async def get(self) -> str:
        return "get"

    async def post(self) -> str:
        return "post"


class MixedMethods(AsyncMethods):
    def put(self) -> str:
        return "put"


class AsyncSpecial(AsyncMethods):
    methods = ("GET", "LINK")

    async def link(self) -> str:
        return "link"


class MixedSpecial(AsyncMethods):
    methods = ("GET", "LINK")

    def link(self) -> str:
        return "link"


class NoMethods(MethodView):
    pass


class AsyncDispatch(MixedMethods):
    async def dispatch_request(self, **kwargs: t.Any) -> t.Any:
        found = super().dispatch_request(**kwargs)
        return "-" + (await found if inspect.isawaitable(found) else found)


class PlainDispatch(AsyncMethods):
    def dispatch_request(self, **kwargs: t.Any) -> t.Any:
        return "+" + super().dispatch_request(**kwargs)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (Async, True),
        (Plain, False),
        (AsyncMethods, True),
        (MixedMethods, False),
        (AsyncSpecial, True),
        (MixedSpecial, False),
        (NoMethods, False),
        (AsyncDispatch, True),
        (PlainDispatch, False),
    ],
)
@pytest.mark.parametrize("every", [True, False])
def test_kind_of_function(view: type[View], expected: bool, every: bool) -> None:
    chosen: type[View] = type("Chosen", (view,), {"init_every_request": every})
    assert inspect.iscoroutinefunction(chosen.as_view("v")) is expected


@pytest.mark.parametrize(
    ("view", "answers"),
    [
        (AsyncMethods, {"GET": "get", "POST": "post", "HEAD": ""}),
        (MixedMethods, {"GET": "get", "POST": "post", "PUT": "put", "HEAD": ""}),
        (AsyncSpecial, {"GET": "get", "LINK": "link"}),
        (MixedSpecial, {"GET": "get", "LINK": "link"}),
        (AsyncDispatch, {"GET": "-get", "PUT": "-put"}),
        (PlainDispatch, {"GET": "+get", "POST": "+post"}),
    ],
)
@pytest.mark.parametrize("every", [True, False])
def test_answers(app: Flask, view: type[View], answers: dict[str, str], every: bool) -> None:
    chosen: type[View] = type("Chosen", (view,), {"init_every_request": every})
    app.add_url_rule("/", view_func=chosen.as_view("v"))
    client = app.test_client()
    assert {method: client.open("/", method=method).text for method in answers} == answers


@pytest.mark.parametrize(
    ("view", "answers"),
    [
        (AsyncMethods, {"GET": "get", "POST": "post"}),
        (MixedMethods, {"GET": "get", "PUT": "put"}),
        (AsyncDispatch, {"GET": "-get", "PUT": "-put"}),
        (PlainDispatch, {"GET": "+get", "POST": "+post"}),
    ],
)
@pytest.mark.parametrize("every", [True, False])
@pytest.mark.anyio
async def test_answers_under_asgi(
    app: Flask, view: type[View], answers: dict[str, str], every: bool
) -> None:
    chosen: type[View] = type("Chosen", (view,), {"init_every_request": every})
    app.add_url_rule("/", view_func=chosen.as_view("v"))
    async with app.async_client() as client:
        found = {method: (await client.request(method, "/")).text for method in answers}
    assert found == answers


@pytest.mark.anyio
async def test_async_views_need_no_thread(app: Flask) -> None:
    app.add_url_rule("/async", view_func=Async.as_view("a"))
    app.add_url_rule("/plain", view_func=Plain.as_view("p"))
    async with app.async_client() as client:
        assert (await client.get("/async")).text == "main"
        assert (await client.get("/plain")).text == "worker"


def test_async_decorators(app: Flask) -> None:
    def mark(f: t.Any) -> t.Any:
        async def wrapper(**kwargs: t.Any) -> str:
            return f"{await f(**kwargs)}!"

        return wrapper

    marked: type[View] = type("Marked", (AsyncMethods,), {"decorators": [mark]})
    app.add_url_rule("/", view_func=marked.as_view("v"))
    assert app.test_client().get("/").text == "get!"


def test_plain_class_in_place_of_an_async_one(app: Flask) -> None:
    view: t.Any = Async.as_view("v")
    view.view_class = Plain
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").status_code == 200


# Which attributes a request can reach

ODD = [
    *("AS_VIEW", "DISPATCH_REQUEST", "METHODS", "DECORATORS", "INIT_EVERY_REQUEST", "_INTERNAL"),
    *("__INIT__", "__CLASS__", "__DICT__", "_FIND_HANDLER", "_IS_ASYNC", "HELPER", "X", "_"),
    *("PROVIDE_AUTOMATIC_OPTIONS", "DELETE", "trace", "GET ", "PROPFIND"),
]


class Guarded(MethodView):
    def get(self) -> str:
        return "get"

    def helper(self) -> str:
        raise AssertionError("reached by a request")

    _internal = helper


@pytest.mark.parametrize("method", ODD)
def test_only_registered_methods(app: Flask, method: str) -> None:
    app.add_url_rule("/", view_func=Guarded.as_view("v"))
    assert app.test_client().open("/", method=method).status_code == 405


@pytest.mark.parametrize("method", ODD)
def test_only_registered_methods_without_a_rule(app: Flask, method: str) -> None:
    view = Guarded.as_view("v")
    with (
        app.test_request_context("/nowhere", method=method),
        pytest.raises(MethodNotAllowed, match=r"Guarded has no handler") as caught,
    ):
        view()
    assert caught.value.valid_methods == ["GET"]


def test_method_changed_after_matching(app: Flask) -> None:
    @app.before_request
    def override() -> None:
        request.method = request.args["as"]

    app.add_url_rule("/", view_func=Guarded.as_view("v"))
    client = app.test_client()
    assert client.get("/?as=GET").text == "get"
    assert client.get("/?as=helper").status_code == 405
    assert client.get("/?as=dispatch_request").status_code == 405


def test_registered_method_without_a_handler(app: Flask) -> None:
    half: type[View] = type("Half", (Guarded,), {"methods": ["GET", "POST"]})
    app.add_url_rule("/", view_func=half.as_view("v"))
    response = app.test_client().post("/")
    assert response.status_code == 405
    assert response.allow.to_header() == "GET, HEAD, OPTIONS"


def test_outside_of_a_request() -> None:
    with pytest.raises(RuntimeError, match="outside of request context"):
        Guarded.as_view("v")()
