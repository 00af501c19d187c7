"""One HTTP request over ASGI.

Order of events: the body is read ahead as far as the handlers need it -> the pipeline runs, on the
loop or as one hop in a worker thread -> a response that is finished is sent after its teardown;
one that is streamed is sent while its context lives on, and torn down after the last chunk or when
the client leaves.
"""

from __future__ import annotations

import typing as t
from contextvars import Context, copy_context

import anyio
from werkzeug.exceptions import ClientDisconnected, HTTPException, InternalServerError

from .. import _current
from ..dispatch import pipeline, teardown
from ..dispatch.plan import Way, way_of
from ..dispatch.returns import Plain
from ..drivers import LoopDriver, ThreadDriver, drive
from ..exceptions import QueueFull
from ..handover import close_body
from ..hops import Hop
from ..workers import Lane, carry_over, waiting
from ..wrappers.scope import refusal
from ..wrappers.trailers import announce, trailers_message
from ..wrappers.wire import (
    CLOSE,
    RawHeaders,
    as_whole,
    has_more,
    is_bodiless,
    is_whole,
    wire_header,
    wire_start,
)
from .appbody import send_by_app
from .arrivals import Message as Message
from .arrivals import Receive as Receive
from .body import Send as Send
from .body import read_for_loop
from .delivery import Delivery
from .failure import debug_page
from .filebody import BY_PATH, FileBody, as_file
from .isolation import begun_in, called_in
from .lanebody import chunks_from_lane
from .served import ServedContext

Step = t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]]


class Exchange:
    """One request and its response, from the first message to the last.

    :param app: the app.
    :param scope: the connection's scope.
    :param receive: its ``receive``.
    :param send: its ``send``.
    :param entered: the context variables as the server has set them; those current by default.
    :param ctx: the request's context, if there is one already.
    """

    #: Whether the response has begun.
    started = False

    #: Whether the client was seen to leave while the body was sent.
    gone = False

    #: Whether the whole request runs in its lane's thread.
    in_thread = False

    _driver: LoopDriver | None = None

    def __init__(
        self,
        app: t.Any,
        scope: Message,
        receive: Receive,
        send: Send,
        entered: Context | None = None,
        ctx: ServedContext | None = None,
    ) -> None:
        self.app, self.scope, self._receive, self._send = app, scope, receive, send
        self.entered = copy_context() if entered is None else entered
        if ctx is None:
            ctx = ServedContext(app, (scope, receive, send, self.entered))
        self.ctx, self.request = ctx, ctx.request
        self.body = ctx.body

    @property
    def driver(self) -> LoopDriver:
        """What calls this request's handlers on the loop; made when it is first needed."""
        if self._driver is None:
            self._driver = LoopDriver(self.app, self.ctx._lane)
        return self._driver

    async def receive(self) -> Message:
        """Receive a message."""
        return t.cast("Message", await called_in(self.entered, self._receive))

    async def send(self, *messages: Message) -> None:
        """Send messages, and remember that the response has begun."""
        self.started = True
        rest = begun_in(self.entered, send_all(self._send, messages))
        if rest is not None:
            await rest

    async def run(self, step: Step, *args: t.Any) -> t.Any:
        """Run a step of the pipeline where this request's handlers run."""
        if self.in_thread:
            return await self.in_lane(self.drive, step, *args)
        return await step(self.ctx, self.driver, *args)

    async def hop(self) -> t.Any:
        """Run the whole pipeline in a thread, which is kept only if there is more to do there."""
        if waiting() is not None:  # a thread waits for this request: it may be the last one
            return await self.in_lane(self.drive, pipeline.complete)
        hop = self.ctx._lane = WholeHop(self.app._pool())
        self._driver, hop.exchange = LoopDriver(self.app, hop), self
        hop.pool.submit(hop)
        result = await hop.outcome()
        if hop.context is not None:  # what it set, the rest of the request sees
            carry_over(hop.context)
            hop.context = None
        return result

    async def in_lane(self, func: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        """Call a function in the lane's thread, which is kept only if the function says so."""
        lane = self.open_lane()
        job = lane.start(func, *args)
        result = await job.outcome()
        if lane.held:  # what it set, the rest of the request sees
            carry_over(job.context)
        return result

    def drive(self, step: Step, *args: t.Any) -> t.Any:
        """Run a step in the lane's thread; keep the thread if the response is not done with it."""
        result = drive(step(self.ctx, ThreadDriver(self.app), *args))
        if step is pipeline.complete and type(result) is not Plain:
            if is_whole(result):
                return as_whole(result, self.request, self.scope["method"] == "HEAD")
            file = as_file(self.app, result)
            if file is not None:
                file.prepare(not self._is_bodiless(result), self.request.offers(BY_PATH))
                message = None if has_more(result) else file.as_message()
                if message is not None:  # PERF: 25 us of the loop's less for a range of a file
                    return wire_start(result, self.request), message
            if _needs_more(result):
                self.open_lane().hold()
        return result

    def open_lane(self) -> Lane:
        """Return the lane of this request's sync code."""
        return self.driver.open_lane(held=False)

    async def serve(self) -> None:
        """Handle the request and send its response."""
        token = _current.context.set(self.ctx)
        try:
            await self.deliver(await self.handle())
        except QueueFull as busy:
            await self.send_page(busy)
        except Exception as error:
            await self.fail(error)
        finally:
            _current.context.reset(token)
            self.release()

    def release(self) -> None:
        """Let go of what is held for the request."""
        if self.ctx._lane is not None:
            self.ctx._lane.release()
        self.body.release()
        self.ctx.forget_errors()

    async def handle(self) -> t.Any:
        """Run the pipeline and return its response."""
        if not self.ctx.matched:
            refused = refusal(self.scope, self.request.notable)
            if refused is not None:
                self.ctx.matched, self.request.routing_exception = True, refused
        way = way_of(self.ctx)
        if way is not Way.LOOP:
            self.in_thread = way is Way.THREAD
            if self.in_thread:
                await self.body.read_small(self.app.config["MAX_CONTENT_LENGTH"])
            self.app._pool().admit()
        if self.in_thread:
            return await self.hop()
        rest = read_for_loop(self.body, self.request.url_rule, self.app.config)
        if rest is not None:
            await rest
        return await pipeline.complete(self.ctx, self.driver)

    async def deliver(self, response: t.Any) -> None:
        """Send the response, then close it and tear down what lived for it."""
        if type(response) is Plain:
            await self.send_whole(200, [response.content_type], response.body, response.more)
            return
        if type(response) is tuple:  # the messages that a thread has made
            await self.send(*response)
            return
        if is_whole(response):
            await self.send(*as_whole(response, self.request, self.scope["method"] == "HEAD"))
            return
        holds = pipeline.holds_context(response)
        error = self.ctx.error
        try:
            await self.send_response(response)
        except BaseException as raised:
            error = raised
            raise
        finally:
            if holds or response._on_close or hasattr(response.response, "close"):
                await self._finish(response, holds, error)

    async def _finish(self, response: t.Any, holds: bool, error: BaseException | None) -> None:
        try:
            await self.close(response)
        finally:
            if holds and teardown.has_end(self.ctx):
                with anyio.CancelScope(shield=True):
                    await self.run(teardown.finish, error)

    async def close(self, response: t.Any) -> None:
        """Close the response's body and call its `call_on_close` functions."""
        body = response.response
        if hasattr(body, "aclose"):
            await close_body(body)
            body = response.response = ()
        if response._on_close or hasattr(body, "close"):
            await self.driver_call(response.close)

    async def driver_call(self, func: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        """Call sync code of this request in its lane."""
        self.open_lane().hold()
        return await self.driver.call(func, *args)

    async def send_response(self, response: t.Any) -> None:
        """Send status, headers and body."""
        if getattr(response, "asgi_app", None) is not None:
            await send_by_app(response, self.scope, self.receive, self.send)
            return
        bodiless, file = self._is_bodiless(response), as_file(self.app, response)
        whole = bodiless or response.is_sequence
        messages: tuple[Message, ...] = (
            as_whole(response, self.request, bodiless)
            if whole
            else (wire_start(response, self.request),)
        )
        if file is not None and not whole:
            await self._send_file(messages[0], file)
            return
        announced = not bodiless and announce(response, self.request, messages[0])
        await self.send(*messages)
        if not whole:
            await self._send_body(response)
        if announced and not self.gone:
            await self.send(await trailers_message(response, self.driver.call))

    async def _send_body(self, response: t.Any) -> None:
        self.body.answered = True
        chunks = response.response
        if not response.is_async:
            chunks = chunks_from_lane(response, self.open_lane())
        await self._stream(chunks, response.keep_alive, response.ends_at_shutdown)

    async def _send_file(self, start: Message, file: FileBody) -> None:
        await file.prepare_here(self.request.offers(BY_PATH))
        message = file.as_message()
        if message is not None:
            await self.send(start, message)
        else:
            await self.send(start)
            await self._stream(file.pieces())

    def _is_bodiless(self, response: t.Any) -> bool:
        """Whether the response has no body (RFC 9110 sections 6.4.1 and 9.3.2)."""
        return self.scope["method"] == "HEAD" or is_bodiless(response.status_code)

    async def _stream(
        self,
        chunks: t.AsyncIterable[t.Any],
        keep_alive: tuple[float, bytes] | None = None,
        endless: bool = False,
    ) -> None:
        """Send a body chunk by chunk, until its end, or what comes before (see `Delivery`)."""
        watch, entered = self.body.watch, self.entered
        delivery = Delivery(self.app, entered, self._send, watch, keep_alive, endless)
        error = await delivery.deliver(chunks)
        self.gone = delivery.gone
        left = self.gone or self.body.cut_off
        try:
            if error and not (left and isinstance(error, (OSError, ClientDisconnected))):
                raise error
        finally:
            del error  # NOTE: its traceback refers to this frame: a circle

    @property
    def raises(self) -> bool:
        """Whether the server is to see what escapes the pipeline."""
        return bool(self.app.testing or self.app.config["PROPAGATE_EXCEPTIONS"])

    async def fail(self, error: Exception) -> None:
        """Answer what escaped the pipeline; it is raised on where nothing can be answered."""
        if self.ctx.client_left and isinstance(error, (OSError, ClientDisconnected)):
            return  # who was to get the answer is why there is none
        answered = self.started or self.ctx.answered is not None
        if answered or (self.raises and not self.app.debug):
            raise error
        self.app.log_exception((type(error), error, error.__traceback__))
        if self.app.debug and self.app.config["DEBUG_PAGES"]:
            headers, page = debug_page(self.app, self.request, error)
            await self.send_whole(500, headers, page)
        else:
            await self.send_page(InternalServerError())

    async def send_page(self, error: HTTPException) -> None:
        """Send an HTTP error's own page."""
        own = [wire_header(name, value) for name, value in error.get_headers()]
        await self.send_whole(t.cast("int", error.code), own, error.get_body().encode())

    def send_whole(
        self,
        status: int,
        headers: RawHeaders,
        body: bytes,
        more: t.Iterable[tuple[bytes, bytes]] = (),
    ) -> t.Coroutine[t.Any, t.Any, None]:
        """Send a response whose body is known; that of a HEAD request is only counted."""
        headers += ((b"content-length", b"%d" % len(body)), *more)
        if self.request.ends_connection:
            headers.append(CLOSE)
        shown = b"" if self.scope["method"] == "HEAD" else body
        return self.send(
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": shown},
        )


class WholeHop(Hop):
    """A hop that does all of a request's work. PERF: 2 us less than a `Lane` and a job in it."""

    __slots__ = ("exchange",)

    exchange: Exchange | None

    def work(self) -> t.Any:
        """Run the pipeline."""
        exchange, self.exchange = (
            t.cast("Exchange", self.exchange),
            None,
        )  # it knows this: no circle
        return exchange.drive(pipeline.complete)


async def send_all(send: Send, messages: t.Iterable[Message]) -> None:
    """Send messages one after another."""
    for message in messages:
        await send(message)


def _needs_more(response: t.Any) -> bool:
    """Whether the lane has more to do for this response than it has done."""
    made = response.is_sequence or type(response.response) is FileBody
    return bool(not made or response._on_close or pipeline.holds_context(response))
