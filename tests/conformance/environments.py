"""Where the suites run: unpacked sources, and two virtual environments for each suite.

The second environment is a copy of the first, so that every other package is the same. In the copy
our wheel is installed, the package ``flask`` is deleted (its metadata stays, for those who ask for
Flask's version), and a ``.pth`` file puts the alias in place when the interpreter starts: before
pytest, before its plugins, and in the processes that tests start.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from .suites import Suite

PROJECT = Path(__file__).parents[2]
HOME = PROJECT / ".conformance"
ALIAS = "import asyncflask; asyncflask.install_as_flask()\n"
#: Two suites may share a source distribution.
UNPACKING = threading.Lock()


class CommandFailed(Exception):
    """A command that prepares a run has failed; the message shows the end of what it said."""


def call(*command: object) -> None:
    """Run a command to its end, with nothing on the terminal.

    :raises CommandFailed: if its exit status is not 0.
    """
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise CommandFailed(f"{' '.join(map(str, command))}\n{said}")


def pip(*arguments: object, python: Path | None = None) -> None:
    """Run pip, by default for our own interpreter, else for another that needs no pip."""
    target = ("--python", python) if python else ()
    call(sys.executable, "-m", "pip", "--disable-pip-version-check", *target, *arguments)


def sources(dist: str) -> Path:
    """Return the unpacked sdist of ``NAME==VERSION``, which is downloaded once."""
    tree = HOME / "sources" / dist
    with UNPACKING:
        if not tree.exists():
            tree.parent.mkdir(parents=True, exist_ok=True)
            download(dist, tree)
    return tree


def download(dist: str, tree: Path) -> None:
    with tempfile.TemporaryDirectory(dir=tree.parent) as scratch:
        only = dist.partition("==")[0]
        pip("download", "--no-deps", "--no-binary", only, "-d", f"{scratch}/sdist", dist)
        shutil.unpack_archive(next(Path(scratch, "sdist").iterdir()), f"{scratch}/tree")
        next(Path(scratch, "tree").iterdir()).rename(tree)


def wheel() -> Path:
    """Build our wheel from this checkout, and return its path."""
    folder = HOME / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    pip("wheel", "--no-deps", "-w", folder, PROJECT)
    return next(folder.glob("*.whl"))


def with_flask(suite: Suite) -> Path:
    """Return the environment in which the suite runs under Flask, made anew if its needs change."""
    venv = HOME / "venvs" / suite.name / "flask"
    recipe = json.dumps([sys.version, suite.requirements(), suite.constraints()])
    stamp = venv / "recipe.json"
    if not stamp.exists() or stamp.read_text() != recipe:
        shutil.rmtree(venv.parent, ignore_errors=True)
        call(sys.executable, "-m", "venv", "--without-pip", venv)
        constraints = venv / "constraints.txt"
        constraints.write_text("\n".join(suite.constraints()))
        pip("install", "-c", constraints, *suite.requirements(), python=venv / "bin/python")
        stamp.write_text(recipe)
    return venv


def with_asyncflask(suite: Suite, built: Path) -> Path:
    """Return the environment in which `import flask` is asyncflask, as it is in the wheel."""
    base = with_flask(suite)
    venv = base.with_name("asyncflask")
    if not venv.exists():
        copied(base, venv)
    site = next(venv.glob("lib/python*/site-packages"))
    for stale in [*site.glob("asyncflask*"), site / "flask"]:
        stale.unlink() if stale.is_file() else shutil.rmtree(stale, ignore_errors=True)
    pip("install", built, python=venv / "bin/python")
    (site / "asyncflask_alias.pth").write_text(ALIAS)
    return venv


def copied(base: Path, venv: Path) -> None:
    """Copy an environment. Its scripts name their interpreter, and have to name the new one."""
    with tempfile.TemporaryDirectory(dir=base.parent) as scratch:
        copy = Path(shutil.copytree(base, f"{scratch}/venv", symlinks=True))
        for script in (copy / "bin").iterdir():
            if script.is_file() and not script.is_symlink():
                script.write_bytes(script.read_bytes().replace(bytes(base), bytes(venv)))
        copy.rename(venv)
