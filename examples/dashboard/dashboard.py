"""Live numbers of this very server: one sampler, and any number of browsers that watch it."""

from __future__ import annotations

import os
import sys
import time
import typing as t
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import anyio

from asyncflask import (
    EventSourceResponse,
    Flask,
    Response,
    ServerSentEvent,
    render_template,
    request,
)

#: How often a second the sampler looks whether the event loop is late.
PROBES = 20

#: Milliseconds after which a browser that lost its connection tries again.
RETRY = 1000

CONTENT_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Sample(t.NamedTuple):
    """What the server did in one interval."""

    number: int  # milliseconds since 1970, so that numbers grow also when the server restarts
    requests: float  # a second
    lag: float  # milliseconds that the event loop was late, at worst
    memory: float  # MB
    threads: int  # worker threads that run sync code
    waiting: int  # requests that wait for one
    viewers: int


class Sampler:
    """Takes samples, keeps the last ones, and tells all viewers of each.

    Viewers read what is kept, at their own speed: there is no queue that a slow one could fill.

    :param app: whose worker threads are looked at.
    :param seconds: the interval.
    :param kept: how many samples are remembered, for who comes or comes back.
    """

    def __init__(self, app: Flask, seconds: float, kept: int) -> None:
        self._app, self._seconds = app, seconds
        self.samples: deque[Sample] = deque(maxlen=kept)
        self.requests = self.viewers = 0
        self._taken = anyio.Event()

    async def run(self) -> None:
        """Take samples for ever."""
        while True:
            requests, began = self.requests, time.monotonic()
            lag = await self._worst_lag()
            rate = (self.requests - requests) / (time.monotonic() - began)
            self.take(rate, lag)

    async def _worst_lag(self) -> float:
        """Wait for one interval; return how many seconds the event loop was late in it."""
        worst, pause = 0.0, self._seconds / PROBES
        for _ in range(PROBES):
            began = time.monotonic()
            await anyio.sleep(pause)
            worst = max(worst, time.monotonic() - began - pause)
        return worst

    def take(self, rate: float, lag: float) -> None:
        """Take a sample, and wake who waits for it."""
        threads = self._app.sync_metrics
        newest = self.samples[-1].number if self.samples else 0
        self.samples.append(
            Sample(
                number=max(newest + 1, time.time_ns() // 1_000_000),
                requests=round(rate, 1),
                lag=round(lag * 1000, 2),
                memory=round(memory() / 1e6, 1),
                threads=threads.in_use,
                waiting=threads.waiting,
                viewers=self.viewers,
            )
        )
        self._taken.set()
        self._taken = anyio.Event()

    async def newer_than(self, number: int) -> AsyncGenerator[Sample, None]:
        """Yield the samples that are kept and newer, then each as it is taken; to be closed."""
        self.viewers += 1
        try:
            while True:
                taken = self._taken
                for sample in tuple(self.samples):
                    if sample.number > number:
                        number = sample.number
                        yield sample
                await taken.wait()
        finally:
            self.viewers -= 1


def memory() -> int:
    """Return the bytes of memory that this process uses; where only the peak is told, that."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def create_app(test_config: Mapping[str, t.Any] | None = None) -> Flask:
    """Make the app.

    :param test_config: settings that win over the defaults.
    """
    app = Flask(__name__)
    app.config.update(SAMPLE_SECONDS=1.0, SAMPLES_KEPT=60)
    app.config.update(test_config or {})
    sampler = Sampler(app, app.config["SAMPLE_SECONDS"], app.config["SAMPLES_KEPT"])
    app.extensions["sampler"] = sampler

    @app.while_serving
    async def sample() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(sampler.run)
            yield
            group.cancel_scope.cancel()

    @app.before_request
    async def count() -> None:
        sampler.requests += 1

    @app.after_request
    async def restrict(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    @app.get("/")
    async def index() -> str:
        return render_template("dashboard.html")

    @app.get("/events")
    async def events() -> Response:
        """Send the samples that the browser has not seen yet, then each new one."""
        seen = request.headers.get("Last-Event-ID") or request.args.get("seen", "0")

        async def stream() -> AsyncIterator[ServerSentEvent]:
            yield ServerSentEvent(retry=RETRY)
            async with aclosing(sampler.newer_than(number_in(seen))) as samples:
                async for sample in samples:
                    yield ServerSentEvent(sample._asdict(), event="sample", id=sample.number)

        return EventSourceResponse(stream())

    @app.post("/work")
    def work() -> tuple[str, int]:
        """Keep a worker thread for a moment, so that there is something to see."""
        time.sleep(0.2)
        return "", 204

    return app


def number_in(text: str) -> int:
    """Return the number of a sample, as a client sent it; 0 if it is none."""
    try:
        return int(text)
    except ValueError:
        return 0
