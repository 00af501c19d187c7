"""Files: the headers that werkzeug gives them, also where those are remembered."""

from __future__ import annotations

import mimetypes
import os
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path

import pytest
import werkzeug.utils
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date

from asyncflask import Flask, Response, _current, request, send_file, send_from_directory
from asyncflask.asgi.served import ServedContext
from asyncflask.wrappers import file_head

from ..scopes import scope

Headers = list[tuple[bytes, bytes]]

CONTENT = bytes(range(250)) * 4
TIME = 1_700_000_000

NUMBERS = st.integers(0, 1100) | st.sampled_from([999, 1000, 10**18, 10**19])
RANGES = st.builds("bytes={}-{}".format, NUMBERS | st.just(""), NUMBERS | st.just("")) | (
    st.sampled_from(
        [
            "bytes=",
            "bytes",
            "bytes=a-b",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes = 1-2",
            "bytes=-",
            "x",
        ]
    )
)
ETAGS = st.sampled_from(['"own"', 'W/"own"', '"other"', "*", '"other", "own"', "own"])
DATES = st.sampled_from([http_date(TIME + more) for more in (-9, 0, 9)] + ["yesterday", ""])
CONDITIONS = st.lists(
    st.tuples(st.sampled_from([b"range", b"Range"]), RANGES)
    | st.tuples(st.just(b"if-range"), ETAGS | DATES)
    | st.tuples(st.sampled_from([b"if-match", b"if-none-match"]), ETAGS)
    | st.tuples(st.sampled_from([b"if-modified-since", b"if-unmodified-since"]), DATES)
    | st.tuples(st.just(b"if_match"), ETAGS)
    | st.tuples(st.just(b"accept"), st.just("*/*")),
    max_size=4,
)
METHODS = st.sampled_from(["GET", "GET", "HEAD", "POST"])


class Own(Response):
    pass


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("files")
    app = Flask("files", root_path=str(folder))
    for name in ("a.bin", "b.txt", "c.tar.gz", "\u00fc.html", "empty", "d.own"):
        file = folder / name
        file.write_bytes(b"" if name == "empty" else CONTENT)
        os.utime(file, (TIME, TIME + 0.25))
    return app


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    file_head._heads.clear()
    yield
    file_head._heads.clear()


@contextmanager
def asked(app: Flask, method: str = "GET", headers: t.Sequence[t.Any] = ()) -> Iterator[None]:
    """Be in a request that came through ASGI."""
    raw = [(name, value.encode()) for name, value in headers]
    connection: t.Any = (scope("/", method, headers=raw), None, None, copy_context())
    token = _current.context.set(ServedContext(app, connection))
    try:
        yield
    finally:
        _current.context.reset(token)


def seen(make: t.Callable[[], t.Any]) -> t.Any:
    """Return all that can be seen of a response, in its order, or the error."""
    try:
        response = make()
    except RequestedRangeNotSatisfiable as error:
        return type(error), error.length
    body = b"".join(response.response)
    response.close()
    assert "Date" not in response.headers or response.headers.pop("Date").endswith("GMT")
    return type(response), response.status, response.direct_passthrough, [*response.headers], body


def theirs(app: Flask, name: str, **options: t.Any) -> t.Any:
    """Return what werkzeug makes of it."""
    options = {"max_age": app.get_send_file_max_age, **options}
    if options["max_age"] is None:
        options["max_age"] = app.get_send_file_max_age
    return werkzeug.utils.send_file(
        name,
        request.environ,
        response_class=app.response_class,
        use_x_sendfile=app.config["USE_X_SENDFILE"],
        _root_path=app.root_path,
        **options,
    )


@given(METHODS, CONDITIONS, st.sampled_from(["a.bin", "empty"]), st.booleans())
@example("GET", [(b"range", "bytes=999-1000")], "a.bin", False)
@example("GET", [(b"range", "bytes=1000-1000")], "a.bin", False)
@example("HEAD", [(b"range", "bytes=0-0")], "a.bin", False)
@example("GET", [(b"range", "bytes=0-0"), (b"range", "bytes=1-1")], "a.bin", False)
@example("GET", [(b"range", "bytes=0-0"), (b"if-range", '"other"')], "a.bin", False)
def test_conditions_are_answered_as_by_werkzeug(
    app: Flask, method: str, headers: list[t.Any], name: str, with_environ: bool
) -> None:
    for _ in range(2):  # it is known the second time
        with asked(app, method, headers):
            if with_environ:
                assert request.environ
            found = seen(lambda: send_file(name, etag="own"))
        with asked(app, method, headers):
            assert found == seen(lambda: theirs(app, name, etag="own"))


@pytest.mark.parametrize("name", ["a.bin", "b.txt", "c.tar.gz", "\u00fc.html", "empty", "d.own"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mimetype": "text/css"},
        {"as_attachment": True},
        {"download_name": "other.tar.gz"},
        {"download_name": "\u20ac.pdf", "as_attachment": True},
        {"conditional": False},
        {"etag": False},
        {"etag": "x"},
        {"last_modified": TIME + 5},
        {"last_modified": datetime(2020, 1, 2, tzinfo=UTC)},
        {"max_age": 0},
        {"max_age": 60},
        {"max_age": True},
        {"max_age": lambda path: len(path)},
    ],
)
def test_options_count_as_with_werkzeug(app: Flask, name: str, options: dict[str, t.Any]) -> None:
    for more in ({}, options, {}, options):  # all are known the second time
        with asked(app, headers=[(b"range", "bytes=1-5")]):
            found = without_expiry(seen(lambda more=more: send_file(name, **more)))  # type: ignore[misc]
            assert found == without_expiry(seen(lambda more=more: theirs(app, name, **more)))  # type: ignore[misc]


def without_expiry(found: t.Any) -> t.Any:
    """Check that something expires in the future, if it does; a second may have passed."""
    headers = found[3] if len(found) > 2 else []
    headers[:] = [(name, value if name != "Expires" else "soon") for name, value in headers]
    return found


@pytest.mark.parametrize("key", ["response_class", "USE_X_SENDFILE"])
def test_where_others_have_a_say_nothing_is_remembered(app: Flask, key: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if key == "response_class":
            patch.setattr(app, "response_class", Own)
        else:
            patch.setitem(app.config, key, True)
        with asked(app):
            assert seen_or_not(lambda: send_file("b.txt")) == seen_or_not(
                lambda: theirs(app, "b.txt")
            )
    assert not file_head._heads


def seen_or_not(make: t.Callable[[], t.Any]) -> t.Any:
    """Return what is seen of a response, whose body may be for the server to find."""
    response = make()
    response.headers.pop("Date")
    response.close()
    return type(response), [*response.headers]


def test_what_has_no_hash_is_not_remembered(app: Flask) -> None:
    class Modern(float):
        __hash__: t.Any = None

    with asked(app):
        assert seen(lambda: send_file("b.txt", last_modified=Modern(TIME)))[3]
    assert not file_head._heads


def test_a_file_that_changes_is_another_one(app: Flask) -> None:
    file = Path(app.root_path) / "changing.txt"
    found = set()
    for content, time in ((b"one", TIME), (b"two", TIME + 1), (b"longer", TIME + 1)):
        file.write_bytes(content)
        os.utime(file, (time, time))
        with asked(app):
            *_, headers, body = seen(lambda: send_file(file))
            assert body == content
            assert dict(headers)["Content-Length"] == str(len(content))
            found.add(dict(headers)["ETag"])
    assert len(found) == 3


def test_what_changes_meanwhile_is_not_remembered(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(app.root_path) / "changing.txt"
    file.write_bytes(b"one")
    real = werkzeug.utils.send_file

    def slow(*args: t.Any, **kwargs: t.Any) -> t.Any:
        file.write_bytes(b"longer")
        return real(*args, **kwargs)

    monkeypatch.setattr(werkzeug.utils, "send_file", slow)
    with asked(app):
        *_, headers, body = seen(lambda: send_file(file))
    assert (dict(headers)["Content-Length"], body) == ("6", b"longer")
    assert not file_head._heads


def test_a_media_type_that_is_added_counts_at_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimetypes, "types_map", mimetypes.types_map)
    with asked(app):
        assert seen(lambda: send_file("d.own"))[3][1] == (
            "Content-Type",
            "application/octet-stream",
        )
        mimetypes.add_type("text/x-own", ".own")
        try:
            assert dict(seen(lambda: send_file("d.own"))[3])["Content-Type"].startswith(
                "text/x-own"
            )
        finally:
            del mimetypes._db.types_map[True][".own"]  # type: ignore[attr-defined]


def test_not_more_than_so_many_are_remembered(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_head, "MOST_HEADS", 2)
    for number in range(5):
        with asked(app):
            send_file("a.bin", download_name=f"{number}").close()
        assert len(file_head._heads) <= 2


def test_no_file_stays_open(app: Flask) -> None:
    before = os.listdir("/proc/self/fd")
    with asked(app, headers=[(b"range", "bytes=9999-")]):
        for _ in range(3):
            with pytest.raises(RequestedRangeNotSatisfiable):
                send_from_directory(".", "a.bin")
    assert os.listdir("/proc/self/fd") == before
    with asked(app), pytest.raises(FileNotFoundError):
        send_file("missing")
    with asked(app), pytest.raises(IsADirectoryError):
        send_file(app.root_path)
