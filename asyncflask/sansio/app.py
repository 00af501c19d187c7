"""The app without I/O: its settings, its registries, and the decorators that fill them."""

from __future__ import annotations

import logging
import os
import sys
import typing as t
from collections.abc import Mapping, ValuesView
from datetime import timedelta
from functools import cached_property

from werkzeug.exceptions import Aborter

from .. import typing as ft
from ..config import Config, ConfigAttribute, get_debug_flag
from ..json.provider import DefaultJSONProvider, JSONProvider
from ..logging import create_logger
from ..watched import WatchedList
from .errors import ErrorPolicy
from .registrable import Registrable
from .scaffold import Scaffold as Scaffold
from .scaffold import T_teardown as T_teardown
from .scaffold import _endpoint_from_view_func as _endpoint_from_view_func
from .scaffold import find_package, setupmethod
from .serving import ServingRegistry
from .templates import T_template_filter as T_template_filter
from .templates import T_template_global as T_template_global
from .templates import T_template_test as T_template_test
from .templates import TemplateRegistry
from .urls import URLBuildErrorHandler, URLRegistry

T_shell_context_processor = t.TypeVar(
    "T_shell_context_processor", bound=ft.ShellContextProcessorCallable
)


def _make_timedelta(value: timedelta | int | None) -> timedelta | None:
    if isinstance(value, timedelta | None):
        return value
    return timedelta(seconds=value)


def _script_name() -> str:
    """Return the name of the script that was started, without its directory and ending."""
    script: str | None = getattr(sys.modules["__main__"], "__file__", None)
    return "__main__" if script is None else os.path.splitext(os.path.basename(script))[0]


class App(URLRegistry, TemplateRegistry, ServingRegistry, ErrorPolicy):
    """The central object: it knows the views, the URL rules, the templates and the settings.

    This is `Flask` without the parts that handle requests.

    :param import_name: the name of the app's module or package, usually ``__name__``. In a
        submodule of a package, ``__name__.split(".")[0]`` names the package.
    :param static_url_path: the URL prefix of static files; by default the folder's name.
    :param static_folder: the directory of static files, absolute or relative to `root_path`.
    :param static_host: the host of the static route; needed with `host_matching`.
    :param host_matching: match the host of each rule.
    :param subdomain_matching: match subdomains of ``SERVER_NAME``.
    :param template_folder: the directory of templates, absolute or relative to `root_path`.
    :param instance_path: the absolute directory of files that belong to one deployment; by
        default ``instance`` next to the module or package.
    :param instance_relative_config: look for configuration files there, rather than in
        `root_path`.
    :param root_path: the directory that resources are relative to; found from `import_name`.
    """

    #: The class of `aborter`.
    aborter_class: type[Aborter] = Aborter
    #: The class of ``asyncflask.g``.
    app_ctx_globals_class: type[t.Any]
    #: The class of `config`.
    config_class: type[Config] = Config
    #: The class of `json`; it takes the app.
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    #: The class that ``test_client`` makes; None stands for `asyncflask.testing.FlaskClient`.
    test_client_class: type[t.Any] | None = None
    #: The class that ``test_cli_runner`` makes; None stands for
    #: `asyncflask.testing.FlaskCliRunner`.
    test_cli_runner_class: type[t.Any] | None = None
    #: The settings that every app starts with.
    default_config: Mapping[str, t.Any]

    #: Whether exceptions reach the tests; the setting ``TESTING``.
    testing = ConfigAttribute[bool]("TESTING")
    #: Signs cookies and whatever extensions sign; the setting ``SECRET_KEY``.
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    #: How long a permanent session lasts; the setting ``PERMANENT_SESSION_LIFETIME``, which may
    #: be a number of seconds.
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=t.cast("t.Callable[[t.Any], timedelta]", _make_timedelta),
    )

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        self._name = None if import_name == "__main__" else import_name
        if instance_path is None:
            instance_path = self.auto_find_instance_path()
        elif not os.path.isabs(instance_path):
            raise ValueError(
                f"`instance_path` must be absolute, and {instance_path!r} is relative: it would"
                " mean another place whenever the current directory changes. Build it with"
                " `os.path.abspath`."
            )
        #: The directory of files that belong to one deployment.
        self.instance_path = instance_path
        #: The settings.
        self.config = self.make_config(instance_relative_config)
        #: Raises HTTP errors; `asyncflask.abort` calls it.
        self.aborter = self.make_aborter()
        #: Reads and writes JSON, in requests, responses, templates and `asyncflask.json`.
        self.json: JSONProvider = self.json_provider_class(self)
        self.url_map = self.url_map_class(host_matching=host_matching)
        #: Whether subdomains of ``SERVER_NAME`` are matched.
        self.subdomain_matching = subdomain_matching

        self.url_build_error_handlers: list[URLBuildErrorHandler] = []
        self.before_serving_funcs: list[ft.ServingCallable] = []
        self.after_serving_funcs: list[ft.ServingCallable] = []
        self.while_serving_gens: list[ft.WhileServingCallable] = []
        #: Run when a context of the app ends, in reverse order.
        self.teardown_appcontext_funcs: list[ft.TeardownCallable] = WatchedList()
        #: Add variables to the shell.
        self.shell_context_processors: list[ft.ShellContextProcessorCallable] = []
        #: ``{name: blueprint}`` in the order of registration; nested names have dots.
        self.blueprints: dict[str, Registrable] = {}
        #: What extensions keep about this app, ``{extension's module name: anything}``.
        self.extensions: dict[str, t.Any] = {}

        self._got_first_request = False

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_first_request:
            raise AssertionError(
                f"The setup method '{f_name}' was called on the app {self.name!r} after its first"
                " request, which ran without it. Set the app up completely, imports of its view"
                " modules included, before it serves requests."
            )

    @property
    def name(self) -> str:
        """The app's name: `import_name`, or the name of the script that was started.

        Assign to it to choose another one.
        """
        return _script_name() if self._name is None else self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @cached_property
    def logger(self) -> logging.Logger:
        """The logger that bears the app's `name`; see `asyncflask.logging.create_logger`."""
        return create_logger(self)

    @property
    def debug(self) -> bool:
        """Whether debug mode is on; the setting ``DEBUG``.

        **Never in production.** Change it early: templates, for one, look at it once.
        """
        debug: bool = self.config["DEBUG"]
        return debug

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        if self.config["TEMPLATES_AUTO_RELOAD"] is None:
            self.jinja_env.auto_reload = value

    def make_config(self, instance_relative: bool = False) -> Config:
        """Make `config`, with `default_config` and the debug flag of the environment in it.

        :param instance_relative: whether file names are relative to `instance_path`.
        """
        start = self.instance_path if instance_relative else self.root_path
        return self.config_class(start, {**self.default_config, "DEBUG": get_debug_flag()})

    def make_aborter(self) -> Aborter:
        """Make `aborter`."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Return the default of `instance_path`.

        For an installed package it lies in the ``var`` directory of the installation.
        """
        prefix, package_path = find_package(self.import_name)
        if prefix is not None:
            return os.path.join(prefix, "var", f"{self.name}-instance")
        return os.path.join(package_path, "instance")

    @setupmethod
    def register_blueprint(self, blueprint: Registrable, **options: t.Any) -> None:
        """Add all that a blueprint holds to this app.

        :param blueprint: the blueprint.
        :param options: `url_prefix`, `subdomain`, `url_defaults`, `name` and `cli_group` in place
            of the blueprint's own; others reach its `record` callbacks.
        :raises ValueError: if a blueprint is registered under the same name.
        """
        blueprint.register(self, options)

    def iter_blueprints(self) -> ValuesView[Registrable]:
        """Return the registered blueprints, in the order of registration."""
        return self.blueprints.values()

    @setupmethod
    def teardown_appcontext(self, f: T_teardown) -> T_teardown:
        """Run a function when a context of the app ends: after a request, a command, a ``with``.

        It is given the unhandled exception, or None. What it returns is ignored.
        """
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: T_shell_context_processor) -> T_shell_context_processor:
        """Add the items of the dict that a function returns to the shell's variables."""
        self.shell_context_processors.append(f)
        return f
