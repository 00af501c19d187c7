"""The app that the hostile requests go to: one endpoint for each thing that can be attacked.

Where sync and async handlers read the same input, there is one of each, below ``/sync`` and
``/async``.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from pathlib import Path

from asyncflask import (
    Flask,
    Response,
    abort,
    jsonify,
    redirect,
    request,
    send_file,
    session,
    url_for,
)

View = Callable[..., t.Any]

SECRET = "a-secret-that-no-answer-may-show"


def make_app(folder: Path, **config: t.Any) -> Flask:
    """Make the app.

    :param folder: for its files: ``static/`` and, next to it, what must never be served.
    """
    static = folder / "static"
    static.mkdir()
    (static / "public.txt").write_text("public")
    (static / "sub").mkdir()
    (static / "sub" / "deep.txt").write_text("deep")
    (folder / "private.txt").write_text("private")
    (folder / "static1").mkdir()
    (folder / "static1" / "private.txt").write_text("private")
    (folder / "range.bin").write_bytes(bytes(range(256)) * 40)
    app = Flask(__name__, root_path=str(folder), static_folder="static")
    app.config.update(SECRET_KEY=SECRET, **config)
    app.extensions["teardowns"] = []
    app.teardown_request(app.extensions["teardowns"].append)
    for prefix, make in (("/sync", _plain), ("/async", _coroutine)):
        _add_readers(app, prefix, make)
    _add_paths(app)
    _add_makers(app)
    _add_others(app)
    _add_files(app, folder)
    return app


def _plain(view: View) -> View:
    return view


def _coroutine(view: View) -> View:
    async def coroutine(**values: t.Any) -> t.Any:
        return view(**values)

    return coroutine


def _add_readers(app: Flask, prefix: str, make: Callable[[View], View]) -> None:
    """Add what reads a request: cookies, query, body."""

    def add(rule: str, view: View) -> None:
        app.add_url_rule(prefix + rule, prefix + rule, make(view), methods=["GET", "POST"])

    def form() -> t.Any:
        files = {name: [file.filename, len(file.read())] for name, file in request.files.items()}
        return {"form": {name: len(text) for name, text in request.form.items()}, "files": files}

    add("/session", lambda: {"user": session.get("user")})
    add("/cookies", lambda: dict(request.cookies))
    add("/args", lambda: dict(request.args))
    add("/form", form)
    add("/json", lambda: jsonify(request.get_json()))
    add("/data", lambda: str(len(request.get_data())))
    add("/ignore", lambda: "ignored")


def _add_paths(app: Flask) -> None:
    """Add rules with converters, and ones that redirect to fix slashes."""
    for converter in ("string", "int", "float", "path", "uuid", "any(one, two)"):
        name = converter.partition("(")[0]

        async def view(value: t.Any, name: str = name) -> t.Any:
            return {name: str(value)}

        app.add_url_rule(f"/{name}/<{converter}:value>", name, view)
    app.add_url_rule("/folder/<path:name>/", "folder", lambda name: f"folder {name}")
    app.add_url_rule("/strict/", "strict", lambda: "strict")
    app.add_url_rule("/<name>/", "any_folder", lambda name: f"any folder {name}")


def _add_makers(app: Flask) -> None:
    """Add what makes responses out of the query, in the way of a careless programmer."""

    @app.get("/make/header")
    async def make_header() -> t.Any:
        return "", 200, {request.args.get("name", "X-Made"): request.args.get("value", "")}

    @app.get("/make/header-object")
    def make_header_object() -> t.Any:
        response = Response("")
        response.headers[request.args.get("name", "X-Made")] = request.args.get("value", "")
        return response

    @app.get("/make/redirect")
    def make_redirect() -> t.Any:
        return redirect(request.args["to"])

    @app.get("/make/cookie")
    def make_cookie() -> t.Any:
        response = Response("")
        options: dict[str, t.Any] = {"key": "made", **request.args.to_dict()}
        response.set_cookie(**options)
        return response

    @app.get("/make/status")
    async def make_status() -> t.Any:
        return "", request.args["status"]

    @app.get("/make/mimetype")
    async def make_mimetype() -> t.Any:
        return Response("", mimetype=request.args["mimetype"])

    @app.get("/make/abort")
    async def make_abort() -> t.Any:
        abort(400, request.args["description"])

    @app.get("/make/url")
    async def make_url() -> t.Any:
        return url_for("strict", _external=True)


def _add_others(app: Flask) -> None:
    """Add what fails, and what shows the request as it came."""

    @app.get("/make/error")
    async def make_error() -> t.Any:
        raise ValueError(request.args.get("text", ""))

    @app.get("/make/error-at/<text>")
    def make_error_at(text: str) -> t.Any:
        raise ValueError("here")

    @app.route("/environ")
    def environ() -> t.Any:
        return {key: str(value) for key, value in request.environ.items()}

    @app.route("/headers")
    async def headers() -> t.Any:
        return dict(request.headers)


def _add_files(app: Flask, folder: Path) -> None:
    @app.get("/range")
    async def ranged() -> t.Any:
        return send_file(folder / "range.bin")

    @app.get("/download")
    def download() -> t.Any:
        return send_file(
            folder / "range.bin", as_attachment=True, download_name=request.args["name"]
        )
