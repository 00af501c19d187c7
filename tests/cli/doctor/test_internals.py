from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncflask import Flask
from asyncflask.cli.doctor.finding import Finding
from asyncflask.cli.doctor.internals import check_extensions, exists, is_private, uses_in

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one module, and return the module's file."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(source: str, name: str = "Flask-Old", requires: str = "Flask>=1.0") -> Path:
        module = name.lower().replace("-", "_")
        info = tmp_path / f"{module}-1.0.dist-info"
        (info / "tests").mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requires}\n"
        )
        files = [f"{module}.py", "tests/test_it.py", f"{module}.js", "missing_flask.py"]
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / "test_it.py").write_text("from flask import _request_ctx_stack\n")
        (tmp_path / f"{module}.js").write_text("flask")
        (tmp_path / f"{module}.py").write_text(source)
        return tmp_path / f"{module}.py"

    return install


def found_in(path: Path) -> list[Finding]:
    return [one for one in check_extensions(Flask("demo")) if path.name in one.place]


REMOVED = [
    ("from flask import _request_ctx_stack as stack", "flask._request_ctx_stack", "3.0"),
    ("import flask\n\nflask._app_ctx_stack.top", "flask._app_ctx_stack.top", None),
    ("from flask.json import JSONEncoder", "flask.json.JSONEncoder", "2.3"),
    ("from flask import json\n\njson.JSONEncoder", "flask.json.JSONEncoder", "2.3"),
    ("import flask.json as j\n\nj.JSONEncoder()", "flask.json.JSONEncoder", "2.3"),
    ("from flask.helpers import _PackageBoundObject", "flask.helpers._PackageBoundObject", "2.0"),
    ("import flask._compat", "flask._compat", None),
    ("from flask import Markup", "flask.Markup", "3.0"),
    ("app.before_first_request(print)", "flask.Flask.before_first_request", "2.3"),
    (
        "from flask import current_app\n\ncurrent_app.json_encoder",
        "flask.Flask.json_encoder",
        "2.3",
    ),
    (
        "def f(bp):\n    bp.before_app_first_request(f)",
        "flask.Flask.before_app_first_request",
        "2.3",
    ),
    (
        "from flask import Flask\n\nFlask.before_first_request",
        "flask.Flask.before_first_request",
        "2.3",
    ),
]


@pytest.mark.parametrize(("source", "name", "gone"), REMOVED)
def test_removed_names(install: Install, source: str, name: str, gone: str | None) -> None:
    path = install(f"# for flask\n{source}\n")
    (finding,) = found_in(path)
    assert finding.level == "note"  # nobody has imported it
    assert finding.place.endswith(f"flask_old.py:{source.count(chr(10)) + 2}")
    when = f"was removed in Flask {gone}" if gone else "is not there in Flask 3.1"
    assert f"Flask-Old 1.0 uses {name}, which {when}" in finding.what
    assert "Nothing has imported that file so far." in finding.what


def test_a_removed_name_in_a_module_that_is_imported(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "def later():\n    from flask import _app_ctx_stack\n    from flask import _app_ctx_stack"
    )
    path = install(source)
    __import__("flask_old")
    monkeypatch.delitem(sys.modules, "flask_old")
    monkeypatch.setitem(sys.modules, "flask_old", sys.modules.get("flask_old", pytest))
    assert [one.level for one in found_in(path)] == ["note"]
    monkeypatch.delitem(sys.modules, "flask_old")
    __import__("flask_old")
    (finding,) = found_in(path)
    assert finding.level == "error"
    assert "(and in 1 more places)" in finding.what
    assert "so far" not in finding.what


@pytest.mark.parametrize(
    "source",
    [
        "from flask import Flask, current_app, g, request, jsonify, Blueprint, __version__",
        "from flask.globals import app_ctx, request_ctx",
        "from flask import *",
        "import flask.json.provider\n\nflask.json.provider.DefaultJSONProvider",
        "from flask import g\n\ng._mine = g._theirs",
        "from flask import current_app\n\ncurrent_app._get_current_object()",
        "try:\n    from flask import _app_ctx_stack\nexcept ImportError:\n    stack = None",
        "try:\n    import flask.x\nexcept (KeyError, ModuleNotFoundError):\n    flask.y",
        "try:\n    flask = 1\n    from flask import x\nexcept:\n    pass",
        "if flask_version < (2, 3):\n    app.before_first_request(1)\nelse:\n    print('flask')",
        "import flask\nif hasattr(flask, 'Markup'):\n    flask.Markup",
        "import flask\nMarkup = flask.Markup if hasattr(flask, 'Markup') else str",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from flask import Markup",
        "self.json_encoder = 'flask'",
        "from .flask import Markup",
        "this is not Python: flask",
        "\0flask",
    ],
)
def test_no_false_alarm(install: Install, source: str) -> None:
    assert found_in(install(f"{source}\n")) == []


def test_what_follows_a_try_is_read() -> None:
    source = b"""
try:
    from flask import a
except ValueError:
    from flask import b
else:
    from flask import c
finally:
    from flask import d
"""
    assert [use.name for use in uses_in(source, "x")] == [f"flask.{name}" for name in "abcd"]


def test_private_names_that_are_there(install: Install) -> None:
    (finding,) = found_in(install("from flask.globals import _cv_app\n"))
    assert finding.level == "note"
    assert "uses flask.globals._cv_app, which is private" in finding.what


@pytest.mark.parametrize(
    "requires", ["Flask-Login", "flask; extra == 'test'", "flaskr", "Werkzeug"]
)
def test_what_does_not_require_flask_is_not_read(install: Install, requires: str) -> None:
    assert found_in(install("from flask import Markup\n", requires=requires)) == []


@pytest.mark.parametrize("requires", ["flask", "Flask (>=2.0)", "flask[async]>=2", "flask ; x"])
def test_what_requires_flask_is_read(install: Install, requires: str) -> None:
    assert len(found_in(install("from flask import Markup\n", requires=requires))) == 1


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("Flask-Login", "Upgrade it: 0.6.3 is known to work."),
        ("flask_script", "Use commands of the app itself: @app.cli.command() in its place."),
        ("Flask-Old", "its code has to use markupsafe.Markup."),
    ],
)
def test_ways_out(install: Install, name: str, way_out: str) -> None:
    (finding,) = found_in(install("from flask import Markup\n", name=name.replace("_", "-")))
    assert finding.way_out.endswith(way_out)


@pytest.mark.parametrize(
    ("name", "there", "private"),
    [
        ("flask", True, False),
        ("flask.Flask", True, False),
        ("flask.Flask.route", True, False),
        ("flask.Flask.before_first_request", False, False),
        ("flask.cli.main", True, False),
        ("flask.cli.nothing", False, False),
        ("flask.globals._cv_app", True, True),
        ("flask.g._anything", True, False),
        ("flask.current_app.json_encoder", True, False),
        ("flask.app.nothing.more", False, False),
    ],
)
def test_what_is_there(name: str, there: bool, private: bool) -> None:
    assert (exists(name), exists(name) and is_private(name)) == (there, private)


def test_what_is_installed_here_uses_nothing_that_was_removed() -> None:
    assert [one for one in check_extensions(Flask("demo")) if one.level != "note"] == []
