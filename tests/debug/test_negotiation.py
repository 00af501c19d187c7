"""Who gets HTML."""

from __future__ import annotations

import pytest

from asyncflask.debug import negotiate

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    "accept",
    [FIREFOX, CHROME, "text/html", "TEXT/HTML", "application/xhtml+xml", "text/html;q=0.5",
     "application/json;q=0.5, text/html", "text/html, */*;q=0.1"],
)  # fmt: skip
def test_browsers(accept: str) -> None:
    assert negotiate(accept) == "html"


@pytest.mark.parametrize(
    "accept",
    [None, "", "*/*", "text/*", "text/plain", "application/json", "application/json, */*",
     "application/json, text/plain, */*", "application/json, text/html;q=0.5", "text/html;q=0",
     "text/event-stream", "image/avif,image/webp,*/*;q=0.8", "text/html;q=x", ";;;,,,=", "\x00"],
)  # fmt: skip
def test_everybody_else(accept: str | None) -> None:
    assert negotiate(accept) == "text"
