"""A WSGI application called in a lane's thread, its response handed to the event loop (PEP 3333).

The response's states, and what each event makes of them:

====== ================ ======================== =============== ===========
state  `start_response` the same with `exc_info` bytes of a body the end
====== ================ ======================== =============== ===========
unset  set              set                      illegal         illegal
set    illegal          set: replaced            sent            done
sent   illegal          `exc_info` is raised     sent            done
done   illegal          `exc_info` is raised     illegal         illegal
====== ================ ======================== =============== ===========

- *set* holds status and headers back, so that an error may replace them.
- An empty chunk is no event. A call of `write` is one, even of nothing.
- What is illegal raises `RuntimeError` in the application, where it is done.

A response that is one chunk, by its ``Content-Length`` or because the iterable has one item, goes
to the loop as it is. Any other is streamed through a `Pipe` as it is made: what waits there when
the loop looks is sent as one piece, and the application waits while the client does not read.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Sized

import werkzeug.wsgi

from ..exceptions import LoopCancelled, PipeClosed
from ..pipes import Pipe
from ..workers import Job, Lane
from ..wrappers.wire import wire_header

if t.TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

State = t.Literal["unset", "set", "sent", "done"]
Event = t.Literal["start", "restart", "body", "end"]

#: The table above. What is not in it is illegal.
TRANSITIONS: dict[State, dict[Event, State]] = {
    "unset": {"start": "set", "restart": "set"},
    "set": {"restart": "set", "body": "sent", "end": "done"},
    "sent": {"body": "sent", "end": "done"},
    "done": {},
}

#: What is said of it; a restart that comes too late raises the error that it tells of.
_ILLEGAL: dict[Event, str] = {
    "start": "called start_response a second time without exc_info; only an error may replace"
    " status and headers, and only until the first byte is sent",
    "body": "gave bytes of a body before it had called start_response, or after the end",
    "end": "returned without having called start_response, so there is no status to send",
}

#: Headers that speak of the connection, which is the server's business and not an application's
#: (RFC 9110 section 7.6.1; PEP 3333). They are dropped, as WSGI servers commonly do: applications
#: that pass on another server's answer send them without meaning to.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: Bytes of a file that are read at once: what a `Pipe` holds, so that one piece is on its way to
#: the client while the next one is read.
FILE_BYTES = 65_536

#: Status code and reason. A final answer has 200 to 599 (RFC 9110 section 15).
_STATUS = re.compile(r"([2-5][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")


class FileWrapper(werkzeug.wsgi.FileWrapper):
    """What ``wsgi.file_wrapper`` is: a file as an iterable of blocks, of a size that pays.

    :param file: the file, read from where it stands.
    :param buffer_size: bytes of a block; a smaller figure than `FILE_BYTES` has no effect.
    """

    def __init__(self, file: t.IO[bytes], buffer_size: int = FILE_BYTES) -> None:
        super().__init__(file, max(buffer_size, FILE_BYTES))


class WSGICall:
    """One call of a WSGI application and the response that it makes.

    `run` is the thread's side. The loop waits for `begun`; then there is `body`, the whole of it,
    or a `pipe` to read it from, or neither: `run` has failed.

    :param lane: where it runs.
    :param app: the application.
    :param environ: its environ.
    """

    #: The status and the headers, once there is a body.
    status = 0
    headers: t.Sequence[tuple[bytes, bytes]] = ()

    #: The whole body, of a response that is not streamed.
    body: bytes | None = None

    #: Where a streamed body comes from.
    pipe: Pipe | None = None

    #: Whether a streamed body that has ended is all that it was to be.
    complete = False

    #: Whether nobody wants the rest.
    abandoned = False

    state: State = "unset"
    _job: Job | None = None
    _bodiless = False
    _left: int | None = None  # bytes that Content-Length promises beyond those given

    def __init__(self, lane: Lane, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        self.lane, self.app, self.environ = lane, app, environ
        self.begun = lane.pool.loop.waiter()
        self._for_head = environ["REQUEST_METHOD"] == "HEAD"

    def start(self) -> Job:
        """Have `run` called in the lane's thread; on the loop."""
        self._job = self.lane.start(self.run)
        return self._job

    def let_go(self) -> None:
        """Forget the call, which is over; it refers to this: a circle."""
        self._job = None

    def run(self) -> None:
        """Call the application and hand on its response, to the end; in the lane's thread.

        :raises BaseException: what the application raises, unless it ends because it was abandoned.
        """
        try:
            chunks = self.app(self.environ, self.start_response)
            try:
                self._iterate(chunks)
                self._end()
            finally:
                self._close(chunks)
        except PipeClosed:
            pass
        except LoopCancelled:
            if not self.abandoned:
                raise
        finally:
            self.state = "done"
            if not self.complete:
                self._stop()

    def abandon(self) -> None:
        """End the application's work early, unless it is over; on the loop."""
        self.abandoned = True
        if self.pipe is not None:
            self.pipe.close()
        self.lane.interrupt(self._job)  # and not what else the thread may be waiting for

    def _close(self, chunks: t.Iterable[bytes]) -> None:
        """Close the iterable, uninterrupted."""
        before = self.lane.shield()
        try:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        finally:
            self.lane.shield(before)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> t.Callable[[bytes], object]:
        """Take status and headers; return `write`.

        :param exc_info: the error that this response tells of. It replaces what was given before,
            or is raised again if that was sent.
        :raises RuntimeError: if there are status and headers already, and no error.
        :raises ValueError: if they cannot be sent.
        """
        error = exc_info[1] if exc_info else None
        try:
            if error is not None and self.state in ("sent", "done"):
                raise error
            after = self._after("start" if error is None else "restart")
        finally:
            exc_info = error = None  # no circle through this frame
        code = _status_code(status)
        bodiless = code in (204, 304)
        self.headers, self._left = _checked(headers, bodiless)
        self._bodiless = bodiless or self._for_head
        self.status, self.state = code, after
        return self.write

    def write(self, chunk: bytes, /) -> None:
        """Send bytes of the body; waits while the client does not read what was sent before.

        :raises RuntimeError: if the response is over, or longer than it was said to be.
        :raises TypeError: if they are no bytes.
        :raises PipeClosed: if the client has left.
        """
        _check_bytes(chunk)
        self.state = self._after("body")
        if self._bodiless:
            self._hand_over(b"")
        else:
            self._stream(chunk)

    def _after(self, event: Event) -> State:
        """Return the state that an event leads to."""
        after = TRANSITIONS[self.state].get(event)
        if after is None:
            raise RuntimeError(f"The WSGI application {_ILLEGAL[event]} (PEP 3333).")
        return after

    def _iterate(self, chunks: t.Iterable[bytes]) -> None:
        """Take the body's chunks, as far as they are wanted."""
        if self._is_told():
            return
        only = isinstance(chunks, Sized) and len(chunks) == 1
        for chunk in chunks:
            if chunk:
                self._give(chunk, only)
            if self._is_told():
                return

    def _is_told(self) -> bool:
        """Whether status and headers, which are known, are all that the client wants."""
        return self._bodiless and self.state != "unset"

    def _give(self, chunk: bytes, only: bool) -> None:
        """Hand on a chunk of the iterable.

        :param only: whether it is the only one.
        """
        _check_bytes(chunk)
        first = self.state == "set"
        self.state = self._after("body")
        if self._bodiless:
            return
        if first and only and self._left is None:
            self._set_length(len(chunk))
        if first and self._left is not None and (only or len(chunk) >= self._left):
            self._give_whole(chunk)
        else:
            self._stream(chunk)

    def _set_length(self, length: int) -> None:
        self._left = length
        self.headers = [*self.headers, (b"content-length", b"%d" % length)]

    def _give_whole(self, chunk: bytes) -> None:
        part = self._promised(chunk)
        self._check_enough()
        self._hand_over(part)
        self._check_not_more(chunk, part)

    def _stream(self, chunk: bytes) -> None:
        """Write a chunk into the pipe, which is opened for the first one."""
        if self.pipe is None and self.body is None:
            self.pipe = Pipe(self.lane.pool)
            if self.abandoned:  # NOTE: looked at after the pipe is there: `abandon` may see neither
                self.pipe.close()
            self._announce()
        part = self._promised(chunk)
        if self.pipe is not None and part:
            self.pipe.write(part)
        self._check_not_more(chunk, part)

    def _promised(self, chunk: bytes) -> bytes:
        """Return what Content-Length allows of a chunk, and count it."""
        if self._left is None:
            return chunk
        part = chunk[: self._left]
        self._left -= len(part)
        return part

    def _check_not_more(self, chunk: bytes, sent: bytes) -> None:
        if len(sent) < len(chunk):
            raise RuntimeError(
                "The WSGI application gave more bytes than its Content-Length says; the client got"
                " as many as it says. Does it count characters instead of bytes?"
            )

    def _check_enough(self) -> None:
        if self._left and not self._bodiless:
            raise RuntimeError(
                f"The WSGI application gave {self._left} bytes less than its Content-Length says."
                " The client cannot take this for the whole body, and gets no such response."
            )

    def _end(self) -> None:
        """Take the end of the iterable for the end of the body."""
        self.state = self._after("end")
        self._check_enough()
        if self.pipe is None and self.body is None:
            if self._left is None and not self._bodiless:
                self._set_length(0)
            self._hand_over(b"")
        self.complete = True
        if self.pipe is not None:
            self.pipe.end()

    def _stop(self) -> None:
        """End the body after an error: if all that was promised is sent, that is all the same."""
        self.complete = self._left == 0
        if self.pipe is not None:
            self.pipe.end()
        elif self.body is None:
            self._announce()

    def _hand_over(self, body: bytes) -> None:
        if self.body is None:
            self.body = body
            self._announce()

    def _announce(self) -> None:
        self.lane.pool.post(self._begin)

    def _begin(self) -> None:
        """Wake who waits for the response; on the loop."""
        if not self.begun.done():
            self.begun.set_result(None)


def _status_code(status: str) -> int:
    found = _STATUS.fullmatch(status)
    if found is None:
        raise ValueError(
            f"The WSGI application gave the status {status!r}. It is to be a code from 200 to 599,"
            ' a space and a reason, such as "200 OK" (PEP 3333).'
        )
    return int(found[1])


def _checked(
    headers: t.Iterable[tuple[str, str]], bodiless: bool
) -> tuple[list[tuple[bytes, bytes]], int | None]:
    """Return the headers that may be sent, and how long they say that the body is.

    :param bodiless: whether the status is one that has no body.
    """
    kept, length = [], None
    for name, value in headers:
        raw = wire_header(name, value)
        if raw[0] == b"content-length":
            if length is not None or not raw[1].isdigit():
                raise ValueError(
                    f"The WSGI application gave the header Content-Length: {value!r}, which is no"
                    " number of bytes or not the only one. Leave it out if the length is not known."
                )
            length = int(raw[1])
            if bodiless:
                continue  # RFC 9110 section 8.6: never with 204; with 304 some servers stumble
        if raw[0] not in HOP_BY_HOP:
            kept.append(raw)
    return kept, length


def _check_bytes(chunk: object) -> None:
    if not isinstance(chunk, bytes):
        raise TypeError(
            f"The WSGI application gave {type(chunk).__name__} as a part of the body; only bytes"
            " can be sent (PEP 3333)."
        )
