"""Sessions as views see them: dicts that know whether they were looked at and changed."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, MutableMapping
from functools import wraps

from werkzeug.datastructures import CallbackDict

_getitem, _setitem = dict.__getitem__, dict.__setitem__
_get, _update = dict.get, dict.update


class SessionMixin(MutableMapping[str, t.Any]):
    """What a session is beside a mapping. Mix it into a dict to make a session class."""

    #: Whether the session was made for this request. Not every interface knows; here: False.
    new = False

    #: Whether the session was changed, so that it has to be saved. Not every class can tell, so
    #: that it is True here.
    modified = True

    #: Whether the request asked for the session. If so, the answer depends on who asks, and says
    #: ``Vary: Cookie``.
    accessed = False

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser's, for ``PERMANENT_SESSION_LIFETIME``."""
        value: bool = self.get("_permanent", False)
        return value

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


def _note_change(session: SecureCookieSession) -> None:
    session.modified = True


class SecureCookieSession(CallbackDict[str, t.Any], SessionMixin):
    """A session that knows whether it was read (`accessed`) and changed (`modified`).

    Only changes of the session itself are noticed. After a change of something inside it, such as
    ``session["cart"].append(...)``, set ``session.modified = True``.

    :param initial: what the cookie held.
    """

    modified = False

    def __init__(self, initial: Mapping[str, t.Any] | None = None) -> None:
        if type(self) is SecureCookieSession:  # PERF: 3,000 instructions less
            self.on_update = _note_change
            if initial is not None:
                _update(self, initial)
        else:
            super().__init__(initial, _note_change)

    # PERF: what is done most is written out: 1,500 instructions less for each, and a change 3,500.

    def __getitem__(self, key: str) -> t.Any:
        self.accessed = True
        return _getitem(self, key)

    def __setitem__(self, key: str, value: t.Any) -> None:
        if type(self) is SecureCookieSession and self.on_update is _note_change:
            _setitem(self, key, value)
            self.modified = True
        else:
            super().__setitem__(key, value)

    def get(self, key: str, default: t.Any = None, /) -> t.Any:
        """Return the value of a key, or a default."""
        self.accessed = True
        return _get(self, key, default)


def _noting_access(name: str) -> Callable[..., t.Any]:
    """Return the dict method `name`, which says also that the session was looked at."""
    method = getattr(CallbackDict, name)

    @wraps(method)
    def look(self: SecureCookieSession, *args: t.Any, **kwargs: t.Any) -> t.Any:
        self.accessed = True
        return method(self, *args, **kwargs)

    return look


# NOTE: the request context sets `accessed` too. This is for code that was handed the session and
# never asks a context. Key-only looks count: `"user" in session` is an answer (CVE-2026-27205).
for _name in (
    *("__contains__", "__iter__", "__reversed__", "__len__", "__eq__", "__ne__"),
    *("__or__", "__ror__", "keys", "items", "values", "copy"),
    *("setdefault", "pop", "popitem"),
):
    setattr(SecureCookieSession, _name, _noting_access(_name))


class NullSession(SecureCookieSession):
    """The session where there can be none: empty to read, and an error that says why to change."""

    def _fail(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret key was set: what is put into it would"
            " be lost. Set app.secret_key to a long random value, such as the output of"
            " `python -c 'import secrets; print(secrets.token_hex())'`."
        )

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = update = setdefault = _fail
    del _fail
