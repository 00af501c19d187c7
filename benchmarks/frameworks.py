"""Who is compared: the frameworks, and the servers that each runs under."""

from __future__ import annotations

import typing as t

from .environment import OURS, PEERS
from .server import uvicorn


class Framework(t.NamedTuple):
    """A framework: `benchmarks.apps` has a module of its name."""

    name: str
    title: str
    environment: str = PEERS
    wsgi: bool = False


class Deployment(t.NamedTuple):
    """A framework under a server.

    :param command: what follows ``python``; ``{port}`` stands for the port.
    """

    name: str
    title: str
    framework: str
    command: tuple[str, ...]


FRAMEWORKS = {
    each.name: each
    for each in (
        Framework("bare", "bare ASGI", OURS),
        Framework("asyncflask", "asyncflask", OURS),
        Framework("starlette", "Starlette", OURS),
        Framework("fastapi", "FastAPI"),
        Framework("litestar", "Litestar"),
        Framework("falcon", "Falcon"),
        Framework("blacksheep", "BlackSheep"),
        Framework("sanic", "Sanic"),
        Framework("quart", "Quart"),
        Framework("flask", "Flask", wsgi=True),
    )
}

#: Whoever serves it: one worker, its fastest parts, nothing written per request.
GUNICORN = (
    *("-m", "gunicorn", "--bind=127.0.0.1:{port}", "--workers=1"),
    *("--log-level=warning", "--no-control-socket"),
)
SANIC = (
    *("-m", "sanic", "benchmarks.entry:app", "--factory", "--host=127.0.0.1", "--port={port}"),
    *("--single-process", "--no-access-logs", "--no-motd"),
)
#: Its documentation has few blocking threads for apps that answer within about a millisecond, as
#: these do: with one, a request costs up to 8 % less than with the 512 that it would take.
GRANIAN = (
    *("-m", "granian", "--interface=wsgi", "--host=127.0.0.1", "--port={port}", "--workers=1"),
    "--blocking-threads=1",
    *("--log-level=warning", "--no-access-log", "--factory", "benchmarks.entry:app"),
)


def _on_uvicorn(name: str) -> Deployment:
    command = uvicorn("benchmarks.entry:app")
    return Deployment(name, FRAMEWORKS[name].title, name, tuple(command))


def _flask(server: str, title: str, *command: str) -> Deployment:
    return Deployment(f"flask-{server}", f"Flask, {title}", "flask", command)


DEPLOYMENTS = {
    each.name: each
    for each in (
        *map(_on_uvicorn, ("bare", "asyncflask", "starlette", "fastapi", "litestar", "falcon")),
        *map(_on_uvicorn, ("blacksheep", "quart")),
        Deployment("sanic", "Sanic", "sanic", SANIC),
        _flask(
            "gthread",
            "gunicorn gthread",
            *(*GUNICORN, "--worker-class=gthread", "--threads=32", "benchmarks.entry:app()"),
        ),
        _flask(
            "gevent",
            "gunicorn gevent",
            *(*GUNICORN, "--worker-class=gevent", "benchmarks.entry:app()"),
        ),
        _flask("granian", "granian", *GRANIAN),
        _flask("a2wsgi", "uvicorn and a2wsgi", *uvicorn("benchmarks.entry:wrapped")),
    )
}
