from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path

import pytest

from asyncflask import cli


def test_every_public_name_of_flask_cli_is_here() -> None:
    spec = importlib.util.find_spec("flask")
    if spec is None or spec.origin is None:
        pytest.skip("Flask is not installed")
    tree = ast.parse(Path(spec.origin).with_name("cli.py").read_text(encoding="utf-8"))
    theirs = {
        node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    } | {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    missing = {name for name in theirs if not name.startswith("_") and not hasattr(cli, name)}
    assert missing == {"F"}  # a type variable


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        (
            "FlaskGroup",
            (
                "add_default_commands=True, create_app=None, add_version_option=True,"
                " load_dotenv=True, set_debug_flag=True, **extra"
            ),
        ),
        (
            "ScriptInfo",
            "app_import_path=None, create_app=None, set_debug_flag=True, load_dotenv_defaults=True",
        ),
        ("find_app_by_string", "module, app_name"),
        ("find_best_app", "module"),
        ("get_version", "ctx, param, value"),
        ("load_dotenv", "path=None, load_defaults=True"),
        ("locate_app", "module_name, app_name, raise_if_not_found=True"),
        ("prepare_import", "path"),
        ("show_server_banner", "debug, app_import_path"),
        ("with_appcontext", "f"),
    ],
)
def test_parameters_are_flasks(name: str, signature: str) -> None:
    found = getattr(cli, name)
    parameters = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(found).parameters.values()
    ]
    assert ", ".join(map(str, parameters)) == signature
