"""Bodies of either kind, for what takes both."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator

import anyio.lowlevel


def of_both_kinds(*items: t.Any) -> list[t.Any]:
    """Return the items as an async iterator and as a sync one."""

    async def values() -> AsyncIterator[t.Any]:
        for item in items:
            await anyio.lowlevel.checkpoint()
            yield item

    return [values(), iter(items)]
