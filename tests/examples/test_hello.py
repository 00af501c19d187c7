from __future__ import annotations

import runpy
import typing as t
from pathlib import Path

import httpx
import pytest

from asyncflask import Flask

from ..conftest import Live

HELLO = Path(__file__).parents[2] / "examples" / "hello" / "app.py"


@pytest.fixture
def app() -> Flask:
    return t.cast("Flask", runpy.run_path(str(HELLO), run_name="hello")["app"])


def test_sync_client(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/").text == "Hello from a thread!\n"
    assert client.get("/async/you").json == {"hello": "you"}


async def test_async_client(app: Flask) -> None:
    async with app.async_client() as client:
        assert (await client.get("/")).text == "Hello from a thread!\n"
        assert (await client.get("/async/you")).json() == {"hello": "you"}


def test_over_a_server(app: Flask, live: Live) -> None:
    with httpx.Client(base_url=live(app).url, timeout=30) as client:
        assert client.get("/").text == "Hello from a thread!\n"
        assert client.get("/async/you").json() == {"hello": "you"}
        assert client.get("/nowhere").status_code == 404
