from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from asyncflask.cli import run_command


def params(*args: str) -> dict[str, object]:
    with run_command.make_context("run", list(args)) as context:
        return context.params


@pytest.fixture
def files(project: Path) -> tuple[str, str]:
    for name in ("cert.pem", "key.pem"):
        (project / name).touch()
    return str(project / "cert.pem"), str(project / "key.pem")


def test_certificate_and_key_are_a_pair_in_any_order(files: tuple[str, str]) -> None:
    assert params("--cert", "cert.pem", "--key", "key.pem")["cert"] == files
    assert params("--key", "key.pem", "--cert", "cert.pem")["cert"] == files
    assert params()["cert"] is None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--cert", "cert.pem"], "add --key"),
        (["--key", "key.pem"], "add --cert"),
        (["--cert", "adhoc", "--key", "key.pem"], "leave --key out"),
        (["--cert", "missing.pem"], "does not exist"),
        (["--cert", "asyncflask"], "does not exist"),
    ],
)
def test_what_does_not_go_together(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", ModuleType("cryptography"))
    with pytest.raises(click.BadParameter, match=message):
        params(*args)


def test_adhoc_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(click.BadParameter, match="pip install cryptography"):
        params("--cert", "adhoc")
    monkeypatch.setitem(sys.modules, "cryptography", ModuleType("cryptography"))
    assert params("--cert", "ADHOC")["cert"] == "adhoc"


def test_a_context_by_its_import_path(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tls_settings")
    module.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tls_settings", module)
    assert params("--cert", "tls_settings:context")["cert"] is module.context


def test_python_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(click.BadParameter, match="no TLS"):
        params("--cert", "adhoc")


def test_paths_are_separated_as_in_path() -> None:
    given = params("--extra-files", os.pathsep.join(["a", "b/c"]), "--exclude-patterns", "*.x")
    assert given["extra_files"] == ["a", "b/c"]
    assert given["exclude_patterns"] == ["*.x"]
    assert params()["extra_files"] is None
