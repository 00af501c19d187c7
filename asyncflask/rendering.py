"""What an app has to do with templates, and when Jinja is imported for it.

An app without templates needs no Jinja. PERF: 20 ms of a start, and 2 MiB of a worker.
"""

from __future__ import annotations

import os
import sys
import typing as t
from importlib import import_module

from . import _current
from .helpers import get_flashed_messages
from .later import Later
from .sansio.app import App

if t.TYPE_CHECKING:
    from .templating import DispatchingJinjaLoader, Environment

#: Where Jinja is imported: by who imports `render_template`, when an app is started that has a
#: folder of templates, or else with `jinja_env`.
_TEMPLATING = f"{__package__}.templating"


class Rendering(App):
    """The part of an app that makes its Jinja environment."""

    if t.TYPE_CHECKING:
        jinja_environment = Environment
        global_jinja_loader_class = DispatchingJinjaLoader

        def url_for(self, endpoint: str, **values: t.Any) -> str:
            """Build a URL; see `Flask`."""

    else:
        jinja_environment = Later(_TEMPLATING, "Environment")
        global_jinja_loader_class = Later(_TEMPLATING, "DispatchingJinjaLoader")

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment from `jinja_options` and the config, with Flask's globals."""
        options = {**self.jinja_options}
        options.setdefault("autoescape", self.select_jinja_autoescape)
        reload = self.config["TEMPLATES_AUTO_RELOAD"]
        options.setdefault("auto_reload", self.debug if reload is None else reload)
        environment = self.jinja_environment(self, **options)
        # The proxies stand here too, since imported templates see no context processors.
        environment.globals.update(
            url_for=self.url_for,
            get_flashed_messages=get_flashed_messages,
            config=self.config,
            request=_current.request,
            session=_current.session,
            g=_current.g,
        )
        environment.policies["json.dumps_function"] = self.json.dumps
        return environment

    def _import_templating(self) -> None:
        """Import what renders templates if there are any, before a request has to wait for it."""
        for source in (self, *self.iter_blueprints()):
            folder = source.template_folder
            if folder is not None and os.path.isdir(os.path.join(source.root_path, folder)):
                import_module(_TEMPLATING)
                return

    def update_template_context(self, context: dict[str, t.Any]) -> None:
        """Add what the context processors give to a template's context; its own values win.

        :param context: updated in place.
        """
        # PERF: an import statement takes 1.5 us each time.
        templating = sys.modules.get(_TEMPLATING) or import_module(_TEMPLATING)
        templating.update_template_context(self, context)
