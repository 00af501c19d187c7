from __future__ import annotations

import signal
import sys
from pathlib import Path

import httpx
import pytest
from watchfiles import Change

from asyncflask.cli.reloader import Reloader

from .conftest import HELLO, Start, get

pytestmark = pytest.mark.time_limit(60)  # servers start anew, some several times


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


def test_own_code_is_watched_and_nothing_else(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    extra = tmp_path_factory.mktemp("extra") / "settings.toml"
    extra.touch()
    for name in ("package/deep", "env", ".git/refs", "package/__pycache__", "node_modules/x"):
        (project / name).mkdir(parents=True)
    (project / "env/pyvenv.cfg").touch()
    installed = [entry for entry in sys.path if "python3" in entry and Path(entry).is_dir()]
    assert installed
    code = [str(project / "package"), str(elsewhere), str(project / "missing"), *installed]
    monkeypatch.setattr(sys, "path", code)
    folders = Reloader(0, [str(extra), str(project / "missing/missing.toml")]).folders()
    own = [project, project / "package", project / "package/deep", elsewhere, extra.parent]
    assert folders == {str(folder) for folder in own}


def test_a_directory_that_comes_later_is_watched(hello: Path, start: Start) -> None:
    server = start("-m", "asyncflask", "run", "--reload", "--port", "0")
    url = server.url()
    assert get(url).text == "hello"
    (hello / "data").mkdir()
    (hello / "package").mkdir()
    (hello / "package/__init__.py").touch()
    server.until("Detected change in 'package")
    server.until("Application startup complete")
    (hello / "package/views.py").touch()
    server.until("Detected change in 'package/views.py'")
    server.until("Application startup complete")
    (hello / "data/code.py").touch()
    server.until("Detected change in 'data/code.py'")
    assert get(url).text == "hello"


def test_a_change_restarts_and_a_broken_file_waits(hello: Path, start: Start) -> None:
    app = hello / "app.py"
    server = start("-m", "asyncflask", "--debug", "run", "--port", "0")
    url = server.url()
    assert get(url).text == "hello"

    app.write_text(HELLO.replace("hello", "changed"))
    server.until("Detected change in 'app.py', reloading")
    server.until("Finished server process")
    # The socket has been listening all the time: the request waits for the new child.
    assert get(url).text == "changed"

    app.write_text("def broken(:\n")
    server.until("SyntaxError")
    server.until("waiting for a file to change")
    app.write_text(HELLO.replace("hello", "repaired"))
    assert get(url).text == "repaired"

    assert server.end() == 0
    assert server.output.count("Running on") == 1
    assert server.output.count("Serving ASGI app 'app'") == 1
    assert server.output.count("Finished server process") == 3
    with pytest.raises(httpx.ConnectError):
        get(url)


def test_a_change_of_an_extra_file(hello: Path, start: Start) -> None:
    (hello / "settings.toml").touch()
    server = start(
        "-m", "asyncflask", "run", "--reload", "--port", "0", "--extra-files", "settings.toml"
    )
    url = server.url()
    assert get(url).text == "hello"
    (hello / "settings.toml").write_text("changed")
    server.until("Detected change in 'settings.toml'")
    server.until("Finished server process")
    assert get(url).text == "hello"
    assert server.end(signal.SIGINT) == 0


def test_an_app_that_is_broken_from_the_start_ends_the_command(project: Path, start: Start) -> None:
    (project / "app.py").write_text("def broken(:\n")
    server = start("-m", "asyncflask", "run", "--debug", "--port", "0")
    assert server.wait() == 1
    assert "SyntaxError" in server.output
    assert "Running on" not in server.output
    assert "Traceback" not in server.output
