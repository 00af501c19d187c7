"""The peers' own environments: made when first asked for, with pinned versions, apart from ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent

#: The environment that this process runs in, and the one of most peers.
OURS, PEERS = "ours", "peers"

#: What is installed in each. Peers that do not go together get an environment of their own.
PINNED = {
    PEERS: (
        "fastapi==0.165.0",
        "litestar==2.25.0",
        "falcon==4.4.0",
        "blacksheep==2.6.4",
        "sanic==25.12.1",
        "quart==0.22.0",
        "flask==3.1.3",
        "gunicorn[gevent]==27.0.1",
        "gevent==26.9.0",
        "granian==2.8.9",
        "a2wsgi==1.10.10",
        "cryptography==50.0.2",  # Litestar's sessions
        "flask-orjson==2.0.0",  # Flask's and Quart's JSON
        "msgspec==0.22.0",  # Litestar's JSON
        "orjson==3.13.0",  # JSON of those whose documentation names it
        "pydantic==2.14.4",  # FastAPI's JSON
        "sanic-ext==25.12.0",  # Sanic's templates
    ),
}

#: Makes a peer faster, and has to be compiled: without a compiler, it is measured without.
OPTIONAL = {PEERS: ("gunicorn-h1c==0.6.10",)}

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
    "python-multipart",
    "click",
    "blinker",
)

#: Those whose versions are told, beside what is shared.
TOLD = (
    *("flask", "fastapi", "litestar", "falcon", "blacksheep", "sanic", "quart"),
    *("gunicorn", "gunicorn_h1c", "gevent", "granian", "a2wsgi"),
)


class InstallationError(Exception):
    """Raised when the peers cannot be installed."""


def folder(name: str) -> Path:
    """Return where an environment is. Ignored by git, as everything that begins with ``.venv``."""
    return HOME / f".venv-{name}"


def python(name: str) -> Path:
    """Return the interpreter of an environment, which is made if it is not there.

    :raises InstallationError: if a package cannot be installed.
    """
    if name == OURS:
        return Path(sys.executable)
    wanted = (*PINNED[name], *(f"{each}=={metadata.version(each)}" for each in SHARED))
    optional = OPTIONAL.get(name, ())
    recipe = "\n".join((sys.version, *wanted, *optional))
    home = folder(name)
    found, stamp = home / "bin/python", home / "recipe.txt"
    if stamp.exists() and stamp.read_text() == recipe:
        return found
    print(f"installing the peers in {home.name}", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallationError(f"The peers could not be installed:\n{done.stderr}")
    for each in optional:
        if subprocess.run([*pip, each], capture_output=True, check=False).returncode:
            print(f"{each} could not be installed: going on without it", file=sys.stderr)
    stamp.write_text(recipe)
    return found


def versions() -> dict[str, str]:
    """Return the versions of what is measured, as far as it is installed."""
    found = {name: metadata.version(name) for name in ("asyncflask", *SHARED)}
    for name in PINNED:
        folders = map(str, folder(name).glob("lib/python*/site-packages"))
        for each in metadata.distributions(path=[*folders]):
            if (known := each.metadata["Name"].lower()) in TOLD:
                found[known] = each.version
    return found
