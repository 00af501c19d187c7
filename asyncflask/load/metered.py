"""A transport that records the requests which a scenario's client makes through it."""

from __future__ import annotations

import typing as t
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from time import perf_counter_ns

import anyio
import anyio.to_thread
import httpx

from . import failures
from .record import Record
from .target import Fence, TargetError

#: Errors of a run that are remembered, to tell a request's from the scenario's own: more than a
#: scenario has requests open at a time.
ERRORS = 100

#: Characters of a step's name that are kept: more than a line of the report has room for.
NAME_LENGTH = 120


class Meter:
    """Takes the time of one request, and records it once.

    :param record: where.
    :param request: which.
    :param since: when it was to start.
    :param timeout: seconds for the whole of it, from now.
    :param errors: where to put what it fails with.
    """

    def __init__(
        self,
        record: Record,
        request: httpx.Request,
        since: int,
        timeout: float,
        errors: deque[Exception],
    ) -> None:
        self._record, self._request, self._since = record, request, since
        self._timeout, self._errors = timeout, errors
        self._deadline = anyio.current_time() + timeout
        name = request.extensions.get("name") or f"{request.method} {request.url.path}"
        self._step = str(name)[:NAME_LENGTH]
        self._sent = int(request.headers.get("content-length", 0))
        self._is_over = False
        self.status = self.received = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record what fails in a block; raise `httpx.ReadTimeout` in time."""
        try:
            with anyio.fail_after(self._deadline - anyio.current_time()):
                yield
        except TimeoutError:
            error = httpx.ReadTimeout(
                f"no complete answer within {self._timeout:g} s", request=self._request
            )
            self._fail(error)
            raise error from None
        except Exception as error:
            self._fail(error)
            raise
        except BaseException:  # the run is cut short: neither an answer nor a failure
            self._is_over = True
            raise

    def _fail(self, error: Exception) -> None:
        self._errors.append(error)
        if self._ends():
            kind, text = failures.kind(error), failures.example(error)
            self._record.fail(
                self._since, perf_counter_ns(), kind, text, self._step, kind == failures.TIMEOUT
            )

    def done(self) -> None:
        """Record the answer."""
        if self._ends():
            self._record.answer(
                self._since, perf_counter_ns(), self.status, self.received, self._sent, self._step
            )

    def _ends(self) -> bool:
        was_over, self._is_over = self._is_over, True
        return not was_over


class _Stream(httpx.AsyncByteStream):
    """The body of a response; the request is over at its end, or where it is closed early."""

    def __init__(self, inner: httpx.AsyncByteStream, meter: Meter) -> None:
        self._inner, self._meter = inner, meter

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        while (chunk := await self._next(chunks)) is not None:
            self._meter.received += len(chunk)
            yield chunk
        self._meter.done()

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        with self._meter.watching():
            return await anext(chunks, None)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._meter.done()


class Metered(httpx.AsyncBaseTransport):
    """Records what goes through another transport, and refuses remote hosts.

    :param inner: the other transport.
    :param timeout: seconds for each request.
    :param fence: knows which hosts may be asked.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, timeout: float, fence: Fence) -> None:
        self._inner, self._timeout, self._fence = inner, timeout, fence
        self._record = Record()
        self._since: int | None = None
        self._errors = deque[Exception](maxlen=ERRORS)

    def begin(self, record: Record, since: int) -> None:
        """Begin a run: its first request counts from when the run was to start."""
        self._record, self._since = record, since
        self._errors.clear()

    def has_recorded(self, error: BaseException) -> bool:
        """Return whether a failure of this run's is that of one of its requests."""
        if isinstance(error, BaseExceptionGroup):
            return all(self.has_recorded(each) for each in error.exceptions)
        # The status of a response whose `raise_for_status` was called has been counted.
        return isinstance(error, httpx.HTTPStatusError) or any(
            error is each for each in self._errors
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        :raises RemoteHost: if its host may not be asked.
        """
        since, self._since = self._since or perf_counter_ns(), None
        meter = Meter(self._record, request, since, self._timeout, self._errors)
        with meter.watching():
            await self._admit(request)
            response = await self._inner.handle_async_request(request)
        meter.status = response.status_code
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Stream(t.cast("httpx.AsyncByteStream", response.stream), meter),
            extensions=response.extensions,
        )

    async def _admit(self, request: httpx.Request) -> None:
        if self._fence.knows(request.url):
            return
        try:
            await anyio.to_thread.run_sync(self._fence.check, request.url)
        except TargetError as error:
            raise failures.RemoteHost(error.message, request=request) from None

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._inner.aclose()
