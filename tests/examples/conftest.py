"""Puts the examples where their tests can import them, and opens a browser for their pages."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import browser as chromium

if t.TYPE_CHECKING:
    from selenium.webdriver import Chrome

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES / name) for name in ("blog", "async_api", "dashboard", "chat")]

NO_CHROMIUM = (
    "There is no Chromium with its driver here: `make browser`, or"
    " `apt-get install chromium chromium-driver`."
)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Start Chromium, once."""
    paths = chromium.found()
    if paths is None:
        pytest.skip(NO_CHROMIUM)
    with chromium.driving(paths, tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def browser(driver: Chrome) -> Iterator[chromium.Browser]:
    """A browser without any tab open."""
    visitor = chromium.Browser(driver)
    yield visitor
    visitor.leave()
