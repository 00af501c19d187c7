"""Helpers: what views and templates call."""

from __future__ import annotations

import typing as t

import flask.helpers
import pytest
from jinja2 import DictLoader
from markupsafe import Markup
from werkzeug.exceptions import Aborter, HTTPException, Unauthorized
from werkzeug.routing import BuildError
from werkzeug.wrappers import Response as BaseResponse

from asyncflask import (
    Flask,
    Response,
    abort,
    flash,
    get_flashed_messages,
    get_template_attribute,
    helpers,
    make_response,
    message_flashed,
    redirect,
    session,
    url_for,
)


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.secret_key = "k"
    return app


def test_has_all_that_flask_has() -> None:
    theirs = {
        name
        for name, value in vars(flask.helpers).items()
        if getattr(value, "__module__", None) == "flask.helpers" and not name.startswith("_")
    }
    assert theirs <= {*helpers.__all__}
    assert all(hasattr(helpers, name) for name in helpers.__all__)


class TestMakeResponse:
    def test_of_nothing(self, app: Flask) -> None:
        with app.app_context():
            response = make_response()
        assert (response.status_code, response.data, response.mimetype) == (200, b"", "text/html")

    def test_of_one_value(self, app: Flask) -> None:
        with app.test_request_context():
            assert make_response("text").data == b"text"
            response = Response("same")
            assert make_response(response) is response
            assert make_response(("made", 201)).status_code == 201

    def test_of_several(self, app: Flask) -> None:
        with app.test_request_context():
            response = make_response("text", 418, {"X-Tea": "green"})
        assert response.status_code == 418
        assert response.headers["X-Tea"] == "green"

    def test_without_an_app(self) -> None:
        with pytest.raises(RuntimeError, match="outside of application context"):
            make_response("text")


class TestUrlFor:
    def test_hands_everything_to_the_app(self, app: Flask) -> None:
        app.add_url_rule("/items/<int:id>", endpoint="item")
        with app.test_request_context():
            assert url_for("item", id=3) == "/items/3"
            assert url_for("item", id=3, q="a b", _anchor="x y") == "/items/3?q=a+b#x%20y"
            assert url_for("item", id=3, _external=True) == "http://localhost/items/3"
            assert url_for("item", id=3, _scheme="https") == "https://localhost/items/3"
            with pytest.raises(BuildError):
                url_for("missing")

    def test_is_overridden_with_the_app(self) -> None:
        class Own(Flask):
            def url_for(self, /, endpoint: str, **values: t.Any) -> str:
                return f"{endpoint} {values}"

        with Own(__name__).app_context():
            assert url_for("e", self=1).startswith("e {'_anchor': None")

    def test_values_may_have_any_name(self, app: Flask) -> None:
        app.add_url_rule("/<self>", endpoint="item")
        with app.test_request_context():
            assert url_for("item", self="2") == "/2"


class TestRedirect:
    def test_without_an_app(self) -> None:
        response = redirect("https://localhost", 307)
        assert (response.location, response.status_code) == ("https://localhost", 307)

        class Own(BaseResponse):
            pass

        assert isinstance(redirect("/", Response=Own), Own)

    def test_with_an_app(self, app: Flask) -> None:
        with app.app_context():
            assert isinstance(redirect("/"), Response)

    def test_is_overridden_with_the_app(self) -> None:
        class Own(Flask):
            def redirect(self, location: str, code: int = 302) -> BaseResponse:
                return BaseResponse(f"{location} {code}")

        with Own(__name__).app_context():
            assert redirect("/x", 303).get_data() == b"/x 303"


class TestAbort:
    def test_without_an_app(self) -> None:
        with pytest.raises(Unauthorized, match="why"):
            abort(401, "why")
        with pytest.raises(LookupError):
            abort(900)

    def test_with_the_apps_aborter(self, app: Flask) -> None:
        class My900(HTTPException):
            code = 900

        app.aborter.mapping[900] = My900
        with app.app_context(), pytest.raises(My900):
            abort(900)

    def test_with_an_aborter_that_returns(self) -> None:
        class Silent(Aborter):
            def __call__(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
                return  # type: ignore[misc]

        class Own(Flask):
            aborter_class = Silent

        with Own(__name__).app_context(), pytest.raises(Unauthorized):
            abort(401)

    def test_with_a_response(self, app: Flask) -> None:
        response = Response("body")
        with app.app_context(), pytest.raises(HTTPException) as caught:
            abort(response)
        assert caught.value.response is response


def test_get_template_attribute(app: Flask) -> None:
    app.jinja_env.loader = DictLoader(
        {"_forms.html": "{% macro hello(name) %}Hello {{ name }}!{% endmacro %}{% set n = 7 %}"}
    )
    with app.app_context():
        assert get_template_attribute("_forms.html", "hello")("<you>") == "Hello &lt;you&gt;!"
        assert get_template_attribute("_forms.html", "n") == 7
        with pytest.raises(AttributeError):
            get_template_attribute("_forms.html", "missing")


class TestFlash:
    def test_messages_come_once(self, app: Flask) -> None:
        with app.test_request_context():
            flash("one")
            flash("two", "error")
            assert session["_flashes"] == [("message", "one"), ("error", "two")]
            assert get_flashed_messages() == ["one", "two"]
            assert "_flashes" not in session
            assert get_flashed_messages() == ["one", "two"]  # in the same request

    def test_categories(self, app: Flask) -> None:
        with app.test_request_context():
            flash("one")
            flash("two", "error")
            flash("three", "error")
            assert get_flashed_messages(with_categories=True)[1] == ("error", "two")
            assert get_flashed_messages(category_filter=["error"]) == ["two", "three"]
            assert get_flashed_messages(True, ["message"]) == [("message", "one")]
            assert get_flashed_messages(category_filter=["none"]) == []

    def test_nested_changes_of_the_session_are_noticed(self, app: Flask) -> None:
        with app.test_request_context():
            flash("one")
            session.modified = False
            flash("two")
            assert session.modified

    def test_over_two_requests(self, app: Flask) -> None:
        @app.get("/flash")
        def send() -> str:
            flash(Markup("<b>bold</b>"), "warning")
            return ""

        @app.get("/show")
        async def show() -> list[tuple[str, str]]:
            return t.cast("list[tuple[str, str]]", get_flashed_messages(with_categories=True))

        client = app.test_client()
        client.get("/flash")
        assert client.get("/show").json == [["warning", "<b>bold</b>"]]
        assert client.get("/show").json == []

    def test_reading_none_changes_nothing(self, app: Flask) -> None:
        app.secret_key = None
        with app.test_request_context():
            assert get_flashed_messages() == []
            with pytest.raises(RuntimeError, match="no secret key"):
                flash("lost")

    def test_signal(self, app: Flask) -> None:
        got: list[t.Any] = []

        def receive(sender: Flask, **extra: t.Any) -> None:
            got.append((sender, extra))

        with message_flashed.connected_to(receive, app), app.test_request_context():
            flash("one", "info")
        assert got == [(app, {"message": "one", "category": "info"})]

    def test_async_receivers(self, app: Flask) -> None:
        got: list[str] = []

        async def receive(sender: Flask, message: str, category: str) -> None:
            got.append(message)

        with message_flashed.connected_to(receive, app), app.test_request_context():
            flash("one")
        assert got == ["one"]


@pytest.mark.parametrize(
    ("name", "path"), [("a", ["a"]), ("a.b.c", ["a.b.c", "a.b", "a"]), ("", [""])]
)
def test_split_blueprint_path(name: str, path: list[str]) -> None:
    assert helpers._split_blueprint_path(name) == path
    assert flask.helpers._split_blueprint_path(name) == path
