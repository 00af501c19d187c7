"""Other people's code is called within bounds."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from functools import partial

from asyncflask.debug.bounded import Bounded


def test_returns_what_the_function_returns() -> None:
    with Bounded() as bounded:
        assert [bounded.call(partial(str, number)) for number in range(3)] == ["0", "1", "2"]


def test_exceptions_become_notes() -> None:
    def raises() -> str:
        raise SystemExit

    with Bounded() as bounded:
        assert bounded.call(raises) == "<not shown: raised SystemExit>"
        assert bounded.call(lambda: 3) == "<not shown: raised TypeError>"  # type: ignore[arg-type, return-value]
        assert bounded.call(lambda: "still here") == "still here"


def test_a_slow_call_is_left_behind() -> None:
    release = threading.Event()
    with Bounded(per_call=0.01) as bounded:
        assert bounded.call(lambda: str(release.wait(20))) == "<not shown: took longer than 0.01 s>"
        bounded._per_call = 20
        assert bounded.call(lambda: "next") == "next"
    release.set()


def test_the_page_has_a_budget() -> None:
    release = threading.Event()
    with Bounded(per_call=20, per_page=0.01) as bounded:
        bounded.call(lambda: str(release.wait(20)))
        called = iter(["first"])
        answer = bounded.call(lambda: next(called))
        assert answer == "<not shown: the values before it took too long>"
        assert list(called) == ["first"]
    release.set()


def test_sees_the_caller_s_context() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("mine")
    with Bounded() as bounded:
        assert bounded.call(variable.get) == "mine"


def test_closes_its_thread() -> None:
    with Bounded() as bounded:
        name = bounded.call(lambda: str(threading.get_ident()))
    for thread in threading.enumerate():
        if thread.ident == int(name):
            thread.join(10)
            assert not thread.is_alive()
