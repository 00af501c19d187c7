"""Other apps, ASGI or WSGI, below a prefix of this one's URLs: the table, and what they are told.

A mounted app sees the request as a server would have handed it over that serves it at the prefix:

- ASGI: `root_path` is longer by the prefix, `path` stays whole (ASGI HTTP spec, "Connection
  Scope"), `raw_path` stays as it was received.
- WSGI: the prefix moves from the front of ``PATH_INFO`` to the end of ``SCRIPT_NAME`` (PEP 3333).

Prefixes are compared with decoded paths, as routes are: ``/legacy%2Fx`` is ``/legacy/x``.
"""

from __future__ import annotations

import inspect
import typing as t
from urllib.parse import unquote

from .drivers import is_async
from .sansio.app import App
from .wrappers.scope import path_below_root

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Protocol = t.Literal["asgi", "wsgi"]

#: Where the lifespan's state carries the states of mounted apps, by prefix.
STATES = "asyncflask.mounts"

#: Where a WSGI request's environ carries the lifespan's state, if there is a lifespan.
ENVIRON_STATE = "asyncflask.state"

#: What a toolkit around us left in the scope for its own URLs. Left in, an app below would build
#: its URLs with the routes of the app above.
_OF_OTHERS = frozenset({"app", "app_root_path", "router"})


class Mount:
    """One mounted app.

    :param prefix: where it is mounted: decoded, with a leading slash and no trailing one.
    :param app: the app.
    :param name: the endpoint that `url_for` knows it by.
    :param protocols: what it speaks.
    """

    def __init__(
        self, prefix: str, app: t.Any, name: str | None, protocols: frozenset[Protocol]
    ) -> None:
        self.prefix, self.app, self.name, self.protocols = prefix, app, name, protocols
        self._below = prefix + "/"
        self._wsgi_prefix = prefix.encode().decode("latin-1")

    def __repr__(self) -> str:
        return f"<Mount {self.prefix}: {self.app!r}>"

    def takes(self, path: str) -> bool:
        """Whether a path is this app's: the prefix itself, or below it."""
        return path.startswith(self._below) or path == self.prefix

    def scope(self, scope: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Return the scope that the app is called with, for a connection of the app around it."""
        made = {key: value for key, value in scope.items() if key not in _OF_OTHERS}
        root_path = scope.get("root_path", "").rstrip("/")
        made["root_path"] = root_path + self.prefix
        made["path"] = root_path + path_below_root(scope)
        if "state" in scope:
            made["state"] = self._state(scope["state"])
        return made

    def _state(self, state: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Return a copy of the lifespan's state for one connection, with what is this app's own."""
        copied = dict(state)
        copied.update(copied.pop(STATES, {}).get(self.prefix) or {})
        return copied

    def environ(self, environ: WSGIEnvironment) -> WSGIEnvironment:
        """Return the environ that the app is called with, for a request of the app around it."""
        made = {
            **environ,
            "SCRIPT_NAME": environ.get("SCRIPT_NAME", "").rstrip("/") + self._wsgi_prefix,
            "PATH_INFO": environ["PATH_INFO"][len(self._wsgi_prefix) :],
        }
        if ENVIRON_STATE in environ:
            made[ENVIRON_STATE] = self._state(environ[ENVIRON_STATE])
        return made


class Mounts:
    """An app's mounted apps, in the order in which they were mounted."""

    def __init__(self) -> None:
        self._mounts: list[Mount] = []
        self._by_first_segment: dict[str, list[Mount]] = {}  # in each, the longest prefix first

    def __iter__(self) -> t.Iterator[Mount]:
        return iter(self._mounts)

    def add(self, mount: Mount) -> None:
        """Add a mount.

        :raises ValueError: if there is one with its prefix.
        """
        for other in self._mounts:
            if other.prefix == mount.prefix:
                raise ValueError(f"{mount.prefix!r} is taken already, by {other.app!r}.")
        self._mounts.append(mount)
        alike = self._by_first_segment.setdefault(_first_segment(mount.prefix), [])
        alike.append(mount)
        alike.sort(key=lambda each: -len(each.prefix))

    def find(self, path: str) -> Mount | None:
        """Return the mount with the longest prefix of a decoded path, in whole segments."""
        for mount in self._by_first_segment.get(_first_segment(path), ()):
            if mount.takes(path):
                return mount
        return None

    def for_scope(self, scope: t.Mapping[str, t.Any]) -> Mount | None:
        """Return the mount that an ASGI connection is for."""
        return self.find(path_below_root(scope))

    def for_environ(self, environ: WSGIEnvironment) -> Mount | None:
        """Return the mount that a WSGI request is for."""
        return self.find(environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace"))


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def mount(host: t.Any, prefix: str, app: t.Any, name: str | None, protocol: str | None) -> None:
    """Mount an app in `host`; see `Flask.mount`."""
    prefix, protocols = _normalized(prefix), _protocols(app, protocol)
    if _reaches(app, host):
        raise ValueError(f"{app!r} cannot be mounted at {prefix!r}: it would be inside itself.")
    if host._mounts is None:
        host._mounts = Mounts()
    host._mounts.add(Mount(prefix, app, name, protocols))
    if name is not None:
        for rule in (prefix + "/", prefix + "/<path:path>"):
            host.url_map.add(host.url_rule_class(rule, endpoint=name, build_only=True))


def _reaches(app: t.Any, host: t.Any) -> bool:
    """Whether `app` is `host`, or `host` is mounted somewhere below it."""
    below = getattr(app, "_mounts", None) if isinstance(app, App) else None
    return app is host or any(_reaches(each.app, host) for each in below or ())


def _normalized(prefix: str) -> str:
    """Return a prefix as it is compared.

    :raises ValueError: if nothing could ever be requested there, or nothing else any more.
    """
    if not prefix.rstrip("/"):
        raise ValueError(
            "An app cannot be mounted at '/': mounts are asked before the routes of this app, none"
            " of which would be reached again. Serve that app, and mount this one in it."
        )
    try:
        decoded = unquote(prefix, errors="strict").rstrip("/")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"The prefix {prefix!r} is not UTF-8 in its escaped characters."
        ) from error
    if not decoded.startswith("/") or "//" in decoded:
        raise ValueError(
            f"The prefix {prefix!r} is no path: write it with a slash in front of each segment."
        )
    if "<" in decoded or "{" in decoded:
        raise ValueError(
            f"The prefix {prefix!r} looks as if it had a variable in it, and prefixes have none:"
            " they are compared as they stand. Mount the app once for each value."
        )
    return decoded


def _protocols(app: t.Any, protocol: str | None) -> frozenset[Protocol]:
    """Return what an app speaks: what its caller says, or what the way it is called tells.

    :raises TypeError: if that cannot be told, or if it is not callable at all.
    :raises ValueError: if `protocol` is neither "asgi" nor "wsgi".
    """
    if not callable(app):
        raise TypeError(
            f"{app!r} cannot be mounted: it is not callable, so it is neither an ASGI nor a WSGI"
            " app. (A blueprint is registered, with `app.register_blueprint`.)"
        )
    if protocol is not None:
        if protocol not in ("asgi", "wsgi"):
            raise ValueError(f"protocol={protocol!r} is not known; it is 'asgi' or 'wsgi'.")
        return frozenset({t.cast("Protocol", protocol)})
    if isinstance(app, App):
        return frozenset({"asgi", "wsgi"})
    counts = _argument_counts(app)
    if counts == [1]:
        raise TypeError(
            f"{app!r} cannot be mounted: it takes one argument, as apps for ASGI 2 did. Those have"
            " gone out of use; asgiref's `guarantee_single_callable` makes an ASGI 3 app of one."
        )
    if counts == [3] or (3 in counts and is_async(app)):
        return frozenset({"asgi"})
    if counts[:1] == [2] and not is_async(app):
        return frozenset({"wsgi"})
    raise TypeError(
        f"Whether {app!r} is an ASGI or a WSGI app cannot be told: an ASGI app takes (scope,"
        " receive, send), a WSGI app (environ, start_response). Pass protocol='asgi' or"
        " protocol='wsgi'." + _is_it_a_class(app)
    )


def _is_it_a_class(app: t.Any) -> str:
    return " Or was an instance of this class meant?" if isinstance(app, type) else ""


def _argument_counts(app: t.Any) -> list[int]:
    """Return with how many of 1 to 3 positional arguments a callable may be called."""
    try:
        # A decorator's own arguments count: `werkzeug.Request.application` wraps what takes one.
        signature = inspect.signature(app, follow_wrapped=False)
    except (TypeError, ValueError):  # made in C, mostly
        return []
    return [count for count in (1, 2, 3) if _binds(signature, count)]


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
