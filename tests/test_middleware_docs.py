"""The examples of `docs/middleware.md` do what is said of them."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from asyncflask import Flask

PAGE = Path(__file__).parents[1] / "docs" / "middleware.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.anyio
async def test_the_examples_together() -> None:
    names: dict[str, t.Any] = {"__name__": "page"}
    for example in EXAMPLES:
        exec(example, names)
    app: Flask = names["app"]

    @app.get("/")
    async def index() -> str:
        return "long " * 1000

    async with app.async_client() as client:
        answer = await client.get("/", headers={"Origin": "https://page.example"})
    assert float(answer.headers["server-time"]) > 0
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    assert len(EXAMPLES) == 2
