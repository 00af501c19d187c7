"""Blueprints: what is set up before there is an app, and done to it on registration.

Registering a blueprint, in this order:

1. Its name is taken; a name can be taken once. Nested in another blueprint, the name is prefixed
   with that one's.
2. Its static route is added.
3. Its registries are merged into the app's, under its name.
4. What was recorded (URL rules, and everything named ``app_...``) runs with a
   `BlueprintSetupState`.
5. Its commands join the app's.
6. The blueprints nested in it follow, with prefix and subdomain combined.
"""

from __future__ import annotations

import os
import typing as t
from collections import defaultdict
from collections.abc import Callable
from functools import update_wrapper

from .. import typing as ft
from ..watched import WatchedList
from .app import App
from .registrable import Registrable
from .registration import BlueprintSetupState as BlueprintSetupState
from .registration import nested_options
from .scaffold import Scaffold as Scaffold
from .scaffold import (
    Scoped,
    T_after_request,
    T_before_request,
    T_error_handler,
    T_teardown,
    T_template_context_processor,
    T_url_defaults,
    T_url_value_preprocessor,
    _sentinel,
    setupmethod,
)
from .scaffold import _endpoint_from_view_func as _endpoint_from_view_func
from .serving import T_after_serving, T_before_serving, T_while_serving, check_generator
from .templates import T_template_filter, T_template_global, T_template_test
from .websockets import T_after_websocket, T_before_websocket

DeferredSetupFunction: t.TypeAlias = Callable[[BlueprintSetupState], None]


class Blueprint(Registrable):
    """A part of an app, set up like an app and registered on one (or several) later.

    See `Registrable` for the parameters, and `asyncflask.Blueprint` for the class to use.
    """

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,
    ) -> None:
        places = (static_folder, static_url_path, template_folder, url_prefix, subdomain)
        super().__init__(name, import_name, *places, url_defaults, root_path, cli_group)
        #: What `record` was given.
        self.deferred_functions: list[DeferredSetupFunction] = []
        self._blueprints: list[tuple[Blueprint, dict[str, t.Any]]] = []

    if t.TYPE_CHECKING:

        def send_static_file(self, filename: str) -> t.Any:
            """Answer with a static file; only a blueprint that does I/O can."""

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Call a function, with a `BlueprintSetupState`, whenever the blueprint is registered.

        :param func: the function.
        """
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """`record` a function that an app should meet once, however often it is registered.

        :param func: the function.
        """

        def once(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(update_wrapper(once, func))

    def _append(self, registry: Callable[[App], Scoped[list[t.Any]]], f: t.Any) -> None:
        self.record_once(
            lambda state: registry(state.app).setdefault(None, WatchedList()).append(f)
        )

    def make_setup_state(
        self, app: App, options: dict[str, t.Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Make what recorded functions are given; override it to give them more.

        :param app: the app that the blueprint is being registered on.
        :param options: what ``register_blueprint`` was given.
        :param first_registration: whether the app meets this blueprint for the first time.
        """
        return BlueprintSetupState(self, app, options, first_registration)

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Nest a blueprint in this one; it is registered whenever this one is.

        :param blueprint: the blueprint.
        :param options: as for `App.register_blueprint`; prefix and subdomain are combined with
            those of this blueprint.
        :raises ValueError: if it is this blueprint.
        """
        if blueprint is self:
            raise ValueError(
                f"The blueprint '{self.name}' cannot be nested in itself: its registration would"
                " never end."
            )
        self._blueprints.append((blueprint, options))

    def register(self, app: App, options: dict[str, t.Any]) -> None:
        """Do to an app all that was asked of this blueprint; ``register_blueprint`` calls it.

        :param app: the app.
        :param options: what ``register_blueprint`` was given, and `name_prefix` when nested.
        :raises ValueError: if a blueprint is registered under the same name.
        """
        name = self._claim_name(app, options)
        first = not any(known is self for known in app.blueprints.values())
        app.blueprints[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, first)

        if self.has_static_folder:
            rule = f"{self.static_url_path}/<path:filename>"
            state.add_url_rule(rule, "static", self.send_static_file)
        self._merge_blueprint_funcs(app, name)
        for deferred in self.deferred_functions:
            deferred(state)
        self._merge_commands(app, name, options.get("cli_group", self.cli_group))
        for nested, its_options in self._blueprints:
            nested.register(app, nested_options(state, name, nested, its_options))

    def _claim_name(self, app: App, options: dict[str, t.Any]) -> str:
        own: str = options.get("name", self.name)
        name = f"{options.get('name_prefix', '')}.{own}".lstrip(".")
        if name in app.blueprints:
            other = "this" if app.blueprints[name] is self else "another"
            raise ValueError(
                f"The app has {other} blueprint registered as '{name}' already, and the endpoints"
                " of both would have the same names. Register it with `name='...'`."
            )
        return name

    def _merge_blueprint_funcs(self, app: App, name: str) -> None:
        """Add this blueprint's registries to the app's, under the name of this registration."""

        def scope(key: str | None) -> str:
            return name if key is None else f"{name}.{key}"

        for key, by_code in self.error_handler_spec.items():
            copied = {code: dict(handlers) for code, handlers in by_code.items()}
            app.error_handler_spec[scope(key)] = defaultdict(dict, copied)
        app.view_functions.update(self.view_functions)

        for registry in _HOOKS:
            theirs: Scoped[list[t.Any]] = getattr(app, registry)
            ours: Scoped[list[t.Any]] = getattr(self, registry)
            for key, functions in ours.items():
                theirs.setdefault(scope(key), WatchedList()).extend(functions)

    def _merge_commands(self, app: App, name: str, group: str | None) -> None:
        if not self._has_commands:
            return
        if group is None:
            app.cli.commands.update(self.cli.commands)
        else:
            self.cli.name = name if group is _sentinel else group
            app.cli.add_command(self.cli)

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Record a URL rule; its prefix and the endpoint's are those of the registration.

        :raises ValueError: if the endpoint has a dot in it.
        """
        if "." in (endpoint or ""):
            raise ValueError(
                f"The endpoint {endpoint!r} has a dot in it, and dots separate the names of"
                " blueprints. Leave out the blueprint's name: it is added by itself."
            )
        if "." in getattr(view_func, "__name__", ""):
            raise ValueError(
                f"The name of {view_func!r} has a dot in it, so it cannot be the endpoint: dots"
                " separate the names of blueprints. Rename the function."
            )
        options["provide_automatic_options"] = provide_automatic_options
        self.record(lambda state: state.add_url_rule(rule, endpoint, view_func, **options))

    @setupmethod
    def app_template_filter(
        self, name: str | None = None
    ) -> Callable[[T_template_filter], T_template_filter]:
        """`App.template_filter` for the app that the blueprint is registered on."""

        def register(f: T_template_filter) -> T_template_filter:
            self.add_app_template_filter(f, name=name)
            return f

        return register

    @setupmethod
    def add_app_template_filter(
        self, f: ft.TemplateFilterCallable, name: str | None = None
    ) -> None:
        """`App.add_template_filter` for the app that the blueprint is registered on."""
        self.record_once(lambda state: state.app.add_template_filter(f, name))

    @setupmethod
    def app_template_test(
        self, name: str | None = None
    ) -> Callable[[T_template_test], T_template_test]:
        """`App.template_test` for the app that the blueprint is registered on."""

        def register(f: T_template_test) -> T_template_test:
            self.add_app_template_test(f, name=name)
            return f

        return register

    @setupmethod
    def add_app_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """`App.add_template_test` for the app that the blueprint is registered on."""
        self.record_once(lambda state: state.app.add_template_test(f, name))

    @setupmethod
    def app_template_global(
        self, name: str | None = None
    ) -> Callable[[T_template_global], T_template_global]:
        """`App.template_global` for the app that the blueprint is registered on."""

        def register(f: T_template_global) -> T_template_global:
            self.add_app_template_global(f, name=name)
            return f

        return register

    @setupmethod
    def add_app_template_global(
        self, f: ft.TemplateGlobalCallable, name: str | None = None
    ) -> None:
        """`App.add_template_global` for the app that the blueprint is registered on."""
        self.record_once(lambda state: state.app.add_template_global(f, name))

    @setupmethod
    def before_app_request(self, f: T_before_request) -> T_before_request:
        """`before_request` for all requests of the app."""
        self._append(lambda app: app.before_request_funcs, f)
        return f

    @setupmethod
    def after_app_request(self, f: T_after_request) -> T_after_request:
        """`after_request` for all requests of the app."""
        self._append(lambda app: app.after_request_funcs, f)
        return f

    @setupmethod
    def teardown_app_request(self, f: T_teardown) -> T_teardown:
        """`teardown_request` for all requests of the app."""
        self._append(lambda app: app.teardown_request_funcs, f)
        return f

    @setupmethod
    def before_app_websocket(self, f: T_before_websocket) -> T_before_websocket:
        """`before_websocket` for all websockets of the app."""
        self._append(lambda app: app.before_websocket_funcs, f)
        return f

    @setupmethod
    def after_app_websocket(self, f: T_after_websocket) -> T_after_websocket:
        """`after_websocket` for all websockets of the app."""
        self._append(lambda app: app.after_websocket_funcs, f)
        return f

    @setupmethod
    def teardown_app_websocket(self, f: T_teardown) -> T_teardown:
        """`teardown_websocket` for all websockets of the app."""
        self._append(lambda app: app.teardown_websocket_funcs, f)
        return f

    @setupmethod
    def before_app_serving(self, f: T_before_serving) -> T_before_serving:
        """`App.before_serving` for the app that the blueprint is registered on."""
        self.record_once(lambda state: state.app.before_serving_funcs.append(f))
        return f

    @setupmethod
    def after_app_serving(self, f: T_after_serving) -> T_after_serving:
        """`App.after_serving` for the app that the blueprint is registered on."""
        self.record_once(lambda state: state.app.after_serving_funcs.append(f))
        return f

    @setupmethod
    def while_app_serving(self, f: T_while_serving) -> T_while_serving:
        """`App.while_serving` for the app that the blueprint is registered on."""
        check_generator(f)
        self.record_once(lambda state: state.app.while_serving_gens.append(f))
        return f

    @setupmethod
    def app_context_processor(
        self, f: T_template_context_processor
    ) -> T_template_context_processor:
        """`context_processor` for all templates of the app."""
        self._append(lambda app: app.template_context_processors, f)
        return f

    @setupmethod
    def app_errorhandler(
        self, code: type[Exception] | int
    ) -> Callable[[T_error_handler], T_error_handler]:
        """`errorhandler` for all requests of the app."""

        def register(f: T_error_handler) -> T_error_handler:
            self.record_once(lambda state: state.app.register_error_handler(code, f))
            return f

        return register

    @setupmethod
    def app_url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """`url_value_preprocessor` for all requests of the app."""
        self._append(lambda app: app.url_value_preprocessors, f)
        return f

    @setupmethod
    def app_url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """`url_defaults` for all endpoints of the app."""
        self._append(lambda app: app.url_default_functions, f)
        return f


#: The registries of hooks, which all have the same shape.
_HOOKS = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "before_websocket_funcs",
    "after_websocket_funcs",
    "teardown_websocket_funcs",
    "template_context_processors",
    "url_value_preprocessors",
    "url_default_functions",
)
