"""The app: a facade. Each method is a few lines; the algorithms live in `dispatch`."""

from __future__ import annotations

import os
import typing as t
import weakref
from datetime import timedelta
from functools import cached_property, partial

from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import MapAdapter

from . import (
    _current,
    asgi,
    budgets,
    cli,
    deciding,
    defaults,
    lifecycle,
    middleware,
    mounts,
    pools,
    testing,
    workers,
)
from . import typing as ft
from .asgi import shortcut
from .calling import AppType, apps, call_app, serve_asgi
from .ctx import AppContext, RequestContext, _AppCtxGlobals
from .dispatch import pipeline, teardown, urls
from .helpers import send_from_directory
from .rendering import Rendering
from .routing import Map, Rule
from .sansio.scaffold import setupmethod
from .sessions import SecureCookieSessionInterface, SessionInterface
from .wrappers import Request, Response, Websocket
from .wsgi import entry as wsgi_entry

if t.TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from click import Group

_unset: t.Any = object()


class Flask(lifecycle.Lifecycle, deciding.Deciding, Rendering, metaclass=AppType):
    """An application: its routes, its configuration, and the callable that a server runs.

    The object is an ASGI 3 application and a WSGI application at once: a server that calls it with
    ``(scope, receive, send)`` or with ``(environ, start_response)`` gets the same answers.

    :param import_name: usually ``__name__``; where templates, static files and resources are.
    :param static_url_path: the URL prefix of static files; by default the folder's name.
    :param static_folder: the folder with them, relative to `root_path`; None for none.
    :param static_host: the host that serves them, with `host_matching`.
    :param host_matching: let rules match on the host.
    :param subdomain_matching: let rules match on the subdomain of `SERVER_NAME`.
    :param template_folder: the folder with templates, relative to `root_path`.
    :param instance_path: an absolute path for what belongs to this installation.
    :param instance_relative_config: resolve configuration files against `instance_path`.
    :param root_path: the app's own path, where it cannot be found by `import_name`.
    :param lifespan: takes the app and returns an async context manager, which is entered before
        the app is served and left afterwards; what it yields becomes `state`.
    """

    default_config = ImmutableDict({**defaults.FLASK, **defaults.OWN})
    request_class: type[Request] = Request
    websocket_class: type[Websocket] = Websocket
    session_interface: SessionInterface = SecureCookieSessionInterface()
    app_ctx_globals_class = _AppCtxGlobals
    url_rule_class = Rule
    url_map_class = Map
    url_map: Map

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
        *,
        lifespan: ft.LifespanCallable | None = None,
    ) -> None:
        super().__init__(
            import_name=import_name,
            static_url_path=static_url_path,
            static_folder=static_folder,
            static_host=static_host,
            host_matching=host_matching,
            subdomain_matching=subdomain_matching,
            template_folder=template_folder,
            instance_path=instance_path,
            instance_relative_config=instance_relative_config,
            root_path=root_path,
        )
        apps.add(self)
        self._budgets = budgets.Budgets()
        self._begin_life(lifespan)
        this = weakref.ref(self)  # no cycle: an app that nobody refers to is freed at once
        # A server that inspects `app.__call__` sees a coroutine function, and thus ASGI 3; calling
        # the app uses the class's method, which takes both protocols.
        self.__dict__["__call__"] = partial(serve_asgi, this)
        if self.has_static_folder:
            self._add_static_route(this, static_host, host_matching)

    def _add_static_route(
        self, this: weakref.ref[Flask], static_host: str | None, host_matching: bool
    ) -> None:
        if bool(static_host) != host_matching:
            raise AssertionError(
                "Invalid static_host/host_matching combination: with host_matching=True the static"
                " files need a static_host (or static_folder=None), and without it they have none."
            )

        def static(**values: t.Any) -> Response:
            return t.cast("Flask", this()).send_static_file(**values)

        rule = f"{self.static_url_path}/<path:filename>"
        self.add_url_rule(rule, endpoint="static", host=static_host, view_func=static)

    @cached_property
    def cli(self) -> Group:
        """The click group for the app's commands."""
        group = cli.AppGroup()
        group.name = self.name
        return group

    def _pool(self, kind: str = budgets.HANDLERS) -> pools.Pool:
        """Return the running event loop's worker threads for a kind of work."""
        return self._budgets.here(self.config, kind)

    @property
    def sync_metrics(self) -> pools.Metrics:
        """What the threads of sync handlers do, on the event loop that serves the caller.

        For a view that a load balancer asks for the app's health; an ``async def`` one, which
        answers even if no thread is free.

        :raises RuntimeError: if no event loop serves the caller.
        """
        lane = workers.current()
        return self._pool().metrics if lane is None else lane.pool.metrics

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return how many seconds a browser may keep a file without asking again.

        Override it to decide by name. The default is the config's `SEND_FILE_MAX_AGE_DEFAULT`.

        :param filename: the file's name, if it has one.
        """
        value = self.config["SEND_FILE_MAX_AGE_DEFAULT"]
        return int(value.total_seconds()) if isinstance(value, timedelta) else value

    def send_static_file(self, filename: str) -> Response:
        """Answer with a file of the static folder; the view of the endpoint ``static``.

        :raises RuntimeError: if the app has no static folder.
        """
        if not self.has_static_folder:
            raise RuntimeError("'static_folder' must be set to serve static_files: it is None.")
        max_age = self.get_send_file_max_age(filename)
        return send_from_directory(t.cast("str", self.static_folder), filename, max_age=max_age)

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> t.IO[t.Any]:
        """Open a file below `root_path` for reading.

        :param resource: its path, relative to `root_path`.
        :param mode: ``rb``, ``r`` or ``rt``.
        :param encoding: the encoding of a text mode.
        :raises ValueError: for any other mode.
        """
        if mode not in ("r", "rt", "rb"):
            raise ValueError("Resources can only be opened for reading.")
        return open(os.path.join(self.root_path, resource), mode, encoding=encoding)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.Any]:
        """Open a file below `instance_path`, in any mode.

        :param resource: its path, relative to `instance_path`.
        :param encoding: the encoding of a text mode.
        """
        path = os.path.join(self.instance_path, resource)
        return open(path, mode, encoding=None if "b" in mode else encoding)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the adapter that matches and builds URLs for a request, or outside of one.

        :raises SecurityError: (400) if the request's host is not trusted.
        """
        return urls.create_adapter(self, request)

    def make_shell_context(self) -> dict[str, t.Any]:
        """Return the names that ``asyncflask shell`` starts with."""
        names: dict[str, t.Any] = {"app": self, "g": _current.g}
        for processor in self.shell_context_processors:
            names.update(self.ensure_sync(processor)())
        return names

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: t.Any,
    ) -> None:
        """Serve the app with uvicorn, for development; returns when the server stops.

        :param host: the address to listen on; by default `SERVER_NAME`'s, or 127.0.0.1.
        :param port: the port; by default `SERVER_NAME`'s, or 5000.
        :param debug: switch debug mode on or off.
        :param load_dotenv: read ``.env`` and ``.flaskenv`` first.
        :param options: ``use_reloader``, ``ssl_context``, ``extra_files`` and the other options
            of Flask's development server that have a meaning here.
        """
        from . import serving  # the development server's, which nobody else starts

        serving.run_app(self, host, port, debug, load_dotenv, **options)

    def test_client(self, use_cookies: bool = True, **kwargs: t.Any) -> testing.FlaskClient:
        """Return a synchronous client for tests, which calls the app without a server.

        :param use_cookies: keep cookies between its requests.
        :param kwargs: handed to `test_client_class`.
        """
        kind = self.test_client_class or testing.FlaskClient
        client = kind(self, self.response_class, use_cookies=use_cookies, **kwargs)
        return t.cast("testing.FlaskClient", client)

    def test_cli_runner(self, **kwargs: t.Any) -> testing.FlaskCliRunner:
        """Return a runner that tests call the app's commands with."""
        kind = self.test_cli_runner_class or testing.FlaskCliRunner
        return t.cast("testing.FlaskCliRunner", kind(self, **kwargs))

    def async_client(self, **kwargs: t.Any) -> testing.AsyncClient:
        """Return an `httpx.AsyncClient` that calls the app without a server.

        ``async with app.async_client() as client:`` runs the app's lifespan around the block.

        :param kwargs: handed to `testing.AsyncClient`.
        """
        return testing.AsyncClient(self, **kwargs)

    def test_app(self, **kwargs: t.Any) -> testing.StartedApp:
        """Return the app's lifespan as a block, for tests whose clients need the app started.

        ``with app.test_app() as started: client = started.test_client()``, or ``async with`` and
        ``started.async_client()``.

        :param kwargs: handed to `testing.StartedApp`.
        """
        return testing.StartedApp(self, **kwargs)

    @setupmethod
    def mount(
        self,
        prefix: str,
        app: t.Any,
        name: str | None = None,
        *,
        protocol: t.Literal["asgi", "wsgi"] | None = None,
    ) -> None:
        """Let another app answer what is requested below a prefix.

        ``app.mount("/api", FastAPI())``, ``app.mount("/legacy", flask_app)``. The prefix itself
        and what is below it reaches the other app alone: no route, hook or error handler of this
        one. WebSockets and the lifespan of an ASGI app are its own.

        :param prefix: where; compared with whole segments of the path, the longest prefix first.
        :param app: an ASGI app (Starlette, FastAPI, Django's, a plain callable, another app like
            this) or a WSGI app (Flask, Django's, a plain callable).
        :param name: an endpoint for it: ``url_for(name, path="a/b")`` is a URL below the prefix.
        :param protocol: which of the two it is, where the way it is called does not tell.
        :raises TypeError: if it is no app, or if its protocol cannot be told.
        :raises ValueError: if the prefix is no path, has variables, is ``/``, or is taken.
        """
        mounts.mount(self, prefix, app, name, protocol)

    @setupmethod
    def add_middleware(self, cls: t.Callable[..., t.Any], /, **options: t.Any) -> None:
        """Put ASGI middleware around the app; what is added last is outermost.

        ``app.add_middleware(CORSMiddleware, allow_origins=["https://example.org"])``. It sees
        requests, WebSockets and the lifespan. Requests over WSGI do not come past it.

        :param cls: called as ``cls(app, **options)``, once; gives an ASGI application.
        :param options: its options.
        :raises TypeError: if it cannot be called like that, or is WSGI middleware.
        """
        middleware.add(self, cls, options)

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: t.Any,
    ) -> str:
        """Build the URL of an endpoint.

        :param endpoint: its name; with a leading dot, relative to the current blueprint.
        :param _anchor: what stands behind ``#``.
        :param _method: the method that the rule must allow.
        :param _scheme: the scheme of an external URL.
        :param _external: with scheme and host; by default only outside a request.
        :param values: the rule's variables; the others become the query.
        :raises RuntimeError: outside a request, if `SERVER_NAME` is not set.
        :raises BuildError: if there is no such endpoint, or a value is missing.
        """
        return urls.url_for(self, endpoint, values, _anchor, _method, _scheme, _external)

    def app_context(self) -> AppContext:
        """Return a context in which this app is `current_app`; use it with ``with``."""
        return AppContext(self)

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Return a context for the request that a WSGI environ describes."""
        return RequestContext(self, environ)

    def test_request_context(self, *args: t.Any, **kwargs: t.Any) -> RequestContext:
        """Return a context for a made-up request, with `werkzeug.test.EnvironBuilder`'s arguments.

        ``with app.test_request_context("/?page=2"): ...``
        """
        builder = testing.EnvironBuilder(self, *args, **kwargs)
        try:
            return self.request_context(builder.get_environ())
        finally:
            builder.close()

    def wsgi_app(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> t.Iterable[bytes]:
        """The app as a WSGI application, for middleware: ``app.wsgi_app = M(app.wsgi_app)``.

        The middleware is honoured under ASGI servers too.
        """
        return wsgi_entry.serve(self, environ, start_response)

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log an exception that nothing handled, with the request's path and method.

        NOTE: it is in this module as the format of the log, Flask's, has it "in app".
        """
        request = _current.request
        path = request.path
        if not path.isprintable():  # no client writes lines, or commands for a terminal, of its own
            path = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in path)
        method = request.method if _current.websocket_context() is None else "WEBSOCKET"
        self.logger.error(f"Exception on {path} [{method}]", exc_info=exc_info)

    async def asgi_app(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        """The app as an ASGI application, for middleware: ``app.asgi_app = M(app.asgi_app)``."""
        await asgi.serve(self, scope, receive, send)

    if t.TYPE_CHECKING:  # a subclass may have it take either kind's arguments

        def __call__(self, *args: t.Any) -> t.Any:
            """Serve a connection."""
    else:
        __call__ = shortcut.call

    def _call(self, scope: t.Any, receive: t.Any, send: t.Any) -> t.Any:
        """Serve a connection that takes no shortcut."""
        if send is not None and self._asgi_is_own:
            return asgi.serve(self, scope, receive, send)
        return call_app(self, scope, receive, send)

    async def _begin(self, ctx: AppContext, driver: t.Any) -> None:
        await pipeline.begin(ctx, driver)

    async def _end(self, ctx: AppContext, driver: t.Any, error: BaseException | None) -> None:
        await teardown.end(ctx, driver, error)


Flask._own = {name: getattr(Flask, name) for name in deciding.METHODS}
