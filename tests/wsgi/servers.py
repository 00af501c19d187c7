"""WSGI servers played by hand, one request at a time: a strict one, and mod_wsgi's ways."""

from __future__ import annotations

import _thread
import io
import sys
import threading
import typing as t
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

#: Seconds for what takes a fraction of one.
PATIENCE = 10.0


class Result(t.NamedTuple):
    """What a server was given to send."""

    status: int
    headers: dict[str, str]
    body: bytes


def make_environ(
    method: str = "GET", path: str = "/", body: bytes = b"", **more: t.Any
) -> dict[str, t.Any]:
    """Return an environ as a strict server makes it: nothing says where the input ends.

    :param more: what differs; an underscore pair stands for a dot.
    """
    path, _, query = path.partition("?")
    environ: dict[str, t.Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(body),
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    setup_testing_defaults(environ)
    environ.update({name.replace("__", "."): value for name, value in more.items()})
    return environ


class Play:
    """One request, from the call to the closing of what was returned.

    :param app: the application.
    :param environ: the request.
    """

    def __init__(self, app: t.Any, environ: dict[str, t.Any]) -> None:
        self.app, self.environ = app, environ
        self.status = 0
        self.headers: dict[str, str] = {}

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: t.Any = None
    ) -> t.Callable[[bytes], object]:
        assert exc_info is not None or not self.status
        self.status, self.headers = int(status[:3]), dict(headers)
        return bytearray().extend

    def open(self) -> t.Any:
        """Call the application and return what it returns."""
        return self.app(self.environ, self.start_response)

    def run(self) -> Result:
        """Play the whole request."""
        opened = self.open()
        try:
            body = b"".join(opened)
        finally:
            close = getattr(opened, "close", None)
            if close is not None:
                close()
        return Result(self.status, self.headers, body)


def ask(app: t.Any, *args: t.Any, **more: t.Any) -> Result:
    """Play a request whose parts are those of `make_environ`."""
    return Play(app, make_environ(*args, **more)).run()


def validated(app: t.Any, *args: t.Any, **more: t.Any) -> Result:
    """Play a request to an app whose use of WSGI is checked (PEP 3333)."""
    return ask(validator(app), *args, **more)


class ModInput:
    """mod_wsgi's input: it has no ``read1``, and a lost connection is an `OSError`.

    :param content: what the client sends before it is lost, or before the end.
    :param lost: whether it is lost then.
    """

    def __init__(self, content: bytes, *, lost: bool = False) -> None:
        self._content, self._lost = io.BytesIO(content), lost
        self.threads: set[int] = set()

    def read(self, size: int = -1) -> bytes:
        self.threads.add(threading.get_ident())
        found = self._content.read(size)
        if not found and self._lost:
            raise OSError("Apache/mod_wsgi request data read error: Partial results are valid.")
        return found


class ModFileWrapper(FileWrapper):
    """mod_wsgi's ``wsgi.file_wrapper``, recognized by its type and sent by Apache itself."""


def make_mod_environ(*args: t.Any, chunked: bool = False, **more: t.Any) -> dict[str, t.Any]:
    """Return an environ as mod_wsgi makes it in daemon mode."""
    environ = make_environ(*args, **more)
    if chunked:
        environ.pop("CONTENT_LENGTH", None)
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    if not isinstance(environ["wsgi.input"], ModInput):
        environ["wsgi.input"] = ModInput(environ["wsgi.input"].getvalue())
    return {
        **environ,
        "mod_wsgi.application_group": "localhost|",
        "mod_wsgi.callable_object": "application",
        "mod_wsgi.handler_script": "",
        "mod_wsgi.input_chunked": str(int(chunked)),
        "mod_wsgi.listener_port": "80",
        "mod_wsgi.process_group": "site",
        "mod_wsgi.request_handler": "wsgi-script",
        "mod_wsgi.script_reloading": "1",
        "mod_wsgi.version": (4, 9, 4),
        "wsgi.errors": sys.stderr,
        "wsgi.file_wrapper": ModFileWrapper,
        "wsgi.multiprocess": True,
        "wsgi.multithread": True,
    }


def in_foreign_threads(calls: list[t.Callable[[], None]]) -> None:
    """Make calls at once, each in a thread that Python's `threading` did not start."""
    failures: list[BaseException] = []
    ended = threading.Semaphore(0)

    def run(call: t.Callable[[], None]) -> None:
        try:
            call()
        except BaseException as failure:
            failures.append(failure)
        finally:
            ended.release()

    for call in calls:
        _thread.start_new_thread(run, (call,))
    for _ in calls:
        assert ended.acquire(timeout=PATIENCE)
    assert failures == []
