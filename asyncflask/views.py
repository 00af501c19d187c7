"""Class-based views.

How a view class becomes a view function:

================================== ===========================================================
the class has                      `View.as_view` returns
================================== ===========================================================
``async def dispatch_request``     an ``async def``, which runs on the event loop
a `MethodView` with only           an ``async def``
``async def`` handlers
anything else                      a plain function; its result may still be a coroutine, and
                                   is then awaited like any view's
================================== ===========================================================
"""

from __future__ import annotations

import inspect
import typing as t
from collections.abc import Callable, Collection

from werkzeug.exceptions import MethodNotAllowed

from . import _current
from . import typing as ft

#: The names under which a `MethodView` looks for handlers without being told.
http_method_funcs = frozenset(["get", "post", "head", "options", "delete", "put", "trace", "patch"])


class View:
    """A view written as a class: subclass it and write `dispatch_request`.

    ::

        class Hello(View):
            init_every_request = False

            async def dispatch_request(self, name):
                return f"Hello, {name}!"

        app.add_url_rule("/hello/<name>", view_func=Hello.as_view("hello"))
    """

    #: The HTTP methods that the view accepts; None leaves it to ``add_url_rule``.
    methods: t.ClassVar[Collection[str] | None] = None

    #: Whether the app answers ``OPTIONS`` by itself; None leaves it to ``add_url_rule``.
    provide_automatic_options: t.ClassVar[bool | None] = None

    #: Decorators for the view function, the innermost first. Decorating the class would not
    #: reach the function.
    decorators: t.ClassVar[list[Callable[..., t.Any]]] = []

    #: Whether each request gets an instance of its own. Without that (``False``), ``__init__``
    #: runs once, and what belongs to one request must be kept in `asyncflask.g`.
    init_every_request: t.ClassVar[bool] = True

    def dispatch_request(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Answer a request, given the URL's variables as keyword arguments.

        Every view class writes its own, as ``def`` or ``async def``.

        :returns: whatever a view function may return.
        """
        raise NotImplementedError

    @classmethod
    def as_view(cls, name: str, *class_args: t.Any, **class_kwargs: t.Any) -> ft.RouteCallable:
        """Return a view function that hands requests to instances of this class.

        :param name: the function's name, which is the endpoint unless another one is given.
        :param class_args: arguments for ``__init__``.
        :param class_kwargs: keyword arguments for ``__init__``.
        """
        if cls.init_every_request:

            def find() -> View:
                # `view_class` may be replaced on the function, as tests do.
                return t.cast("View", view.view_class(*class_args, **class_kwargs))

        else:
            shared = cls(*class_args, **class_kwargs)

            def find() -> View:
                return shared

        view: t.Any = _view_function(find, cls._is_async())
        view.__name__, view.__module__ = name, cls.__module__
        for decorator in cls.decorators:
            view = decorator(view)
        view.__name__, view.__module__, view.__doc__ = name, cls.__module__, cls.__doc__
        view.view_class = cls
        view.methods = cls.methods
        view.provide_automatic_options = cls.provide_automatic_options
        return t.cast("ft.RouteCallable", view)

    @classmethod
    def _is_async(cls) -> bool:
        """Whether answering a request takes no plain handler."""
        return inspect.iscoroutinefunction(cls.dispatch_request)


def _view_function(find: Callable[[], View], is_async: bool) -> Callable[..., t.Any]:
    if is_async:

        async def view_on_loop(**kwargs: t.Any) -> t.Any:
            result = find().dispatch_request(**kwargs)
            return await result if inspect.isawaitable(result) else result

        return view_on_loop

    def view(**kwargs: t.Any) -> t.Any:
        return find().dispatch_request(**kwargs)

    return view


class MethodView(View):
    """A view class with a method per HTTP method, named like it in lower case.

    ::

        class Notes(MethodView):
            async def get(self):
                return await notes.all()

            async def put(self, id):
                await notes.store(id, request.get_json())
                return "", 204

        view = Notes.as_view("notes")
        app.add_url_rule("/notes", view_func=view, methods=["GET"])
        app.add_url_rule("/notes/<int:id>", view_func=view, methods=["PUT"])

    `methods` is what the class and its bases have handlers for, unless it is set. ``HEAD`` falls
    back on ``get``. Methods beyond `http_method_funcs` need to be listed in `methods`.
    """

    # Whether code written for finished results (a plain `dispatch_request` of a subclass, or a
    # decorator around a plain view function) sees what the handlers return.
    _finish_results: t.ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" not in cls.__dict__:
            cls._collect_methods()
        overridden = cls.dispatch_request is not MethodView.dispatch_request
        cls._finish_results = (overridden or bool(cls.decorators)) and not cls._is_async()

    @classmethod
    def _collect_methods(cls) -> None:
        inherited = (getattr(base, "methods", None) or () for base in cls.__bases__)
        own = {name.upper() for name in http_method_funcs if hasattr(cls, name)}
        if found := own.union(*inherited):
            cls.methods = found

    @classmethod
    def _is_async(cls) -> bool:
        if cls.dispatch_request is not MethodView.dispatch_request:
            return super()._is_async()
        # All that could be called, since `add_url_rule(methods=...)` may widen `methods`.
        names = {method.lower() for method in cls.methods or ()} | http_method_funcs
        handlers = [getattr(cls, name) for name in names if hasattr(cls, name)]
        return bool(handlers) and all(map(inspect.iscoroutinefunction, handlers))

    def dispatch_request(self, **kwargs: t.Any) -> t.Any:
        """Call the handler of the request's method.

        :returns: what the handler returns: for an ``async def`` a coroutine, unless a plain
            function of yours (a decorator, an overriding `dispatch_request`) gets to see it.
        :raises MethodNotAllowed: if there is no handler for the method.
        """
        request = _current.require_request_context().request
        handler = self._find_handler(request.method.upper(), request.url_rule)
        if self._finish_results:
            handler = _current.current_app.ensure_sync(handler)
        return handler(**kwargs)

    def _find_handler(self, method: str, rule: t.Any) -> Callable[..., t.Any]:
        # Only names that were registered are looked up: the method is the client's to choose,
        # and most attributes of this object are not meant to be called by it.
        allowed = getattr(rule, "methods", None) or {name.upper() for name in self.methods or ()}
        found = getattr(self, method.lower(), None) if method in allowed else None
        if found is None and method == "HEAD":
            found = getattr(self, "get", None)
        if found is None:
            raise MethodNotAllowed(
                sorted(allowed - {method}),
                f"{type(self).__name__} has no handler for {method} requests.",
            )
        return t.cast("Callable[..., t.Any]", found)
