"""The benchmarks of what lasts, and of a crowd, run; their figures are not judged here."""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from benchmarks import calling, realtime, realtime_apps, realtime_calls, realtime_load
from benchmarks.load import LoadError

from .live.server import serving

ROOT = Path(__file__).parent.parent

linux_only = pytest.mark.skipif(not hasattr(select, "epoll"), reason="the load generator's poll")


async def hello(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Answer with a text, and no more."""
    if scope["type"] == "http":
        headers = [(b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})


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
    assert "beside 60 sync requests, processor time until the view" in done.stdout
    for what in facts["rounds"]:
        assert len(facts["rounds"][what]) == 1
        assert 0 < facts[what]["p50"] <= facts[what]["p99"]
    assert len(facts["rounds"]) == 4
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

    with pytest.raises(calling.CallError, match="0 of 2000"):
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
