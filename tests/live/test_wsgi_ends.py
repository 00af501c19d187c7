"""How a process with our app under a WSGI server ends: answered, and without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from .wire import request
from .wsgi_processes import COMMANDS, running


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("path", "sign"), [("/wait", "waiting"), ("/trickle", "trickling")])
@pytest.mark.time_limit(60)
def test_what_is_in_flight_is_answered(tmp_path: Path, name: str, path: str, sign: str) -> None:
    with running(name, tmp_path) as server, server.connect() as connection:
        connection.send(request("GET", path, "Connection: close"))
        server.until((tmp_path / sign).exists)
        server.tell_to_end()
        (tmp_path / "go").touch()
        assert connection.answer().text == {"/wait": "waited", "/trickle": "first;last;"}[path]
