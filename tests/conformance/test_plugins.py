"""The plugins that are loaded into the environments of the suites."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from . import runs, suites

ENDINGS = """\
import pytest

def test_good(): pass
def test_bad(): assert 1 == 2
def test_skipped(): pytest.skip()
@pytest.mark.xfail
def test_expected(): assert False
@pytest.mark.xfail
def test_unexpected(): pass
@pytest.fixture
def broken(): yield; raise KeyError("late")
def test_late(broken): pass
"""
CLIENT = """\
import threading
import flask

app = flask.Flask(__name__)

@app.post("/echo")
def echo():
    return {"main": threading.current_thread() is threading.main_thread(), **flask.request.form}

@app.get("/")
async def index():
    return flask.redirect("/told", 307)

@app.get("/told")
def told():
    flask.session  # untouched
    return (part for part in "told")

def test_over_asgi():
    client = app.test_client()
    answer = client.post("/echo", data={"name": "é"}, headers={"X-Part": "1"})
    assert answer.json == {"main": False, "name": "é"}
    answer = client.get("/", follow_redirects=True)
    assert (answer.is_streamed, answer.text, answer.status) == (True, "told", "200 OK")
"""


def pytest_run(folder: Path, text: str, *plugins: str) -> runs.Outcome:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(text)
    record = folder / "record.jsonl"
    record.touch()
    code = "import asyncflask, pytest, sys; asyncflask.install_as_flask(); sys.exit(pytest.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--rootdir=.", *plugins],
        cwd=folder,
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(suites.HERE / "plugin"),
            "CONFORMANCE_RECORD": str(record),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return runs.outcome(record, 1, str(done.returncode))


def test_recorder(tmp_path: Path) -> None:
    found = pytest_run(tmp_path, ENDINGS, "-p", "conformance_recorder")
    assert found.passed == ["test_it.py::test_good"]
    assert found.skipped == 3
    assert found.failed == {
        "test_it.py::test_bad": "assert 1 == 2",
        "test_it.py::test_late": "KeyError: 'late'",
    }


def test_recorder_of_a_module_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "record.jsonl").touch()
    found = runs.outcome(tmp_path / "record.jsonl", 1, "2")
    assert (found.passed, found.failed) == ([], {})
    (tmp_path / "record.jsonl").write_text(json.dumps(["test_it.py", "failed", "no module"]) + "\n")
    assert runs.outcome(tmp_path / "record.jsonl", 1, "2").failed == {"test_it.py": "no module"}


def test_client_over_asgi(tmp_path: Path) -> None:
    plugins = ("-p", "conformance_recorder", "-p", "conformance_asgi")
    found = pytest_run(tmp_path, CLIENT, *plugins)
    assert found.failed == {}
    assert found.passed == ["test_it.py::test_over_asgi"]
