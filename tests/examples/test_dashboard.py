from __future__ import annotations

import time
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import dashboard
import httpx
import pytest
from dashboard import Sampler, create_app

from asyncflask import Flask
from asyncflask.testing.sse import ReceivedEvent, aiter_sse

from ..conftest import Live
from .browser import Browser, Tab
from .started import example, lose_connections

FIGURES = {"number", "requests", "lag", "memory", "threads", "waiting", "viewers"}

#: Seconds between two samples, where a test would have to wait for them.
FAST = 0.02


@pytest.fixture
def app() -> Flask:
    return create_app({"TESTING": True, "SAMPLE_SECONDS": FAST})


@pytest.fixture
def sampler() -> Sampler:
    """A sampler that takes a sample when told to."""
    return Sampler(create_app({"TESTING": True}), 1.0, kept=3)


async def watch(
    client: httpx.AsyncClient, count: int, path: str = "/events", **headers: str
) -> list[ReceivedEvent]:
    """Return the first samples that a viewer is sent."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    found: list[ReceivedEvent] = []
    async with client.stream("GET", path, headers=names) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        async for event in aiter_sse(response):
            found.append(event)
            if len(found) == count:
                break
    return found


async def first(stream: AsyncIterator[t.Any], count: int) -> list[int]:
    return [(await anext(stream)).number for _ in range(count)]


# The sampler


async def test_viewers_read_what_is_kept_and_then_what_comes(sampler: Sampler) -> None:
    for _ in range(4):
        sampler.take(rate=0.0, lag=0.0)
    kept = [sample.number for sample in sampler.samples]
    assert len(kept) == 3
    stream = sampler.newer_than(kept[0])
    assert await first(stream, 2) == kept[1:]
    async with anyio.create_task_group() as group:
        numbers: list[int] = []

        async def next_one() -> None:
            numbers.extend(await first(stream, 1))

        group.start_soon(next_one)
        await anyio.wait_all_tasks_blocked()
        sampler.take(rate=0.0, lag=0.0)
    assert numbers == [sampler.samples[-1].number]
    await stream.aclose()


async def test_what_is_taken_while_a_viewer_reads_is_not_missed(sampler: Sampler) -> None:
    sampler.take(rate=0.0, lag=0.0)
    stream = sampler.newer_than(0)
    await first(stream, 1)
    sampler.take(rate=0.0, lag=0.0)  # the viewer has not asked for the next one yet
    with anyio.fail_after(10):
        assert await first(stream, 1) == [sampler.samples[-1].number]
    await stream.aclose()


async def test_a_slow_viewer_skips_what_is_gone(sampler: Sampler) -> None:
    sampler.take(rate=0.0, lag=0.0)
    stream = sampler.newer_than(0)
    await first(stream, 1)
    for _ in range(10):
        sampler.take(rate=0.0, lag=0.0)
    assert await first(stream, 3) == [sample.number for sample in sampler.samples]
    await stream.aclose()


async def test_numbers_grow_though_the_clock_goes_back(
    sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (5_000_000, 2_000_000, 2_000_000, 9_000_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        sampler.take(rate=0.0, lag=0.0)
    assert [sample.number for sample in sampler.samples] == [6, 7, 9]


async def test_figures_are_for_people(sampler: Sampler) -> None:
    sampler.take(rate=1 / 3, lag=0.0012345)
    sample = sampler.samples[0]
    assert (sample.requests, sample.lag) == (0.3, 1.23)
    assert 10 < sample.memory < 10_000


def test_memory_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert 10 < dashboard.memory() / 1e6 < 10_000


# The app


@pytest.mark.anyio
async def test_all_viewers_see_the_same_samples(app: Flask) -> None:
    seen: list[list[ReceivedEvent]] = []
    async with app.async_client() as client, anyio.create_task_group() as group:

        async def viewer() -> None:
            seen.append(await watch(client, 5))

        for _ in range(3):
            group.start_soon(viewer)
    sampler: Sampler = app.extensions["sampler"]
    assert sampler.viewers == 0
    assert max(sample.viewers for sample in sampler.samples) == 3
    sent = {event.id: event.data for events in seen for event in events}
    assert [event.event for event in seen[0]] == ["sample"] * 5
    assert seen[0][0].retry == dashboard.RETRY
    for events in seen:
        for event in events:
            assert set(event.json()) == FIGURES
            assert event.id == str(event.json()["number"])
            assert sent[event.id] == event.data


@pytest.mark.anyio
async def test_who_comes_back_gets_what_was_missed(app: Flask) -> None:
    async with app.async_client() as client:
        before = await watch(client, 3)
        await watch(client, 6)
        by_header = await watch(client, 2, Last_Event_ID=before[-1].id or "")
        by_query = await watch(client, 2, f"/events?seen={before[-1].id}")
    numbers = [sample.number for sample in app.extensions["sampler"].samples]
    after = numbers.index(int(before[-1].id or "")) + 1
    for events in (by_header, by_query):
        assert [int(event.id or "") for event in events] == numbers[after : after + 2]


@pytest.mark.parametrize("sent", ["", "x", "-5", "1e3", "²", "9" * 5000, "null"])
async def test_any_last_event_id_is_answered(app: Flask, sent: str) -> None:
    async with app.async_client() as client:
        headers = {b"Last-Event-ID": sent.encode("latin-1")}
        async with client.stream("GET", "/events", headers=headers) as response:
            assert response.status_code == 200
            async for event in aiter_sse(response):
                assert event.json().keys() == FIGURES
                break


async def test_requests_are_counted(app: Flask) -> None:
    async with app.async_client() as client:
        await client.get("/")
        events = await watch(client, 3)
    assert app.extensions["sampler"].requests == 2
    assert max(event.json()["requests"] for event in events) > 0


async def test_work_shows_in_the_threads(app: Flask) -> None:
    async with app.async_client() as client, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(client.post, "/work")
        async with client.stream("GET", "/events") as response:
            async for event in aiter_sse(response):
                if event.json()["threads"] == 3:
                    break


async def test_the_page_is_closed_to_the_outside(app: Flask) -> None:
    async with app.async_client() as client:
        response = await client.get("/")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert (await client.post("/work")).status_code == 204


# In a browser


def sample_numbers(tab: Tab) -> list[int]:
    return t.cast("list[int]", tab.run("return samples.map(sample => sample.number)"))


def samples_after(tab: Tab, number: int) -> t.Any:
    """Wait for a sample behind one, and return the numbers of all that the page has."""
    return tab.wait(lambda: (found := sample_numbers(tab)) and found[-1] > number and found)


def line(tab: Tab) -> str:
    """Return the chart of the requests."""
    path = "return document.querySelector('.requests .line').getAttribute('d')"
    return t.cast("str", tab.wait(lambda: tab.run(path)))


@pytest.mark.time_limit(60)
def test_a_viewer_sees_numbers_and_charts(app: Flask, live: Live, browser: Browser) -> None:
    tab = browser.tab(live(app, timeout_graceful_shutdown=1).url)
    tab.wait_for("#status", "live")
    tab.wait_for("#viewers", "1 viewer")
    before = line(tab)
    tab.wait(lambda: all(text[0].isdigit() for text in tab.texts(".value")))
    assert len(tab.texts(".value")) == 4
    assert float(tab.text(".memory .value").replace(",", "")) > 10
    tab.click("#work")
    tab.wait(lambda: float(tab.text(".threads .highest")) >= 2, "no threads at work")
    tab.wait(
        lambda: tab.run("return document.querySelector('.requests .line').outerHTML") != before
    )
    label = tab.run("return document.querySelector('.lag svg').getAttribute('aria-label')")
    assert label.startswith("Event-loop lag over the last minute: now ")
    assert tab.foreign() == []
    assert tab.complaints() == []


@pytest.mark.time_limit(60)
def test_two_viewers_share_the_numbers(app: Flask, live: Live, browser: Browser) -> None:
    url = live(app, timeout_graceful_shutdown=1).url
    one, two = browser.tab(url), browser.tab(url)
    two.wait_for("#viewers", "2 viewers")
    seen = samples_after(two, 0)
    assert set(seen) <= set(samples_after(one, seen[-1]))
    two.close()
    one.wait_for("#viewers", "1 viewer")


@pytest.mark.time_limit(60)
def test_nothing_is_missed_when_the_connection_is_lost(live: Live, browser: Browser) -> None:
    app = create_app({"TESTING": True, "SAMPLE_SECONDS": 0.2, "SAMPLES_KEPT": 200})
    server = live(app, timeout_graceful_shutdown=1)
    tab = browser.tab(server.url)
    lost = samples_after(tab, 0)[-1]
    tab.run(
        "window.states = []; new MutationObserver(() => states.push(find('status').innerText))"
        ".observe(find('status'), {childList: true})"
    )
    lose_connections(server)
    tab.wait_for("#caught-up", "that were missed")
    assert tab.text("#status") == "live"
    states = tab.run("return states")
    assert states[0].startswith("reconnecting…, last heard at ")
    assert states[-1] == "live"
    seen = samples_after(tab, lost + 1000)
    taken = [sample.number for sample in app.extensions["sampler"].samples]
    assert seen == [number for number in taken if seen[0] <= number <= seen[-1]]


@pytest.mark.time_limit(90)
def test_pages_survive_a_restart(browser: Browser) -> None:
    """Started as the README says; killed, and started again while a page is open."""
    with example("dashboard") as server:
        tab = browser.tab(server.start())
        tab.wait_for("#status", "live")
        before = samples_after(tab, 0)
        server.crash()
        tab.wait_for("#status", "reconnecting…")
        server.start()
        tab.wait_for("#status", "live")
        after = samples_after(tab, before[-1])
        assert after[: len(before)] == before
        assert tab.complaints() == []
