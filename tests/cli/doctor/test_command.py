from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path
from secrets import token_hex

import click
import pytest

from asyncflask import Flask
from asyncflask.cli import FlaskGroup, cli
from asyncflask.cli.doctor.checks import CHECKS
from asyncflask.cli.doctor.command import report
from asyncflask.cli.doctor.finding import Finding

from ..conftest import invoke

SAFE = {
    "SECRET_KEY": token_hex(),
    "SESSION_COOKIE_SECURE": True,
    "MAX_CONTENT_LENGTH": 1_000_000,
    "TRUSTED_HOSTS": ["example.org"],
}
CLEAN = f"""\
from asyncflask import Flask

app = Flask(__name__)
app.config.update({SAFE!r})


@app.get("/")
async def index():
    return "hello"
"""
SLEEPY = CLEAN.replace("    return", "    import time\n    time.sleep(1)\n    return")


def doctor(*args: str, **environ: str) -> tuple[int, str]:
    """Run the command in a process of its own, where nobody else has imported anything."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "asyncflask", *args],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_clean_app(project: Path) -> None:
    (project / "app.py").write_text(CLEAN)
    assert doctor("doctor") == (0, "Nothing to report.\n")
    status, out = doctor("doctor", "--json")
    counts = {"errors": 0, "warnings": 0, "notes": 0}
    assert (status, json.loads(out)) == (0, {"app": "app", **counts, "findings": []})


def test_errors_are_told_first_and_fail(project: Path) -> None:
    (project / "app.py").write_text(SLEEPY.replace("'MAX_CONTENT_LENGTH': 1000000,", "'DEBUG': 1,"))
    status, out = doctor("doctor")
    assert status == 1
    titles = [line for line in out.splitlines() if line[:1].isalpha()]
    assert titles == ["Errors (1)", "Warnings (1)", "Notes (1)"]
    lines = [line.split()[0] for line in out.splitlines() if re.match(r"  \S", line)]
    assert lines == ["app.py:10", "DEBUG", "MAX_CONTENT_LENGTH"]
    assert "time.sleep() in the async view 'index'" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_warnings_do_not_fail(project: Path) -> None:
    (project / "app.py").write_text(CLEAN)
    assert doctor("doctor", FLASK_DEBUG="1")[0] == 0
    assert doctor("--debug", "doctor")[1].startswith("Warnings (1)\n  DEBUG  On")


def test_json(project: Path) -> None:
    (project / "app.py").write_text(SLEEPY)
    status, out = doctor("doctor", "--json")
    told = json.loads(out)
    assert (status, told["app"], told["errors"]) == (1, "app", 1)
    (finding,) = told["findings"]
    assert finding == {
        "level": "error",
        "place": "app.py:10",
        "what": "time.sleep() in the async view 'index' keeps the event loop: all other requests"
        " wait for it.",
        "way_out": "Await anyio.sleep(...).",
    }


def test_a_real_flask_app(project: Path) -> None:
    (project / "app.py").write_text(CLEAN.replace("asyncflask", "flask"))
    status, out = doctor("doctor")
    assert (status, out.splitlines()[0]) == (1, "Errors (1)")
    assert "asyncflask --as-flask doctor" in out
    assert doctor("--as-flask", "doctor") == (0, "Nothing to report.\n")
    assert json.loads(doctor("doctor", "--json")[1])["app"] is None


def test_two_flasks(project: Path) -> None:
    (project / "app.py").write_text(f"import flask\n{CLEAN}")
    status, out = doctor("doctor", "--json")
    assert status == 1
    assert "It is held by: app (" in json.loads(out)["findings"][0]["what"]


EXTENDED = """\
import sqlite3

from flask import Flask
from flask_cors import CORS
from flask_login import LoginManager, login_required
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config.update({config!r})
CORS(app)
LoginManager(app)
db = SQLAlchemy(app)


@app.get("/")
@login_required
async def index():
    return db.session.execute(db.text("SELECT 1")).scalar()
"""


def test_an_app_with_extensions(project: Path) -> None:
    config = {**SAFE, "SQLALCHEMY_DATABASE_URI": "sqlite:///x.sqlite", "SESSION_COOKIE_SECURE": 0}
    (project / "app.py").write_text(EXTENDED.format(config=config))
    status, out = doctor("--as-flask", "doctor", "--json")
    assert status == 0, out
    warnings = [one["place"] for one in json.loads(out)["findings"] if one["level"] == "warning"]
    assert warnings == [
        "app.py:18",
        "SESSION_COOKIE_SECURE",
        "app.handle_exception, app.handle_user_exception",
        "SYNC_WORKERS",
    ]
    notes = [one["what"] for one in json.loads(out)["findings"] if one["level"] == "note"]
    assert any("view 'index'." in what for what in notes)


@pytest.mark.parametrize(
    ("source", "place", "told"),
    [
        ("1 / 0\n", "app.py:1", "ZeroDivisionError: division by zero"),
        ("import nowhere_at_all\n", "app.py:1", "No module named 'nowhere_at_all'"),
        ("def broken(:\n", "app.py:1", "SyntaxError: invalid syntax"),
    ],
)
def test_an_app_that_cannot_be_loaded(project: Path, source: str, place: str, told: str) -> None:
    (project / "app.py").write_text(source)
    result = invoke(cli, "doctor", "--json")
    assert result.exit_code == 1
    (finding,) = (one for one in json.loads(result.output)["findings"] if one["level"] == "error")
    assert finding["place"] == place
    assert told in finding["what"]


def test_an_extension_that_cannot_be_imported(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project / "site-packages"
    info = site / "flask_old-1.0.dist-info"
    info.mkdir(parents=True)
    head = "Metadata-Version: 2.1\nName: Flask-Old\nVersion: 1.0\nRequires-Dist: Flask\n"
    (info / "METADATA").write_text(head)
    (info / "RECORD").write_text("flask_old.py,,\n")
    (site / "flask_old.py").write_text("\nfrom flask import _request_ctx_stack\n")
    (project / "app.py").write_text(f"import flask_old\n{CLEAN}")
    status, out = doctor("--as-flask", "doctor", "--json", PYTHONPATH=str(site))
    assert status == 1
    load, extension = (one for one in json.loads(out)["findings"] if one["level"] == "error")
    assert load["place"] == extension["place"] == "flask_old.py:2"
    assert "The app could not be loaded: ImportError" in load["what"]
    assert "Flask-Old 1.0 uses flask._request_ctx_stack" in extension["what"]


@pytest.mark.parametrize(
    "args", [["doctor"], ["--app", "nowhere", "doctor"], ["-A", "m:", "doctor"]]
)
def test_no_app(project: Path, args: list[str]) -> None:
    (project / "m.py").touch()
    status, out = doctor(*args)
    assert (status, "Errors (" in out, "Error: " in out) == (2, False, True)


def test_a_factory_that_refuses(project: Path) -> None:
    def create() -> t.NoReturn:
        raise click.BadParameter("not today")

    result = invoke(FlaskGroup(create_app=create), "doctor")
    assert (result.exit_code, "not today" in result.stderr) == (2, True)


def test_a_check_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("demo")
    app.config.update(SAFE)
    app.view_functions = None  # type: ignore[assignment]
    result = invoke(FlaskGroup(create_app=lambda: app), "doctor", "--json")
    found = json.loads(result.output)["findings"]
    told = [one["what"] for one in found if "could not be done" in one["what"]]
    assert "check_blocking_calls could not be done: AttributeError" in told[0]


def test_every_check_has_a_name_and_says_what_it_does() -> None:
    assert len(CHECKS) == len(set(CHECKS)) == 17
    assert all(check.__name__.startswith("check_") and check.__doc__ for check in CHECKS)


LONG = "a/path/that/is/too/long/for/the/column.py:1"


def test_the_columns() -> None:
    findings = [
        Finding("error", LONG, "One two three four.", "Five six seven."),
        Finding("note", "SHORT", "One two three-four.", "Five six."),
    ]
    lines = [click.unstyle(line) for line in report(findings, width=21)]
    assert lines == [
        "Errors (1)",
        f"  {LONG}",
        "         One two",
        "         three four.",
        "         -> Five six",
        "            seven.",
        "",
        "Notes (1)",
        "  SHORT  One two",
        "         three-four.",
        "         -> Five six.",
        "",
    ]


def test_colours() -> None:
    (title, *_) = report([Finding("warning", "here", "What.", "Way out.")])
    assert title == click.style("Warnings (1)", fg="yellow", bold=True)
