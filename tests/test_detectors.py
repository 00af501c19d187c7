"""The detectors see what they are there for."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from .detectors import Leftovers

#: The tests in `guilty`, with what is said of each.
GUILTY = {
    "task": "tasks were pending when their event loop was closed",
    "context_in_a_coroutine": "is still current",
    "context": "a context is still current",
    "loop": "callbacks blocked their event loop for more than 0.25 seconds",
    "thread": "thread Thread-",
    "file": "open file: ",
    "temporary_file": "temporary file: ",
    "lane": "thread asyncflask-worker, in ",
    "time": "The test took longer than 0.5 seconds.",
}


@pytest.fixture(scope="module")
def blamed() -> str:
    """What pytest says of the tests in `guilty`."""
    here = Path(__file__).parent
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-vv",
        "-p",
        "no:cacheprovider",
        "--strict-limits",
    ]
    return subprocess.run(
        [*command, here / "guilty.py"], cwd=here.parent, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("name", GUILTY)
def test_guilty_test_is_blamed(blamed: str, name: str) -> None:
    _, _, rest = blamed.partition("short test summary info")
    lines = [line for line in rest.splitlines() if f"::test_{name} - " in line]
    assert any(GUILTY[name] in line for line in lines), blamed


def test_innocent_test_is_not_blamed(blamed: str) -> None:
    assert "PASSED tests/guilty.py::test_innocent" in blamed
    assert "ERROR tests/guilty.py::test_innocent" not in blamed


def test_thread_at_work() -> None:
    before = Leftovers()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="at-work")
    thread.start()
    assert [found.partition(",")[0] for found in before.found()] == ["thread at-work"]
    stop.set()
    thread.join()
    assert before.found() == []


def test_files() -> None:
    before = Leftovers()
    with tempfile.NamedTemporaryFile() as named:
        names = {Path(found.partition(": ")[2]).name for found in before.found()}
        assert names == {Path(named.name).name}
        assert len(before.found()) == 2  # it is open, and it is there
    assert before.found() == []


def test_what_goes_away_by_itself_is_waited_for() -> None:
    before = Leftovers()
    timer = threading.Timer(0.05, int)
    timer.start()
    assert before.found() != []
    assert before.settled() == []
