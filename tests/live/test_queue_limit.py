"""More sync work than there is room for: 503 for it, and no harm to anything else."""

from __future__ import annotations

import threading

import pytest

from asyncflask import Blueprint, Flask

from ..conftest import Live
from .load import Client, load
from .server import PATIENCE, STACKS, HttpName, LoopName
from .wire import request

stacks = pytest.mark.parametrize(("loop", "http"), STACKS)


class Gate:
    """Holds sync views until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def pass_through(self) -> str:
        self.entered.release()
        assert self.opened.wait(PATIENCE)
        return "passed"


@stacks
def test_beyond_the_queue_limit_the_answer_is_503(
    live: Live, loop: LoopName, http: HttpName
) -> None:
    gate = Gate()
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=2, SYNC_QUEUE_LIMIT=3)
    torn_down = threading.Semaphore(0)
    app.add_url_rule("/", "gate", gate.pass_through)

    @app.get("/async")
    async def async_view() -> str:
        return "async"

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        torn_down.release()

    server = live(app, loop=loop, http=http)
    answers: list[tuple[int, str]] = []
    refused = threading.Semaphore(0)

    async def work(number: int, client: Client) -> None:
        reply = await client.ask(request("GET", "/"))
        answers.append((reply.status, reply.raw_header("retry-after")))
        if reply.status == 503:
            refused.release()

    working, waiting = (
        threading.Thread(target=load, args=(server.address, clients, work)) for clients in (2, 10)
    )
    working.start()
    try:
        for _ in range(2):
            assert gate.entered.acquire(timeout=PATIENCE)
        waiting.start()
        for _ in range(7):
            assert refused.acquire(timeout=PATIENCE)
        assert answers == [(503, "1")] * 7
    finally:
        gate.opened.set()
        working.join()
        waiting.join()
    assert answers[7:] == [(200, "")] * 5
    assert server.get("/").text == "passed"
    for _ in range(6):  # one for each request that has begun
        assert torn_down.acquire(timeout=PATIENCE)
    assert not torn_down.acquire(blocking=False)


@stacks
@pytest.mark.parametrize("hook", ["before", "after", "teardown"])
def test_full_queue_refuses_a_request_of_both_kinds_at_the_door(
    live: Live, loop: LoopName, http: HttpName, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An async view with a sync hook needs a thread too: without room it never begins."""
    gate = Gate()
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=1, SYNC_QUEUE_LIMIT=1)
    app.add_url_rule("/", "gate", gate.pass_through)
    torn_down: list[str] = []
    mixed = Blueprint("mixed", __name__)

    @mixed.get("/mixed")
    async def mixed_view() -> str:
        return "x"

    @mixed.teardown_request
    async def note(error: BaseException | None) -> None:
        torn_down.append("on the loop")

    if hook == "before":
        mixed.before_request(lambda: None)
    elif hook == "after":
        mixed.after_request(lambda response: response)
    else:
        mixed.teardown_request(lambda error: torn_down.append("in a thread"))
    app.register_blueprint(mixed)
    server = live(app, loop=loop, http=http)
    with server.connect() as first, server.connect() as second, server.connect() as third:
        first.send(request("GET", "/"))
        assert gate.entered.acquire(timeout=PATIENCE)
        second.send(request("GET", "/"))
        server.work_on(2)
        third.send(request("GET", "/mixed"))
        answer = third.answer()
        gate.opened.set()
        assert (first.answer().text, second.answer().text) == ("passed", "passed")
        assert (answer.status, answer.header("Retry-After")) == (503, "1")
        assert torn_down == []
        assert server.get("/mixed").text == "x"
        assert "on the loop" in torn_down
    assert caplog.records == []


@stacks
def test_full_queue_does_not_keep_async_views(live: Live, loop: LoopName, http: HttpName) -> None:
    gate = Gate()
    app = Flask(__name__)
    app.config.update(SYNC_WORKERS=1, SYNC_QUEUE_LIMIT=1)
    app.add_url_rule("/", "gate", gate.pass_through)

    @app.get("/async")
    async def async_view() -> str:
        return "async"

    server = live(app, loop=loop, http=http)
    with server.connect() as first, server.connect() as second:
        first.send(request("GET", "/"))
        assert gate.entered.acquire(timeout=PATIENCE)
        second.send(request("GET", "/"))
        server.work_on(2)
        for _ in range(20):
            assert server.get("/async").text == "async"
        gate.opened.set()
        assert (first.answer().text, second.answer().text) == ("passed", "passed")
