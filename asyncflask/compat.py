"""Being Flask: how an app or an extension that says ``import flask`` gets asyncflask.

Three ways, with the same effect:

- ``asyncflask.install_as_flask()``, before anything imports ``flask``,
- ``asyncflask --as-flask run`` (or any other command),
- ``ASYNCFLASK_AS_FLASK=1`` in the environment, which acts when ``asyncflask`` is imported.

The mechanism stands in `aliasing`.
"""

from __future__ import annotations

from .aliasing import FLASK_VERSION as FLASK_VERSION
from .aliasing import install_as_flask as install_as_flask
from .aliasing import install_if_asked as install_if_asked
from .aliasing import installed as installed

__all__ = ["FLASK_VERSION", "install_as_flask", "install_if_asked", "installed"]
