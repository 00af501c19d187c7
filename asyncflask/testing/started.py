"""A started app, for the clients of a test to talk to."""

from __future__ import annotations

import typing as t
from types import TracebackType

from .. import portal, workers
from .async_client import AsyncClient
from .client import FlaskClient
from .lifespan import Lifespan
from .transport import DISCONNECT_GRACE


class StartedApp:
    """An app and its lifespan, which is a block; made by ``app.test_app()``.

    ::

        with app.test_app() as started:
            assert started.test_client().get("/").status_code == 200

        async with app.test_app() as started:
            response = await started.async_client().get("/")

    In a ``with`` block the lifespan runs on the process's background loop, where the sync client
    has async code run; in an ``async with`` block on the loop of the test.

    :param app: the app.
    :param disconnect_grace: seconds that the app gets to return after it said that it is done.
    :raises LifespanError: at the start or the end of the block, if the app fails to start or to
        shut down.
    """

    def __init__(self, app: t.Any, disconnect_grace: float = DISCONNECT_GRACE) -> None:
        self.app = app
        self._lifespan = Lifespan(app, disconnect_grace)

    @property
    def state(self) -> dict[str, t.Any]:
        """The lifespan's state, of which each connection gets a copy."""
        return self._lifespan.state

    def test_client(self, *args: t.Any, **kwargs: t.Any) -> FlaskClient:
        """Return ``app.test_client(...)``, whose requests find the lifespan's state."""
        client = t.cast("FlaskClient", self.app.test_client(*args, **kwargs))
        client.lifespan_state = self.state
        return client

    def async_client(self, **kwargs: t.Any) -> AsyncClient:
        """Return an `AsyncClient`, whose requests find the lifespan's state; it runs none itself.

        :param kwargs: as for ``app.async_client()``.
        """
        client = self.app.async_client(**{"lifespan": False, "state": self.state, **kwargs})
        return t.cast("AsyncClient", client)

    async def __aenter__(self) -> t.Self:
        await self._lifespan.startup()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._lifespan.shutdown()
        except Exception as error:
            if exc_value is None:
                raise
            exc_value.add_note(f"The shutdown failed too: {error}")

    def __enter__(self) -> t.Self:
        portal.call_async(self._start)
        return self

    async def _start(self) -> None:
        workers.leave_lane()  # what starts here goes on when the caller's thread is gone
        await self.__aenter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        portal.call_async(self.__aexit__, exc_type, exc_value, traceback)
