"""The benchmarks run and say what they measured; their figures are not judged here."""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from benchmarks import realtime, realtime_apps, realtime_calls, realtime_load, report
from benchmarks.load import Crowd, LoadError
from benchmarks.rounds import Bound, measure

from .live.server import serving

ROOT = Path(__file__).parent.parent

OURS, THEIRS, OTHERS = ("view", "asyncflask"), ("view", "Quick"), ("view", "Slow")

linux_only = pytest.mark.skipif(not hasattr(select, "epoll"), reason="the load generator's poll")


async def hello(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Answer with a body in two parts, and with 404 elsewhere than on the front page."""
    if scope["type"] == "lifespan":
        return
    status = 200 if scope["path"] == "/" else 404
    headers = [(b"content-length", b"5")]
    if scope["query_string"]:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"he", "more_body": True})
    await send({"type": "http.response.body", "body": b"llo"})


@pytest.mark.time_limit(60)
def test_sync_runs_in_process_and_writes_json(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    options = ["--only=in-process", "--rounds=1", "--seconds=0.001", f"--json={file}"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sync", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(file.read_text())
    assert {"date", "python", "machine", "versions", "microseconds", "promises"} == set(facts)
    assert {"asyncflask", "starlette", "uvloop", "werkzeug"} <= set(facts["versions"])
    assert facts["machine"]["cores"] >= 1
    works = facts["microseconds"]["in-process"]
    for how in ("one at a time", "32 in flight"):
        assert set(works[f"sync view, {how}"]) == {"asyncflask", "Starlette", "Flask (WSGI)"}
        assert set(works[f"async view, {how}"]) == {"bare ASGI", "asyncflask", "Starlette"}
        assert set(works[f"sync view, 4 hooks, {how}"]) == {"asyncflask", "Flask (WSGI)"}
        assert set(works[f"sync view, ProxyFix, {how}"]) == {"asyncflask", "Flask (WSGI)"}
    figures = [each for cells in works.values() for each in cells.values()]
    for figure in figures:
        assert figure["rounds"] == [figure["median"]]
        assert figure["median"] > 0
    assert [each["at_most"] for each in facts["promises"]] == [0.3, 0.15]
    assert done.stdout.count("| asyncflask |") == 8
    assert f"starlette {facts['versions']['starlette']}" in done.stdout


def test_a_round_measures_each_cell_once() -> None:
    log: list[str] = []

    def note(name: str, value: float) -> float:
        log.append(name)
        return value

    cells = {OURS: lambda: note("ours", 1.0), THEIRS: lambda: note("theirs", 4.0)}
    assert measure("test", cells, 2) == {OURS: [1.0, 1.0], THEIRS: [4.0, 4.0]}
    assert log == ["ours", "theirs"] * 2


def test_ratio_is_taken_within_each_round_and_to_the_best() -> None:
    found = {OURS: [1.0, 10.0, 2.0], THEIRS: [4.0, 40.0, 4.0], OTHERS: [9.0, 50.0, 9.0]}
    bound = Bound("CPU", OURS, [OTHERS, THEIRS], 0.25)
    assert bound.best(found) == THEIRS
    verdict = report.verdict(bound, found)
    assert verdict == ("CPU (Quick)", [0.25, 0.25, 0.5], 0.25)
    assert verdict.ratio == 0.25
    assert verdict.kept
    assert not verdict._replace(at_most=0.24).kept


def test_a_broken_promise_is_shown() -> None:
    verdict = report.Verdict("CPU", [0.25, 0.5, 0.75], 0.3)
    assert "| CPU | 0.50 | 0.25 - 0.75 | 0.30 | no |" in report.verdict_table([verdict])


@linux_only
@pytest.mark.parametrize("path", ["/", "/?close"])
def test_load_counts_the_answers(path: str) -> None:
    with serving(hello) as server:
        crowd = Crowd(server.address[1], path, b"hello", 3)
        try:
            assert crowd.load(0.0) == 3
            assert crowd.load(0.0) == 3
        finally:
            crowd.leave()


@linux_only
@pytest.mark.parametrize(
    ("path", "body"),
    [("/missing", b"hello"), ("/", b"world"), ("/", b"hell"), ("/?close", b"hello you")],
)
def test_load_refuses_another_answer(path: str, body: bytes) -> None:
    with serving(hello) as server:
        crowd = Crowd(server.address[1], path, body, 1)
        try:
            with pytest.raises(LoadError, match="not the expected answer"):
                crowd.load(0.0)
        finally:
            crowd.leave()


@linux_only
@pytest.mark.time_limit(60)
def test_an_async_view_is_measured_beside_a_crowd(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    options = ["--rounds=1", "--seconds=0.1", "--crowd=60", f"--json={file}"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.beside", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "beside 60 sync requests" in done.stdout
    facts = json.loads(file.read_text())
    for what in ("idle", "beside"):
        assert len(facts["rounds"][what]) == 1
        assert 0 < facts[what]["p50"] <= facts[what]["p99"]
    assert facts["ratio of p99"] == facts["beside"]["p99"] / facts["idle"]["p99"]


@pytest.mark.parametrize("call", realtime_calls.CALLS)
@pytest.mark.parametrize("factory", ["bare", "asyncflask", "starlette"])
def test_realtime_apps_are_called_by_hand(
    factory: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime_calls, "MESSAGES", 5)
    app = getattr(realtime_apps, factory)()
    assert asyncio.run(realtime_calls.cost(app, realtime_calls.CALLS[call], 0)) > 0


async def test_a_message_that_is_missing_is_noticed() -> None:
    async def refuse(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await send({"type": "websocket.close", "code": 1000, "reason": ""})

    with pytest.raises(realtime_calls.CallError, match="0 of 2000"):
        await realtime_calls.cost(refuse, realtime_calls.echoed, 0)


@linux_only
@pytest.mark.parametrize("kind", realtime_load.KINDS)
@pytest.mark.parametrize("factory", ["bare", "asyncflask", "starlette"])
def test_realtime_load_counts_the_messages(factory: str, kind: str) -> None:
    app = getattr(realtime_apps, factory)()
    with serving(app, loop="uvloop", http="httptools", timeout_graceful_shutdown=1) as server:
        crowd = realtime_load.Crowd(kind, server.address[1], 3)
        try:
            assert crowd.load(0.05) > 0
        finally:
            crowd.leave()
        server.rest()


@linux_only
@pytest.mark.parametrize("kind", realtime_load.KINDS)
def test_realtime_load_refuses_another_answer(kind: str) -> None:
    with serving(hello) as server, pytest.raises(LoadError, match=r"expected 101|got|ended|event"):
        realtime_load.Crowd(kind, server.address[1], 1)


@linux_only
@pytest.mark.time_limit(120)
def test_realtime_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without Quart, for whose environment packages would have to be installed."""
    here = Path(sys.executable)
    names = (realtime.BARE, realtime.OURS, realtime.STARLETTE)
    monkeypatch.setattr(realtime, "pythons", lambda: dict.fromkeys(names, here))
    monkeypatch.setattr(realtime, "PEERS", (realtime.STARLETTE,))
    monkeypatch.setattr(realtime, "SOCKETS", 20)
    file = tmp_path / "found.json"
    realtime.main(["--rounds=1", "--seconds=0.3", f"--json={file}"])
    facts = json.loads(file.read_text())
    for unit, parts in (
        ("microseconds", {"in-process", "server"}),
        ("per_second", {"server"}),
        ("kibibytes", {"memory"}),
    ):
        assert set(facts[unit]) == parts
        for works in facts[unit].values():
            for cells in works.values():
                assert set(cells) == set(names)
                assert all(len(figure["rounds"]) == 1 for figure in cells.values())
    assert [each["at_most"] for each in facts["promises"]] == [1.0] * 4
    shown = capsys.readouterr().out
    assert "KiB per socket" in shown
    assert "messages/s" in shown
