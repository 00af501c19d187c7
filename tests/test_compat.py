"""The alias changes the whole process: each test has one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run code in a new interpreter, in an empty directory, and return what it prints."""

    def run_code(code: str, *args: str, fails: bool = False, **environ: str) -> str:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ASYNCFLASK")}
        done = subprocess.run(
            [sys.executable, *(args or ("-c", textwrap.dedent(code)))],
            cwd=tmp_path,
            env={**kept, "PYTHONWARNINGS": "error", **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert bool(done.returncode) is fails, done.stderr
        return done.stderr if fails else done.stdout

    return run_code


HIDE_FLASK = """
    import sys

    class Hidden:
        # The real Flask is not on disk: neither its modules nor its metadata.
        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] != "flask":
                return self.finder.find_spec(name, path, target)

        def find_distributions(self, *args):
            found = self.finder.find_distributions(*args)
            return [each for each in found if each.name != "Flask"]

    import importlib.metadata
    sys.meta_path[:] = [*sys.meta_path[:-1], Hidden(sys.meta_path[-1])]
    real = importlib.metadata.MetadataPathFinder
    importlib.metadata.MetadataPathFinder = Hidden(real)
"""


@pytest.mark.parametrize("on_disk", [True, False])
def test_every_module_is_ours(run: Run, on_disk: bool) -> None:
    run(
        ("" if on_disk else HIDE_FLASK)
        + """
    import asyncflask
    asyncflask.install_as_flask()
    asyncflask.install_as_flask()
    import importlib, pkgutil, sys
    import flask
    import flask.json.tag
    from flask.sansio.app import App
    from flask import Flask, request
    assert flask is asyncflask
    assert Flask is asyncflask.Flask and request is asyncflask.request
    assert issubclass(Flask, App)
    for found in pkgutil.walk_packages(flask.__path__, "flask."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            assert module is importlib.import_module("asyncflask" + found.name[5:])
            assert module.__spec__.name == module.__name__ == "asyncflask" + found.name[5:]
    """
    )


def test_what_we_have_not_got_is_not_there(run: Run) -> None:
    run(
        """
    import asyncflask, importlib.util
    asyncflask.install_as_flask()
    assert importlib.util.find_spec("flask.nothing") is None
    try:
        import flask.nothing
    except ModuleNotFoundError as error:
        assert error.name == "flask.nothing"
    else:
        raise AssertionError
    """
    )


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_tools_of_the_import_system(run: Run, on_disk: bool) -> None:
    run(
        ("" if on_disk else HIDE_FLASK)
        + """
    import asyncflask
    asyncflask.install_as_flask()
    import importlib, importlib.metadata, importlib.resources, importlib.util
    import inspect, pickle, pkgutil
    import flask
    assert importlib.util.find_spec("flask").name == "asyncflask"
    assert importlib.util.find_spec("flask.views") is not None
    assert pickle.loads(pickle.dumps(flask.Config)) is asyncflask.Config
    assert pickle.loads(b"cflask.config\\nConfig\\n.") is asyncflask.Config
    assert (importlib.resources.files("flask") / "app.py").is_file()
    assert pkgutil.get_data("flask", "py.typed") is not None
    import flask.views
    assert "class View" in inspect.getsource(flask.views)
    assert importlib.reload(flask.views) is flask.views
    assert importlib.reload(flask) is asyncflask
    assert flask.__version__ == "3.1.3" and asyncflask.__version__ != "3.1.3"
    assert importlib.metadata.version("flask") == importlib.metadata.version("Flask") == "3.1.3"
    assert importlib.metadata.distribution("flask").metadata["Name"] == "Flask"
    assert [d.name for d in importlib.metadata.distributions() if d.name == "Flask"] == ["Flask"]
    """
    )


def test_the_virtual_distribution_has_no_files(run: Run) -> None:
    run(
        HIDE_FLASK
        + """
    import asyncflask
    asyncflask.install_as_flask()
    from importlib.metadata import PackageNotFoundError, distribution, distributions, version
    found = distribution("flask")
    assert found.files is None and found.requires is None
    assert found.locate_file("asyncflask/py.typed").exists()
    assert not list(distributions(path=["/nowhere"]))
    try:
        version("flask-nothing")
    except PackageNotFoundError:
        pass
    else:
        raise AssertionError
    """
    )


def test_the_version_depends_on_the_name_that_is_asked(run: Run) -> None:
    run(
        """
    import asyncflask
    ours = asyncflask.__version__
    assert ours != "3.1.3"
    asyncflask.install_as_flask()
    import flask, sys

    def both(a, b):
        return flask.__version__, asyncflask.__version__

    def local():
        import asyncflask, flask
        return flask.__version__, (asyncflask.__version__, flask.__version__)

    from flask import __version__ as theirs
    from asyncflask import __version__ as own
    assert both(1, 2) == (theirs, own) == ("3.1.3", ours)
    assert local() == ("3.1.3", (ours, "3.1.3"))
    assert getattr(flask, "__version__") == "3.1.3"
    assert getattr(asyncflask, "__version__") == ours
    assert sys.modules["flask"].__version__ == "3.1.3"
    assert not hasattr(flask, "nothing")
    """
    )


def test_an_extension_gets_our_objects(run: Run, tmp_path: Path) -> None:
    (tmp_path / "flask_demo.py").write_text(
        "from flask import Blueprint, current_app, jsonify\n"
        "from flask.views import MethodView\n\n"
        "demo = Blueprint('demo', __name__)\n\n"
        "class Name(MethodView):\n"
        "    def get(self):\n"
        "        return jsonify(name=current_app.name)\n\n"
        "demo.add_url_rule('/name', view_func=Name.as_view('name'))\n"
    )
    run(
        """
    import asyncflask
    asyncflask.install_as_flask()
    from flask_demo import demo
    app = asyncflask.Flask("app")
    app.register_blueprint(demo)
    assert app.test_client().get("/name").json == {"name": "app"}
    """
    )


def test_too_late_names_who_imported_flask(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("flask")
    (tmp_path / "by_name.py").write_text("import flask as f\n")
    (tmp_path / "by_object.py").write_text("from flask import request as r\n")
    (tmp_path / "by_class.py").write_text("from flask import Flask\n")
    (tmp_path / "not_at_all.py").write_text("import json\n")
    told = run(
        """
    import by_name, by_object, by_class, not_at_all
    import asyncflask
    asyncflask.install_as_flask()
    """,
        fails=True,
    )
    assert "RuntimeError: install_as_flask() came too late" in told
    for name in ("by_name", "by_object", "by_class"):
        assert f"- {name} ({tmp_path / name}.py)" in told
    assert "not_at_all" not in told
    assert "ASYNCFLASK_AS_FLASK=1" in told


@pytest.mark.parametrize(("value", "acts"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_variable(run: Run, value: str, acts: bool) -> None:
    code = "import asyncflask, sys; print('flask' in sys.modules)"
    assert run(code, ASYNCFLASK_AS_FLASK=value) == f"{acts}\n"


APP = """\
import flask

app = flask.Flask(__name__)


@app.cli.command()
def who():
    import os
    print(flask.__name__, os.environ.get("ASYNCFLASK_AS_FLASK"))
"""


def test_the_command_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    assert run("", "-m", "asyncflask", "--as-flask", "who") == "asyncflask 1\n"
    assert run("", "-m", "asyncflask", "who", ASYNCFLASK_AS_FLASK="1") == "asyncflask 1\n"


def test_without_the_alias_a_flask_app_is_told_apart(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("flask")
    (tmp_path / "app.py").write_text(APP)
    told = run("", "-m", "asyncflask", "routes", fails=True)
    assert "--as-flask" in told


def test_a_plugin_for_flask_is_loaded_under_the_alias(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "plugin-1.0.dist-info").mkdir()
    (tmp_path / "plugin-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n"
    )
    (tmp_path / "plugin-1.0.dist-info/entry_points.txt").write_text(
        "[flask.commands]\nshell = plugin:work\n"
    )
    (tmp_path / "plugin.py").write_text(
        "import click, flask\nfrom flask.cli import with_appcontext\n\n"
        "@click.command()\n@with_appcontext\ndef work():\n    print(flask.current_app.name)\n"
    )
    assert run("", "-m", "asyncflask", "--as-flask", "shell") == "app\n"


def test_python_m_flask(run: Run) -> None:
    code = """
    import asyncflask, runpy, sys
    asyncflask.install_as_flask()
    sys.argv = ["flask", "--version"]
    runpy.run_module("flask", run_name="__main__", alter_sys=True)
    """
    assert "asyncflask" in run(code)
