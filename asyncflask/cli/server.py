"""The server behind ``asyncflask run`` and ``app.run()``: uvicorn. It is imported here only."""

from __future__ import annotations

import os
import signal
import ssl
import sys
import threading
import typing as t
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from . import reloader
from .listener import BACKLOG, Listener, ServerError, inherited, listen
from .tls import Certificate, prepared

if t.TYPE_CHECKING:
    from uvicorn import Config

#: Seconds that connections get to finish when the server is told to stop. uvicorn waits for ever
#: by default, and a server with one open event stream would never end.
GRACEFUL_SHUTDOWN = 30
#: Bytes of one WebSocket message. uvicorn's default is 16 MiB, buffered whole for each socket
#: before the app sees it; 1 MiB is what most servers and proxies allow.
WS_MAX_SIZE = 1024 * 1024
#: Exit status by which uvicorn's worker says that starting it again is of no use.
CANNOT_START = 3


def serve(
    load: Callable[[], t.Any],
    host: str = "127.0.0.1",
    port: int = 5000,
    *,
    greet: Callable[[], None],
    debug: bool = False,
    reload: bool = False,
    workers: int = 1,
    worker_app: str | None = None,
    cert: Certificate = None,
    extra_files: Iterable[str] = (),
    exclude_patterns: Iterable[str] = (),
) -> None:
    """Serve an app until a signal ends it.

    :param load: returns the app. With `reload` it is called in the child process only.
    :param host: see `listener.listen`.
    :param port: 0 for any free one; the one that was found is printed.
    :param greet: prints the lines above the address.
    :param debug: only for a warning, where other machines can connect.
    :param reload: whether to start again when a file changes. Does not return then.
    :param workers: number of processes.
    :param worker_app: ``module:function`` which returns the app in a worker process; needed for
        more than one.
    :param cert: see `tls.Certificate`.
    :param extra_files: more files and directories for the reloader to watch.
    :param exclude_patterns: `fnmatch` patterns of paths that the reloader ignores.
    :raises ServerError: if the server cannot start.
    """
    if reload and not reloader.is_child():
        listener = listen(host, port)
        try:
            sys.exit(reloader.Reloader(listener.sock.fileno(), extra_files, exclude_patterns).run())
        finally:
            listener.close()
    app = load()
    listener = _listener(host, port)
    try:
        with prepared(cert) as ready, _ending_in_order():
            if reloader.is_first():
                greet()
                _announce(listener, "http" if ready is None else "https", debug, reload)
            if workers > 1:
                _run_workers(worker_app, listener, ready, workers)
            else:
                _run_here(app, listener, ready)
    finally:
        listener.close()


def _listener(host: str, port: int) -> Listener:
    fd = os.environ.get(reloader.SOCKET)
    return inherited(int(fd), host) if reloader.is_child() and fd else listen(host, port)


def _announce(listener: Listener, scheme: str, debug: bool, reload: bool) -> None:
    if listener.is_public:
        click.echo(f" * Listening on all addresses ({listener.host or '0.0.0.0'})")
        if debug:
            warning = "debug mode shows code and data to everybody who can connect"
            click.secho(f" * Warning: {warning}", fg="red")
    if reload:
        click.echo(" * Reloading when a Python file changes")
    click.echo(f" * Running on {listener.url(scheme)} (Press CTRL+C to quit)")


def _config(app: t.Any, cert: tuple[str, str | None] | None, **options: t.Any) -> Config:
    import uvicorn

    certificate, key = cert or (None, None)
    return uvicorn.Config(
        app,
        backlog=BACKLOG,
        interface="asgi3",  # the app takes WSGI's two arguments too: leave nothing to guess
        # As under Flask's own server, headers that anybody can send do not change what
        # request.remote_addr says; ProxyFix is there for that. Who sets uvicorn's variable knows.
        proxy_headers="FORWARDED_ALLOW_IPS" in os.environ,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN,
        ws_max_size=WS_MAX_SIZE,
        **options,
    )


def _run_here(
    app: t.Any, listener: Listener, cert: ssl.SSLContext | tuple[str, str | None] | None
) -> None:
    import uvicorn

    config = _config(app, cert if isinstance(cert, tuple) else None, workers=1)
    if isinstance(cert, ssl.SSLContext):
        config.load()
        config.ssl = cert
    with suppress(KeyboardInterrupt):  # uvicorn has shut down in order, and sends the signal on
        uvicorn.Server(config).run(sockets=[listener.sock])


def _run_workers(
    app: str | None,
    listener: Listener,
    cert: ssl.SSLContext | tuple[str, str | None] | None,
    workers: int,
) -> None:
    from uvicorn.supervisors import Multiprocess

    if app is None:
        raise ServerError(
            "Several workers need an app that each process can import: name it with --app."
        )
    if isinstance(cert, ssl.SSLContext):
        raise ServerError(
            "An SSLContext cannot be handed to worker processes: give --cert and --key as files."
        )
    config = _config(app, cert, workers=workers, factory=True)
    Multiprocess(config, sockets=[listener.sock]).run()


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM end the program like a return does.

    When it has shut down, uvicorn sends itself the signal again; by default that kills the
    process on the spot, with its temporary files, its socket file and `atexit` left undone.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(signum: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
