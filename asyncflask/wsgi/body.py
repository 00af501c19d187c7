"""The body of a request that came through WSGI: ``wsgi.input``, read where that may block.

A server's input can be waited for in the thread that the server calls us in, and nowhere else:
on an event loop it would stop everybody, and under gevent it belongs to that thread's hub. So what
async code needs of it is read by that thread, which waits for the async code anyway.

How long the body is (PEP 3333, RFC 9112 section 6.3), in this order:

1. ``Content-Length`` says, unless the body is chunked.
2. Its end says, where the server marks that: with ``wsgi.input_terminated``, or, in mod_wsgi, with
   ``mod_wsgi.input_chunked``.
3. Otherwise nothing does, and nothing is read: a read could wait for ever.
"""

from __future__ import annotations

import threading
import typing as t

import anyio.to_thread
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_content_length

from .. import workers
from ..bodies import CHUNK_BYTES, TOO_LONG_TO_BUFFER, Body
from ..loops import on_event_loop

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class InputBody(Body):
    """A request's body over ``wsgi.input``.

    :param environ: the request's environ.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        declared = get_content_length(environ)
        super().__init__(0 if declared is None and not _is_terminated(environ) else declared)
        source = environ["wsgi.input"]
        # What `read1` returns is there already, where `read` may wait for all that it was asked for
        self._read: t.Callable[[int], bytes] = getattr(source, "read1", source.read)
        self._missing = self.declared
        self._thread = threading.get_ident()

    async def next_chunk(self) -> bytes:
        """Have the request's thread read the next piece, if that waits for what runs here."""
        lane = workers.waiting()
        if lane is not None:
            return t.cast("bytes", await lane.run(self._next))
        return await anyio.to_thread.run_sync(self._next)

    def next_chunk_here(self) -> bytes:
        """Read the next piece.

        :raises RequestEntityTooLarge: (413) on an event loop, which must not wait.
        """
        # NOTE: a loop in the request's own thread is one below the server: a test that is async.
        if on_event_loop() and threading.get_ident() != self._thread:
            raise RequestEntityTooLarge(TOO_LONG_TO_BUFFER)
        return self._next()

    def _next(self) -> bytes:
        if self.complete:
            return b""
        size = CHUNK_BYTES if self._missing is None else min(CHUNK_BYTES, self._missing)
        try:
            chunk = self._read(size)
        except OSError:  # how servers say that the client has left
            chunk, self.cut_off = b"", True
        if self._missing is not None:
            self._missing -= len(chunk)
            self.cut_off = self.cut_off or not chunk
        self.complete = not chunk or self._missing == 0
        return chunk


def put_body(environ: WSGIEnvironment) -> InputBody | None:
    """Put a body of ours in the place of a server's input; None where there is nothing to read."""
    length = environ.get("CONTENT_LENGTH")
    if not length and "HTTP_TRANSFER_ENCODING" not in environ:
        return None
    if hasattr(environ["wsgi.input"], "asgi_body"):  # it came through our own bridge
        return None
    body = InputBody(environ)
    environ["wsgi.input"], environ["wsgi.input_terminated"] = body.reader, True
    return body


def _is_terminated(environ: WSGIEnvironment) -> bool:
    """Whether reading the input to its end comes to an end."""
    return bool(environ.get("wsgi.input_terminated")) or (
        environ.get("mod_wsgi.input_chunked") == "1"
    )
