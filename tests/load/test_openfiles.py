from __future__ import annotations

import sys
import typing as t

import pytest

from asyncflask.load.openfiles import OTHERS, allow

resource = pytest.importorskip("resource")
UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "set_to"),
    [
        (1024, 4096, 100, None),
        (1024, 4096, 2000, 2000 + OTHERS),
        (1024, 4096, 50_000, 4096),
        (1024, UNLIMITED, 50_000, 50_000 + OTHERS),
        (UNLIMITED, UNLIMITED, 50_000, None),
    ],
)
def test_the_limit_is_raised_as_far_as_it_has_to_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, connections: int, set_to: int | None
) -> None:
    done: list[t.Any] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: done.append(pair))
    allow(connections)
    assert done == ([] if set_to is None else [(set_to, hard)])


def test_where_there_is_no_such_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    allow(10**9)
