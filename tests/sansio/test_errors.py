"""Which handler is found, against Flask's own search."""

from __future__ import annotations

import typing as t

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import (
    BadRequest,
    BadRequestKeyError,
    Forbidden,
    HTTPException,
    InternalServerError,
    NotFound,
)

from asyncflask.sansio.app import App

from .conftest import PlainApp


class Failed(Exception):
    pass


class Worse(Failed):
    pass


class Gone(NotFound):
    pass


CLASSES = [
    Exception,
    Failed,
    Worse,
    KeyError,
    LookupError,
    HTTPException,
    BadRequest,
    BadRequestKeyError,
    NotFound,
    Gone,
    InternalServerError,
]
SCOPES = [None, "a", "a.b", "c"]
entries = st.lists(st.tuples(st.sampled_from(SCOPES), st.sampled_from([*CLASSES, 400, 404, 500])))
stacks = st.sampled_from([[], ["a"], ["a.b", "a"], ["c"], ["unknown"]])


@given(entries, stacks, st.sampled_from(CLASSES))
def test_same_handler_as_flask(
    registered: list[tuple[str | None, t.Any]], blueprints: list[str], raised: type[Exception]
) -> None:
    ours, theirs = PlainApp(), flask.Flask("plain")
    for app in (ours, theirs):
        for number, (scope, target) in enumerate(registered):
            exc_class, code = app._get_exc_class_and_code(target)
            handler = t.cast("t.Any", number)  # told apart by equality
            app.error_handler_spec[scope][code][exc_class] = handler
    error = raised()
    found = ours._find_error_handler(error, blueprints)
    assert found == theirs._find_error_handler(error, blueprints)


def test_searching_leaves_the_registry_alone(app: App) -> None:
    assert app._find_error_handler(NotFound(), ["a", "b"]) is None
    assert not app.error_handler_spec


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("all_http", [False, True])
@pytest.mark.parametrize("bad_requests", [None, False, True])
@pytest.mark.parametrize(
    "error", [BadRequest(), BadRequestKeyError("k"), Forbidden(), NotFound(), KeyError("k")]
)
def test_trap_http_exception(
    app: App, debug: bool, all_http: bool, bad_requests: bool | None, error: Exception
) -> None:
    theirs = flask.Flask("plain")
    settings = {
        "DEBUG": debug,
        "TRAP_HTTP_EXCEPTIONS": all_http,
        "TRAP_BAD_REQUEST_ERRORS": bad_requests,
    }
    app.config.update(settings)
    theirs.config.update(settings)
    assert app.trap_http_exception(error) is theirs.trap_http_exception(error)


def test_no_error_is_ignored(app: App) -> None:
    assert app.should_ignore_error(None) is False
    assert app.should_ignore_error(Failed()) is False
