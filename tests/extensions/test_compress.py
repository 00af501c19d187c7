"""Flask-Compress: an `after_request` function that puts a compressed body in a body's place."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

import pytest

from .conftest import ROOT

ROWS = "".join(f"{number}," for number in range(1000))


@pytest.fixture(scope="module")
def found() -> dict[str, list[t.Any]]:
    command = [sys.executable, "-W", "error", "-m", "tests.extensions.compressed"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return t.cast("dict[str, list[t.Any]]", json.loads(ran.stdout))


@pytest.mark.parametrize("coding", ["deflate", "br"])
@pytest.mark.parametrize("path", ["/whole", "/sync", "/async"])
def test_bodies_of_every_kind_are_compressed(
    found: dict[str, list[t.Any]], path: str, coding: str
) -> None:
    assert found[f"{path} {coding}"] == [200, coding, ROWS]


@pytest.mark.parametrize("coding", ["deflate", "br"])
def test_lines_of_json_are(found: dict[str, list[t.Any]], coding: str) -> None:
    status, used, text = found[f"/ndjson {coding}"]
    assert (status, used) == (200, coding)
    assert [json.loads(line) for line in text.splitlines()] == [
        f"{number}," for number in range(1000)
    ]


@pytest.mark.parametrize("coding", ["deflate", "br"])
def test_what_a_view_sends_itself_is_refused_unless_it_says_identity(
    found: dict[str, list[t.Any]], coding: str
) -> None:
    assert found[f"/block {coding}"][0] == 500
    assert found[f"/identity {coding}"] == [200, "identity", ROWS]
