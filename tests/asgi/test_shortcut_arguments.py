"""A view's only argument is the same by its place as by its name, and by its name where it must."""

from __future__ import annotations

import typing as t
from functools import wraps

import pytest

from asyncflask import Flask, request
from asyncflask.asgi import shortcut, shortlane
from asyncflask.views import View


async def first(id: int) -> t.Any:
    return [id, request.view_args]


async def first_of_two(id: int, more: str = "more") -> t.Any:
    return [id, more]


async def first_and_rest(id: int, *rest: t.Any, **names: t.Any) -> t.Any:
    return [id, rest, names]


async def second(other: str = "other", id: int = 0) -> t.Any:
    return [other, id]


async def by_name_only(*, id: int) -> t.Any:
    return [id]


async def by_place_only(id: int, /) -> t.Any:
    return [id]


async def names_only(**names: t.Any) -> t.Any:
    return names


async def places_only(*places: t.Any) -> t.Any:
    return places


async def none_at_all() -> t.Any:
    return []


async def one_too_many(id: int, missing: int) -> t.Any:
    return [id, missing]


def sync_first(id: int, more: str = "default") -> t.Any:
    return [id, more]


def sync_rest(*places: t.Any, **names: t.Any) -> t.Any:
    return [places, names]


def sync_one_too_many(id: int, missing: int) -> t.Any:
    return [id, missing]


@wraps(first)
async def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
    return [args, kwargs]


class Bound:
    async def view(self, id: int) -> t.Any:
        return [id]


class Own(View):
    async def dispatch_request(self, id: int) -> t.Any:
        return [id]


VIEWS: dict[str, t.Any] = {
    view.__name__: view
    for view in (first, first_of_two, first_and_rest, second, by_name_only, by_place_only)
}
VIEWS |= {view.__name__: view for view in (names_only, places_only, none_at_all, one_too_many)}
VIEWS |= {view.__name__: view for view in (sync_first, sync_rest, sync_one_too_many)}
VIEWS |= {"wrapped": wrapped, "bound": Bound().view, "class": Own.as_view("own")}

RULES: dict[str, tuple[str, dict[str, t.Any], str]] = {
    "variable": ("/<int:id>", {}, "/42"),
    "two": ("/<more>/<int:id>", {}, "/x/42"),
    "with a default": ("/<int:id>", {"more": "given"}, "/42"),
    "default alone": ("/none", {"id": 42}, "/none"),
}


async def answer(view: t.Any, rule: str, hooked: bool) -> tuple[int, t.Any]:
    """Return the second answer of an app, as the first one ends its setup."""
    app = Flask("arguments")
    path, defaults, asked = RULES[rule]
    app.add_url_rule(path, "view", view, defaults=defaults)
    if hooked:
        app.before_request(lambda: None)
    client = app.async_client()
    await client.get(asked)
    response = await client.get(asked)
    return response.status_code, response.text


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", VIEWS)
async def test_a_view_gets_the_same_as_behind_a_hook(name: str, rule: str) -> None:
    short, long = [await answer(VIEWS[name], rule, hooked) for hooked in (False, True)]
    assert short == long


@pytest.mark.parametrize("name", VIEWS)
async def test_by_its_place_where_that_is_the_first(name: str) -> None:
    app = Flask("arguments")
    app.add_url_rule("/<int:id>", "view", VIEWS[name])
    client = app.async_client()
    for _ in range(2):
        await client.get("/42")
    (rule,) = (each for each in app.url_map.iter_rules() if each.endpoint == "view")
    _, view, serve, first = rule.shortcut  # type: ignore[attr-defined]
    assert view is VIEWS[name]
    assert serve is (shortlane.serve if name.startswith("sync") else shortcut._on_loop)
    takes_it = "first" in name or "one_too_many" in name
    assert first == ("id" if takes_it else None)
