"""The synchronous client, the environ builder and their place in the app."""

from __future__ import annotations

import gc
from contextlib import closing
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder as WerkzeugBuilder
from werkzeug.test import run_wsgi_app

import asyncflask.testing
from asyncflask import Flask, g, redirect, request, session
from asyncflask.ctx import has_request_context
from asyncflask.sessions import SecureCookieSessionInterface
from asyncflask.testing import EnvironBuilder, FlaskClient


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config.update(TESTING=True, SECRET_KEY="a secret key for tests")

    @app.route("/")
    def index() -> str:
        g.seen = request.args.get("n")
        session["n"] = g.seen
        return request.url

    @app.route("/away")
    def away() -> Any:
        session["away"] = True
        return redirect("/?n=9")

    @app.route("/boom")
    def boom() -> str:
        raise LookupError("boom")

    @app.post("/echo")
    async def echo() -> Any:
        return {"json": request.get_json(silent=True), "form": request.form.to_dict()}

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_names() -> None:
    assert sorted(asyncflask.testing.__all__) == [
        "ASGITransport",
        "AsyncClient",
        "AsyncWebSocket",
        "EnvironBuilder",
        "FlaskCliRunner",
        "FlaskClient",
        "LifespanError",
        "StartedApp",
        "WebSocket",
        "WebSocketRefused",
    ]


class TestEnvironBuilder:
    @pytest.mark.parametrize(
        ("config", "arguments", "url"),
        [
            ({}, {}, "http://localhost/"),
            ({}, {"path": "/a?b=c"}, "http://localhost/a?b=c"),
            ({}, {"path": "https://host.org/a?b=c"}, "https://host.org/a?b=c"),
            ({}, {"path": "/x", "base_url": "https://host.org/root"}, "https://host.org/root/x"),
            ({}, {"url_scheme": "https"}, "https://localhost/"),
            ({}, {"subdomain": "api"}, "http://api.localhost/"),
            ({"SERVER_NAME": "host.org:81"}, {"subdomain": "api"}, "http://api.host.org:81/"),
            ({"APPLICATION_ROOT": "/root"}, {"path": "/x"}, "http://localhost/root/x"),
            ({"PREFERRED_URL_SCHEME": "https"}, {}, "https://localhost/"),
            ({}, {"query_string": {"a": "b"}}, "http://localhost/?a=b"),
        ],
    )
    def test_url(
        self, app: Flask, config: dict[str, Any], arguments: dict[str, Any], url: str
    ) -> None:
        app.config.update(config)
        with closing(EnvironBuilder(app, **arguments)) as builder:
            assert builder.get_request().url == url

    @pytest.mark.parametrize("part", [{"subdomain": "api"}, {"url_scheme": "https"}])
    def test_base_url_or_its_parts(self, app: Flask, part: dict[str, Any]) -> None:
        with pytest.raises(AssertionError, match="'base_url' already names"):
            EnvironBuilder(app, base_url="http://x/", **part)

    def test_json_is_the_app_s(self, app: Flask) -> None:
        app.json.ensure_ascii = False  # type: ignore[attr-defined]
        with closing(EnvironBuilder(app, json={"a": "é"})) as builder:
            made = builder.get_request()
            assert made.mimetype == "application/json"
            assert made.get_data(as_text=True).count("é") == 1


class TestOpen:
    def test_whatever_is_given(self, app: Flask, client: FlaskClient) -> None:
        client.environ_base["REMOTE_ADDR"] = "10.0.0.9"

        @app.route("/who")
        def who() -> str:
            return f"{request.remote_addr} {request.user_agent.string.partition('/')[0]}"

        with closing(EnvironBuilder(app, "/who")) as builder:
            given = [builder, builder.get_environ(), builder.get_request()]
        for one in given:
            assert client.open(one).text == "10.0.0.9 Werkzeug"
        with closing(WerkzeugBuilder("/who", environ_base={"REMOTE_ADDR": "10.0.0.1"})) as plain:
            assert client.open(plain).text == "10.0.0.1 Werkzeug"
        assert client.get("/who", environ_base={"REMOTE_ADDR": "10.0.0.2"}).text.startswith(
            "10.0.0.2"
        )
        client.environ_base["HTTP_USER_AGENT"] = "Mine/1"
        assert client.get("/who").text == "10.0.0.9 Mine"

    def test_given_builder_is_left_as_it_was(self, app: Flask, client: FlaskClient) -> None:
        with closing(EnvironBuilder(app, "/", environ_base={"a": "b"})) as builder, client:
            client.open(builder)
            assert builder.environ_base == {"a": "b"}

    def test_json_and_forms(self, client: FlaskClient) -> None:
        response = client.post("/echo", json={"a": 1})
        assert response.json == {"json": {"a": 1}, "form": {}}
        assert response.get_json() == response.json
        assert client.post("/echo", data={"a": "1"}).json == {"json": None, "form": {"a": "1"}}

    def test_redirects(self, client: FlaskClient) -> None:
        assert client.get("/away").status_code == 302
        response = client.get("/away", follow_redirects=True)
        assert response.text == "http://localhost/?n=9"
        assert [one.status_code for one in response.history] == [302]

    def test_cookies(self, client: FlaskClient) -> None:
        client.set_cookie("a", "b")
        client.get("/")
        assert client.get_cookie("a") is not None
        assert client.get_cookie("session") is not None


class TestContext:
    def test_lasts_in_a_block(self, client: FlaskClient) -> None:
        with client:
            client.get("/?n=1")
            assert (g.seen, request.args["n"], session["n"]) == ("1", "1", "1")
            client.get("/?n=2")
            assert (g.seen, request.args["n"], session["n"]) == ("2", "2", "2")
        assert not has_request_context()

    def test_does_not_last_without(self, client: FlaskClient) -> None:
        client.get("/?n=1")
        assert not has_request_context()

    def test_after_a_redirect_it_is_the_last_one(self, client: FlaskClient) -> None:
        with client:
            client.get("/away", follow_redirects=True)
            assert request.path == "/"
            assert dict(session) == {"away": True, "n": "9"}
        assert not has_request_context()

    def test_teardown_runs_once_and_at_the_end(self, app: Flask, client: FlaskClient) -> None:
        steps: list[str] = []
        app.teardown_request(lambda error: steps.append("request"))
        app.teardown_appcontext(lambda error: steps.append("app"))
        client.get("/")
        assert steps == ["request", "app"]
        with client:
            client.get("/")
            client.get("/")
            # As in Flask: each of the two, and the first one's kept context, which ended with it.
            assert steps == ["request", "app"] * 4
        assert steps == ["request", "app"] * 5

    def test_nothing_is_kept_of_a_failed_request(self, client: FlaskClient) -> None:
        with client:
            with pytest.raises(LookupError):
                client.get("/boom")
            assert client._new_contexts == []
            assert not has_request_context()
            client.get("/?n=3")
            assert g.seen == "3"
        assert not has_request_context()

    def test_blocks_do_not_nest(self, client: FlaskClient) -> None:
        with client:
            with pytest.raises(RuntimeError, match="Cannot nest client"):
                client.__enter__()
            client.get("/")
        with client:
            client.get("/")

    def test_ends_with_an_exception(self, client: FlaskClient) -> None:
        def fail() -> None:
            with client:
                client.get("/")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert not has_request_context()
        assert not client.preserve_context

    def test_key_is_in_the_environ(self, app: Flask) -> None:
        """What the client relies on: the app hands out its one context, once a request."""
        kept: list[Any] = []
        with closing(EnvironBuilder(app, "/?n=5")) as builder:
            environ = builder.get_environ() | {"werkzeug.debug.preserve_context": kept.append}
        chunks, _, _ = run_wsgi_app(app, environ, buffered=True)
        assert b"".join(chunks)
        assert len(kept) == 1
        with kept[0]:
            assert g.seen == "5"
        gc.collect()


class TestSessionTransaction:
    def test_reads_and_writes(self, client: FlaskClient) -> None:
        with client.session_transaction() as opened:
            opened["a"] = [1]
        with client:
            client.get("/?n=1")
            assert session["a"] == [1]
        with client.session_transaction() as opened:
            assert dict(opened) == {"a": [1], "n": "1"}
            opened.clear()
        assert client.get_cookie("session") is None

    def test_of_another_host(self, app: Flask, client: FlaskClient) -> None:
        with client.session_transaction(base_url="http://api.org:81/") as opened:
            opened["a"] = 1
        assert client.get_cookie("session") is None
        assert client.get_cookie("session", domain="api.org") is not None

    def test_leaves_the_current_context_alone(self, client: FlaskClient) -> None:
        with client:
            client.get("/?n=1")
            with client.session_transaction() as opened:
                opened["a"] = 1
                assert request.args["n"] == "1"

    def test_is_not_stored_after_an_exception(self, client: FlaskClient) -> None:
        def fail() -> None:
            with client.session_transaction() as opened:
                opened["a"] = 1
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert client.get_cookie("session") is None

    def test_needs_cookies_and_a_key(self, app: Flask) -> None:
        with (
            pytest.raises(TypeError, match="Cookies are disabled"),
            app.test_client(use_cookies=False).session_transaction(),
        ):
            pass
        app.secret_key = None
        with (
            pytest.raises(RuntimeError, match="Session backend did not open a session"),
            app.test_client().session_transaction(),
        ):
            pass

    def test_stores_no_null_session(self, app: Flask) -> None:
        class Null(SecureCookieSessionInterface):
            def open_session(self, app: Any, request: Any) -> Any:
                return self.make_null_session(app)

        app.session_interface = Null()
        with app.test_client().session_transaction() as opened:
            assert not opened

    def test_async_session_interface(self, app: Flask) -> None:
        class Async(SecureCookieSessionInterface):
            async def open_session(self, app: Any, request: Any) -> Any:  # type: ignore[override]
                return super().open_session(app, request)

            async def save_session(self, *args: Any) -> None:  # type: ignore[override]
                super().save_session(*args)

        app.session_interface = Async()
        client = app.test_client()
        with client.session_transaction() as opened:
            opened["a"] = 1
        assert client.get_cookie("session") is not None
