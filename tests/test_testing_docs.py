"""The examples of `docs/testing.md` do what is said of them: pytest runs them, with each plugin."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "testing.md").read_text()
EXAMPLES = dict(re.findall(r"^```(?:python|toml)\n# (.*?)\n(.*?)^```$", PAGE, re.DOTALL | re.M))
STRICT = ("-o", "asyncio_default_fixture_loop_scope=function")
MARK = "import pytest\n\npytestmark = pytest.mark.anyio\n"


def run(folder: Path, files: dict[str, str], *options: str) -> dict[str, int]:
    """Run the tests of some files, and return how many there were of each outcome."""
    for name, content in {"chat.py": EXAMPLES["chat.py"], **files}.items():
        (folder / name).write_text(content)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    counts = re.findall(r"(\d+) (passed|failed|error|skipped|warning)", done.stdout)
    assert counts, done.stdout + done.stderr
    return {kind: int(number) for number, kind in counts}


def test_all_examples_are_run() -> None:
    assert list(EXAMPLES) == [
        "chat.py",
        "test_chat.py",
        "test_chat_async.py",
        "pyproject.toml",
        "conftest.py for pytest-asyncio",
        "conftest.py for anyio",
        "test_started.py",
        "conftest.py for the sync client",
    ]
    assert PAGE.count("```") == 2 * len(EXAMPLES)


def test_with_the_sync_client_alone(tmp_path: Path) -> None:
    files = {
        "test_chat.py": EXAMPLES["test_chat.py"],
        "conftest.py": EXAMPLES["conftest.py for the sync client"],
        "test_fixture.py": (
            "def test_it(client):\n"
            "    assert client.post('/login', data={'name': 'x'}).json == {'name': 'x'}\n"
        ),
    }
    assert run(tmp_path, files, "-p", "no:asyncio", "-p", "no:anyio") == {"passed": 5}


def test_with_pytest_asyncio(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": EXAMPLES["pyproject.toml"],
        "conftest.py": EXAMPLES["conftest.py for pytest-asyncio"],
        "test_chat_async.py": EXAMPLES["test_chat_async.py"],
        "test_started.py": EXAMPLES["test_started.py"],
    }
    assert run(tmp_path, files) == {"passed": 5}


@pytest.mark.parametrize("options", [("-p", "no:asyncio"), STRICT])
def test_with_the_anyio_plugin(tmp_path: Path, options: tuple[str, ...]) -> None:
    files = {
        "conftest.py": EXAMPLES["conftest.py for anyio"],
        "test_chat_async.py": MARK + EXAMPLES["test_chat_async.py"],
        "test_started.py": MARK + EXAMPLES["test_started.py"],
    }
    assert run(tmp_path, files, *options) == {"passed": 9}
