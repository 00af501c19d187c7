"""Sending files: conditional and range answers as werkzeug computes them."""

from __future__ import annotations

import os
import stat
import typing as t
from datetime import datetime

import werkzeug.utils
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

from ._current import require_app_context, require_request_context
from .wrappers import Response
from .wrappers.file_head import send_path


def _app_options(max_age: t.Any) -> dict[str, t.Any]:
    """Return what werkzeug has to know of the current app."""
    app = require_app_context().app
    return {
        "max_age": app.get_send_file_max_age if max_age is None else max_age,
        "response_class": app.response_class,
        "use_x_sendfile": app.config["USE_X_SENDFILE"],
    }


def send_file(
    path_or_file: os.PathLike[t.AnyStr] | str | t.IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | int | float | None = None,
    max_age: int | t.Callable[[str | None], int | None] | None = None,
) -> Response:
    """Return a response with a file's contents.

    The path is trusted. If any part of it comes from a visitor, use `send_from_directory`.

    :param path_or_file: a path, relative to the app's `root_path` unless absolute, or a file
        object open in binary mode and positioned where to start.
    :param mimetype: the media type; guessed from the name if None.
    :param as_attachment: have the browser save the file rather than show it.
    :param download_name: the name to save it under; the path's last part if None.
    :param conditional: answer range and ``If-...`` headers (RFC 9110, sections 13 and 14).
    :param etag: the entity tag, or whether to make one from the path's size and time.
    :param last_modified: the time of the last change, in seconds since 1970 or as a
        `datetime.datetime`; the path's own if None.
    :param max_age: for how many seconds caches may keep the file, or a function that says so
        for its path. None asks ``app.get_send_file_max_age``.
    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: if a file object is open in text mode.
    :raises TypeError: if a file object has no name to guess a media type from.
    """
    options = {
        "mimetype": mimetype,
        "as_attachment": as_attachment,
        "download_name": download_name,
        "conditional": conditional,
        "etag": etag,
        "last_modified": last_modified,
        **_app_options(max_age),
    }
    request = require_request_context().request
    if isinstance(path_or_file, (str, os.PathLike)):
        path = os.path.join(require_app_context().app.root_path, t.cast("str", path_or_file))
        return send_path(request, path, options)
    made = werkzeug.utils.send_file(path_or_file, request.environ, **options)
    return t.cast("Response", made)


def send_from_directory(
    directory: os.PathLike[str] | str, path: os.PathLike[str] | str, **kwargs: t.Any
) -> Response:
    """Return a response with a file from a directory, for paths that visitors choose.

    Whatever the path is made of, no file outside the directory is sent::

        @app.get("/uploads/<path:name>")
        def upload(name):
            return send_from_directory(app.config["UPLOADS"], name, as_attachment=True)

    :param directory: the directory, relative to the app's `root_path` unless absolute. Never take
        it from a visitor.
    :param path: the file's path inside it.
    :param kwargs: arguments of `send_file`.
    :raises werkzeug.exceptions.NotFound: if `path` is not a regular file in there.
    """
    inside = safe_join(os.fspath(directory), os.fspath(path))
    if inside is None:
        raise NotFound
    whole = os.path.join(require_app_context().app.root_path, inside)
    try:
        found = os.stat(whole)
    except (OSError, ValueError):
        raise NotFound from None
    if not stat.S_ISREG(found.st_mode):
        raise NotFound
    options = {**kwargs, **_app_options(kwargs.get("max_age"))}
    return send_path(require_request_context().request, whole, options, found)
