"""These tests take minutes: they run where they are asked for by path, as `make scale` does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the package out of a run over all tests, and where there is no /proc to look into."""
    asked_for = any("scale" in Path(arg.partition("::")[0]).parts for arg in config.args)
    wanted = asked_for and sys.platform == "linux"
    return None if wanted or not collection_path.is_relative_to(HERE) else True
