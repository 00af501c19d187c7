"""The same small app in each framework: four routes, as its documentation writes them."""

from __future__ import annotations

import io
import sys
import typing as t

TEXT = "Hello, World!"
DATA = {"message": TEXT}


def bare() -> t.Any:
    """Return an ASGI callable with no framework around it: the limit."""

    async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        body = TEXT.encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def asyncflask() -> t.Any:
    """Return our app."""
    from asyncflask import Flask

    app = Flask(__name__)

    @app.get("/str")
    async def text() -> str:
        return TEXT

    @app.get("/json")
    async def data() -> dict[str, str]:
        return DATA

    @app.get("/user/<int:id>")
    async def user(id: int) -> str:
        return str(id)

    @app.get("/sync")
    def sync() -> str:
        return TEXT

    return app


def starlette() -> t.Any:
    """Return Starlette's."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    async def text(request: Request) -> PlainTextResponse:
        return PlainTextResponse(TEXT)

    async def data(request: Request) -> JSONResponse:
        return JSONResponse(DATA)

    async def user(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(request.path_params["id"]))

    def sync(request: Request) -> PlainTextResponse:
        return PlainTextResponse(TEXT)

    return Starlette(
        routes=[
            Route("/str", text),
            Route("/json", data),
            Route("/user/{id:int}", user),
            Route("/sync", sync),
        ]
    )


def flask() -> t.Any:
    """Return Flask's, a WSGI application; all its views are sync."""
    import flask as real

    app = real.Flask(__name__)
    app.add_url_rule("/str", view_func=lambda: TEXT, endpoint="text")
    app.add_url_rule("/json", view_func=lambda: DATA, endpoint="data")
    app.add_url_rule("/user/<int:id>", view_func=lambda **args: str(args["id"]), endpoint="user")
    app.add_url_rule("/sync", view_func=lambda: TEXT, endpoint="sync")
    return app


def quart() -> t.Any:
    """Return Quart's; it is not in our environment."""
    import quart as real  # type: ignore[import-not-found,unused-ignore]

    app = real.Quart(__name__)

    async def text() -> str:
        return TEXT

    app.add_url_rule("/str", view_func=text, endpoint="text")
    app.add_url_rule("/sync", view_func=lambda: TEXT, endpoint="sync")
    return app


def with_hooks(app: t.Any) -> t.Any:
    """Give an app of ours or of Flask's four sync hooks, and return it."""
    app.before_request(lambda: None)
    app.after_request(lambda response: response)
    app.teardown_request(lambda error: None)
    app.teardown_appcontext(lambda error: None)
    return app


def behind_proxy(app: t.Any) -> t.Any:
    """Wrap an app of ours or of Flask's in a WSGI middleware, and return it."""
    from werkzeug.middleware.proxy_fix import ProxyFix

    app.wsgi_app = ProxyFix(app.wsgi_app)
    return app


def asgi() -> dict[str, t.Any]:
    """Return the ASGI applications by name."""
    return {"bare ASGI": bare(), "asyncflask": asyncflask(), "Starlette": starlette()}


def wsgi_environ(path: str) -> dict[str, t.Any]:
    """Return the environ of a plain GET, as a WSGI server makes it."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "bench",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
