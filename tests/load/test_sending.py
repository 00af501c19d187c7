"""One request, sent many times, to a real server and to an app in this process."""

from __future__ import annotations

import typing as t
from pathlib import Path

import anyio
import pytest

from asyncflask import Flask, request
from asyncflask.load.plan import Plan
from asyncflask.load.record import Record
from asyncflask.load.runner import Runner
from asyncflask.load.sending import USER_AGENT, in_process
from asyncflask.load.sending import request as built

from ..conftest import Live
from .servers import broken, run, sends


def app() -> Flask:
    made = Flask(__name__)
    made.config["seen"] = []

    @made.route("/", methods=["GET", "POST", "PUT"])
    async def index() -> str:
        seen = (request.method, dict(request.headers), request.get_data())
        made.config["seen"].append(seen)
        return "hello"

    @made.get("/squeezed")
    async def squeezed() -> tuple[bytes, dict[str, str]]:
        return b"not gzip at all", {"Content-Encoding": "gzip"}

    @made.get("/away")
    async def away() -> tuple[str, int, dict[str, str]]:
        return "", 302, {"Location": "http://192.0.2.1/"}

    @made.get("/bad")
    async def bad() -> str:
        raise LookupError("bad")

    @made.get("/state")
    async def state() -> str:
        return str(request.state.word)

    return made


def test_answers_are_counted(live: Live) -> None:
    server = live(app())
    record = run(server.url + "/", requests=7, connections=3)
    assert record.total.statuses == {200: 7}
    assert (record.total.received, record.total.sent) == (7 * len("hello"), 0)
    assert record.total.failures == {}
    assert record.unfinished == 0
    assert record.elapsed >= record.total.histogram.largest > 0


def test_a_connection_is_kept(live: Live) -> None:
    opened: list[t.Any] = []

    async def count(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        opened.append(scope["client"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    run(live(count, lifespan="off").url, requests=20, connections=2)
    assert len(opened) == 20
    assert len(set(opened)) == 2


def test_the_request_is_the_plans(live: Live) -> None:
    made = app()
    headers = (("X-A", "1"), ("X-A", "2"), ("User-Agent", "mine"), ("Content-Type", "text/plain"))
    record = run(live(made).url + "/", method="PUT", headers=headers, body=b"data", requests=2)
    assert record.total.statuses == {200: 2}
    assert record.total.sent == 8
    for method, seen, body in made.config["seen"]:
        assert (method, body) == ("PUT", b"data")
        assert (seen["X-A"], seen["User-Agent"], seen["Content-Type"]) == (
            "1,2",
            "mine",
            "text/plain",
        )
        assert seen["Content-Length"] == "4"


def test_what_a_request_says_by_itself() -> None:
    made = built(Plan("http://127.0.0.1:5/a?b=c"))
    assert (made.headers["user-agent"], made.headers["accept"]) == (USER_AGENT, "*/*")
    assert made.headers["host"] == "127.0.0.1:5"
    assert "accept-encoding" not in made.headers
    assert "content-length" not in made.headers


def test_proxies_of_the_environment_are_not_asked(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")
    monkeypatch.setenv("all_proxy", "http://192.0.2.1:1")
    assert run(live(app()).url + "/").total.statuses == {200: 1}


@pytest.mark.parametrize(
    ("path", "status", "size"), [("/squeezed", 200, 15), ("/away", 302, 0), ("/nowhere", 404, 207)]
)
def test_answers_are_taken_as_they_come(live: Live, path: str, status: int, size: int) -> None:
    record = run(live(app()).url + path)
    assert record.total.statuses == {status: 1}
    assert record.total.received == size
    assert record.total.failures == {}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE"])
def test_other_methods(live: Live, method: str) -> None:
    record = run(live(app()).url + "/", method=method)
    status = 405 if method == "DELETE" else 200
    assert record.total.statuses == {status: 1}
    assert record.total.failures == {}


def test_a_server_that_closes_after_each_answer() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    with broken(sends(answer)) as url:
        record = run(url, requests=5)
    assert record.total.statuses == {200: 5}


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    with broken(sends(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as url:
        record = run(url, requests=2)
    assert (record.total.statuses, record.total.received) == ({200: 2}, 18)


def test_a_body_in_chunks(live: Live) -> None:
    async def chunks(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        await send({"type": "http.response.body"})

    record = run(live(chunks, lifespan="off").url, requests=3)
    assert record.total.received == 300_000


@pytest.mark.parametrize(
    ("insecure", "statuses", "failures"), [(True, {200: 2}, {}), (False, {}, {"TLS failed": 2})]
)
def test_a_certificate_that_nobody_signed(
    live: Live, insecure: bool, statuses: dict[int, int], failures: dict[str, int]
) -> None:
    folder = Path(__file__).parents[1] / "cli"
    files = {
        "ssl_certfile": str(folder / "localhost.pem"),
        "ssl_keyfile": str(folder / "localhost.key.pem"),
    }
    url = live(app(), **files).url.replace("http:", "https:")
    record = run(url, requests=2, insecure=insecure)
    assert (record.total.statuses, record.total.failures) == (statuses, failures)


def in_this_process(made: Flask, path: str, **settings: t.Any) -> Record:
    plan = Plan(f"http://localhost{path}", **{"requests": 5, "connections": 2, **settings})

    async def measured() -> Record:
        async with (
            made.test_app() as started,
            Runner(plan, in_process(made, started.state)) as runner,
        ):
            await runner.measure()
        return runner.record

    return anyio.run(measured)


def test_an_app_in_this_process() -> None:
    record = in_this_process(app(), "/")
    assert record.total.statuses == {200: 5}
    assert record.total.received == 25


def test_an_app_that_raises_answers_as_behind_a_server() -> None:
    made = app()
    made.logger.disabled = True
    record = in_this_process(made, "/bad")
    assert record.total.statuses == {500: 5}
    assert record.total.failures == {}


def test_an_app_in_this_process_is_started_and_ended() -> None:
    made, seen = app(), []

    @made.while_serving
    async def serving() -> t.Any:
        seen.append("start")
        yield {"word": "hi"}
        seen.append("end")

    assert in_this_process(made, "/state").total.statuses == {200: 5}
    assert seen == ["start", "end"]


def test_an_app_that_never_waits_still_gives_way_to_others() -> None:
    answered: list[anyio.Event] = []

    async def at_once(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        answered[0].set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    plan = Plan("http://localhost/", connections=1)

    async def measured() -> Record:
        answered.append(anyio.Event())
        async with (
            Runner(plan, in_process(at_once, {})) as runner,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(runner.measure)
            await answered[0].wait()
            await runner.stop()
        return runner.record

    assert anyio.run(measured).total.statuses.keys() == {200}
