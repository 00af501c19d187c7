"""These tests compare very many cases: they run where they are asked for, as by `make nightly`."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the package out of a run over all tests."""
    asked_for = any("nightly" in Path(arg.partition("::")[0]).parts for arg in config.args)
    return None if asked_for or not collection_path.is_relative_to(HERE) else True
