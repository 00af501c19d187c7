"""What an app derives from is told of when it changes, and the next request goes by it."""

from __future__ import annotations

import abc
import copy
import gc
import pickle
import threading
import typing as t

import pytest

from asyncflask import Flask, watched
from asyncflask.config import Config
from asyncflask.json.orjson import OrjsonProvider
from asyncflask.json.provider import DefaultJSONProvider, JSONProvider
from asyncflask.watched import Registry, WatchedDict, WatchedList

Change = t.Callable[[t.Any], t.Any]


class Seeing:
    """Counts how often it is told."""

    def __init__(self) -> None:
        self.told = 0
        self.see()

    def see(self) -> None:
        with watched.lock:
            watched.see(self)

    def _look_again(self) -> None:
        self.told += 1


def inplace(operator: str, value: t.Any) -> Change:
    return lambda container: getattr(container, operator)(value)


OF_DICTS: dict[str, Change] = {
    "set": lambda of: of.__setitem__("b", 1),
    "delete": lambda of: of.__delitem__("a"),
    "or": inplace("__ior__", {"b": 1}),
    "clear": lambda of: of.clear(),
    "pop": lambda of: of.pop("a"),
    "popitem": lambda of: of.popitem(),
    "setdefault": lambda of: of.setdefault("b", 1),
    "update": lambda of: of.update(b=1),
}
OF_LISTS: dict[str, Change] = {
    "set": lambda of: of.__setitem__(0, 5),
    "slice": lambda of: of.__setitem__(slice(0, 1), []),
    "delete": lambda of: of.__delitem__(0),
    "add": inplace("__iadd__", [1]),
    "multiply": inplace("__imul__", 2),
    "append": lambda of: of.append(1),
    "clear": lambda of: of.clear(),
    "extend": lambda of: of.extend([1]),
    "insert": lambda of: of.insert(0, 1),
    "pop": lambda of: of.pop(),
    "remove": lambda of: of.remove(3),
    "reverse": lambda of: of.reverse(),
    "sort": lambda of: of.sort(),
}


@pytest.mark.parametrize("change", OF_DICTS.values(), ids=OF_DICTS)
def test_a_dict_tells(change: Change) -> None:
    seeing, container, plain = Seeing(), WatchedDict({"a": 1}), {"a": 1}
    assert change(container) == change(plain)
    assert (container, seeing.told) == (plain, 1)


@pytest.mark.parametrize("change", OF_LISTS.values(), ids=OF_LISTS)
def test_a_list_tells(change: Change) -> None:
    seeing, container, plain = Seeing(), WatchedList([3, 1]), [3, 1]
    assert change(container) == change(plain)
    assert (container, seeing.told) == (plain, 1)


def test_all_that_changes_a_container_is_known() -> None:
    reading = {"copy", "count", "fromkeys", "get", "index", "items", "keys", "values"}
    for kind in (dict, list):
        public = {name for name in vars(kind) if not name.startswith("_")} - reading
        assert public
        assert public <= {*watched._CHANGES}


def test_a_registry_tells_of_what_it_makes() -> None:
    registry: Registry[str, list[int]] = Registry(list)
    seeing = Seeing()
    assert "a" not in registry
    assert registry.get("a") is None
    assert seeing.told == 0
    registry["a"].append(1)
    assert (registry, seeing.told) == ({"a": [1]}, 1)
    seeing.see()
    copied = copy.copy(registry)
    assert type(copied) is Registry
    assert copied["b"] == []
    assert registry == {"a": [1]}


def test_a_change_that_fails_midway_is_told() -> None:
    seeing, container = Seeing(), WatchedList([1])

    def numbers() -> t.Iterator[int]:
        yield 2
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        container.extend(numbers())
    assert (container, seeing.told) == ([1, 2], 1)


def test_who_has_gone_is_not_told() -> None:
    Seeing()
    gc.collect()
    watched.changed()
    assert not watched._seeing


def test_settings_can_be_copied_and_pickled() -> None:
    config = Config("/", {"A": [1]})
    for other in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert (type(other), other, other.root_path) == (Config, config, "/")


class Abstract(abc.ABC):
    """A class that people mix in."""

    @abc.abstractmethod
    def must(self) -> None: ...


class Mixed(DefaultJSONProvider, Abstract):
    """A provider that is abstract besides."""

    def must(self) -> None: ...


def test_classes_and_instances_of_providers_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("told")
    provider, seeing = Mixed(app), Seeing()
    seeing.see()
    provider.compact = True
    assert seeing.told == 1
    seeing.see()
    del provider.compact
    assert seeing.told == 2
    seeing.see()
    with monkeypatch.context() as patch:
        patch.setattr(JSONProvider, "something", 1, raising=False)
        assert seeing.told == 3
        seeing.see()
    assert seeing.told == 4


def test_what_changes_while_somebody_looks_is_told_afterwards() -> None:
    app = served()
    change = threading.Thread(target=app.config.update, args=({"TRUSTED_HOSTS": ["x"]},))
    with watched.lock:
        change.start()
        app._look()
    change.join()
    assert app._sight is None


def served(**options: t.Any) -> Flask:
    """Return an app that has had its first request."""
    app = Flask("watched", **options)
    app.add_url_rule("/json", "json", data)
    app.add_url_rule("/text", "text", text)
    app._got_first_request = True
    return app


async def data() -> t.Any:
    return {"b": 1, "a": [1]}


async def text() -> str:
    return "text"


async def body(app: Flask, path: str = "/json") -> bytes:
    return (await app.async_client().get(path)).content


ORDERS = {
    b'{"a":[1],"b":1}\n': "sorted",
    b'{"b":1,"a":[1]}\n': "as it came",
    b'{\n  "a": [\n    1\n  ],\n  "b": 1\n}\n': "indented",
}

#: Changes of what JSON looks like, and what it is afterwards.
OF_JSON: dict[str, tuple[Change, str]] = {
    "sort_keys": (lambda app: setattr(app.json, "sort_keys", False), "as it came"),
    "compact": (lambda app: setattr(app.json, "compact", False), "indented"),
    "debug": (lambda app: setattr(app, "debug", True), "indented"),
    "config": (lambda app: app.config.update(DEBUG=True), "indented"),
    "class": (lambda app: setattr(type(app.json), "sort_keys", False), "as it came"),
    "another": (lambda app: setattr(app, "json", unsorted(app)), "as it came"),
    "settings": (lambda app: setattr(app, "config", {**app.config, "DEBUG": True}), "indented"),
}


def unsorted(app: Flask) -> JSONProvider:
    provider = type(app.json)(app)
    provider.sort_keys = False  # type: ignore[attr-defined]
    return provider


@pytest.mark.parametrize("kind", [DefaultJSONProvider, OrjsonProvider])
@pytest.mark.parametrize("name", OF_JSON)
async def test_json_goes_by_what_is_set_last(name: str, kind: type[DefaultJSONProvider]) -> None:
    app = served()
    app.json = type("Mine", (kind,), {})(app)
    change, after = OF_JSON[name]
    for _ in range(2):
        assert ORDERS[await body(app)] == "sorted"
    change(app)
    for _ in range(2):
        assert ORDERS[await body(app)] == after


@pytest.mark.parametrize("kind", [DefaultJSONProvider, OrjsonProvider])
async def test_json_by_methods_that_are_put_in_its_place(kind: type[DefaultJSONProvider]) -> None:
    app = served()
    provider: t.Any = kind(app)
    app.json = provider
    await body(app)
    provider.dumps = lambda obj, **_: "dumps"
    assert await body(app) == b"dumps\n"
    provider.response_body = lambda obj: b"body"
    assert await body(app) == b"body"
    provider.mimetype = "text/x"
    answer = await app.async_client().get("/json")
    assert answer.headers["content-type"].startswith("text/x")
    del provider.dumps, provider.response_body
    assert ORDERS[await body(app)] == "sorted"


class Whim(OrjsonProvider):
    """Is asked each time."""

    sorts = True

    @property
    def sort_keys(self) -> bool:  # type: ignore[override]
        return Whim.sorts if self.calls is None else bool(len(self.calls) % 2)

    calls: list[int] | None = None


class Evasive(DefaultJSONProvider):
    """Tells no attribute the same way twice."""

    looks: t.ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> t.Any:
        if name == "sort_keys":
            Evasive.looks.append(name)
            return len(Evasive.looks) % 2 == 1
        return super().__getattribute__(name)


@pytest.mark.parametrize("kind", [Whim, Evasive])
async def test_json_by_options_that_are_made_up_each_time(kind: type[DefaultJSONProvider]) -> None:
    app = served()
    app.json = kind(app)
    seen = set()
    for number in range(4):
        if kind is Whim:
            vars(app.json)["calls"] = [0] * number
        seen.add(ORDERS[await body(app)])
    assert seen == {"sorted", "as it came"}


class Living(Config):
    """Settings that are made up when they are asked for."""

    hosts: t.ClassVar[list[str] | None] = None

    def __getitem__(self, key: str) -> t.Any:
        return Living.hosts if key == "TRUSTED_HOSTS" else super().__getitem__(key)


async def test_settings_that_are_made_up_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lively(Flask):
        config_class = Living

    app = Lively("lively")
    app.add_url_rule("/text", "text", text)
    for _ in range(2):
        assert await body(app, "/text") == b"text"
    monkeypatch.setattr(Living, "hosts", ["elsewhere.example"])
    assert (await app.async_client().get("/text")).status_code == 400


async def before() -> str:
    return "before"


async def other() -> str:
    return "other"


#: Changes after which another function answers.
OF_HANDLERS: dict[str, tuple[Change, bytes]] = {
    "hook": (lambda app: app.before_request_funcs[None].append(before), b"before"),
    "hooks": (lambda app: app.before_request_funcs.update({None: [before]}), b"before"),
    "other hooks": (lambda app: setattr(app, "before_request_funcs", {None: [before]}), b"before"),
    "view": (lambda app: app.view_functions.__setitem__("text", other), b"other"),
    "views": (lambda app: app.view_functions.update(text=other), b"other"),
    "other views": (lambda app: setattr(app, "view_functions", {"text": other}), b"other"),
}


@pytest.mark.parametrize("name", OF_HANDLERS)
async def test_who_answers_is_who_is_registered_last(name: str) -> None:
    app, (change, answer) = served(), OF_HANDLERS[name]
    for _ in range(2):
        assert await body(app, "/text") == b"text"
    change(app)
    for _ in range(2):
        assert await body(app, "/text") == answer


async def early() -> str:
    return "early"


async def passing() -> None:
    """Have nothing to say."""


#: Ways to have `before` answer for `early` where that is the second one of two callbacks.
OF_CALLBACKS: dict[str, Change] = {
    "set": lambda funcs: funcs.__setitem__(1, before),
    "slice": lambda funcs: funcs.__setitem__(slice(None), [before]),
    "insert": lambda funcs: funcs.insert(0, before),
    "remove": lambda funcs: (funcs.append(before), funcs.remove(early)),
    "reverse": lambda funcs: (funcs.insert(0, before), funcs.pop(), funcs.reverse()),
    "clear": lambda funcs: (funcs.clear(), funcs.extend([before])),
}


@pytest.mark.parametrize("is_plain", [False, True], ids=["registered", "a list of one's own"])
@pytest.mark.parametrize("name", OF_CALLBACKS)
async def test_callbacks_are_those_that_are_registered_last(name: str, is_plain: bool) -> None:
    app = served()
    if is_plain:
        app.before_request_funcs[None] = []
    app.before_request_funcs[None] += [passing, early]
    for _ in range(3):
        assert await body(app, "/text") == b"early"
    rule = next(rule for rule in app.url_map.iter_rules() if rule.endpoint == "text")
    kept: t.Any = rule.hooks  # type: ignore[attr-defined]
    assert kept.sight is (None if is_plain else app._sight)
    OF_CALLBACKS[name](app.before_request_funcs[None])
    for _ in range(2):
        assert await body(app, "/text") == b"before"
    assert rule.hooks is not kept  # type: ignore[attr-defined]


async def test_callbacks_are_not_compared_again_for_other_settings() -> None:
    app = served()
    app.before_request_funcs[None] += [passing, early]
    assert await body(app, "/text") == await body(app, "/text") == b"early"
    rule: t.Any = next(rule for rule in app.url_map.iter_rules() if rule.endpoint == "text")
    kept, sight = rule.hooks, app._sight
    app.config["OTHER"] = 1
    assert await body(app, "/text") == b"early"
    assert app._sight is not sight
    assert (rule.hooks, rule.hooks.sight) == (kept, app._sight)


async def test_containers_that_cannot_tell_are_looked_at_each_time() -> None:
    app, hooks, views = served(), dict[t.Any, t.Any](), {"text": text}
    app.before_request_funcs, app.view_functions = hooks, views  # type: ignore[assignment]
    for _ in range(2):
        assert await body(app, "/text") == b"text"
    views["text"] = other
    assert await body(app, "/text") == b"other"
    hooks[None] = [before]
    assert await body(app, "/text") == b"before"
    hooks.clear()
    assert await body(app, "/text") == b"other"


async def test_trusted_hosts_hold_from_the_next_request_on() -> None:
    app = served()
    assert await body(app, "/text") == b"text"
    app.config["TRUSTED_HOSTS"] = ["elsewhere.example"]
    assert (await app.async_client().get("/text")).status_code == 400
    app.config["TRUSTED_HOSTS"] = None
    assert await body(app, "/text") == b"text"


@pytest.mark.parametrize("path", ["/json", "/text"])
async def test_a_view_that_changes_settings_gets_its_answer(path: str) -> None:
    app = served()
    answers: dict[str, t.Any] = {"/json": {"b": 1, "a": [1]}, "/text": "text"}

    async def view() -> t.Any:
        app.config["COUNT"] = app.config.get("COUNT", 0) + 1
        return answers[path]

    app.view_functions[path[1:]] = view
    sent = [await body(app, path) for _ in range(3)]
    assert app.config["COUNT"] == 3
    assert sent == [b'{"a":[1],"b":1}\n' if path == "/json" else b"text"] * 3
