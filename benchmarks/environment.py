"""The peers' own environment: made when first asked for, with pinned versions, apart from ours."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent

#: Ignored by git, as everything that begins with ``.venv``.
FOLDER = HOME / ".venv-peers"

PINNED = ("flask==3.1.3", "gunicorn[gevent]==27.0.1", "gevent==26.9.0", "quart==0.22.0")

#: Taken in the version that we run on: what both sides share must not make the difference.
SHARED = (
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
    "werkzeug",
    "jinja2",
    "markupsafe",
    "itsdangerous",
    "click",
    "blinker",
)

PEERS = ("flask", "gunicorn", "gevent", "quart")


class InstallationError(Exception):
    """Raised when the peers cannot be installed."""


def peers_python() -> Path:
    """Return the interpreter of the peers' environment, which is made if it is not there.

    :raises InstallationError: if a package cannot be installed.
    """
    wanted = (*PINNED, *(f"{name}=={metadata.version(name)}" for name in SHARED))
    recipe = "\n".join((sys.version, *wanted))
    python, stamp = FOLDER / "bin/python", FOLDER / "recipe.txt"
    if stamp.exists() and stamp.read_text() == recipe:
        return python
    print(f"installing the peers in {FOLDER.name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallationError(f"The peers could not be installed:\n{done.stderr}")
    stamp.write_text(recipe)
    return python


def our_versions() -> dict[str, str]:
    """Return the versions of what is in our environment, the Flask called in process included."""
    return {name: metadata.version(name) for name in ("asyncflask", "flask", *SHARED)}


def peer_versions() -> dict[str, str]:
    """Return the versions of the peers, as far as they are installed."""
    folders = FOLDER.glob("lib/python*/site-packages")
    found = metadata.distributions(path=[*map(str, folders)])
    versions = {each.metadata["Name"].lower(): each.version for each in found}
    return {name: versions[name] for name in PEERS if name in versions}
