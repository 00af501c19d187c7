"""Background tasks: where they run, what becomes of what they raise, and how they end."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import typing as t
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from asyncflask import (
    Flask,
    current_app,
    g,
    got_background_exception,
    has_request_context,
    request,
)
from asyncflask.exceptions import QueueFull

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

PATIENCE = 10.0


async def until(condition: Callable[[], t.Any]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 (code of either kind decides)
            await anyio.sleep(0.001)


def quick(app: Flask, **config: t.Any) -> Flask:
    app.config.update(BACKGROUND_RESTART_DELAY=0.001, BACKGROUND_RESTART_MAX_DELAY=0.004, **config)
    return app


class Tasks:
    """Tasks of both kinds, and an app whose views add them."""

    def __init__(self) -> None:
        self.app = app = Flask("app")
        self.ran: list[tuple[str, int, str]] = []
        self.torn_down: list[BaseException | None] = []
        app.teardown_appcontext(self.torn_down.append)

        @app.get("/async/<kind>")
        async def add(kind: str) -> str:
            app.add_background_task(getattr(self, kind), 1, name=request.path)
            return "added"

        @app.get("/sync/<kind>")
        def add_sync(kind: str) -> str:
            app.add_background_task(getattr(self, kind), 1, name=request.path)
            return "added"

    def note(self, number: int, name: str) -> None:
        assert not has_request_context()
        assert current_app._get_current_object() is self.app  # type: ignore[attr-defined]
        g.mine = number
        self.ran.append((name, number, threading.current_thread().name))

    async def task(self, number: int, name: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.note(number, name)

    def task_sync(self, number: int, name: str) -> None:
        self.note(number, name)

    async def task_object(self, number: int, name: str) -> None:
        self.note(number, name)


@pytest.mark.parametrize("kind", ["task", "task_sync"])
@pytest.mark.parametrize("path", ["/async/", "/sync/"])
async def test_added_by_a_request(path: str, kind: str) -> None:
    tasks = Tasks()
    async with tasks.app.async_client() as client:
        assert (await client.get(path + kind)).text == "added"
        await until(lambda: tasks.ran and not tasks.app.background_tasks)
        assert [one[:2] for one in tasks.ran] == [(path + kind, 1)]
        assert (tasks.ran[0][2] == "asyncflask-worker") is (kind == "task_sync")
        assert tasks.torn_down.count(None) == 2  # the request's, and the task's own


@pytest.mark.parametrize("kind", ["task", "task_sync"])
@pytest.mark.parametrize("path", ["/async/", "/sync/"])
async def test_without_a_lifespan(path: str, kind: str) -> None:
    tasks = Tasks()
    client = tasks.app.async_client(lifespan=False)
    assert (await client.get(path + kind)).text == "added"
    await until(lambda: tasks.ran and not tasks.app.background_tasks)
    await client.aclose()
    await tasks.app._budgets.close()


@pytest.mark.parametrize("kind", ["task", "task_sync"])
@pytest.mark.parametrize("path", ["/async/", "/sync/"])
def test_added_by_a_request_over_wsgi(path: str, kind: str) -> None:
    tasks = Tasks()
    assert tasks.app.test_client().get(path + kind).text == "added"
    deadline = threading.Event()
    for _ in range(int(PATIENCE / 0.001)):
        if tasks.ran and not tasks.app.background_tasks:
            break
        deadline.wait(0.001)
    assert [one[:2] for one in tasks.ran] == [(path + kind, 1)]


async def test_added_by_a_hook_runs_at_once_and_by_a_module_when_the_app_is_started() -> None:
    app = Flask("app")
    log: list[str] = []
    app.add_background_task(log.append, "module")
    assert [task.status for task in app.background_tasks] == ["waiting"]

    @app.before_serving
    async def before() -> None:
        app.add_background_task(log.append, "hook")
        await until(lambda: log == ["hook"])

    async with app.async_client():
        await until(lambda: log == ["hook", "module"])


async def test_added_by_a_thread_while_the_app_is_served() -> None:
    app, log = Flask("app"), list[str]()
    async with app.async_client():
        thread = threading.Thread(target=lambda: app.add_background_task(log.append, "thread"))
        thread.start()
        await until(lambda: log)
        thread.join()


async def test_added_by_another_task_is_waited_for_as_well() -> None:
    app, log = Flask("app"), list[str]()

    async def first() -> None:
        await anyio.sleep(0.01)
        app.add_background_task(second)

    async def second() -> None:
        await anyio.sleep(0.01)
        log.append("second")

    @app.after_serving
    def after() -> None:
        log.append("after")
        app.add_background_task(log.append, "at last")

    @app.get("/")
    async def view() -> str:
        app.add_background_task(first)
        return ""

    async with app.async_client() as client:
        await client.get("/")
    assert log == ["second", "after", "at last"]


_user: ContextVar[str] = ContextVar("user", default="nobody")


async def test_context_variables_are_inherited_and_the_request_is_not_kept() -> None:
    app = Flask("app")
    go, seen, requests = anyio.Event(), list[t.Any](), list[weakref.ref[t.Any]]()

    async def task() -> None:
        await go.wait()
        gc.collect()
        seen.append((_user.get(), requests[0]()))

    @app.get("/")
    async def view() -> str:
        _user.set("ada")
        requests.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
        app.add_background_task(task)
        return ""

    async with app.async_client() as client:
        await client.get("/")
        go.set()
        await until(lambda: seen)
    assert seen == [("ada", None)]


async def test_no_more_than_the_limit() -> None:
    app = Flask("app")
    app.config["BACKGROUND_TASK_LIMIT"] = 2
    go = anyio.Event()

    @app.get("/")
    async def view() -> str:
        app.add_background_task(go.wait)
        return ""

    async with app.async_client() as client:
        statuses = [(await client.get("/")).status_code for _ in range(3)]
        assert statuses == [200, 200, 503]
        go.set()
        await until(lambda: not app.background_tasks)
        assert (await client.get("/")).status_code == 200
    waiting = Flask("app")
    waiting.config["BACKGROUND_TASK_LIMIT"] = 0
    with pytest.raises(QueueFull, match="BACKGROUND_TASK_LIMIT=0"):
        waiting.add_background_task(print)


# -- what they raise ---------------------------------------------------------------------------

ERRORS: dict[str, Callable[[], BaseException]] = {
    "plain": lambda: ValueError("x"),
    "group of one": lambda: ExceptionGroup("g", [ValueError("x")]),
    "group of two": lambda: ExceptionGroup("g", [ValueError("x"), OSError("y")]),
    "cancelled": lambda: asyncio.CancelledError("x"),
    "exit": lambda: SystemExit("x"),
}


@pytest.fixture
def signalled() -> Iterator[list[BaseException]]:
    came: list[BaseException] = []

    def receive(sender: Flask, exception: BaseException) -> None:
        came.append(exception)

    with got_background_exception.connected_to(receive):
        yield came


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("make", ERRORS.values(), ids=[*ERRORS])
async def test_an_error_is_logged_and_signalled_once(
    kind: str,
    make: Callable[[], BaseException],
    signalled: list[BaseException],
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, error = Flask("app"), make()
    torn_down: list[BaseException | None] = []

    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise error

    def fail_sync() -> None:
        raise error

    @app.get("/")
    async def view() -> str:
        app.add_background_task(fail if kind == "async" else fail_sync)
        return ""

    app.teardown_appcontext(torn_down.append)
    async with app.async_client() as client:
        await client.get("/")
        await until(lambda: not app.background_tasks)
    assert signalled == [error]
    assert {*torn_down} == {None, error}  # the request's end, and the task's
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("Exception in the background task '")
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_handler_may_be_overridden(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    handled: list[t.Any] = []

    class Own(Flask):
        async def handle_background_exception(self, error: BaseException) -> None:
            handled.append((error, current_app.name))
            await super().handle_background_exception(error)

    class OwnSync(Flask):
        def handle_background_exception(self, error: BaseException) -> None:  # type: ignore[override]
            handled.append((error, current_app.name))

    app, error = (Own if kind == "async" else OwnSync)("own"), ValueError("x")

    async def fail() -> None:
        raise error

    app.add_background_task(fail)
    async with app.async_client():
        await until(lambda: handled and not app.background_tasks)
    assert handled == [(error, "own")]
    assert len(caplog.records) == (kind == "async")


async def test_a_receiver_and_a_teardown_function_that_fail_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask("app")

    def receive(sender: Flask, exception: BaseException) -> None:
        raise OSError("receiver")

    def teardown(error: BaseException | None) -> None:
        raise LookupError("teardown")

    def fail() -> None:
        raise ValueError("task")

    app.add_background_task(fail)
    app.teardown_appcontext(teardown)
    with got_background_exception.connected_to(receive):
        async with app.async_client():
            await until(lambda: not app.background_tasks)
    raised = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert isinstance(raised[0], ValueError)
    assert {*map(type, raised)} > {ValueError}
    assert "teardown" in caplog.text


# -- tasks that last ---------------------------------------------------------------------------


class Lasting:
    """An app with a lasting task, which does as it is told.

    :param steps: what each run does: an error to raise, or None to return.
    """

    def __init__(self, restart: t.Any, *steps: Exception | None) -> None:
        self.app = quick(Flask("app"))
        self.steps, self.runs, self.ended = [*steps], 0, list[str]()

        @self.app.background_task(name="poller", restart=restart)
        async def poll() -> None:
            self.runs += 1
            if self.steps:
                step = self.steps.pop(0)
                if step is None:
                    return
                raise step
            try:
                await anyio.sleep_forever()
            finally:
                self.ended.append("ended")


@pytest.mark.parametrize(
    ("restart", "steps", "runs"),
    [
        ("never", [None], 1),
        ("never", [ValueError("x")], 1),
        ("on-error", [None], 1),
        ("on-error", [ValueError("x"), OSError("y"), None], 3),
    ],
)
async def test_restart(
    restart: str, steps: list[Exception | None], runs: int, caplog: pytest.LogCaptureFixture
) -> None:
    lasting = Lasting(restart, *steps)
    async with lasting.app.async_client():
        await until(lambda: not lasting.app.background_tasks)
    assert lasting.runs == runs
    failures = len([step for step in steps if step])
    assert caplog.text.count("Exception in the background task 'poller'") == failures
    assert caplog.text.count("'poller' is run again in") == runs - 1


async def test_a_view_of_a_task_that_is_run_again() -> None:
    lasting = Lasting("always", None, ValueError("x"))
    async with lasting.app.async_client():
        await until(lambda: lasting.runs == 3)
        [task] = lasting.app.background_tasks
        assert (task.name, task.status, task.restarts) == ("poller", "running", 2)
        assert task.last_error == "ValueError: x"
        assert repr(task) == "<BackgroundTask 'poller': running>"
    assert lasting.ended == ["ended"]
    assert task.status == "ended"
    async with lasting.app.async_client():  # the app is served again, and so is its task
        await until(lambda: lasting.runs == 4)


async def test_a_lasting_task_is_cancelled_at_once_and_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lasting = Lasting("always")
    lasting.app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 1000
    async with lasting.app.async_client():
        await until(lambda: lasting.runs)
        assert lasting.ended == []
    assert lasting.ended == ["ended"]
    assert caplog.records == []


@pytest.mark.parametrize("restart", ["always", "on-error"])
async def test_a_task_that_fails_when_it_is_cancelled_is_not_run_again(
    restart: t.Any, signalled: list[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    app, runs, error = quick(Flask("app")), list[int](), ValueError("x")

    @app.background_task(restart=restart)
    async def poll() -> None:
        runs.append(1)
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    async with app.async_client():
        await until(lambda: runs)
    assert runs == [1]
    assert signalled == [error]


async def test_a_lasting_plain_function_ends_by_the_event() -> None:
    app, ended = Flask("app"), list[int]()

    @app.background_task
    def watch() -> None:
        while not app.shutdown_event.is_set():
            threading.Event().wait(0.001)
        ended.append(1)

    async with app.async_client():
        await until(lambda: app.background_tasks)
    assert ended == [1]


def test_delays_grow_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("app")
    app.config.update(BACKGROUND_RESTART_DELAY=1, BACKGROUND_RESTART_MAX_DELAY=5)
    delays: list[float] = []
    ended = anyio.Event

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await anyio.lowlevel.checkpoint()

    steps: Iterator[Exception | None] = iter(
        [*[ValueError("x")] * 5, None, ValueError("x"), ValueError("y")]
    )

    @app.background_task(restart="always")
    async def poll() -> None:
        step = next(steps, ended)
        if step is ended:
            monkeypatch.undo()
            await anyio.sleep_forever()
        if isinstance(step, Exception):
            raise step

    async def main() -> None:
        async with app.async_client():
            await until(lambda: len(delays) == 8)

    real = anyio.sleep

    async def chosen(seconds: float) -> None:
        await (sleep(seconds) if seconds >= 1 else real(seconds))

    monkeypatch.setattr(anyio, "sleep", chosen)
    anyio.run(main)
    assert delays == [1, 2, 4, 5, 5, 1, 1, 2]


def test_a_policy_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match="restart='sometimes' is not known"):
        Flask("app").background_task(restart="sometimes")  # type: ignore[call-overload]


# -- the end -----------------------------------------------------------------------------------


async def serve_and_add(
    app: Flask, *funcs: Callable[[], t.Any], begun: Callable[[], t.Any] = lambda: True
) -> None:
    """Serve an app until tasks run, and have come as far as is asked for."""
    for func in funcs:
        app.add_background_task(func)
    async with app.async_client():
        await until(lambda: {task.status for task in app.background_tasks} == {"running"})
        await until(begun)


async def test_tasks_are_waited_for_before_the_app_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, log = Flask("app"), list[str]()
    go = threading.Event()

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        yield
        log.append("left")

    async def task() -> None:
        await app.shutdown_event.wait()
        await anyio.sleep(0.01)
        log.append("task")

    def task_sync() -> None:
        go.wait(PATIENCE)
        log.append("sync task")

    async def release() -> None:
        await app.shutdown_event.wait()
        go.set()

    await serve_and_add(app, task, task_sync, release)
    assert {*log[:2]} == {"task", "sync task"}
    assert log[2:] == ["left"]
    assert caplog.records == []


async def test_what_does_not_end_is_cancelled_and_named(caplog: pytest.LogCaptureFixture) -> None:
    app, begun, ended = Flask("app"), list[str](), list[str]()
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 0.01

    async def patient() -> None:
        try:
            begun.append("patient")
            await anyio.sleep_forever()
        finally:
            ended.append("patient")

    def waiting() -> None:
        app.async_to_sync(patient)()

    await serve_and_add(app, patient, waiting, begun=lambda: len(begun) == 2)
    assert ended == ["patient", "patient"]
    [record] = caplog.records
    assert record.levelname == "ERROR"
    where = "test_what_does_not_end_is_cancelled_and_named.<locals>."
    assert record.getMessage() == (
        "Background tasks are cancelled, which did not end within 0.01 s"
        f" (BACKGROUND_TASK_SHUTDOWN_TIMEOUT): '{where}patient', '{where}waiting'."
    )


async def test_a_thread_that_hangs_is_named_and_not_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncflask.background.CANCEL_SECONDS", 0.01)
    monkeypatch.setattr("asyncflask.pools.JOIN_SECONDS", 0.01)
    app, begun, go = Flask("app"), threading.Event(), threading.Event()
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 0.01

    def hang() -> None:
        begun.set()
        go.wait(PATIENCE)

    torn_down: list[BaseException | None] = []
    app.teardown_appcontext(torn_down.append)
    try:
        await serve_and_add(app, hang, begun=begun.is_set)
        assert not app.background_tasks
        cancelled, stuck = (record.getMessage() for record in caplog.records)
        assert cancelled.startswith("Background tasks are cancelled, which did not end within")
        assert stuck.startswith("Background tasks do not heed their cancellation, and will be cut")
        assert torn_down == []  # its function works on
    finally:
        go.set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_loop_that_ends_drops_them_by_name(
    anyio_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("app")

    async def forever() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        async with app.app_context():
            app.add_background_task(forever)
        await until(lambda: app.background_tasks[0].status == "running")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:  # as `asyncio.run` does
            task.cancel()
        await until(lambda: not app.background_tasks)

    await asyncio.to_thread(lambda: asyncio.run(main()))
    [record] = caplog.records
    assert "forever' was dropped: " in record.getMessage()


SCRIPT = """
import threading
from asyncflask import Flask

app = Flask("app")
app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 5
begun = threading.Event()

async def task():
    import anyio
    begun.set()
    await anyio.sleep(0.2)
    print("done")

@app.get("/")
def view():
    app.add_background_task(task)
    return ""

app.test_client().get("/")
begun.wait()
app.add_background_task(print, "never")
"""


def test_the_end_of_a_wsgi_process_waits_for_them_and_names_what_never_began() -> None:
    command = [sys.executable, "-c", SCRIPT]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert "were never started, because the app was not served: 'print'." in ended.stderr
    assert "Traceback" not in ended.stderr
