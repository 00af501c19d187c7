"""The session that a client's cookies carry: opened for a test, and stored back.

Written once, as coroutines; the driver says how the session interface is called.
"""

from __future__ import annotations

import typing as t

from ..drivers import Driver
from ..sessions import SessionMixin


async def open_session(ctx: t.Any, driver: Driver) -> SessionMixin:
    """Open the session of a context's request.

    :raises RuntimeError: if the app opens none, mostly for want of a `SECRET_KEY`.
    """
    session = await driver.call(ctx.app.session_interface.open_session, ctx.app, ctx.request)
    if session is None:
        raise RuntimeError(
            "Session backend did not open a session. Is SECRET_KEY set for this app?"
        )
    return t.cast("SessionMixin", session)


async def store_session(ctx: t.Any, driver: Driver, session: SessionMixin) -> list[str]:
    """Store a session, and return the ``Set-Cookie`` headers that tell the client."""
    app, interface = ctx.app, ctx.app.session_interface
    if interface.is_null_session(session):
        return []
    response = app.response_class()
    await driver.call(interface.save_session, app, session, response)
    return t.cast("list[str]", response.headers.getlist("Set-Cookie"))
