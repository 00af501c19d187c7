"""The fixtures that flask-restx's tests ask for. Its source distribution leaves them out."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from importlib import import_module

import flask
import pytest
from flask.testing import FlaskClient


class JsonClient(FlaskClient):
    """A client that expects a status, and JSON."""

    def get_json(self, url: str, status: int = 200, **options: t.Any) -> t.Any:
        return self._json("GET", url, status, **options)

    def post_json(self, url: str, data: t.Any, status: int = 200, **options: t.Any) -> t.Any:
        return self._json("POST", url, status, json=data, **options)

    def get_specs(self, prefix: str = "", status: int = 200, **options: t.Any) -> t.Any:
        return self.get_json(f"{prefix}/swagger.json", status, **options)

    def _json(self, method: str, url: str, status: int, **options: t.Any) -> t.Any:
        response = self.open(url, method=method, **options)
        assert (response.status_code, response.content_type) == (status, "application/json")
        return response.json


@pytest.fixture
def app() -> flask.Flask:
    app = flask.Flask(__name__)
    app.test_client_class = JsonClient
    return app


@pytest.fixture
def api(request: pytest.FixtureRequest, app: flask.Flask) -> t.Any:
    """An API in a blueprint; the mark ``api`` sets options of either."""
    mark = request.node.get_closest_marker("api")
    options = dict(mark.kwargs) if mark else {}
    place = {"url_prefix": options.pop("prefix", None), "subdomain": options.pop("subdomain", None)}
    blueprint = flask.Blueprint("api", __name__, **place)
    api = import_module("flask_restx").Api(blueprint, **options)
    app.register_blueprint(blueprint)
    return api


@pytest.fixture
def mock_app(mocker: t.Any) -> t.Any:
    app = mocker.Mock(flask.Flask)
    app.view_functions = {}  # an instance attribute, which the specification does not have
    app.extensions = {}
    app.config = {}
    return app


@pytest.fixture(autouse=True)
def marked_request_context(request: pytest.FixtureRequest) -> Iterator[None]:
    mark = request.node.get_closest_marker("request_context")
    if mark is None:
        yield
        return
    app: flask.Flask = request.getfixturevalue("app")
    request.getfixturevalue("_push_request_context")  # pytest-flask's: ours has to be the inner one
    with app.test_request_context(*mark.args, **mark.kwargs):
        yield
