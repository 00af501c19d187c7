"""Explanations for those who are writing an app."""

from __future__ import annotations

import logging
import typing as t

import flask
import flask.debughelpers
import pytest
from jinja2 import BaseLoader, ChoiceLoader, DictLoader, FileSystemLoader, TemplateNotFound
from werkzeug.exceptions import BadRequestKeyError
from werkzeug.routing import RequestRedirect
from werkzeug.test import EnvironBuilder

from asyncflask import Blueprint, Flask, Request, render_template, request
from asyncflask.debughelpers import (
    DebugFilesKeyError,
    FormDataRoutingRedirect,
    UnexpectedUnicodeError,
    attach_enctype_error_multidict,
    explain_template_loading_attempts,
)


def make_request(**form: t.Any) -> Request:
    return Request(EnvironBuilder("/upload", method="POST", data=form).get_environ())


class TestMissingFiles:
    def test_says_what_to_do(self) -> None:
        made = make_request(photo="cat.jpg")
        attach_enctype_error_multidict(made)
        with pytest.raises(DebugFilesKeyError) as caught:
            made.files["photo"]
        text = str(caught.value)
        assert "'photo'" in text
        assert "application/x-www-form-urlencoded" in text
        assert "no file contents were transmitted" in text
        assert 'enctype="multipart/form-data"' in text
        assert "This was submitted: 'cat.jpg'" in text

    def test_is_a_key_error(self) -> None:
        error = DebugFilesKeyError(make_request(), "photo")
        assert isinstance(error, KeyError)
        assert isinstance(error, AssertionError)
        assert "submitted" not in str(error)

    def test_other_keys_stay_as_they_were(self) -> None:
        made = make_request(photo="cat.jpg")
        kind = type(made.files)
        attach_enctype_error_multidict(made)
        with pytest.raises(BadRequestKeyError):
            made.files["other"]
        assert made.files.get("photo") is None
        assert type(made.files).__name__ == kind.__name__
        assert isinstance(made.files, kind)
        assert type(make_request().files) is kind

    @pytest.mark.parametrize("debug", [True, False])
    def test_in_a_view(self, debug: bool) -> None:
        app = Flask(__name__)
        app.config.update(DEBUG=debug, TESTING=debug)

        @app.post("/")
        def upload() -> str:
            return request.files["photo"].filename or ""

        client = app.test_client()
        if debug:
            with pytest.raises(DebugFilesKeyError):
                client.post("/", data={"photo": "cat.jpg"})
        else:
            assert client.post("/", data={"photo": "cat.jpg"}).status_code == 400


class TestFormDataRoutingRedirect:
    def explain(self, path: str, target: str) -> str:
        made = Request(EnvironBuilder(path, method="POST").get_environ())
        made.routing_exception = RequestRedirect(target)
        return str(FormDataRoutingRedirect(made))

    def test_names_both_urls(self) -> None:
        text = self.explain("/user?a=1", "http://localhost/user/?a=1")
        assert "'http://localhost/user?a=1'" in text
        assert "canonical URL 'http://localhost/user/?a=1'" in text
        assert "slash" in text
        assert "debug mode" in text

    def test_mentions_slashes_only_where_they_matter(self) -> None:
        assert "slash" not in self.explain("/old", "http://localhost/new")

    def test_in_a_view(self, monkeypatch: pytest.MonkeyPatch) -> None:
        app = Flask(__name__)
        app.config.update(DEBUG=True, TESTING=True)
        app.add_url_rule("/user/", methods=["POST"], view_func=lambda: request.form["a"])
        client = app.test_client()
        kept = client.post("/user", data={"a": "b"}, follow_redirects=True)
        assert kept.data == b"b"
        monkeypatch.setattr(RequestRedirect, "code", 301)
        with pytest.raises(FormDataRoutingRedirect, match="canonical URL 'http://localhost/user/'"):
            client.post("/user", data={"a": "b"})


class TestTemplateLoading:
    @pytest.fixture
    def app(self, caplog: pytest.LogCaptureFixture) -> Flask:
        app = Flask("some_app")
        app.config["EXPLAIN_TEMPLATE_LOADING"] = True
        caplog.set_level(logging.INFO, logger="some_app")
        return app

    def explain(
        self,
        app: Flask,
        caplog: pytest.LogCaptureFixture,
        attempts: list[tuple[BaseLoader, t.Any, t.Any]],
    ) -> str:
        explain_template_loading_attempts(app, "page.html", attempts)
        (record,) = caplog.records
        assert record.levelno == logging.INFO
        return record.getMessage()

    def test_nothing_found(self, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
        blueprint = Blueprint("admin", "some_app.admin")
        text = self.explain(
            app,
            caplog,
            [(FileSystemLoader(["a", "b"]), app, None), (DictLoader({}), blueprint, None)],
        )
        assert "'page.html'" in text
        assert "    1: trying loader of application 'some_app'" in text
        assert "class: jinja2.loaders.FileSystemLoader" in text
        assert "encoding: 'utf-8'" in text
        assert "followlinks: False" in text
        assert "searchpath:\n         - a\n         - b" in text
        assert "    2: trying loader of blueprint 'admin' (some_app.admin)" in text
        assert "Error: the template could not be found" in text
        assert "looked up from" not in text

    def test_found_once(self, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
        text = self.explain(
            app,
            caplog,
            [(DictLoader({}), app, ("", "/t/page.html", None)), (DictLoader({}), 7, None)],
        )
        assert "-> found ('/t/page.html')" in text
        assert "trying loader of 7" in text
        assert "Error" not in text
        assert "Warning" not in text

    def test_found_twice(self, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
        loader = ChoiceLoader([DictLoader({})])
        vars(loader)["_private"] = "value"
        found = ("", None, None)
        text = self.explain(app, caplog, [(loader, app, found), (loader, app, found)])
        assert "-> found ('<string>')" in text
        assert "Warning: " in text
        assert "loaders:" not in text  # not a list of simple values
        assert "_private" not in text

    def test_in_a_blueprints_view(self, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
        blueprint = Blueprint("front", "some_app.front", template_folder="nowhere")
        blueprint.add_url_rule("/", view_func=lambda: render_template("missing.html"))
        app.register_blueprint(blueprint)
        app.testing = True
        with pytest.raises(TemplateNotFound, match=r"missing\.html"):
            app.test_client().get("/")
        text = caplog.records[0].getMessage()
        assert "looked up from an endpoint that belongs to the blueprint 'front'" in text
        assert "See https://flask.palletsprojects.com/blueprints/#templates" in text


def test_unexpected_unicode_error() -> None:
    assert issubclass(UnexpectedUnicodeError, AssertionError)
    assert issubclass(UnexpectedUnicodeError, UnicodeError)


def test_has_all_that_flask_has() -> None:
    import asyncflask.debughelpers

    for name, value in vars(flask.debughelpers).items():
        if getattr(value, "__module__", None) == "flask.debughelpers":
            assert hasattr(asyncflask.debughelpers, name), name
