"""URL rules: how an app registers them, and what it has to say when URLs are built."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Callable, Collection
from functools import cached_property

from werkzeug.routing import BuildError, Map, Rule
from werkzeug.utils import redirect as _make_redirect
from werkzeug.wrappers import Response as BaseResponse

from .. import typing as ft
from ..built_urls import BuiltUrls
from ..config import Config
from .scaffold import Scaffold, _endpoint_from_view_func, _split_blueprint_path, setupmethod

#: Given the error, the endpoint and the values; returns a URL, or None if it knows none.
URLBuildErrorHandler: t.TypeAlias = Callable[[BuildError, str, dict[str, t.Any]], str | None]


class URLRegistry(Scaffold):
    """The part of an app that knows its URLs."""

    #: The class of URL rules.
    url_rule_class: type[Rule] = Rule
    #: The class of `url_map`.
    url_map_class: type[Map] = Map

    #: The methods whose own implementation others know how to do without, by name.
    _own: t.ClassVar[dict[str, t.Any]] = {}

    config: Config
    response_class: type[t.Any]
    #: All URL rules. Add converters to ``url_map.converters`` before rules that use them.
    url_map: Map
    #: Asked for a URL, in order, when one cannot be built; see `handle_url_build_error`.
    url_build_error_handlers: list[URLBuildErrorHandler]

    @cached_property
    def _built_urls(self) -> BuiltUrls:
        return BuiltUrls()

    if t.TYPE_CHECKING:

        def _call_at_once(
            self, func: Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any
        ) -> t.Any:
            """Call a function of either kind; only an app that does I/O can say how."""

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Register a URL rule, and the view for it, as `Scaffold.add_url_rule` describes.

        :raises TypeError: if `methods` is a string.
        :raises AssertionError: if the endpoint has another view already.
        """
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)
        methods = _accepted_methods(options.pop("methods", None), view_func)
        required = set(getattr(view_func, "required_methods", ()))

        if provide_automatic_options is None:
            provide_automatic_options = getattr(view_func, "provide_automatic_options", None)
        if provide_automatic_options is None:
            wanted: bool = self.config["PROVIDE_AUTOMATIC_OPTIONS"]
            provide_automatic_options = wanted and "OPTIONS" not in methods
            if provide_automatic_options:
                required.add("OPTIONS")

        made = self.url_rule_class(rule, endpoint=endpoint, methods=methods | required, **options)
        # werkzeug's rules have no such attribute; dispatch looks for it.
        t.cast("t.Any", made).provide_automatic_options = provide_automatic_options
        self.url_map.add(made)
        if view_func is not None:
            self._set_view(endpoint, view_func)

    def _set_view(self, endpoint: str, view_func: ft.RouteCallable) -> None:
        known = self.view_functions.setdefault(endpoint, view_func)
        if known != view_func:
            raise AssertionError(
                f"The endpoint {endpoint!r} has a view function already: {known!r} would be"
                f" replaced by {view_func!r}. Give one of them another name or `endpoint=`; if a"
                " decorator hides the name, wrap with `functools.wraps`."
            )

    def redirect(self, location: str, code: int = 302) -> BaseResponse:
        """Return a response that sends the client elsewhere; `asyncflask.redirect` calls this.

        :param location: the URL to go to.
        :param code: the status code, a 3xx.
        """
        return _make_redirect(location, code=code, Response=self.response_class)

    def inject_url_defaults(self, endpoint: str, values: dict[str, t.Any]) -> None:
        """Add the values that `url_defaults` functions have for an endpoint, in place.

        The app's functions come first, then those of the blueprints from the outermost inwards.

        :param endpoint: the endpoint of the URL to build.
        :param values: its values.
        """
        if not self.url_default_functions:
            return
        # The endpoint tells the blueprints, since a URL may be built outside of any request.
        blueprint = endpoint.rpartition(".")[0]
        names = reversed(_split_blueprint_path(blueprint)) if blueprint else ()
        for name in (None, *names):
            for func in self.url_default_functions.get(name, ()):
                self._call_at_once(func, endpoint, values)

    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, t.Any]
    ) -> str:
        """Return the URL that the first of `url_build_error_handlers` has to offer.

        A handler that returns None or raises a `BuildError` has none.

        :param error: why the URL could not be built.
        :param endpoint: the endpoint as it was given.
        :param values: the values as they were given.
        :raises BuildError: if no handler has a URL.
        """
        active = sys.exc_info()[1]
        for handler in self.url_build_error_handlers:
            try:
                url: str | None = self._call_at_once(handler, error, endpoint, values)
            except BuildError as newer:
                error = newer
            else:
                if url is not None:
                    return url
        if error is active:
            raise  # keeps the traceback as it was
        raise error


def _accepted_methods(
    methods: Collection[str] | None, view_func: ft.RouteCallable | None
) -> set[str]:
    if methods is None:
        methods = getattr(view_func, "methods", None) or ("GET",)
    if isinstance(methods, str):
        raise TypeError(
            f"`methods` has to be a list of strings, and {methods!r} is one string. Write"
            f" `methods=[{methods!r}]`."
        )
    return {method.upper() for method in methods}
