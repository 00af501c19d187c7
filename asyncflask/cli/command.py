"""The command ``asyncflask`` itself."""

from __future__ import annotations

from .groups import FlaskGroup, as_flask_option

cli = FlaskGroup(
    name="asyncflask",
    params=[as_flask_option],
    help="""\
Run, inspect and manage an asyncflask app.

The app is named with --app or the environment variable FLASK_APP; a file 'wsgi.py' or 'app.py'
in the current directory is found without that.
""",
)
