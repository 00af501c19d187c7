"""The proxies, against their oracle: werkzeug's own, over the same object."""

from __future__ import annotations

import typing as t
from contextlib import contextmanager, nullcontext

import pytest
from werkzeug.local import LocalProxy

from asyncflask import Flask, Request, Websocket, current_app, g, request, session, websocket
from asyncflask._current import NO_REQUEST, NO_WEBSOCKET, _proxy, app_ctx


class Thing:
    """Has attributes, items, members, and a property that fails."""

    def __init__(self) -> None:
        self.size = 3
        self.items = {"a": 1}
        self.asked = 0

    def __getitem__(self, key: str) -> int:
        return self.items[key]

    def __contains__(self, key: object) -> bool:
        return key in self.items

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return other == "thing"

    __hash__ = None  # type: ignore[assignment]

    @property
    def failing(self) -> t.NoReturn:
        raise AttributeError("inner")


class Holder:
    """Where the thing is."""

    def __init__(self) -> None:
        self.thing = Thing()


def write(it: t.Any, name: str) -> t.Any:
    """Set an attribute, and return what is read then."""
    setattr(it, name, 4)
    return getattr(it, name)


def delete(it: t.Any) -> t.Any:
    """Delete an attribute, and return what is read then."""
    del it.size
    return getattr(it, "size", "nothing")


OPERATIONS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "read": lambda it: it.size,
    "missing": lambda it: it.nothing,
    "missing with a default": lambda it: getattr(it, "nothing", 5),
    "no name": lambda it: getattr(it, ""),
    "failing property": lambda it: it.failing,
    "private": lambda it: it._secret,
    "write": lambda it: (write(it, "size"), len(it)),
    "write private": lambda it: write(it, "_secret"),
    "delete": delete,
    "item": lambda it: it["a"],
    "missing item": lambda it: it["b"],
    "member": lambda it: ("a" in it, "b" in it),
    "truth": bool,
    "equal": lambda it: (it == "thing", it != "thing"),
    "class": lambda it: (it.__class__, isinstance(it, Thing), isinstance(it, LocalProxy)),
    "dict": lambda it: sorted(it.__dict__),
    "dir": dir,
    "doc": lambda it: it.__doc__,
    "hash": hash,
    "itself": lambda it: type(it._get_current_object()),
    "type's name": lambda it: type(it).__name__,
}


def outcome(operation: t.Callable[[t.Any], t.Any], proxy: t.Any) -> t.Any:
    """Return what an operation gives, or what it raises."""
    try:
        return operation(proxy)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_proxy_does_what_werkzeugs_does(name: str) -> None:
    ours, theirs = Holder(), Holder()
    seen = outcome(OPERATIONS[name], _proxy(lambda: ours.thing))
    assert seen == outcome(OPERATIONS[name], LocalProxy(lambda: theirs.thing))
    assert vars(ours.thing) == vars(theirs.thing)


def nothing(message: str) -> t.Callable[[], t.NoReturn]:
    """Return what a proxy asks where there is nothing that it stands for."""

    def find() -> t.NoReturn:
        raise RuntimeError(message)

    return find


def does_as_theirs_of_nothing(
    name: str, operation: t.Callable[[t.Any], t.Any], proxy: t.Any, message: str
) -> None:
    """Compare a proxy with werkzeug's of nothing."""
    seen, wanted = outcome(operation, proxy), outcome(operation, LocalProxy(nothing(message)))
    if name == "class":  # each says what itself is
        assert seen[0].__name__ == wanted[0].__name__
    else:
        assert seen == wanted


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_proxy_of_nothing_does_what_werkzeugs_does(name: str) -> None:
    message = "nothing here"
    does_as_theirs_of_nothing(name, OPERATIONS[name], _proxy(nothing(message)), message)


class Socket(Websocket):
    """Has what no websocket has, and something else in the place of what each has."""

    room = "a room"
    close_reason = property(lambda self: self.room)
    failing = property(lambda self: self.nothing)
    subprotocol = property(lambda self: self.nothing)


OF_SOCKETS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "expected": lambda it: (it.state, it.close_code, it.headers, it.url, it.requested_subprotocols),
    "methods": lambda it: (it.send, it.receive, it.close, it.send_json),
    "of the class's own": lambda it: (it.room, it.close_reason),
    "failing": lambda it: it.failing,
    "expected and failing": lambda it: it.subprotocol,
    "missing": lambda it: it.nothing,
    "missing with a default": lambda it: getattr(it, "nothing", 5),
    "write": lambda it: (write(it, "close_code"), write(it, "nothing")),
    "write a method": lambda it: write(it, "send"),
    "private": lambda it: (it._max_size, it._in_a_row, hasattr(it, "_nothing")),
    "delete": lambda it: it.__delattr__("state") or getattr(it, "state", "nothing"),
    "class": lambda it: (it.__class__, isinstance(it, Socket), isinstance(it, LocalProxy)),
    "dict": lambda it: sorted(it.__dict__),
    "dir": dir,
    "doc": lambda it: it.__doc__,
    "itself": lambda it: it._get_current_object(),
    "iterator": aiter,
}


@contextmanager
def in_a_websocket(app: Flask) -> t.Iterator[Socket]:
    """Have a websocket that is the current one."""
    with app.test_request_context("/path") as ctx:
        ctx.websocket = Socket(app, ctx.request, *[t.cast("t.Any", None)] * 3)
        yield ctx.websocket


@pytest.mark.parametrize("name", OF_SOCKETS)
def test_the_websocket_s_proxy_does_what_werkzeugs_does(name: str) -> None:
    with in_a_websocket(Flask("sockets")) as made:
        kept = dict(vars(made))
        seen = outcome(OF_SOCKETS[name], websocket)
        changed = dict(vars(made))
        vars(made).clear()
        vars(made).update(kept)
        assert seen == outcome(OF_SOCKETS[name], LocalProxy(lambda: made))
        assert changed == vars(made)


@pytest.mark.parametrize("name", OF_SOCKETS)
def test_outside_of_all_websockets_too(name: str) -> None:
    for outside in nullcontext(), Flask("sockets").test_request_context():
        with outside:
            does_as_theirs_of_nothing(name, OF_SOCKETS[name], websocket, NO_WEBSOCKET)


@pytest.mark.parametrize("name", OF_SOCKETS)
def test_inside_of_an_app_context_it_is_the_websocket_around_it(name: str) -> None:
    app = Flask("sockets")
    with in_a_websocket(app) as made, app.app_context():
        kept = dict(vars(made))
        seen = outcome(OF_SOCKETS[name], websocket)
        vars(made).clear()
        vars(made).update(kept)
        assert seen == outcome(OF_SOCKETS[name], LocalProxy(lambda: made))


class Asked(Request):
    """Has what no request has, and something else in the place of what each has."""

    user = "a user"
    blueprint = property(lambda self: self.user)
    failing = property(lambda self: self.nothing)
    endpoint = property(lambda self: self.nothing)


OF_REQUESTS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "expected": lambda it: (it.method, it.path, it.args, it.view_args, it.max_content_length),
    "methods": lambda it: (it.get_json, it.get_data, it.from_values),
    "of the class's own": lambda it: (it.user, it.blueprint),
    "failing": lambda it: it.failing,
    "expected and failing": lambda it: it.endpoint,
    "missing": lambda it: it.nothing,
    "missing with a default": lambda it: getattr(it, "nothing", 5),
    "write": lambda it: (write(it, "max_content_length"), write(it, "nothing")),
    "write a method": lambda it: write(it, "get_json"),
    "private": lambda it: (it._load_form_data, it._max_form_parts, hasattr(it, "_nothing")),
    "delete": lambda it: it.__delattr__("method") or getattr(it, "method", "nothing"),
    "class": lambda it: (it.__class__, isinstance(it, Asked), isinstance(it, LocalProxy)),
    "dict": lambda it: sorted(it.__dict__),
    "dir": dir,
    "doc": lambda it: it.__doc__,
    "itself": lambda it: it._get_current_object(),
    "equality": lambda it: (it == it._get_current_object(), hash(it) == hash(request)),
}


@pytest.mark.parametrize("inside", [False, True], ids=["request", "app context in it"])
@pytest.mark.parametrize("name", OF_REQUESTS)
def test_the_request_s_proxy_does_what_werkzeugs_does(name: str, inside: bool) -> None:
    app = Flask("requests")
    app.request_class = Asked
    with app.test_request_context("/path") as ctx, app.app_context() if inside else nullcontext():
        made, kept = ctx.request, dict(vars(ctx.request))
        seen = outcome(OF_REQUESTS[name], request)
        changed = sorted(vars(made))
        vars(made).clear()
        vars(made).update(kept)
        assert seen == outcome(OF_REQUESTS[name], LocalProxy(lambda: made))
        assert changed == sorted(vars(made))


@pytest.mark.parametrize("name", [name for name in OF_REQUESTS if name != "equality"])
def test_outside_of_all_requests_too(name: str) -> None:
    for outside in nullcontext(), Flask("requests").app_context():
        with outside:
            does_as_theirs_of_nothing(name, OF_REQUESTS[name], request, NO_REQUEST)


def test_outside_of_all_contexts_the_message_says_what_to_do() -> None:
    outside_of_apps: list[t.Any] = [app_ctx, current_app, g]
    for proxy in outside_of_apps:
        with pytest.raises(RuntimeError, match=r"app\.app_context"):
            _ = proxy.name
    outside_of_requests: list[t.Any] = [request, session]
    for proxy in outside_of_requests:
        with pytest.raises(RuntimeError, match="test_request_context"):
            _ = proxy.method


def test_proxies_follow_the_context() -> None:
    first, second = Flask("first"), Flask("second")
    with first.app_context():
        g.of = "first"
        with second.test_request_context("/path"):
            assert (current_app.name, request.path, "of" in g) == ("second", "/path", False)
        assert (current_app.name, g.of) == ("first", "first")
