"""An application of one's own: factory, configuration, subclasses, JSON, serving."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import asyncflask
from asyncflask import Blueprint, Config, Flask, Request, Response
from asyncflask.json.provider import DefaultJSONProvider, JSONProvider
from asyncflask.sessions import SecureCookieSessionInterface, SessionInterface

ConfigValue: t.TypeAlias = str | int | bool | None


class Numbered(JSONProvider):
    def dumps(self, obj: t.Any, **options: t.Any) -> str:
        return json.dumps(obj, **options)

    def loads(self, s: str | bytes, **options: t.Any) -> t.Any:
        return json.loads(s, **options)


class BookRequest(Request):
    @property
    def token(self) -> str:
        return self.headers.get("X-Token", "")


class Bookshop(Flask):
    request_class = BookRequest
    json_provider_class = Numbered
    session_interface: SessionInterface = SecureCookieSessionInterface()

    def make_response(self, rv: t.Any) -> Response:
        response = super().make_response(rv)
        response.headers["X-Shop"] = self.name
        return response

    def dispatch_request(self) -> asyncflask.typing.ResponseReturnValue:
        return super().dispatch_request()


def create_app(
    settings: dict[str, ConfigValue] | None = None, parts: Iterable[Blueprint] = ()
) -> Flask:
    app = Bookshop(__name__, static_folder=Path("static"), template_folder="templates")
    app.config.from_mapping(settings or {}, SECRET_KEY="not secret")
    app.config.from_prefixed_env()
    app.config.from_file("config.json", load=json.load, silent=True)
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)
    app.secret_key = b"not secret either"
    app.testing = app.debug = True
    app.permanent_session_lifetime = timedelta(days=1)
    for part in parts:
        app.register_blueprint(part)
    t.assert_type(app.config, Config)
    t.assert_type(app.extensions, dict[str, t.Any])
    t.assert_type([part.name for part in app.blueprints.values()], list[str])
    t.assert_type(app.json.dumps({}), str)
    return app


def with_sorted_json(app: Flask) -> Flask:
    app.json = DefaultJSONProvider(app)
    if isinstance(app.json, DefaultJSONProvider):
        app.json.sort_keys = True
    return app


if __name__ == "__main__":
    create_app({"TESTING": False}).run(host="127.0.0.1", port=8000, debug=True, use_reloader=False)
