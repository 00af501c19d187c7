"""Every name of Flask's modules is here, with Flask's parameters and defaults."""

from __future__ import annotations

import importlib
import inspect
import types
import typing as t

import pytest

MODULES = [
    "blueprints",
    "config",
    "logging",
    "sansio.app",
    "sansio.blueprints",
    "sansio.scaffold",
    "signals",
    "typing",
    "views",
]
# What a module merely imports: other modules' names, and names of the type checker's.
IMPORTED = {
    *("annotations", "current_app", "request", "_AppCtxGlobals", "_default_template_ctx_processor"),
    *("get_root_path", "send_from_directory", "DispatchingJinjaLoader", "Environment"),
    "AppGroup",
    *("_split_blueprint_path", "_wz_redirect", "SansioBlueprint", "Namespace", "LocalProxy"),
    "F",  # a type variable; `views` has one, too, and does not use it
}


def own_names(module: types.ModuleType) -> set[str]:
    """Return the names that a module defines, or imports from Flask on purpose."""
    names = set()
    for name, value in vars(module).items():
        foreign = inspect.ismodule(value) or (
            inspect.isclass(value) and not value.__module__.startswith("flask")
        )
        origin = getattr(value, "__module__", None) or ""
        library = callable(value) and not origin.startswith(("flask", "typing"))
        if not name.startswith("__") and not foreign and not library and name not in IMPORTED:
            names.add(name)
    return names


def both(name: str) -> tuple[types.ModuleType, types.ModuleType]:
    return importlib.import_module(f"flask.{name}"), importlib.import_module(f"asyncflask.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_names(name: str) -> None:
    theirs, ours = both(name)
    assert own_names(theirs) - set(dir(ours)) == set()


def members() -> t.Iterator[tuple[str, str, str]]:
    for module in MODULES:
        theirs, _ours = both(module)
        for name, value in vars(theirs).items():
            if inspect.isclass(value) and value.__module__ == theirs.__name__:
                yield from ((module, name, member) for member in vars(value))


IGNORED = {
    *("__annotations__", "__dict__", "__doc__", "__firstlineno__", "__module__", "__orig_bases__"),
    *("__parameters__", "__static_attributes__", "__weakref__"),
}


@pytest.mark.parametrize(
    ("module", "owner", "member"), [case for case in members() if case[2] not in IGNORED]
)
def test_member(module: str, owner: str, member: str) -> None:
    theirs, ours = (getattr(found, owner) for found in both(module))
    if (owner, member) == ("App", "jinja_environment") or member == "app_ctx_globals_class":
        assert member in _annotations(ours)  # it lies above this layer: the Flask class sets it
        return
    assert hasattr(ours, member) or member in _annotations(ours)
    value = inspect.getattr_static(theirs, member)
    if isinstance(value, (types.FunctionType, classmethod, staticmethod)):
        _assert_same_parameters(getattr(theirs, member), getattr(ours, member))


def _annotations(owner: type) -> set[str]:
    return {name for base in owner.__mro__ for name in vars(base).get("__annotations__", {})}


def _shape(function: t.Any) -> list[tuple[t.Any, ...]]:
    def default(value: t.Any) -> t.Any:
        return "a sentinel" if type(value) is object else value

    parameters = inspect.signature(function).parameters.values()
    return [(found.name, found.kind, default(found.default)) for found in parameters]


def _assert_same_parameters(theirs: t.Any, ours: t.Any) -> None:
    expected, found = _shape(theirs), _shape(ours)
    if theirs.__qualname__ == "View.dispatch_request":
        found = found[:1]  # we let a subclass choose its parameters
    if theirs.__qualname__ == "ConfigAttribute.__get__":
        expected[2] = (*expected[2][:2], None)
    assert found == expected


@pytest.mark.parametrize("name", ["config", "logging", "sansio.scaffold", "sansio.app"])
def test_functions(name: str) -> None:
    theirs, ours = both(name)
    for function in own_names(theirs):
        value = getattr(theirs, function)
        if isinstance(value, types.FunctionType) and value.__module__ == theirs.__name__:
            _assert_same_parameters(value, getattr(ours, function))


def test_instance_attributes() -> None:
    import flask

    import asyncflask

    ours, theirs = asyncflask.Flask("plain"), flask.Flask("plain")
    assert {name for name in vars(theirs) if not hasattr(ours, name)} == set()
    bp, their_bp = asyncflask.Blueprint("b", "plain"), flask.Blueprint("b", "plain")
    assert {name for name in vars(their_bp) if not hasattr(bp, name)} == set()
