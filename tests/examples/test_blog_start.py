from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import typing as t
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from blog import create_app
from blog.database import connection
from blog.samples import POSTS

from asyncflask import Flask

from ..conftest import Live
from .blog_visitor import PASSWORD, TOKEN, Visitor, settings

PACKAGE = Path(__file__).parents[2] / "examples" / "blog" / "blog"


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return create_app(settings(tmp_path))


def rows(app: Flask, query: str) -> list[tuple[t.Any, ...]]:
    with closing(sqlite3.connect(app.config["DATABASE"])) as database:
        return database.execute(query).fetchall()


def run(code: str, folder: Path) -> str:
    """Run Python code in a process of its own and return what it prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


# The app and its database


def test_start_keeps_data_and_key(tmp_path: Path) -> None:
    first = create_app(settings(tmp_path))
    Visitor(first).register("ada")
    second = create_app(settings(tmp_path))
    assert second.config["SECRET_KEY"] == first.config["SECRET_KEY"]
    assert "taken" in Visitor(second).register("ada").text


def test_given_key_wins(tmp_path: Path) -> None:
    assert create_app(settings(tmp_path, SECRET_KEY="mine")).config["SECRET_KEY"] == "mine"


def test_instance_config_is_read(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "blog")
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "config.py").write_text("POSTS_PER_PAGE = 3\n")
    shown = run(
        "import blog; app = blog.create_app();"
        " print(app.test_client().get('/').text.count('<article'), app.config['DATABASE'])",
        tmp_path,
    )
    assert shown.split() == ["3", str(tmp_path / "instance" / "blog.sqlite")]


def test_without_samples(tmp_path: Path) -> None:
    empty = create_app(settings(tmp_path, SAMPLE_POSTS=False))
    assert "Nothing here yet" in Visitor(empty).get("/").text


def test_connection_is_closed_with_its_context(app: Flask) -> None:
    with app.app_context():
        opened = connection()
        assert connection() is opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.execute("SELECT 1")


def test_init_db(app: Flask) -> None:
    ada = Visitor(app)
    ada.register("ada")
    runner = app.test_cli_runner()
    refused = runner.invoke(args=["init-db"], input="n\n")
    assert refused.exit_code == 1
    assert len(rows(app, "SELECT * FROM author")) == 2

    done = runner.invoke(args=["init-db", "--yes"])
    assert done.exit_code == 0
    assert "as new" in done.output
    assert rows(app, "SELECT name FROM author") == [("Wren",)]
    assert len(rows(app, "SELECT * FROM post")) == len(POSTS)

    # Whoever was logged in is not somebody else now: ids are never given again.
    Visitor(app).register("bob")
    assert "Log in" in ada.get("/").text


# Over ASGI, over a server, and under Flask


async def test_async_client(app: Flask) -> None:
    async with app.async_client(follow_redirects=True) as client:
        form = await client.get("/register")
        token = TOKEN.search(form.text)
        assert token
        data = {"csrf_token": token[1], "name": "ada", "password": PASSWORD}
        assert "Welcome, ada!" in (await client.post("/register", data=data)).text


def test_over_a_server(app: Flask, live: Live) -> None:
    with httpx.Client(base_url=live(app).url, timeout=30, follow_redirects=True) as client:
        token = TOKEN.search(client.get("/register").text)
        assert token
        data = {"csrf_token": token[1], "name": "ada", "password": PASSWORD}
        assert "Welcome, ada!" in client.post("/register", data=data).text
        style = client.get("/static/blog.css")
        assert style.headers["Content-Type"] == "text/css; charset=utf-8"
        etag = {"If-None-Match": style.headers["ETag"]}
        assert client.get("/static/blog.css", headers=etag).status_code == 304


def test_runs_under_flask(tmp_path: Path) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "blog")
    for source in package.rglob("*.py"):
        text = source.read_text()
        source.write_text(re.sub(r"^from asyncflask", "from flask", text, flags=re.MULTILINE))
    shown = run(
        "import blog, sys; print(blog.create_app().test_client().get('/').text);"
        " assert 'flask' in sys.modules and 'asyncflask' not in sys.modules",
        tmp_path,
    )
    assert shown.count("<article") == 10
