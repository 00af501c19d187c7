"""Templates: what an app registers for Jinja, and the choices it makes about it."""

from __future__ import annotations

import inspect
import typing as t
from collections.abc import Callable
from functools import cached_property, wraps

from .. import typing as ft
from .scaffold import Scaffold, setupmethod

if t.TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment

T_template_filter = t.TypeVar("T_template_filter", bound=ft.TemplateFilterCallable)
T_template_global = t.TypeVar("T_template_global", bound=ft.TemplateGlobalCallable)
T_template_test = t.TypeVar("T_template_test", bound=ft.TemplateTestCallable)

#: Names that end like this are of formats in which ``<`` and ``&`` have a meaning.
AUTOESCAPED = (".html", ".htm", ".xml", ".xhtml", ".svg")


class TemplateRegistry(Scaffold):
    """The part of an app that knows its templates."""

    #: The class of `jinja_env`; it takes the app as first argument.
    jinja_environment: type[t.Any]
    #: The class of the loader that `create_global_jinja_loader` makes; it takes the app.
    global_jinja_loader_class: Callable[[t.Any], t.Any]
    #: Options for `jinja_environment`; changes after the first use of `jinja_env` come too late.
    jinja_options: dict[str, t.Any] = {}  # noqa: RUF012 (Flask's type, for subclasses to read)

    @cached_property
    def jinja_env(self) -> Environment:
        """The Jinja environment, made when it is first asked for."""
        return self.create_jinja_environment()

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment; the app class that can render writes it."""
        raise NotImplementedError

    def create_global_jinja_loader(self) -> BaseLoader:
        """Make the loader of `jinja_env`, which asks the app's loader and the blueprints'.

        To load templates from elsewhere, override `jinja_loader` rather than this.
        """
        loader: BaseLoader = self.global_jinja_loader_class(self)
        return loader

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether a template's values are escaped.

        :param filename: the template's name, None for one made from a string.
        """
        return filename is None or filename.endswith(AUTOESCAPED)

    if t.TYPE_CHECKING:

        def _call_at_once(
            self, func: Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any
        ) -> t.Any:
            """Call a function of either kind; only an app that does I/O can say how."""

    def _of_both_modes(self, f: Callable[..., t.Any]) -> Callable[..., t.Any]:
        """Return an ``async def`` filter or test so that it may be used in sync rendering too.

        Where it is awaited, in Jinja's async mode, it is called as it is.
        """
        if not inspect.iscoroutinefunction(f):
            return f
        from jinja2 import pass_environment  # which `jinja_env` has imported, and nobody before

        takes_context = hasattr(f, "jinja_pass_arg")  # one of the objects of `jinja2.pass_context`

        @wraps(f)
        def call(first: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
            environment = getattr(first, "environment", first)
            args = (first, *args) if takes_context else args
            if environment.is_async:
                return f(*args, **kwargs)
            return self._call_at_once(f, *args, **kwargs)

        vars(call)["jinja_async_variant"] = True  # not called while a template is compiled
        return call if takes_context else pass_environment(call)

    @setupmethod
    def template_filter(
        self, name: str | None = None
    ) -> Callable[[T_template_filter], T_template_filter]:
        """Make a function a template filter, as in ``{{ value | name }}``.

        :param name: the filter's name; by default the function's.
        """

        def register(f: T_template_filter) -> T_template_filter:
            self.add_template_filter(f, name=name)
            return f

        return register

    @setupmethod
    def add_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """Do what the decorator `template_filter` does, as a call.

        :param f: the filter.
        :param name: its name; by default the function's.
        """
        self.jinja_env.filters[name or f.__name__] = self._of_both_modes(f)

    @setupmethod
    def template_test(
        self, name: str | None = None
    ) -> Callable[[T_template_test], T_template_test]:
        """Make a function a template test, as in ``{% if value is name %}``.

        :param name: the test's name; by default the function's.
        """

        def register(f: T_template_test) -> T_template_test:
            self.add_template_test(f, name=name)
            return f

        return register

    @setupmethod
    def add_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Do what the decorator `template_test` does, as a call.

        :param f: the test.
        :param name: its name; by default the function's.
        """
        self.jinja_env.tests[name or f.__name__] = self._of_both_modes(f)

    @setupmethod
    def template_global(
        self, name: str | None = None
    ) -> Callable[[T_template_global], T_template_global]:
        """Make a function known to all templates, as in ``{{ name(value) }}``.

        :param name: its name in templates; by default the function's.
        """

        def register(f: T_template_global) -> T_template_global:
            self.add_template_global(f, name=name)
            return f

        return register

    @setupmethod
    def add_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """Do what the decorator `template_global` does, as a call.

        :param f: the function.
        :param name: its name in templates; by default the function's.
        """
        self.jinja_env.globals[name or f.__name__] = f
