"""The test runner for an app's commands."""

from __future__ import annotations

import typing as t

from click.testing import CliRunner, Result

from ..cli import ScriptInfo


class FlaskCliRunner(CliRunner):
    """A `click.testing.CliRunner` that knows the app; made by ``app.test_cli_runner()``.

    :param app: the app whose commands are run.
    :param kwargs: the parameters of `click.testing.CliRunner`.
    """

    def __init__(self, app: t.Any, **kwargs: t.Any) -> None:
        super().__init__(**kwargs)
        self.app = app

    def invoke(  # type: ignore[override]  # `cli` is optional here, as in Flask
        self, cli: t.Any = None, args: t.Any = None, **kwargs: t.Any
    ) -> Result:
        """Run a command and return its exit code, output and exception.

        :param cli: the command; by default the app's own group, ``app.cli``.
        :param args: the command line after the command's name: a list, or one string.
        :param kwargs: the further parameters of `click.testing.CliRunner.invoke`. `obj` is, unless
            given, a `ScriptInfo` that loads this app.
        """
        kwargs.setdefault("obj", ScriptInfo(create_app=lambda: self.app))
        return super().invoke(self.app.cli if cli is None else cli, args, **kwargs)
