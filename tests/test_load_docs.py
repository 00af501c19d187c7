"""The examples of `docs/load-testing.md`: every command is run, for two requests."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from asyncflask import Flask
from asyncflask.cli import cli
from asyncflask.load.summary import summary

from .cli.conftest import invoke
from .cli.conftest import untouched as untouched
from .conftest import Live
from .documented import Page
from .load.outcomes import scenario_outcome

pytestmark = pytest.mark.time_limit(60)

PAGE = Page("load-testing")
COMMANDS = re.findall(r"^\$ asyncflask load (.*)$", PAGE.text, re.MULTILINE)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in PAGE.names:
        (tmp_path / f"{name}.py").write_text(PAGE.source(name))
    return tmp_path


@pytest.fixture
def url(live: Live) -> str:
    app: Flask = PAGE.example("shop").app
    return live(app).url


def test_all_examples_are_named() -> None:
    assert PAGE.names == ["shop", "visit"]
    PAGE.assert_all_are_named()
    assert len(COMMANDS) == 15


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(command: str, shop: Path, url: str) -> None:
    args = [re.sub(r"^(http://127\.0\.0\.1)?:5000", url, arg) for arg in shlex.split(command)]
    if "--serve" in args:  # tests/cli/test_load.py has it
        args.remove("--serve")
    if "--warm-up" in args:
        args += ["--warm-up", "10ms"]
    result = invoke(cli, "load", *args, "-n", "2", "--max-p99", "60s")
    assert result.exit_code == 0, result.output
    assert "2 " in result.output


def test_the_scenario_has_no_errors(shop: Path) -> None:
    args = ("--app", "shop", "--scenario", "visit.py", "-n", "10", "--max-errors", "0")
    result = invoke(cli, "load", *args)
    assert result.exit_code == 0, result.output
    assert "a product " in result.output
    assert "POST /cart " in result.output


def test_the_members_of_the_report_are_there() -> None:
    table = PAGE.text.partition("Members of version 1")[2].partition("## When")[0]
    report = summary(scenario_outcome())
    found = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    names = [name for cell in found for name in re.findall(r"`([\w.]+)`", cell)]
    assert "requests.latency" in names
    for name in names:
        value = report
        for part in name.split("."):
            value = value[part]


def test_options_of_the_page_are_those_of_the_command() -> None:
    from asyncflask.cli.load import load_command

    options = {name for param in load_command.params for name in param.opts}
    told = set(re.findall(r"(?<![\w`-])`(--?[\w-]+)", PAGE.text))
    assert told - options == set()
