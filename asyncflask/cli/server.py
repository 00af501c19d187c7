"""The server behind ``asyncflask run`` and ``app.run()``: uvicorn. It is imported here only."""

from __future__ import annotations

import os
import signal
import ssl
import sys
import typing as t
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress

import click

from . import children
from .listener import BACKLOG, WILDCARDS, Listener, listen
from .reloader import Reloader
from .supervisor import Supervisor
from .tls import Certificate, prepared

#: Seconds that connections get to finish when the server is told to stop. uvicorn waits for ever
#: by default, and a server with one open event stream would never end.
GRACEFUL_SHUTDOWN = 30
#: Seconds on top, for the lifespan's end, before a worker is killed.
LIFESPAN_END = 10
#: The exit status where the app's lifespan has failed to start: uvicorn's.
STARTUP_FAILURE = 3


def serve(
    load: Callable[[], t.Any],
    host: str = "127.0.0.1",
    port: int = 5000,
    *,
    greet: Callable[[], None],
    debug: bool = False,
    reload: bool = False,
    workers: int = 1,
    cert: Certificate = None,
    extra_files: Iterable[str] = (),
    exclude_patterns: Iterable[str] = (),
    shutdown_timeout: int = GRACEFUL_SHUTDOWN,
) -> None:
    """Serve an app until a signal ends it.

    With `reload` or several workers, this process runs children that execute the same command,
    and does not return.

    :param load: returns the app; called in the process that serves.
    :param host: see `listener.listen`.
    :param port: 0 for any free one; the one that was found is printed.
    :param greet: prints the lines above the address.
    :param debug: only for a warning, where other machines can connect.
    :param reload: whether to start again when a file changes.
    :param workers: number of processes; one, if `reload` is set.
    :param cert: see `tls.Certificate`.
    :param extra_files: more files and directories for the reloader to watch.
    :param exclude_patterns: `fnmatch` patterns of paths that the reloader ignores.
    :param shutdown_timeout: seconds that connections get to finish when it is told to stop.
    :raises ServerError: if the server cannot start.
    """
    if not children.is_child() and (reload or workers > 1):
        listener = listen(host, port)
        try:
            fd = listener.sock.fileno()
            if reload:
                sys.exit(Reloader(fd, extra_files, exclude_patterns).run())
            sys.exit(Supervisor(fd, workers, shutdown_timeout + LIFESPAN_END).run())
        finally:
            listener.close()
    app = load()
    given = children.inherited(children.SOCKET)
    listener = listen(host, port) if given is None else Listener(given, host.strip("[]"))
    try:
        with prepared(cert) as ready, _ending_in_order():
            if children.is_first():
                greet()
                _announce(listener, "http" if ready is None else "https", debug, reload)
            _run(app, listener, ready, shutdown_timeout)
    finally:
        listener.close()


def _ending_in_order() -> AbstractContextManager[None]:
    """Let SIGTERM end the program like a return does, unless the program has a way of its own.

    uvicorn shuts down in order and then sends itself the signal again, which by default kills the
    process there, with temporary files, socket file and `atexit` left undone.
    """
    is_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    return children.handling({signal.SIGTERM: sys.exit} if is_default else {})


def _announce(listener: Listener, scheme: str, debug: bool, reload: bool) -> None:
    if listener.host in WILDCARDS:
        click.echo(f" * Listening on all addresses ({listener.host or '0.0.0.0'})")
    if debug and listener.is_public:
        warning = "debug mode shows code and data to everybody who can connect"
        click.secho(f" * Warning: {warning}", fg="red")
    if reload:
        click.echo(" * Reloading when a Python file changes")
    click.echo(f" * Running on {listener.url(scheme)} (Press CTRL+C to quit)")


def _run(
    app: t.Any,
    listener: Listener,
    cert: ssl.SSLContext | tuple[str, str | None] | None,
    shutdown_timeout: int,
) -> None:
    import uvicorn

    served = children.follow_parent()

    class Server(uvicorn.Server):
        async def startup(self, sockets: t.Any = None) -> None:
            await super().startup(sockets)
            served()

    certificate, key = cert if isinstance(cert, tuple) else (None, None)
    config = uvicorn.Config(
        app,
        backlog=BACKLOG,
        interface="asgi3",  # the app takes WSGI's two arguments too: leave nothing to guess
        # As under Flask's own server, headers that anybody can send do not change what
        # request.remote_addr says; ProxyFix is there for that. Who sets uvicorn's variable knows.
        proxy_headers="FORWARDED_ALLOW_IPS" in os.environ,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=shutdown_timeout,
        access_log=not children.is_under_load(),  # thousands of lines that nobody asked for
        log_level="warning" if children.is_under_load() else None,
        workers=1,  # else uvicorn asks WEB_CONCURRENCY, and cannot with a socket of ours
        # uvicorn buffers a message whole before the app sees it, 16 MiB by default.
        ws_max_size=app.config["WEBSOCKET_MAX_MESSAGE_SIZE"],
        ws_max_queue=app.config["WEBSOCKET_MAX_QUEUE"],
    )
    if isinstance(cert, ssl.SSLContext):
        config.load()
        config.ssl = cert
    server = Server(config)
    with suppress(KeyboardInterrupt):  # the signal that uvicorn sends on
        server.run(sockets=[listener.sock])
    if not server.started:  # older ones leave it to their caller to say that the app has not either
        sys.exit(STARTUP_FAILURE)
