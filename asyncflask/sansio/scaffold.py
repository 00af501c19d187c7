"""What apps and blueprints have in common: the registration decorators and what they fill.

The registries are dicts of lists, keyed by blueprint name (None for the app or blueprint itself).
A change of one holds for the next request.
"""

from __future__ import annotations

import os
import typing as t
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property, lru_cache

from werkzeug.exceptions import HTTPException, default_exceptions

from .. import typing as ft
from .._current import _default_template_ctx_processor
from ..packages import _find_package_path as _find_package_path
from ..packages import find_package as find_package
from ..packages import get_root_path
from ..watched import Registry, WatchedDict, WatchedList
from .setup import F as F
from .setup import Scoped as Scoped
from .setup import setupmethod as setupmethod
from .websockets import WebsocketRegistry

if t.TYPE_CHECKING:
    # NOTE: an app is made without either, which takes 30 ms and 2.5 MiB less.
    from click import Group
    from jinja2 import BaseLoader

# Stands for "not given" where None has a meaning of its own.
_sentinel: t.Any = object()

T_after_request = t.TypeVar("T_after_request", bound=ft.AfterRequestCallable[t.Any])
T_before_request = t.TypeVar("T_before_request", bound=ft.BeforeRequestCallable)
T_error_handler = t.TypeVar("T_error_handler", bound=ft.ErrorHandlerCallable)
T_teardown = t.TypeVar("T_teardown", bound=ft.TeardownCallable)
T_template_context_processor = t.TypeVar(
    "T_template_context_processor", bound=ft.TemplateContextProcessorCallable
)
T_url_defaults = t.TypeVar("T_url_defaults", bound=ft.URLDefaultCallable)
T_url_value_preprocessor = t.TypeVar(
    "T_url_value_preprocessor", bound=ft.URLValuePreprocessorCallable
)
T_route = t.TypeVar("T_route", bound=ft.RouteCallable)

#: ``{status code or None: {exception class: handler}}``
ErrorHandlers: t.TypeAlias = dict[int | None, dict[type[Exception], ft.ErrorHandlerCallable]]


class Scaffold(WebsocketRegistry):
    """The base of `Flask` and `Blueprint`: registration, and where resources lie.

    :param import_name: the name of the defining module, usually ``__name__``.
    :param static_folder: the directory of static files, absolute or relative to `root_path`.
        With it comes a route for them.
    :param static_url_path: the URL prefix of static files; by default the folder's name.
    :param template_folder: the directory of templates, absolute or relative to `root_path`.
    :param root_path: the directory that resources are relative to; found from `import_name`.
    """

    name: str

    if t.TYPE_CHECKING:

        @cached_property
        def cli(self) -> Group:
            """The click group for the commands of this app or blueprint."""

    _static_folder: str | None = None
    _static_url_path: str | None = None

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        #: The name of the defining module. Not to be changed.
        self.import_name = import_name
        #: The absolute directory that resources are relative to.
        self.root_path = get_root_path(import_name) if root_path is None else root_path
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        #: The directory of templates, as it was given.
        self.template_folder = template_folder
        super().__init__()

        #: ``{endpoint: view function}``
        self.view_functions: dict[str, ft.RouteCallable] = WatchedDict()
        #: ``{scope: {status code or None: {exception class: handler}}}``
        self.error_handler_spec: Scoped[ErrorHandlers] = defaultdict(lambda: defaultdict(dict))
        #: Run before the view, in order, the app's before the blueprint's.
        self.before_request_funcs: Scoped[list[ft.BeforeRequestCallable]] = Registry(WatchedList)
        #: Given the response, in reverse order, the blueprint's before the app's.
        self.after_request_funcs: Scoped[list[ft.AfterRequestCallable[t.Any]]] = Registry(
            WatchedList
        )
        #: Run when the request's context ends, in the same order as `after_request_funcs`.
        self.teardown_request_funcs: Scoped[list[ft.TeardownCallable]] = Registry(WatchedList)
        #: Add variables to templates.
        self.template_context_processors: Scoped[list[ft.TemplateContextProcessorCallable]] = (
            defaultdict(list, {None: [_default_template_ctx_processor]})
        )
        #: See, and may change, the values taken from the URL before anything else runs.
        self.url_value_preprocessors: Scoped[list[ft.URLValuePreprocessorCallable]] = Registry(
            WatchedList
        )
        #: Add values where URLs are built.
        self.url_default_functions: Scoped[list[ft.URLDefaultCallable]] = defaultdict(list)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def _has_commands(self) -> bool:
        """Whether there is any command. The group is not made for the answer."""
        unmade = "cli" not in vars(self) and isinstance(type(self).cli, cached_property)
        return not unmade and bool(self.cli.commands)

    def _check_setup_finished(self, f_name: str) -> None:
        """Raise an error if the setup method `f_name` comes too late to have its full effect."""
        raise NotImplementedError

    @property
    def static_folder(self) -> str | None:
        """The absolute directory of static files, None if there are none."""
        folder = self._static_folder
        return None if folder is None else os.path.join(self.root_path, folder)

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = None if value is None else os.fspath(value).rstrip("\\/")

    @property
    def has_static_folder(self) -> bool:
        """Whether there is a directory of static files."""
        return self.static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """The URL prefix of static files, None if there are none."""
        if self._static_url_path is None and self.static_folder is not None:
            return f"/{os.path.basename(self.static_folder)}".rstrip("/")
        return self._static_url_path

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    @cached_property
    def jinja_loader(self) -> BaseLoader | None:
        """Loads the templates of `template_folder`; None without one. Override it at will."""
        if self.template_folder is None:
            return None
        from jinja2 import FileSystemLoader  # only where there are templates to load

        return FileSystemLoader(os.path.join(self.root_path, self.template_folder))

    def _method_route(
        self, method: str, rule: str, options: dict[str, t.Any]
    ) -> Callable[[T_route], T_route]:
        if "methods" in options:
            raise TypeError(
                f"`methods` was given to a decorator that stands for {method} alone. Use"
                " `route(..., methods=[...])` for several methods."
            )
        return self.route(rule, methods=[method], **options)

    @setupmethod
    def get(self, rule: str, **options: t.Any) -> Callable[[T_route], T_route]:
        """Register a view for ``GET`` (and ``HEAD``); see `route`."""
        return self._method_route("GET", rule, options)

    @setupmethod
    def post(self, rule: str, **options: t.Any) -> Callable[[T_route], T_route]:
        """Register a view for ``POST``; see `route`."""
        return self._method_route("POST", rule, options)

    @setupmethod
    def put(self, rule: str, **options: t.Any) -> Callable[[T_route], T_route]:
        """Register a view for ``PUT``; see `route`."""
        return self._method_route("PUT", rule, options)

    @setupmethod
    def delete(self, rule: str, **options: t.Any) -> Callable[[T_route], T_route]:
        """Register a view for ``DELETE``; see `route`."""
        return self._method_route("DELETE", rule, options)

    @setupmethod
    def patch(self, rule: str, **options: t.Any) -> Callable[[T_route], T_route]:
        """Register a view for ``PATCH``; see `route`."""
        return self._method_route("PATCH", rule, options)

    @setupmethod
    def route(self, rule: str, **options: t.Any) -> Callable[[T_route], T_route]:
        """Register a view, ``def`` or ``async def``, for a URL rule.

        ::

            @app.route("/users/<int:id>", methods=["GET", "DELETE"])
            async def user(id): ...

        :param rule: the rule, in the syntax of `werkzeug.routing`.
        :param options: `endpoint`, and what `add_url_rule` takes.
        """
        # Popped here and not in the decorator, which may be applied more than once.
        endpoint = options.pop("endpoint", None)

        def register(f: T_route) -> T_route:
            self.add_url_rule(rule, endpoint, f, **options)
            return f

        return register

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Register a URL rule, and the view for it; `route` is the decorator for this.

        A rule without a view gets one later, from the decorator `endpoint`. A view may carry
        defaults as attributes: ``methods``, ``required_methods`` (always added) and
        ``provide_automatic_options``.

        :param rule: the rule, in the syntax of `werkzeug.routing`.
        :param endpoint: the name to build URLs by; by default the view function's.
        :param view_func: the view, ``def`` or ``async def``.
        :param provide_automatic_options: whether ``OPTIONS`` is answered without the view.
        :param options: `methods` (by default ``["GET"]``), and what
            `werkzeug.routing.Rule` takes.
        """
        raise NotImplementedError

    @setupmethod
    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Make a function the view of an endpoint whose rule is added without one.

        :param endpoint: the endpoint's full name.
        """

        def register(f: F) -> F:
            self.view_functions[endpoint] = f
            return f

        return register

    @setupmethod
    def before_request(self, f: T_before_request) -> T_before_request:
        """Run a function before each request's view.

        What it returns, unless None, is the response, and neither further such functions nor
        the view are called. On a blueprint, it runs for that blueprint's requests only.
        """
        self.before_request_funcs.setdefault(None, WatchedList()).append(f)
        return f

    @setupmethod
    def after_request(self, f: T_after_request) -> T_after_request:
        """Give each response to a function, and send what it returns.

        An exception in one such function keeps the others from running; clean up in
        `teardown_request`. On a blueprint, it sees that blueprint's responses only.
        """
        self.after_request_funcs.setdefault(None, WatchedList()).append(f)
        return f

    @setupmethod
    def teardown_request(self, f: T_teardown) -> T_teardown:
        """Run a function when a request's context ends, whatever happened in it.

        It is given the unhandled exception, or None. What it returns is ignored. On a
        blueprint, it runs for that blueprint's requests only.
        """
        self.teardown_request_funcs.setdefault(None, WatchedList()).append(f)
        return f

    @setupmethod
    def context_processor(self, f: T_template_context_processor) -> T_template_context_processor:
        """Add the items of the dict that a function returns to every template's variables.

        On a blueprint, to the templates that are rendered by that blueprint's views.
        """
        self.template_context_processors.setdefault(None, []).append(f)
        return f

    @setupmethod
    def url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """Call a function with each request's endpoint and URL values, which it may change.

        It runs before the `before_request` functions: a place to move a language code from the
        URL's values into `asyncflask.g`. On a blueprint, for that blueprint's requests only.
        """
        self.url_value_preprocessors.setdefault(None, WatchedList()).append(f)
        return f

    @setupmethod
    def url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """Call a function with the endpoint and values of each URL to build, to add values.

        On a blueprint, for that blueprint's endpoints only.
        """
        self.url_default_functions.setdefault(None, []).append(f)
        return f

    @setupmethod
    def errorhandler(
        self, code_or_exception: type[Exception] | int
    ) -> Callable[[T_error_handler], T_error_handler]:
        """Have a function answer requests that fail in a certain way.

        ::

            @app.errorhandler(404)
            def missing(error):
                return "There is no such page.", 404

        On a blueprint, for failures in that blueprint's requests only.

        :param code_or_exception: an HTTP status code, or an exception class; subclasses of it
            are handled too unless they have a handler of their own.
        """

        def register(f: T_error_handler) -> T_error_handler:
            self.register_error_handler(code_or_exception, f)
            return f

        return register

    @setupmethod
    def register_error_handler(
        self, code_or_exception: type[Exception] | int, f: ft.ErrorHandlerCallable
    ) -> None:
        """Do what the decorator `errorhandler` does, as a call.

        :param code_or_exception: an HTTP status code, or an exception class.
        :param f: given the exception, returns what a view may return.
        """
        exc_class, code = self._get_exc_class_and_code(code_or_exception)
        self.error_handler_spec[None][code][exc_class] = f

    @staticmethod
    def _get_exc_class_and_code(
        exc_class_or_code: type[Exception] | int,
    ) -> tuple[type[Exception], int | None]:
        """Return the exception class that is meant, and its HTTP status code if it has one.

        :raises ValueError: if the code is no HTTP error, or the class no exception.
        :raises TypeError: if it is an exception and not a class.
        """
        target: t.Any = exc_class_or_code
        if isinstance(target, int):
            if target not in default_exceptions:
                raise ValueError(
                    f"There is no HTTP error with the code {target:d} to handle. Use a subclass"
                    " of HTTPException that has this code."
                )
            target = default_exceptions[target]
        if isinstance(target, Exception):
            raise TypeError(
                f"{target!r} is an instance, not a class. Register the handler for"
                f" {type(target).__name__}, or for an HTTP status code."
            )
        if not (isinstance(target, type) and issubclass(target, Exception)):
            name = getattr(target, "__name__", repr(target))
            raise ValueError(
                f"'{name}' is not a subclass of Exception. Register the handler for an exception"
                " class or for an HTTP status code."
            )
        return target, target.code if issubclass(target, HTTPException) else None


def _endpoint_from_view_func(view_func: ft.RouteCallable | None) -> str:
    """Return the endpoint that a view gets without being told: its name."""
    if view_func is None:
        raise AssertionError(
            "A URL rule was added with neither a view nor an endpoint, so there is nothing to"
            " name it by. Pass `view_func=` or `endpoint=`."
        )
    return view_func.__name__


# No app has as many blueprints; the limit only keeps made-up endpoints from piling up.
@lru_cache(maxsize=1024)
def _split_blueprint_path(name: str) -> list[str]:
    """Return a blueprint's dotted name and those of the blueprints around it, innermost first."""
    outer = name.rpartition(".")[0]
    return [name, *_split_blueprint_path(outer)] if outer else [name]
