"""Every public name of Flask 3.1.3 is here, with Flask's parameters, defaults and values.

The installed Flask is asked by introspection. All that is found becomes facts (the place of a
thing, and what is said of it); the same places are looked up here. Nothing may be missing, nothing
different, and no function may take more than Flask's does, but for what `ALLOWED` lists.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import types
import typing as t
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import click
import flask
import pytest

import asyncflask
from asyncflask.later import Later

#: What is not as in Flask, on purpose: a pattern for the fact, and the reason.
ALLOWED = {
    "*Flask(lifespan)": "keyword-only: what is entered before the app is served",
    "*.url_map_class": "a subclass of werkzeug's Map that tells our matcher of a change",
    "*.url_rule_class": "a subclass of werkzeug's Rule, for the same",
    "ctx.*Context(request)": "keyword-only: the context of a request that came over ASGI",
    "ctx.*Context(session)": "keyword-only, as for `request`",
    "ctx.RequestContext().session": "opened when it is asked for; Flask's has to be pushed before",
    "templating.Environment().context_class": "Jinja's, with a shorter `call`",
    "templating.Environment().template_class": "Jinja's, with a shorter `escape`",
    "views.View.dispatch_request(*args)": "a view that overrides it may take URL variables",
    "*.[FT]": "a type variable, for annotations inside the module only",
    "*.T_*": "a type variable, for annotations inside the module only",
}

#: How an instance is made whose attributes are compared as well, beside those of its class.
INSTANCES: dict[str, Callable[[t.Any], object]] = {
    "app.Flask": lambda flask: flask.Flask("app"),
    "blueprints.Blueprint": lambda flask: flask.Blueprint("parts", "parts"),
    "cli.AppGroup": lambda flask: flask.cli.AppGroup(),
    "cli.FlaskGroup": lambda flask: flask.cli.FlaskGroup(),
    "cli.ScriptInfo": lambda flask: flask.cli.ScriptInfo(),
    "config.Config": lambda flask: flask.Config("."),
    "ctx.AppContext": lambda flask: flask.Flask("app").app_context(),
    "ctx.RequestContext": lambda flask: flask.Flask("app").test_request_context(),
    "json.provider.DefaultJSONProvider": lambda flask: flask.Flask("app").json,
    "json.tag.TaggedJSONSerializer": lambda flask: flask.json.tag.TaggedJSONSerializer(),
    "sessions.NullSession": lambda flask: flask.sessions.NullSession(),
    "sessions.SecureCookieSession": lambda flask: flask.sessions.SecureCookieSession(),
    "sessions.SecureCookieSessionInterface": lambda flask: flask.Flask("app").session_interface,
    "templating.DispatchingJinjaLoader": lambda flask: flask.Flask("app").jinja_env.loader,
    "templating.Environment": lambda flask: flask.Flask("app").jinja_env,
    "testing.EnvironBuilder": lambda flask: flask.testing.EnvironBuilder(flask.Flask("app")),
    "testing.FlaskCliRunner": lambda flask: flask.Flask("app").test_cli_runner(),
    "testing.FlaskClient": lambda flask: flask.Flask("app").test_client(),
    "wrappers.Request": lambda flask: flask.Request({"REQUEST_METHOD": "GET"}),
    "wrappers.Response": lambda flask: flask.Response(),
}

Facts = dict[str, str]


# -- what is looked at -------------------------------------------------------------------------


def modules(package: types.ModuleType) -> dict[str, types.ModuleType]:
    """Return the twins of Flask's modules in `package`, by their dotted name below it."""
    found = [each.name for each in pkgutil.walk_packages(flask.__path__, "flask.")]
    names = ["", *(name.removeprefix("flask") for name in found if not name.endswith("__main__"))]
    return {name: importlib.import_module(package.__name__ + name) for name in names}


@cache
def public_names(module: types.ModuleType) -> list[str]:
    """Return what one of Flask's modules defines or, by the rules for typed code, exports."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    bound = {name for node in tree.body for name in names_bound_by(node)}
    return sorted(name for name in bound if not name.startswith("_") and hasattr(module, name))


def names_bound_by(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            yield node.name
        case ast.Assign():
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Import() | ast.ImportFrom():
            yield from (each.name for each in node.names if each.name == each.asname)
        case ast.If() | ast.Try():
            for inner in [*node.body, *node.orelse]:
                yield from names_bound_by(inner)


# -- what is said of it ------------------------------------------------------------------------


@cache
def facts_of(package: types.ModuleType) -> Facts:
    """Return all facts about Flask's public names, as they are in `package`."""
    facts: Facts = {}
    for place, twin in modules(package).items():
        for name in public_names(modules(flask)[place]):
            if hasattr(twin, name):
                where = f"{place}.{name}".removeprefix(".")
                facts |= facts_about(where, getattr(twin, name))
                if where in INSTANCES:
                    facts |= instance_facts(where, INSTANCES[where](package))
    return facts


def facts_about(where: str, value: object) -> Facts:
    if inspect.isclass(value):
        return class_facts(where, value)
    if isinstance(value, click.Command):
        return {where: "a command", **{f"{where} {each.opts}": "" for each in value.params}}
    if inspect.isroutine(value):
        return {where: "callable", **parameter_facts(where, value)}
    return value_facts(where, value)


def class_facts(where: str, cls: type) -> Facts:
    facts = {where: "a class", **parameter_facts(where, cls)}
    facts |= {f"{where} is a {base.__name__}": "" for base in cls.__mro__}
    for name in public_attributes(cls):
        inner, static = f"{where}.{name}", inspect.getattr_static(cls, name)
        if isinstance(static, Later):
            static = getattr(cls, name)
        if inspect.isclass(static) or not hasattr(static, "__get__"):
            facts |= value_facts(inner, static)
        elif is_method(static):
            facts |= {inner: "callable", **parameter_facts(inner, getattr(cls, name))}
        else:
            facts[inner] = "read from the instance"
    return facts


def instance_facts(where: str, instance: object) -> Facts:
    """Return what an instance answers, be it with a property or with an attribute of its own."""
    facts: Facts = {}
    for name in public_attributes(instance):
        if not is_method(inspect.getattr_static(instance, name, None)):
            try:
                facts |= value_facts(f"{where}().{name}", getattr(instance, name))
            except Exception as error:  # that it raises is its answer
                facts[f"{where}().{name}"] = f"raises {type(error).__name__}"
    return facts


def parameter_facts(where: str, function: Callable[..., object]) -> Facts:
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:  # it is written in C
        return {}
    return {
        f"{where}({each.name})": f"{each.kind.description}, {described(each.default)}"
        for each in found
    }


def value_facts(where: str, value: object) -> Facts:
    """Return one fact, or of a dict one for each key: asyncflask may have more keys."""
    if not isinstance(value, dict):
        return {where: described(value)}
    keys = {f"{where}[{key!r}]": described(each) for key, each in value.items()}
    return {where: f"a {kind_of(value)}", **keys}


def kind_of(value: object) -> str:
    """Return the name of a value's class, or of the container that it is a kind of."""
    kinds = type(value).__mro__
    return next((kind for kind in kinds if kind in (defaultdict, dict, list)), kinds[0]).__name__


def described(value: object) -> str:
    """Return a line that is the same for equal values, for Flask's classes and for our own."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"{kind_of(value)}({', '.join(map(described, value))})"
    if isinstance(value, (str, bytes, int, float, type(None), timedelta, re.Pattern)):
        return repr(value)
    if inspect.isclass(value):
        return value.__name__ if is_flasks(value) else f"{value.__module__}.{value.__name__}"
    if type(value).__module__ in {"typing", "types", "collections.abc"}:
        return "a function" if inspect.isroutine(value) else "a type"
    return f"a {type(value).__name__}"


def public_attributes(thing: object) -> list[str]:
    plain = {*dir(dict), *dir(Exception), *dir(str)}
    return [name for name in dir(thing) if not name.startswith("_") and name not in plain]


def is_flasks(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in {"flask", "asyncflask"}


def is_method(static: object) -> bool:
    if inspect.isclass(static):
        return False
    return callable(static) or isinstance(static, (classmethod, staticmethod))


# -- the tests ---------------------------------------------------------------------------------


def but_for_allowed(facts: Iterable[str]) -> list[str]:
    return sorted(
        fact for fact in facts if not any(fnmatchcase(fact, pattern) for pattern in ALLOWED)
    )


def different() -> list[str]:
    theirs, ours = facts_of(flask), facts_of(asyncflask)
    return [fact for fact in theirs.keys() & ours.keys() if theirs[fact] != ours[fact]]


def test_no_module_is_missing() -> None:
    assert modules(asyncflask).keys() == modules(flask).keys()


def test_nothing_is_missing() -> None:
    assert but_for_allowed(facts_of(flask).keys() - facts_of(asyncflask).keys()) == []


def test_nothing_is_different() -> None:
    theirs, ours = facts_of(flask), facts_of(asyncflask)
    assert [(each, theirs[each], ours[each]) for each in but_for_allowed(different())] == []


def test_no_function_of_flasks_takes_more() -> None:
    more = facts_of(asyncflask).keys() - facts_of(flask).keys()
    added = [
        each for each in more if each.endswith(")") and each.partition("(")[0] in facts_of(flask)
    ]
    assert but_for_allowed(added) == []


def test_what_is_allowed_is_needed() -> None:
    facts = facts_of(flask).keys() ^ facts_of(asyncflask).keys() | {*different()}
    assert [
        pattern for pattern in ALLOWED if not any(fnmatchcase(each, pattern) for each in facts)
    ] == []


# -- our own package ---------------------------------------------------------------------------


def test_lazy_names_are_the_typed_ones() -> None:
    """What `__getattr__` finds when the program runs is what a type checker was told of."""
    tree = ast.parse(Path(asyncflask.__file__).read_text(encoding="utf-8"))
    typed = {
        (node.module, alias.asname)
        for block in tree.body
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    typed |= {
        (asyncflask._HOME[node.name], node.name)  # typed more closely than where it stands
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.FunctionDef)
    }
    assert typed == {(module, name) for name, module in asyncflask._HOME.items()}


@pytest.mark.parametrize("name", asyncflask.__all__)
def test_exported_name_is_there(name: str) -> None:
    assert getattr(asyncflask, name) is not None


def test_star_import_gives_what_flasks_gives() -> None:
    assert set(public_names(flask)) <= set(asyncflask.__all__)
