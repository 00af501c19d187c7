from __future__ import annotations

import json

import anyio
import pytest

from asyncflask.load.histogram import Histogram
from asyncflask.load.strain import BUSY, LATE, Strain


def strained(*shares: float, lag: int = 0, late: int = 0) -> Strain:
    strain = Strain()
    strain.shares = [*shares]
    strain.lag.add(lag)
    strain.late.add(late)
    return strain


def test_a_client_with_time_left_is_no_limit() -> None:
    assert [*strained(BUSY - 0.01, lag=LATE // 2).limits()] == []


def test_a_busy_client_is() -> None:
    (said,) = strained(0.97, lag=10 * LATE).limits()
    assert "The client was the limit: its process used 97% of a core" in said


def test_some_of_several_processes() -> None:
    (said,) = strained(0.97, 0.5, 0.93).limits()
    assert "2 of its 3 processes used 97% of a core" in said


@pytest.mark.parametrize("what", ["lag", "late"])
def test_a_client_that_is_kept_waiting(what: str) -> None:
    (said,) = strained(0.2, **{what: 55_000_000}).limits()
    assert "The client was kept waiting: its event loop was 55 ms late" in said


def test_it_adds_up_and_comes_back_from_json() -> None:
    strain = strained(0.5, lag=3, late=4)
    strain.merge(Strain.from_data(json.loads(json.dumps(strained(0.6, lag=7).as_data()))))
    assert strain.shares == [0.5, 0.6]
    assert (strain.lag.count, strain.lag.largest, strain.late.count) == (2, 7, 2)


@pytest.mark.anyio
async def test_watching_takes_the_time_and_looks() -> None:
    looked = anyio.Event()

    class Lag(Histogram):
        def add(self, value: int, times: int = 1) -> None:
            super().add(value, times)
            looked.set()

    strain = Strain()
    strain.lag = Lag()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(strain.watch)
        await looked.wait()
        tasks.cancel_scope.cancel()
    (share,) = strain.shares
    assert 0 <= share < 2
    assert strain.lag.count == 1
