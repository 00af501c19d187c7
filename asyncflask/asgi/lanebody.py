"""A body that sync code makes: all of it in the request's lane, one thread from start to end."""

from __future__ import annotations

import typing as t

import anyio

from ..exceptions import LoopCancelled, PipeClosed
from ..pipes import Pipe
from ..workers import Lane
from ..wrappers.response import encode


async def chunks_from_lane(response: t.Any, lane: Lane) -> t.AsyncGenerator[bytes, None]:
    """Have the lane's thread make the body, and hand over what it has made so far."""
    lane.hold()
    pipe = Pipe(lane.pool)
    job = lane.start(_pump, response, pipe, lane)
    try:
        while (chunk := await pipe.read()) is not None:
            yield chunk
    finally:
        pipe.close()
        if not job.over:
            lane.interrupt()
        with anyio.CancelScope(shield=True):
            await job.outcome()


def _pump(response: t.Any, pipe: Pipe, lane: Lane) -> None:
    """Write a sync body into a pipe; in the lane's thread, all of it."""
    chunks = iter(response.response)
    try:
        for chunk in chunks:
            pipe.write(encode(chunk))
    except PipeClosed:
        pass
    except LoopCancelled:
        if not pipe.closed:
            raise
    finally:
        lane.shield()
        try:
            close = getattr(chunks, "close", None)
            if close is not None and chunks is not response.response:  # whose own turn comes later
                close()
        finally:
            pipe.end()
