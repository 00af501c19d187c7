"""The shortest way: a request in whose response nobody but its view has a say.

No callback is registered, nothing is overridden, nobody listens, the request has no body and no
session, and the matcher knows the view. Then a plain value that the view returns is the response.
Nothing is done here that an `Exchange` would not do; what it would find to be nothing is left out.
Whatever turns out otherwise on the way is the exchange's to go on with: it gets what the view
returned or raised.
PERF: 4 us a request, where all the steps of the pipeline take 9.
"""

from __future__ import annotations

import typing as t
from functools import partial

from .. import _current
from ..dispatch import pipeline
from ..dispatch.plan import has_only_views
from ..dispatch.returns import Plain, as_plain
from ..dispatch.teardown import has_end
from ..drivers import is_async, is_awaitable, wait_for
from ..wrappers.scope import NOTABLE, is_plain_host
from .http import Exchange, Message, Receive, Send, send_all
from .isolation import begun_in

#: The view, the rule that matched, and its arguments.
Found = tuple[t.Callable[..., t.Any], t.Any, dict[str, t.Any]]

#: Methods that are answered with more or less than what the view returns.
_SPECIAL = frozenset({"HEAD", "OPTIONS"})


def find(app: t.Any, scope: Message) -> Found | None:
    """Return the view of a request that may take the shortcut, with its rule and arguments."""
    if scope.get("root_path") or not has_only_views(app):
        return None
    host = None
    for name, value in scope["headers"]:
        if name in NOTABLE:
            if name != b"host" or host is not None:
                return None
            host = value
    if host is not None and not is_plain_host(host):
        return None
    found = app._find_rule(scope["path"], scope["method"])
    if found is None or scope["method"] in _SPECIAL:
        return None
    rule, args = found
    view = app.view_functions.get(rule.endpoint)
    return None if view is None else (view, rule, args)


class ShortExchange(Exchange):
    """A request that takes the shortcut, as far as it leads."""

    def __init__(
        self, app: t.Any, scope: Message, receive: Receive, send: Send, found: Found
    ) -> None:
        super().__init__(app, scope, receive, send)
        self._view, self.request.url_rule, self.request.view_args = found
        self.ctx.matched = True

    def _notable_headers(self) -> dict[bytes, list[bytes]]:
        return {}  # `find` has seen to it

    async def serve(self) -> None:
        """Handle the request and send its response."""
        plain, known = None, None
        token = _current.context.set(self.ctx)
        try:
            if is_async(self._view):
                value = await self._view(**self.request.view_args)
                plain = self._plain(value)
            else:
                self.in_thread = True
                self.app._pool().admit()
                value = plain = await self.in_lane(self._call)
            if type(plain) is not Plain:
                known = partial(_same, value)
        except BaseException as error:
            known = partial(_raise, error)
        finally:
            _current.context.reset(token)
        if known is None:
            await self._send_plain(t.cast("Plain", plain))
        else:
            await self._go_on(known)

    def _plain(self, value: t.Any) -> Plain | None:
        """Return what to send if that is all there is to do for a value."""
        try:
            return None if has_end(self.ctx) else as_plain(self.ctx, value)
        except Exception:  # JSON that is none: the pipeline meets it again, and knows what to do
            return None

    def _call(self) -> t.Any:
        """Call the view and do all that follows; in the lane's thread."""
        try:
            value = self._view(**self.request.view_args)
            if is_awaitable(value):
                value = self.app.async_to_sync(wait_for)(value)
        except BaseException as error:
            known: Known = partial(_raise, error)
        else:
            plain = self._plain(value)
            if plain is not None:
                return plain
            known = partial(_same, value)
        return self.drive(pipeline.complete, known)

    async def _send_plain(self, plain: Plain) -> None:
        headers = [
            (b"content-type", plain.content_type),
            (b"content-length", b"%d" % len(plain.body)),
        ]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        body = {"type": "http.response.body", "body": plain.body}
        rest = begun_in(self.entered, send_all(self._send, (start, body)))
        if rest is not None:
            await rest

    async def _go_on(self, known: Known) -> None:
        """Go the long way from here.

        :param known: gives or raises what the view did; where that was in a thread, what became of
            it there.
        """
        self._known = known
        try:
            await super().serve()
        finally:
            del self._known  # an error refers to this frame

    async def handle(self) -> t.Any:
        """Return the response to what is known."""
        if self.in_thread:
            return self._known()
        return await pipeline.complete(self.ctx, self.driver, self._known)


Known = t.Callable[[], t.Any]


def _raise(error: BaseException) -> t.NoReturn:
    raise error


def _same(value: t.Any) -> t.Any:
    return value
