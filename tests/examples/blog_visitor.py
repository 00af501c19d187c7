"""A visitor of the blog, and how the tests set the blog up."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from werkzeug.test import TestResponse

from asyncflask import Flask
from asyncflask.testing import FlaskClient

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
PASSWORD = "correct horse"


def settings(tmp_path: Path, **more: t.Any) -> dict[str, t.Any]:
    return {"TESTING": True, "DATABASE": str(tmp_path / "blog.sqlite"), **more}


class Visitor:
    """A browser: keeps cookies, and sends forms from the pages that show them."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, follow_redirects=True)

    def send(self, path: str, page: str | None = None, **fields: str) -> TestResponse:
        """Open `page` (by default `path`), and post its form to `path`."""
        shown = self.get(page or path)
        found = TOKEN.search(shown.text)
        assert found, shown.text
        return self.client.post(
            path, data={"csrf_token": found[1], **fields}, follow_redirects=True
        )

    def register(self, name: str) -> TestResponse:
        return self.send("/register", name=name, password=PASSWORD)
