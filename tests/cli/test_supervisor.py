from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest

from .conftest import HELLO, Start, get

pytestmark = pytest.mark.time_limit(60)  # each starts three processes or more, some one by one

RUN = ("-m", "asyncflask", "run", "--port", "0", "--workers", "2")
WHO = HELLO + "\n\n@app.get('/who')\nasync def who():\n    import os\n    return str(os.getpid())\n"


def who(url: str) -> int:
    return int(get(f"{url}/who").text)


@pytest.fixture
def project_with_who(project: Path) -> Path:
    (project / "app.py").write_text(WHO)
    return project


def started(text: str) -> int:
    return int(text.rpartition("[")[2].rstrip("]"))


def test_they_share_the_port_and_end_together(project_with_who: Path, start: Start) -> None:
    server = start(*RUN)
    url = server.url()
    workers = {started(server.until("Started server process")) for _ in range(2)}
    assert len(workers) == 2
    assert server.process.pid not in workers
    assert who(url) in workers
    assert server.end() == 0
    assert server.output.count("Running on") == 1
    assert server.output.count("Finished server process") == 2
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_one_that_dies_is_replaced(project_with_who: Path, start: Start) -> None:
    server = start(*RUN)
    url = server.url()
    os.kill(who(url), signal.SIGKILL)
    server.until(f"ended with status {128 + signal.SIGKILL}; starting another")
    server.until("Application startup complete")
    assert who(url)
    assert server.end(signal.SIGINT) == 0


def test_all_are_replaced_on_sighup(project_with_who: Path, start: Start) -> None:
    server = start(*RUN)
    url = server.url()
    before = {started(server.until("Started server process")) for _ in range(2)}
    server.process.send_signal(signal.SIGHUP)
    after = set()
    for _ in range(2):  # the next one goes when its successor is there
        after.add(started(server.until("Started server process")))
        before_it = started(server.until("Finished server process"))
        assert before_it in before
    assert before.isdisjoint(after)
    assert who(url) in after


def test_a_successor_that_cannot_start_replaces_nobody(
    project_with_who: Path, start: Start
) -> None:
    server = start(*RUN)
    url = server.url()
    before = {started(server.until("Started server process")) for _ in range(2)}
    (project_with_who / "app.py").write_text("def broken(:\n")
    server.process.send_signal(signal.SIGHUP)
    server.until("keeping the old ones")
    assert who(url) in before


def test_they_end_when_the_parent_is_killed(project_with_who: Path, start: Start) -> None:
    server = start(*RUN)
    url = server.url()
    for _ in range(2):
        server.until("Application startup complete")
    server.process.kill()
    for _ in range(2):
        server.until("Finished server process")
    with pytest.raises(httpx.TransportError):
        get(url)


@pytest.mark.parametrize(
    ("source", "status", "told"),
    [("1 / 0\n", 1, "ZeroDivisionError"), ("app = 3\n", 2, "has no app")],
)
def test_an_app_that_cannot_be_loaded_is_told_once(
    project: Path, start: Start, source: str, status: int, told: str
) -> None:
    (project / "app.py").write_text(source)
    server = start(*RUN)
    assert server.wait() == status
    assert server.output.count(told) == 1
    assert "Running on" not in server.output


def test_an_async_factory(project: Path, start: Start) -> None:
    (project / "made.py").write_text(
        "from asyncflask import Flask\n\n"
        "async def create_app(name):\n"
        "    app = Flask(name)\n"
        "    app.get('/')(lambda: app.name)\n"
        "    return app\n"
    )
    command = ["--app", "made:create_app('dev')", "run", "--port", "0", "--workers", "2"]
    server = start("-m", "asyncflask", *command)
    assert get(server.url()).text == "dev"


def test_a_script_with_processes(project: Path, start: Start) -> None:
    (project / "script.py").write_text(WHO + "\n\napp.run(port=0, threaded=False, processes=2)\n")
    server = start("script.py")
    url = server.url()
    workers = {started(server.until("Started server process")) for _ in range(2)}
    assert who(url) in workers
    assert server.end() == 0
