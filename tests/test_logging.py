"""The app's logger: who handles its messages, and where they end up."""

from __future__ import annotations

import io
import logging
import sys
import typing as t
from collections.abc import Iterator

import pytest

from asyncflask import Flask
from asyncflask.logging import (
    create_logger,
    default_handler,
    has_level_handler,
    wsgi_errors_stream,
)


@pytest.fixture(autouse=True)
def _pristine(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> Iterator[None]:
    """Keep the test runner from handling messages, and forget the handlers of the tests."""
    monkeypatch.setattr(logging.root, "handlers", [])
    plugin = pytestconfig.pluginmanager.unregister(name="logging-plugin")
    yield
    if plugin is not None:
        pytestconfig.pluginmanager.register(plugin, "logging-plugin")
    for name in ("logtest", "logtest.inner", "renamed"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


@pytest.fixture
def app() -> Flask:
    app = Flask("logtest", root_path="/")

    @app.get("/sync")
    def sync() -> str:
        app.logger.error("from sync")
        return ""

    @app.get("/async")
    async def on_loop() -> str:
        app.logger.error("from async")
        return ""

    @app.get("/fail")
    def fail() -> str:
        raise ZeroDivisionError("on purpose")

    return app


def test_logger(app: Flask) -> None:
    assert app.logger.name == "logtest"
    assert app.logger.level == logging.NOTSET
    assert app.logger.handlers == [default_handler]


def test_logger_takes_the_app_s_name(app: Flask) -> None:
    app.name = "renamed"
    assert app.logger.name == "renamed"


def test_debug(app: Flask) -> None:
    app.config["DEBUG"] = True
    assert app.logger.level == logging.DEBUG


def test_debug_respects_a_level(app: Flask) -> None:
    app.config["DEBUG"] = True
    logging.getLogger("logtest").setLevel(logging.WARNING)
    assert app.logger.level == logging.WARNING


def test_handler_that_is_there_already(app: Flask) -> None:
    logging.root.addHandler(logging.StreamHandler())
    assert app.logger.handlers == []


def test_handler_is_added_once(app: Flask) -> None:
    assert create_logger(app) is create_logger(app) is app.logger
    assert app.logger.handlers == [default_handler]


@pytest.mark.parametrize(
    ("handler_level", "on_root", "propagates", "expected"),
    [
        (None, False, True, False),
        (logging.NOTSET, True, True, True),
        (logging.NOTSET, True, False, False),
        (logging.NOTSET, False, False, True),
        (logging.ERROR, True, True, False),
    ],
)
def test_has_level_handler(
    handler_level: int | None, on_root: bool, propagates: bool, expected: bool
) -> None:
    """A handler counts that the logger's messages reach, at the logger's own level."""
    logger = logging.getLogger("logtest.inner")
    logger.propagate = propagates
    if handler_level is not None:
        handler = logging.StreamHandler()
        handler.setLevel(handler_level)
        (logging.root if on_root else logger).addHandler(handler)
    assert has_level_handler(logger) is expected
    logger.setLevel(logging.ERROR)
    assert has_level_handler(logger) is (expected or handler_level == logging.ERROR)


def test_errors_stream_outside_requests(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert wsgi_errors_stream._get_current_object() is stream
    with app.app_context():
        assert wsgi_errors_stream._get_current_object() is stream
    t.cast("t.TextIO", wsgi_errors_stream).write("x")
    assert stream.getvalue() == "x"


def test_errors_stream_of_a_request(app: Flask) -> None:
    stream = io.StringIO()
    with app.test_request_context(errors_stream=stream):
        assert wsgi_errors_stream._get_current_object() is stream


def test_errors_stream_of_a_server_without_one(app: Flask) -> None:
    with app.test_request_context() as ctx:
        del ctx.request.environ["wsgi.errors"]
        assert wsgi_errors_stream._get_current_object() is sys.stderr


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_message_of_a_request(app: Flask, kind: str) -> None:
    stream = io.StringIO()
    app.test_client().get(f"/{kind}", errors_stream=stream)
    assert stream.getvalue().endswith(f"] ERROR in test_logging: from {kind}\n")


def test_unhandled_exception(app: Flask) -> None:
    stream = io.StringIO()
    response = app.test_client().get("/fail", errors_stream=stream)
    assert response.status_code == 500
    assert "] ERROR in app: Exception on /fail [GET]\n" in stream.getvalue()
    assert "ZeroDivisionError: on purpose" in stream.getvalue()


def test_handler_can_be_removed(app: Flask) -> None:
    app.logger.removeHandler(default_handler)
    stream = io.StringIO()
    logging.root.addHandler(logging.StreamHandler(t.cast("t.TextIO", stream)))
    app.test_client().get("/sync")
    assert stream.getvalue() == "from sync\n"


def test_stream_can_be_named_in_a_configuration(app: Flask) -> None:
    import logging.config

    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "errors": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://asyncflask.logging.wsgi_errors_stream",
                }
            },
            "loggers": {"logtest": {"handlers": ["errors"]}},
        }
    )
    stream = io.StringIO()
    app.test_client().get("/sync", errors_stream=stream)
    assert stream.getvalue() == "from sync\n"
