"""Sending files, and none but those that are meant."""

from __future__ import annotations

import io
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.exceptions import NotFound

from asyncflask import Flask, Response, send_file, send_from_directory


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = Flask(__name__, root_path=str(tmp_path))
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "page.html").write_text("<h1>page</h1>")
    (tmp_path / "public" / "sub").mkdir()
    (tmp_path / "public" / "sub" / "deep.txt").write_text("deep")
    (tmp_path / "public1").mkdir()
    (tmp_path / "public1" / "x").write_text("neighbour")
    return app


@pytest.fixture
def requested(app: Flask) -> Iterator[None]:
    with app.test_request_context():
        yield


def body(response: Response) -> bytes:
    response.direct_passthrough = False
    try:
        return response.get_data()
    finally:
        response.close()


@pytest.mark.usefixtures("requested")
class TestSendFile:
    def test_a_path_below_the_root(self) -> None:
        response = send_file("public/page.html")
        assert response.direct_passthrough
        assert response.mimetype == "text/html"
        assert response.get_etag()[0]
        assert body(response) == b"<h1>page</h1>"

    def test_a_path_object(self, tmp_path: Path) -> None:
        assert body(send_file(tmp_path / "public" / "page.html")) == b"<h1>page</h1>"

    def test_a_file_object(self) -> None:
        response = send_file(io.BytesIO(b"data"), download_name="a.bin", as_attachment=True)
        assert response.headers["Content-Disposition"] == "attachment; filename=a.bin"
        assert body(response) == b"data"

    def test_a_text_file_object(self) -> None:
        with pytest.raises(ValueError, match="binary"):
            send_file(t.cast("t.Any", io.StringIO("x")), mimetype="text/plain")

    def test_is_of_the_apps_class(self, app: Flask) -> None:
        class Own(Response):
            pass

        app.response_class = Own
        response = send_file("secret.txt")
        assert isinstance(response, Own)
        response.close()

    def test_max_age(self, app: Flask) -> None:
        for given, config, expected in [
            (None, None, None),
            (None, 60, 60),
            (5, 60, 5),
            (lambda path: 9 if path and path.endswith("/secret.txt") else 8, 60, 9),
        ]:
            app.config["SEND_FILE_MAX_AGE_DEFAULT"] = config
            response = send_file("secret.txt", max_age=given)
            assert response.cache_control.max_age == expected
            response.close()

    def test_x_sendfile(self, app: Flask) -> None:
        app.config["USE_X_SENDFILE"] = True
        response = send_file("secret.txt")
        assert response.headers["X-Sendfile"].endswith("secret.txt")
        response.close()


def test_needs_a_request(app: Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="request context"):
        send_file("secret.txt")


def test_conditional_and_range_answers(app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: send_file("public/page.html"))
    client = app.test_client()
    with client.get("/") as first:
        etag = first.headers["ETag"]
    with client.get("/", headers={"If-None-Match": etag}) as unchanged:
        assert (unchanged.status_code, unchanged.data) == (304, b"")
    with client.get("/", headers={"Range": "bytes=1-2"}) as part:
        assert (part.status_code, part.data) == (206, b"h1")
    with client.get("/", headers={"Range": "bytes=99-"}) as beyond:
        assert beyond.status_code == 416


class TestSendFromDirectory:
    @pytest.mark.usefixtures("requested")
    def test_sends_what_is_inside(self) -> None:
        response = send_from_directory("public", "sub/deep.txt", as_attachment=True, max_age=3)
        assert response.headers["Content-Disposition"] == "attachment; filename=deep.txt"
        assert response.cache_control.max_age == 3
        assert body(response) == b"deep"

    @pytest.mark.usefixtures("requested")
    @pytest.mark.parametrize(
        "path",
        [
            "../secret.txt",
            "../public1/x",
            "sub/../../secret.txt",
            "sub/../../../etc/passwd",
            "/etc/passwd",
            "//etc/passwd",
            "..",
            ".",
            "",
            "sub",
            "missing",
            "\0",
            "page.html\0",
            "page.html\0.txt",
            "../public/\0/../secret.txt",
            "x" * 5000,
            "a/" * 3000,
        ],
    )
    def test_sends_nothing_else(self, path: str) -> None:
        with pytest.raises(NotFound):
            send_from_directory("public", path)

    @pytest.mark.parametrize(
        "path", ["/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2fetc/passwd", "/%00", "/a%00.txt"]
    )
    def test_in_a_view(self, app: Flask, path: str) -> None:
        app.add_url_rule("/<path:name>", view_func=lambda name: send_from_directory("public", name))
        assert app.test_client().get(path, follow_redirects=True).status_code == 404
