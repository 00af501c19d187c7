"""The examples of `docs/json.md` do what is said of them."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from asyncflask import Flask
from asyncflask.json.orjson import OrjsonProvider
from asyncflask.json.provider import DefaultJSONProvider

from .documented import Page

PAGE = Page("json")
example = PAGE.example


def test_all_examples_are_named() -> None:
    assert PAGE.names == ["dates", "fast", "flags"]
    PAGE.assert_all_are_named()


def get(app: Flask) -> bytes:
    data: bytes = app.test_client().get("/").data
    return data


def test_dates() -> None:
    assert get(example("dates").app) == b'{"today":"2026-01-02","place":"Z\\u00fcrich"}\n'


def test_fast() -> None:
    app = example("fast").app
    expected = '{"place":"Zürich","today":"Fri, 02 Jan 2026 00:00:00 GMT"}\n'
    assert get(app) == expected.encode()
    assert app.test_client().post("/echo", json=[1, {"a": None}]).json == [1, {"a": None}]


def test_flags() -> None:
    module = example("flags")
    assert get(module.app) == b'{"visits":{"2025":10,"2026":20}}\n'
    assert get(module.iso) == b'{"today":"2026-01-02"}\n'


def test_the_table_of_differences() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)`", PAGE.text, re.MULTILINE)
    found = {value: texts for value, *texts in rows}
    app = Flask(__name__)
    values: dict[str, t.Any] = {'"ü"': "ü", "json.dumps([1, 2])": [1, 2], "1e-7": 1e-7}
    for shown, value in values.items():
        for text, kind in zip(found[shown], (DefaultJSONProvider, OrjsonProvider), strict=True):
            assert kind(app).dumps(value) == text


@pytest.mark.parametrize("body", [b"NaN", b'"\\ud800"', b"\xef\xbb\xbf1", "1".encode("utf-16")])
def test_bodies_that_are_refused(body: bytes) -> None:
    json.loads(body)
    client = example("fast").app.test_client()
    answer = client.post("/echo", data=body, content_type="application/json")
    assert answer.status_code == 400
