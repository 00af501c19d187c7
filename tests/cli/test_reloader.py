from __future__ import annotations

import signal
import sys
from pathlib import Path

import httpx
import pytest
from watchfiles import Change

from asyncflask.cli.reloader import Reloader

from .conftest import HELLO, Start


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("app.py", True),
        ("package/deep/views.py", True),
        ("notes.txt", False),
        ("settings.toml", True),
        ("watched/anything.txt", True),
        ("watched/skipped.txt", False),
        ("generated_app.py", False),
        ("__pycache__/app.py", False),
        (".venv/lib/app.py", False),
    ],
)
def test_which_files_count(project: Path, name: str, counts: bool) -> None:
    made = Reloader(0, ["settings.toml", "watched"], ["*/generated_*", "*/skipped.txt"])
    assert made.counts(Change.modified, str(project / name)) is counts


def test_own_code_is_watched_and_installed_code_is_not(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    extra = tmp_path_factory.mktemp("extra") / "settings.toml"
    extra.touch()
    (project / "below").mkdir()
    installed = [path for path in sys.path if "site-packages" in path or "python3" in path]
    code = [str(project / "below"), str(elsewhere), str(project / "missing"), *installed]
    monkeypatch.setattr(sys, "path", code)
    roots = Reloader(0, [str(extra), str(project / "missing.toml")]).roots()
    assert set(roots) == {project, elsewhere, extra}


def test_a_change_restarts_and_a_broken_file_waits(hello: Path, start: Start) -> None:
    app = hello / "app.py"
    server = start("-m", "asyncflask", "--debug", "run", "--port", "0")
    url = server.url()
    assert httpx.get(url).text == "hello"

    app.write_text(HELLO.replace("hello", "changed"))
    server.until("Detected change in 'app.py', reloading")
    server.until("Finished server process")
    # The socket has been listening all the time: the request waits for the new child.
    assert httpx.get(url, timeout=10).text == "changed"

    app.write_text("def broken(:\n")
    server.until("SyntaxError")
    server.until("waiting for a file to change")
    app.write_text(HELLO.replace("hello", "repaired"))
    assert httpx.get(url, timeout=10).text == "repaired"

    assert server.end() == 0
    assert server.output.count("Running on") == 1
    assert server.output.count("Serving ASGI app 'app'") == 1
    assert server.output.count("Finished server process") == 3
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_change_of_an_extra_file(hello: Path, start: Start) -> None:
    (hello / "settings.toml").touch()
    server = start(
        "-m", "asyncflask", "run", "--reload", "--port", "0", "--extra-files", "settings.toml"
    )
    url = server.url()
    assert httpx.get(url).text == "hello"
    (hello / "settings.toml").write_text("changed")
    server.until("Detected change in 'settings.toml'")
    server.until("Finished server process")
    assert httpx.get(url, timeout=10).text == "hello"
    assert server.end(signal.SIGINT) == 0


def test_an_app_that_is_broken_from_the_start_ends_the_command(project: Path, start: Start) -> None:
    (project / "app.py").write_text("def broken(:\n")
    server = start("-m", "asyncflask", "run", "--debug", "--port", "0")
    assert server.wait() == 1
    assert "SyntaxError" in server.output
    assert "Running on" not in server.output
    assert "Traceback" not in server.output
