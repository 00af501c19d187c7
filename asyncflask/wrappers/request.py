"""The request: werkzeug's, made from a WSGI environ or from an ASGI scope.

Made from a scope, nothing is computed before it is asked for: the headers, the WSGI environ (for
extensions that read it) and the body each appear on first access.
"""

from __future__ import annotations

import io
import typing as t
from functools import lru_cache

import anyio.to_thread
from werkzeug.datastructures import EnvironHeaders, Headers, ImmutableMultiDict
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Rule
from werkzeug.sansio.http import parse_cookie
from werkzeug.sansio.utils import get_host
from werkzeug.wsgi import get_path_info

from .. import _current, json, workers
from ..app_globals import State
from ..bodies import CHUNK_BYTES, Body
from ..loops import on_event_loop
from ..unlocked import cached_property
from .fields import found_sooner
from .form import WithForm
from .scope import environ_from_scope, joined_headers, path_below_root
from .wire import wire_header

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Scope = t.MutableMapping[str, t.Any]


@lru_cache(maxsize=1024)
def blueprints_of(endpoint: str | None) -> tuple[str, ...]:
    """Return the names of the blueprints that an endpoint belongs to, innermost first.

    PERF: 0.1 us for an endpoint seen before, not 0.9; a request asks a handful of times. Bounded
    in case an app makes endpoints up; they are never a client's.
    """
    if endpoint is None or "." not in endpoint:
        return ()
    parts = endpoint.split(".")[:-1]
    return tuple(".".join(parts[:end]) for end in range(len(parts), 0, -1))


#: How long a host may be that is remembered: a name of 253 characters (RFC 1035), and a port.
_LONGEST_HOST = 259

#: `get_host` for hosts seen before; bounded, since clients choose them.
_found_host = lru_cache(maxsize=256)(get_host)

#: The content types of JSON, without parameters: there is one.
_JSON = [b"application/json"]


class StreamedBody(io.BufferedReader):
    """The body under a WSGI server, for a view that reads it with ``async for``."""

    async def __aiter__(self) -> t.AsyncIterator[bytes]:
        ctx = _current.request_context()
        lane = None if ctx is None else ctx._lane
        run: t.Any = anyio.to_thread.run_sync if lane is None else lane.run
        while chunk := await run(self.read1, CHUNK_BYTES):
            yield chunk


async def _no() -> bool:
    return False


class _FromScope:
    """An attribute that werkzeug's requests are made with, read from the scope when asked for.

    PERF: a request that nobody looks at costs 0.3 us to make; with all of them set, 1.5 us.

    :param read: gives the attribute's value for a scope.
    """

    def __init__(self, read: t.Callable[[Scope], t.Any]) -> None:
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, request: Request | None, owner: type) -> t.Any:
        if request is None:
            return self
        value = request.__dict__[self._name] = self._read(request.scope)  # type: ignore[arg-type]
        return value


class Request(WithForm):
    """The request that a view works with, under the name `asyncflask.request`.

    Everything about the body is read with plain calls, in sync and async handlers alike:
    `data`, `form`, `files`, `values`, `json`, `get_json`, `stream`.
    """

    json_module: t.Any = json

    #: The rule that matched, or None before matching and where nothing did.
    url_rule: Rule | None = None

    #: The arguments that the rule found in the URL.
    view_args: dict[str, t.Any] | None = None

    #: What matching raised; raised again when the request is dispatched.
    routing_exception: HTTPException | None = None

    #: The ASGI scope; None where the request came through a WSGI server or the sync test client.
    scope: Scope | None = None

    if not t.TYPE_CHECKING:  # the types are werkzeug's
        method = _FromScope(lambda scope: scope["method"].upper())
        scheme = _FromScope(lambda scope: scope["scheme"])
        server = _FromScope(lambda scope: scope.get("server"))
        root_path = _FromScope(lambda scope: scope.get("root_path", "").rstrip("/"))
        path = _FromScope(lambda scope: "/" + path_below_root(scope).lstrip("/"))
        query_string = _FromScope(lambda scope: scope["query_string"])
        remote_addr = _FromScope(lambda scope: (scope.get("client") or (None,))[0])
    shallow = False

    @classmethod
    def from_scope(cls, scope: Scope, body: Body) -> t.Self:
        """Make a request from an ASGI http scope.

        A subclass with an ``__init__`` of its own is made from an environ, as under WSGI.

        :param scope: the connection's scope.
        :param body: where the body comes from.
        """
        if cls.__init__ is Request.__init__:
            self = cls.__new__(cls)
        else:
            self = cls(environ_from_scope(scope, body.reader))
        self.scope, self._body = scope, body
        return self

    @cached_property
    def state(self) -> State:
        """A namespace of this request's own; it begins with what the app's lifespan has yielded.

        It is the ``state`` of the ASGI scope, which middleware may read and write. Where the
        server has none, it begins with a copy of `Flask.state`.
        """
        scope: Scope = {} if self.scope is None else self.scope
        values = scope.get("state")
        if type(values) is not dict:
            ctx = _current.app_context()
            values = dict(values or () if ctx is None or values else vars(ctx.app.state))
            scope["state"] = values
        return State(values)

    @cached_property
    def headers(self) -> Headers:  # type: ignore[override]
        """The request's headers; a name that was sent more than once has its values joined.

        :raises BadRequest: if `Host` or `Content-Length` was sent twice.
        """
        if self.scope is None:
            return EnvironHeaders(self.environ)
        made = Headers()
        # PERF: 2 us, where `add` for each takes 15
        made._list += joined_headers(self.scope).items()
        return made

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies that were sent; of two with the same name, the first one counts."""
        if self.scope is None or "headers" in self.__dict__:
            return found_sooner(super().cookies)
        # PERF: 5 us where nothing else asks for the headers, which are not made for this alone.
        sent = b"; ".join(self.notable.get(b"cookie", ())).decode("latin-1")
        made = found_sooner(parse_cookie(sent, self.dict_storage_class))
        return t.cast("ImmutableMultiDict[str, str]", made)

    @cached_property
    def host(self) -> str:
        """The host that the request is for, with its port unless that is the scheme's own.

        It is empty where none was sent, or one that can be no host.

        :raises SecurityError: (400) if it is none of `trusted_hosts`.
        """
        sent = () if self.scope is None else self.notable.get(b"host", ())
        if len(sent) != 1 or "headers" in self.__dict__:
            return super().host
        # PERF: 2 us, not 10, where nothing else asks for the headers.
        host = sent[0].decode("latin-1")
        if self.trusted_hosts or len(host) > _LONGEST_HOST:
            return get_host(self.scheme, host, self.server, self.trusted_hosts)
        return _found_host(self.scheme, host)

    @cached_property
    def environ(self) -> WSGIEnvironment:  # type: ignore[override]
        """The WSGI environ (PEP 3333); under ASGI made from the scope on first access."""
        if self.scope is None or self._body is None:
            raise RuntimeError(
                "This request was made from nothing: it has neither environ nor scope."
            )
        environ = environ_from_scope(self.scope, self._body.reader)
        environ["werkzeug.request"] = self
        return environ

    @cached_property
    def stream(self) -> t.IO[bytes]:
        """The body as a file: bounded by `max_content_length`, and never a cut-off body's start.

        :raises RequestEntityTooLarge: (413) if the body is declared or found to be too long.
        :raises ClientDisconnected: (400) on reading, if the client left in the middle of it.
        """
        body = self.asgi_body
        if body is None:
            streamed = getattr(self.url_rule, "stream_body", False)
            return StreamedBody(t.cast("t.Any", super().stream)) if streamed else super().stream
        body.restrict(self.max_content_length)
        return t.cast("t.IO[bytes]", body.reader)

    if not t.TYPE_CHECKING:  # the types are werkzeug's

        def get_data(self, cache=True, as_text=False, parse_form_data=False):
            """Return the body, read now if nothing has read it before.

            :param cache: keep it, so that it can be asked for again, and parsed as a form.
            :param as_text: decode it as UTF-8.
            :param parse_form_data: parse it first if it is a form, of which nothing is left then.
            :raises RequestEntityTooLarge: (413) as `stream` does.
            """
            known, body = self.__dict__, self._body
            if (
                cache
                and body is not None
                and not (parse_form_data or "_cached_data" in known or "stream" in known)
            ):  # PERF: 6 us less, for which no file is made around the body
                data = self._cached_data = body.read_all(self.max_content_length)
                if not as_text:
                    return data
            return super().get_data(cache, as_text, parse_form_data)

    @property
    def is_json(self) -> bool:
        """Whether the body is said to be JSON.

        PERF: 20 us where nothing else asks for the headers, which are not made for this alone.
        """
        alone = self.scope is not None and "headers" not in self.__dict__
        return (alone and self.notable.get(b"content-type") == _JSON) or super().is_json

    @property
    def asgi_body(self) -> Body | None:
        """The body as ASGI delivers it; None under a WSGI server."""
        if self._body is None:
            body: Body | None = getattr(self.environ.get("wsgi.input"), "asgi_body", None)
            return body
        return self._body

    def is_disconnected(self) -> t.Any:
        """Whether the client has left: for work that is in vain then.

        In an ``async def`` handler ``await request.is_disconnected()``; in a sync one the call
        returns the bool. It waits for nothing, and takes nothing of the body away. Under a WSGI
        server, which does not tell, it is False.

        :raises RuntimeError: in a thread of one's own, which has no way to the server.
        """
        body = self.asgi_body
        return self._in_either_kind(_no if body is None else body.has_left)

    def send_early_hints(self, links: t.Iterable[str]) -> t.Any:
        """Tell the browser what to load while the response is still being made (RFC 8297).

        ``await request.send_early_hints(["</style.css>; rel=preload; as=style"])``, in a sync
        handler without ``await``. Servers offer it over HTTP/2 and later.

        :param links: values of the ``Link`` header.
        :return: whether the server sent them: False where it does not offer that, and once the
            response has begun.
        :raises ValueError: if a link could be read as more than one header.
        :raises RuntimeError: in a thread of one's own, which has no way to the server.
        """
        checked = [wire_header("link", link)[1] for link in links]
        body = self.asgi_body
        if body is None or not self.offers("http.response.early_hint") or not checked:
            return self._in_either_kind(_no)
        return self._in_either_kind(body.send_links, checked)

    def offers(self, extension: str) -> bool:
        """Whether the server offers an extension of ASGI for this request."""
        scope = self.environ.get("asgi.scope") if self.scope is None else self.scope
        return scope is not None and extension in (scope.get("extensions") or ())

    def _in_either_kind(self, func: t.Callable[..., t.Awaitable[t.Any]], *args: t.Any) -> t.Any:
        """Await a coroutine function for a sync handler, or give an async one what to await."""
        lane = workers.current()
        if lane is not None:
            return lane.call_async(func, *args)
        if workers.waiting() is not None or (self.asgi_body is not None and on_event_loop()):
            return func(*args)
        if self.scope is None:  # a WSGI server's thread, for which there is nothing to ask
            return False
        raise RuntimeError(
            "The request was asked for its connection in a thread that is not its own, and has no"
            " way to the server's event loop. Ask in the handler, and hand on the answer."
        )

    @property
    def ends_connection(self) -> bool:
        """Whether what is left of the body cannot be waited for, so that no other request follows.

        HTTP/2 and later have other means, and forbid the header for it (RFC 9113 section 8.2.2).
        """
        body = self._body
        return (
            body is not None
            and body.timed_out
            and self.scope is not None
            and self.scope.get("http_version", "1.1")[:2] == "1."
        )

    @property
    def path_info(self) -> str:
        """The path as it was sent, below `root_path`: `path` with doubled slashes still in it."""
        if self.scope is None:
            return get_path_info(self.environ)
        path: str = self.scope["path"]
        return path_below_root(self.scope) if self.scope.get("root_path") else path

    @property
    def sent_method(self) -> str:
        """The method as it was sent: `method` is the same in capitals."""
        sent: str = self.method if self.scope is None else self.scope["method"]
        return sent

    def may_have_cookie(self, name: str) -> bool:
        """Whether a cookie of this name may have been sent: False is certain, True is not."""
        if self.scope is None:
            return name in self.environ.get("HTTP_COOKIE", "")
        wanted = name.encode()
        return any(wanted in value for value in self.notable.get(b"cookie", ()))

    @property
    def want_form_data_parsed(self) -> bool:
        """Whether the request says what its body is, so that `form` may parse it."""
        return bool(self.headers.get("Content-Type"))

    @property
    def endpoint(self) -> str | None:
        """The endpoint that the URL matched, or None."""
        rule: t.Any = self.url_rule
        endpoint: str | None = None if rule is None else rule.endpoint
        return endpoint

    @property
    def blueprint(self) -> str | None:
        """The name of the blueprint that the endpoint belongs to, or None."""
        names = blueprints_of(self.endpoint)
        return names[0] if names else None

    @property
    def blueprints(self) -> list[str]:
        """The names of that blueprint and of those it is nested in, innermost first."""
        return [*blueprints_of(self.endpoint)]

    def on_json_loading_failed(self, e: ValueError | None) -> t.Any:
        """Answer 400 to a body that is not JSON, or 415 to one that does not say that it is.

        :param e: what parsing raised, or None for a wrong content type.
        :raises BadRequest: always; in debug mode with what is wrong.
        """
        try:
            return super().on_json_loading_failed(e)
        except BadRequest as error:
            ctx = _current.app_context()
            if ctx is not None and ctx.app.debug:
                raise
            raise BadRequest from error
