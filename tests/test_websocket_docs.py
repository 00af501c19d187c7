"""The examples of `docs/websockets.md` do what is said of them."""

from __future__ import annotations

import re

import pytest

from .documented import Page
from .sockets import leave, play, text

pytestmark = pytest.mark.anyio  # each async test runs on asyncio and on trio (tests/conftest.py)

PAGE = Page("websockets")
example = PAGE.example


def test_all_examples_are_named() -> None:
    assert PAGE.names == ["echo", "prices", "guarded", "shout"]
    PAGE.assert_all_are_named()


async def test_echo() -> None:
    assert (await play(example("echo").app, "/echo", text("a"), leave())).data == ["a"]


async def test_prices() -> None:
    client = await play(example("prices").app, "/prices", text("tea"), leave())
    assert client.data in ([], ['{"of": "tea", "price": 100}'])


async def test_guarded() -> None:
    app = example("guarded").app
    assert (await play(app, "/double")).sent[0]["status"] == 401
    signer = app.session_interface.get_signing_serializer(app)
    cookie = b"session=" + signer.dumps({"user": "ada"}).encode()
    headers = [(b"cookie", cookie)]
    client = await play(app, "/double", text("21"), text("x"), headers=headers)
    hello, doubled, told = client.data
    assert (hello, doubled) == ("hello ada", "42")
    assert "invalid literal" in str(told)
    assert client.sent[-1]["code"] == 1000


async def test_shout() -> None:
    app = example("shout").app
    async with app.async_client():
        assert (await play(app, "/shout", text("a"), leave())).data == ["A"]


def test_the_settings_are_there() -> None:
    app = example("echo").app
    named = re.findall(r"^\| `(WEBSOCKET_\w+)`", PAGE.text, re.MULTILINE)
    assert named == [key for key in app.config if key.startswith("WEBSOCKET_")]
