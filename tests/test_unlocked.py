"""Properties without a lock; and that what waits for one client's body keeps no other waiting."""

from __future__ import annotations

import threading
import typing as t

import anyio
import pytest

from asyncflask import Flask, request
from asyncflask.unlocked import cached_property

from .played import Played, part


class Kept:
    def __init__(self) -> None:
        self.computed = 0
        self.wait: t.Callable[[], t.Any] = bool

    @cached_property
    def value(self) -> int:
        """A value."""
        self.wait()
        self.computed += 1
        return self.computed


class Derived(Kept):
    @cached_property
    def value(self) -> int:
        return super().value


def test_it_is_computed_once_for_each_object() -> None:
    one, other = Kept(), Kept()
    assert (one.value, one.value, other.value) == (1, 1, 1)
    del one.value
    assert one.value == 2
    assert Derived().value == 1
    assert Kept.value.__doc__ == "A value."


def test_one_that_waits_keeps_no_other_waiting() -> None:
    slow, quick, gate = Kept(), Kept(), threading.Event()
    slow.wait = gate.wait
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    result: list[int] = []
    other = threading.Thread(target=lambda: result.append(quick.value), daemon=True)
    other.start()
    other.join(10)
    gate.set()
    thread.join()
    assert result == [1]


def test_of_two_at_the_same_time_the_first_one_s_value_is_kept() -> None:
    kept, both = Kept(), threading.Barrier(2, timeout=10)
    kept.wait = both.wait
    values: list[int] = []
    threads = [threading.Thread(target=lambda: values.append(kept.value)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [kept.value] * 2


FORM = (
    b'--x\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n'
    + b"y" * 100_000
    + b"\r\n--x--\r\n"
)
HEADERS = [
    (b"content-type", b"multipart/form-data; boundary=x"),
    (b"content-length", b"%d" % len(FORM)),
]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["form", "files", "values"])
@pytest.mark.parametrize("path", ["/sync", "/async"])
async def test_a_slow_form_keeps_no_other_request_waiting(name: str, path: str) -> None:
    """Nor the event loop, which its thread waits for: nothing would ever go on."""
    app = Flask("forms")

    @app.post("/sync")
    def sync_view() -> str:
        return str(len(getattr(request, name)) + len(request.files))

    @app.post("/async")
    async def view() -> str:
        return str(len(getattr(request, name)) + len(request.files))

    answer = b"2" if name == "files" else b"1"
    slow, quick = Played(part(FORM[:50_000], more=True)), Played(part(FORM))
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: slow.play(app, "/sync", "POST", HEADERS))
        await slow.asked.wait()  # the thread has read what there is, and waits for more
        await quick.play(app, path, "POST", HEADERS)
        assert quick.body == answer
        slow.gone.set()
    assert slow.status == 400
    await app._budgets.close()
