"""From the plan to the exit status, with what is in between."""

from __future__ import annotations

import json
import os
import signal
import threading
import typing as t
from pathlib import Path

import click
import pytest

from asyncflask import Flask
from asyncflask.load.plan import Plan
from asyncflask.load.session import Session
from asyncflask.load.thresholds import Share, Thresholds
from asyncflask.testing.lifespan import LifespanError

from ..conftest import Live

HERE = "http://localhost/"


def app() -> Flask:
    made = Flask(__name__)

    @made.get("/")
    async def index() -> str:
        return "hello"

    return made


def session(**settings: t.Any) -> Session:
    plan = {"connections": 2, "requests": 4, **settings.pop("plan", {})}
    return Session(Plan(settings.pop("url", HERE), **plan), quiet=True, **settings)


def in_process(made: Flask | None = None, **settings: t.Any) -> Session:
    return session(app=made or app(), place="in process", **settings)


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process().run() == 0
    out, err = capsys.readouterr()
    assert "4 answered" in out
    assert err == ""


def test_a_broken_limit(capsys: pytest.CaptureFixture[str]) -> None:
    limits = Thresholds(errors=Share(0, False), rate=1e9)
    assert in_process(thresholds=limits).run() == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["ok", "BROKEN"]


def test_nothing_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    from .servers import free_port

    assert session(url=f"http://127.0.0.1:{free_port()}/").run() == 1
    assert "connection refused: 4" in capsys.readouterr().out


def test_an_app_that_does_not_start() -> None:
    made = app()

    @made.before_serving
    async def fail() -> None:
        raise LookupError("no database")

    with pytest.raises(LifespanError):
        in_process(made).run()


def test_a_warm_up_is_asked_and_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    made, asked = Flask(__name__), []

    @made.get("/")
    async def index() -> str:
        asked.append(1)
        return ""

    assert in_process(made, plan={"warm_up": 0.05}).run() == 0
    assert "4 answered" in capsys.readouterr().out
    assert len(asked) > 4


def test_a_signal_ends_it_with_a_report(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second request never comes back, and sends the signal."""
    asked: list[int] = []

    async def signals(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        asked.append(1)
        if len(asked) > 1:
            os.kill(os.getpid(), signal.SIGINT)
            while (await receive())["type"] != "http.disconnect":
                pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    report = tmp_path / "r.json"
    url = live(signals, lifespan="off").url
    made = session(url=url, plan={"connections": 1}, json_file=str(report))
    before = signal.getsignal(signal.SIGINT)
    assert made.run() == 130
    assert signal.getsignal(signal.SIGINT) is before
    found = json.loads(report.read_text())
    assert (found["interrupted"], found["unfinished"]) == (True, 1)
    assert (found["requests"]["answered"], found["errors"]) == (1, 0)
    assert "Interrupted" in capsys.readouterr().out


def test_a_signal_during_the_warm_up(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[int] = []

    async def signals(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        asked.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        while (await receive())["type"] != "http.disconnect":
            pass

    url = live(signals, lifespan="off").url
    plan = {"connections": 1, "warm_up": 10.0, "rate": 10.0}
    assert session(url=url, plan=plan).run() == 130
    assert len(asked) == 1
    assert "0 answered in 0.00 s, 0.0/s\n" in capsys.readouterr().out


def test_it_runs_in_a_thread_that_gets_no_signals(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(in_process().run()))
    thread.start()
    thread.join()
    assert found == [0]


def test_a_report_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.ClickException, match="cannot be written to '/not/there': No such"):
        in_process(json_file="/not/there").run()
    assert "4 answered" in capsys.readouterr().out  # the text is there all the same
