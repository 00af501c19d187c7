from __future__ import annotations

import sqlite3
import typing as t
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from blog import create_app, forms
from blog.auth import local_path
from blog.posts import FIELDS
from blog.samples import POSTS
from blog.text import excerpt, paragraphs

from asyncflask import Flask

from .blog_visitor import PASSWORD, Visitor, settings


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return create_app(settings(tmp_path))


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def ada(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.register("ada")
    return visitor


@pytest.fixture
def rows(app: Flask) -> Iterator[t.Callable[[str], list[tuple[t.Any, ...]]]]:
    with closing(sqlite3.connect(app.config["DATABASE"])) as database:
        yield lambda query: database.execute(query).fetchall()


Rows = t.Callable[[str], list[tuple[t.Any, ...]]]


# Reading


def test_front_page(visitor: Visitor) -> None:
    page = visitor.get("/")
    assert page.status_code == 200
    assert page.text.startswith("<!doctype html>")
    assert page.text.count("<article") == 10
    assert page.text.index(POSTS[-1].title) < page.text.index(POSTS[-2].title)
    assert "Page 1 of 2" in page.text
    assert 'rel="next" href="/?page=2"' in page.text
    assert 'rel="prev"' not in page.text
    assert "Set-Cookie" not in page.headers


def test_last_page(visitor: Visitor) -> None:
    page = visitor.get("/?page=2").text
    assert page.count("<article") == len(POSTS) - 10
    assert 'rel="prev" href="/?page=1"' in page
    assert 'rel="next"' not in page


@pytest.mark.parametrize("page", ["0", "-1", "3", "9" * 30])
def test_no_such_page(visitor: Visitor, page: str) -> None:
    assert visitor.get(f"/?page={page}").status_code == 404


@pytest.mark.parametrize("page", ["", "two"])
def test_page_that_is_no_number(visitor: Visitor, page: str) -> None:
    assert "Page 1 of 2" in visitor.get(f"/?page={page}").text


def test_post(visitor: Visitor) -> None:
    page = visitor.get("/posts/1").text
    assert f"<h1>{POSTS[0].title}</h1>" in page
    assert '<time datetime="2026-09-02T08:15:00Z">2 September 2026</time>' in page
    assert "Edit" not in page


@pytest.mark.parametrize("number", ["0", "99", "-1", "x", "9" * 19, "9" * 30])
def test_no_such_post(visitor: Visitor, number: str) -> None:
    page = visitor.get(f"/posts/{number}")
    assert page.status_code == 404
    assert "<h1>Not Found</h1>" in page.text


def test_html_in_posts_is_escaped(visitor: Visitor) -> None:
    for path in ("/", "/posts/6"):
        page = visitor.get(path).text
        assert "&lt;b&gt;Nothing&lt;/b&gt;" in page
        assert "<script>" not in page


def test_static_files(visitor: Visitor) -> None:
    with closing(visitor.get("/static/blog.css")) as style:
        assert style.mimetype == "text/css"
        assert "prefers-color-scheme: dark" in style.text
    with closing(visitor.get("/static/icon.svg")) as icon:
        assert icon.mimetype == "image/svg+xml"


def test_security_headers(visitor: Visitor) -> None:
    for path in ("/", "/nowhere"):
        headers = visitor.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_error_keeps_its_headers(ada: Visitor) -> None:
    page = ada.send("/posts/1", "/posts/new")
    assert page.status_code == 405
    assert "GET" in page.headers["Allow"]
    assert page.mimetype == "text/html"


# Accounts


def test_register_logs_in(visitor: Visitor) -> None:
    page = visitor.register("ada <3").text
    assert "Welcome, ada &lt;3!" in page
    assert "Log out" in page


def test_password_is_hashed(ada: Visitor, rows: Rows) -> None:
    ((stored,),) = rows("SELECT password_hash FROM author WHERE name = 'ada'")
    assert stored.startswith("scrypt:")
    assert PASSWORD not in stored


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("", PASSWORD, "The name is missing."),
        ("  ", PASSWORD, "The name is missing."),
        ("a" * 41, PASSWORD, "The name has 41 characters, 40 are allowed."),
        ("ada", "", "The password is missing."),
        ("ada", "1234567", "The password needs 8 characters or more."),
        ("wren", PASSWORD, "This name is taken."),
    ],
)
def test_register_refuses(visitor: Visitor, name: str, password: str, message: str) -> None:
    page = visitor.send("/register", name=name, password=password)
    assert page.status_code == 422
    assert message in page.text
    assert 'aria-invalid="true"' in page.text
    assert 'type="password"' in page.text
    assert "1234567" not in page.text
    assert "Log out" not in page.text


def test_log_out_and_in(ada: Visitor) -> None:
    assert "You are logged out." in ada.send("/logout", "/").text
    assert "Log out" not in ada.get("/").text
    page = ada.send("/login", name="ADA", password=PASSWORD)
    assert "You are logged in." in page.text
    assert "Log out" in page.text


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("Wren", "-")]
)
def test_login_refuses(app: Flask, ada: Visitor, name: str, password: str) -> None:
    page = Visitor(app).send("/login", name=name, password=password)
    assert page.status_code == 422
    assert "Name and password do not belong together." in page.text


def test_login_leads_back(app: Flask, ada: Visitor) -> None:
    visitor = Visitor(app)
    page = visitor.client.get("/posts/new")
    assert page.location == "/login?next=/posts/new"
    page = visitor.send(page.location, name="ada", password=PASSWORD)
    assert page.request.path == "/posts/new"


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example", "x"]
)
def test_login_leads_nowhere_else(app: Flask, target: str) -> None:
    with app.test_request_context():
        assert local_path(target) == local_path(None) == "/"
        assert local_path("/posts/1?a=b") == "/posts/1?a=b"


def test_logout_needs_a_post(ada: Visitor) -> None:
    assert ada.get("/logout").status_code == 405
    assert "Log out" in ada.get("/").text


# Forms of other sites


@pytest.mark.parametrize("token", [None, "", "wrong", "\ud7ff\u00e9"])
def test_form_without_our_token(ada: Visitor, rows: Rows, token: str | None) -> None:
    ada.get("/posts/new")
    data = {"title": "T", "text": "X"} | ({} if token is None else {"csrf_token": token})
    page = ada.client.post("/posts/new", data=data)
    assert page.status_code == 400
    assert "This form has expired." in page.text
    assert not rows("SELECT * FROM post WHERE title = 'T'")


def test_empty_token_matches_no_empty_session(visitor: Visitor) -> None:
    assert visitor.client.post("/login", data={"csrf_token": ""}).status_code == 400


def test_login_renews_the_token(app: Flask, ada: Visitor) -> None:
    with ada.client.session_transaction() as session:
        before = session.get(forms.TOKEN)
    ada.get("/posts/new")
    ada.send("/logout", "/")
    ada.send("/login", name="ada", password=PASSWORD)
    ada.get("/posts/new")
    with ada.client.session_transaction() as session:
        assert session[forms.TOKEN] != before


def test_oversized_form(ada: Visitor) -> None:
    page = ada.client.post("/posts/new", data={"text": "x" * (256 * 1024 + 1)})
    assert page.status_code == 413


# Writing


def test_life_of_a_post(ada: Visitor, rows: Rows) -> None:
    page = ada.send("/posts/new", title=" A <title> ", text="One\r\n\r\nTwo\r\nlines")
    assert "Your post is published." in page.text
    assert "<h1>A &lt;title&gt;</h1>" in page.text
    assert "<p>One</p>\n<p>Two\nlines</p>" in page.text
    path = page.request.path
    assert path == f"/posts/{len(POSTS) + 1}"
    assert ada.get("/").text.index("A &lt;title&gt;") < ada.get("/").text.index(POSTS[-1].title)

    form = ada.get(f"{path}/edit").text
    assert 'value="A &lt;title&gt;"' in form
    assert "One\n\nTwo\nlines</textarea>" in form

    page = ada.send(f"{path}/edit", title="Better", text="Three")
    assert "Your changes are saved." in page.text
    assert "changed on" in page.text

    page = ada.send(f"{path}/delete", path)
    assert "“Better” is deleted." in page.text
    assert ada.get(path).status_code == 404
    assert len(rows("SELECT * FROM post")) == len(POSTS)


@pytest.mark.parametrize("path", ["/posts/new", "/posts/13/edit"])
def test_incomplete_post(ada: Visitor, path: str) -> None:
    ada.send("/posts/new", title="T", text="X")
    page = ada.send(path, title=" ", text="What I <wrote>")
    assert page.status_code == 422
    assert "The title is missing." in page.text
    assert "What I &lt;wrote&gt;</textarea>" in page.text


def test_longest_post(ada: Visitor) -> None:
    longest = "€" * FIELDS["text"].longest
    assert "is published" in ada.send("/posts/new", title="T", text=longest).text
    assert ada.send("/posts/new", title="T", text=f"{longest}€").status_code == 422


@pytest.mark.parametrize("action", ["edit", "delete"])
def test_posts_of_others(ada: Visitor, rows: Rows, action: str) -> None:
    page = ada.send(f"/posts/1/{action}", "/posts/new", title="Mine", text="Now")
    assert page.status_code == 403
    assert rows("SELECT title FROM post WHERE id = 1") == [(POSTS[0].title,)]
    assert ada.send(f"/posts/99/{action}", "/posts/new", title="T", text="X").status_code == 404


def test_form_for_the_post_of_another(ada: Visitor) -> None:
    assert ada.get("/posts/1/edit").status_code == 403
    assert ada.get("/posts/99/edit").status_code == 404
    assert "Edit" not in ada.get("/posts/1").text


@pytest.mark.parametrize("path", ["/posts/new", "/posts/1/edit", "/posts/1/delete"])
def test_visitors_cannot_write(visitor: Visitor, path: str) -> None:
    page = visitor.send(path, "/login", title="T", text="X")
    assert page.request.path == "/login"
    assert "Please log in first." in page.text


# Texts


def test_paragraphs() -> None:
    assert paragraphs("a & b\n\n\nc\nd") == "<p>a &amp; b</p>\n<p>c\nd</p>"


def test_excerpt() -> None:
    assert excerpt("short\n\ntext") == "short text"
    cut = excerpt("word " * 100)
    assert cut.endswith("word …")
    assert len(cut) <= 282
    assert excerpt("x" * 300) == "x" * 280 + " …"
