"""Flask's tutorial app works on asyncflask as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TUTORIAL = PROJECT / ".upstream" / "flask-3.1.3" / "examples" / "tutorial"


@pytest.mark.time_limit(120)  # it hashes passwords and starts five processes
@pytest.mark.skipif(not TUTORIAL.is_dir(), reason="run `make upstream` first")
def test_tutorial() -> None:
    # A process of its own: the command line, the alias and the test suite change their interpreter.
    command = [sys.executable, "-m", "tests.conformance.tutorial", str(TUTORIAL)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok ") == 5
