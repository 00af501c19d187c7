"""ASGI applications under a WSGI server: responses that a view returned, and mounted apps.

The application runs in one task on the process's background loop, and its answer is streamed. What
it receives is read by the server's thread, whenever that waits for the answer. If its client leaves
it gets ``http.disconnect``; if it does not ask, it is cancelled after a moment. With its whole
answer sent it may go on working, as with background tasks: the server's thread stays with it.
"""

from __future__ import annotations

import typing as t
from http import HTTPStatus
from urllib.parse import quote

import anyio
from werkzeug.exceptions import ClientDisconnected

from ..bodies import CHUNK_BYTES
from ..exceptions import PipeClosed
from ..handover import HandOver
from ..mounts import ENVIRON_STATE
from ..wrappers.wire import RawHeaders, known_head, merged_head
from .body import put_body

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Message = t.MutableMapping[str, t.Any]

#: Seconds that an application has to notice that its client left, before it is cancelled. Who
#: listens notices at once; who does not would keep a thread of the server busy for nobody.
NOTICE_SECONDS = 1.0


class Answer(HandOver):
    """What an ASGI application answers; iterating over it gives the body.

    :param asgi_app: the application.
    :param scope: the connection's scope.
    :param source: where the request's body is read from, in the server's thread.
    """

    #: The status, once `begin` has returned.
    status = 0

    #: The headers as they were sent, once `begin` has returned.
    headers: RawHeaders

    def __init__(self, asgi_app: t.Any, scope: Message, source: t.Any) -> None:
        super().__init__()
        self._asgi_app, self._scope, self._source = asgi_app, scope, source
        self._received = self._noticed = self._refused = self._seen = False
        self._gone: anyio.Event | None = None

    def __next__(self) -> bytes:
        try:
            return super().__next__()
        except StopIteration:
            self._see_whether_over()
            raise

    def _see_whether_over(self) -> None:
        """Find out whether the application has more to do than to return."""

        def seen() -> None:  # by now it has returned, or waits for something else
            self._seen = True
            self.tell()

        if not self.is_over and not self.closed:
            self._lane_post(seen)
            self.wait_until(lambda: self._seen)

    def begin(self) -> None:
        """Run the application up to the head of its answer.

        :raises RuntimeError: if it ends without an answer.
        :raises Exception: what it raised instead.
        """
        self.wait_until(lambda: bool(self.status))
        if not self.status:
            self._raise_failure()
            raise RuntimeError(
                f"The ASGI application {self._asgi_app!r} returned without sending"
                " 'http.response.start'. Did it await `send` for this kind of request?"
            )

    async def produce(self) -> None:
        """Run the application."""
        self._gone = anyio.Event()
        await self._asgi_app(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._received and not self.deserted:
            chunk = b"" if self._source is None else await self._lane_run(self._read)
            if chunk is not None:
                self._received = not chunk
                return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}
        await t.cast("anyio.Event", self._gone).wait()
        self._noticed = True
        return {"type": "http.disconnect"}

    async def _lane_run(self, func: t.Callable[[], bytes | None]) -> bytes | None:
        lane: t.Any = self._lane
        return t.cast("bytes | None", await lane.run(func))

    def _read(self) -> bytes | None:
        """Read a piece of the request's body, in the server's thread; None if the client left."""
        if self.closed:
            return None
        try:
            return t.cast("bytes", self._source.read1(CHUNK_BYTES))
        except ClientDisconnected:
            self._lane_post(self._tell_gone)
            return None

    def _lane_post(self, func: t.Callable[[], None]) -> None:
        lane: t.Any = self._lane
        lane.pool.post(func)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
            self.status = message["status"]
            self.tell()
        elif message["type"] == "http.response.body" and not self.ended:
            try:
                await self.put(message.get("body", b""))
            except PipeClosed:
                if self._scope["method"] != "HEAD":  # whose answer is complete without a body
                    self._noticed = self._refused = True
                    raise OSError("The client has left.") from None
            if not message.get("more_body", False):
                self.end()

    def excuses(self, failure: BaseException) -> bool:
        """Whether a failure comes from the client's having left."""
        return self._refused or super().excuses(failure)

    def end_early(self) -> None:
        """Tell the application that its client has left, or has all that it wanted."""
        self._tell_gone()
        if not self.ended:
            lane: t.Any = self._lane
            lane.pool.loop.call_later(NOTICE_SECONDS, self._cancel_if_deaf)

    def _tell_gone(self) -> None:
        if self._gone is not None:
            self._gone.set()

    def _cancel_if_deaf(self) -> None:
        if not self._noticed and self._cancel is not None:
            self._cancel()


def open_answer(asgi_app: t.Any, environ: WSGIEnvironment) -> Answer:
    """Run an ASGI application for a WSGI request up to the head of its answer.

    The caller iterates over the answer, and closes it in any case.

    :raises Exception: what the application raised before it answered.
    """
    put_body(environ)
    has_body = hasattr(environ["wsgi.input"], "asgi_body")
    answer = Answer(asgi_app, make_scope(environ), environ["wsgi.input"] if has_body else None)
    answer.begin()
    return answer


def call(
    asgi_app: t.Any, environ: WSGIEnvironment, start_response: StartResponse
) -> t.Iterable[bytes]:
    """Call an ASGI application as if it were a WSGI application.

    The request's path is split at ``SCRIPT_NAME``, which becomes the scope's `root_path`.

    :raises Exception: what the application raised before it answered.
    """
    answer = open_answer(asgi_app, environ)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    start_response(_status_line(answer.status), headers)
    if environ["REQUEST_METHOD"] != "HEAD" and answer.status not in (204, 304):
        return answer
    answer.close()
    return ()


def fill(response: t.Any, environ: WSGIEnvironment) -> None:
    """Give a response the head and the body of the ASGI application that it stands for.

    :raises Exception: what the application raised before it answered.
    """
    before = known_head(response.asgi_app)
    answer = open_answer(response.asgi_app, environ)
    status, headers = merged_head(response, before, (answer.status, answer.headers))
    response.asgi_app, response.response, response.status_code = None, answer, status
    response.headers.clear()
    for name, value in headers:
        response.headers.add(name.decode("latin-1"), value.decode("latin-1"))


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


def make_scope(environ: WSGIEnvironment) -> Message:
    """Make the ASGI scope of a WSGI request (ASGI HTTP spec 2.3)."""
    root_path = environ.get("SCRIPT_NAME", "").encode("latin-1")
    path = root_path + environ.get("PATH_INFO", "").encode("latin-1")
    client = environ.get("REMOTE_ADDR")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
        "method": environ["REQUEST_METHOD"].upper(),
        "scheme": environ["wsgi.url_scheme"],
        "path": path.decode(errors="surrogateescape"),
        "raw_path": quote(path, safe="/~!$&'()*+,;=:@").encode(),
        "root_path": root_path.decode(errors="surrogateescape"),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": [*_headers(environ)],
        "client": (client, int(environ.get("REMOTE_PORT") or 0)) if client else None,
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"] or 0)),
        "extensions": {},
        "state": dict(environ.get(ENVIRON_STATE, ())),
    }


def _headers(environ: WSGIEnvironment) -> t.Iterator[tuple[bytes, bytes]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:]
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            name = key
        else:
            continue
        yield name.replace("_", "-").lower().encode("latin-1"), value.encode("latin-1")
