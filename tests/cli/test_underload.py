"""The server of a load test: a child of this process."""

from __future__ import annotations

import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from asyncflask.cli import underload
from asyncflask.cli.listener import ServerError
from asyncflask.cli.underload import server

pytestmark = pytest.mark.time_limit(60)

SERVES = """\
from asyncflask.cli import children, script, underload
assert children.is_under_load() and not children.is_first()
underload.serve_parent(script.ScriptInfo("app").load_app)
"""


def runs(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", code])


def is_open(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return False
    return True


def test_it_serves_while_the_block_runs(
    hello: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    runs(monkeypatch, SERVES)
    with server() as url, urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"
    assert not is_open(url)
    assert capfd.readouterr() == ("", "")  # no log of requests, no greeting


def test_it_ends_when_the_block_fails(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, SERVES)
    urls: list[str] = []

    def fail() -> None:
        with server() as url:
            urls.append(url)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert not is_open(urls[0])


def test_a_child_that_ends_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, "raise SystemExit(7)")
    with pytest.raises(ServerError, match="ended with status 7 before it served"), server():
        pass


def test_a_child_that_never_serves_is_ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, "import signal\nsignal.pause()")
    monkeypatch.setattr(underload, "START", 0.1)
    with pytest.raises(ServerError, match=r"not started within 0\.1 s"), server():
        pass
