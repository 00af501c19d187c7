# ruff: noqa: ASYNC115, ASYNC210, ASYNC220, ASYNC221, ASYNC230, ASYNC240, ASYNC250, ASYNC251, F402
"""Handlers that wait in an event loop, handlers that only look like it, and what they call."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
import typing as t
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from time import sleep as doze

import anyio
import anyio.to_thread
from flask_sqlalchemy import SQLAlchemy

from asyncflask.views import MethodView

db = SQLAlchemy()
pool = ThreadPoolExecutor()


async def sleeps() -> str:
    time.sleep(1)
    return ""


async def sleeps_by_another_name() -> str:
    doze(1)
    return ""


async def imports_for_itself() -> None:
    import time as clock
    from urllib import request

    clock.strftime("%c")
    request.urlopen("http://localhost")


async def runs_a_loop() -> None:
    asyncio.run(asyncio.sleep(0))


async def runs_a_loop_by_hand() -> None:
    asyncio.new_event_loop().run_until_complete(asyncio.sleep(0))


async def fetches() -> bytes:
    with urllib.request.urlopen("http://localhost") as answer:
        return bytes(answer.read())


async def starts_a_process() -> int:
    return subprocess.run(["true"], check=False).returncode


async def waits_for_a_process() -> int:
    process = subprocess.Popen(["true"])
    return process.wait()


async def waits_for_an_annotated_process() -> int:
    process: subprocess.Popen[bytes] = subprocess.Popen(["true"])
    code: int
    code = process.wait()
    return code


def enclosing() -> t.Any:
    nap = time.sleep

    async def naps() -> None:
        nap(1)
        later()

    if nap is None:

        def later() -> None: ...

    return naps


async def imports_a_sibling() -> None:
    from .samples import waits

    waits()


def waits() -> None:
    time.sleep(1)


async def asks() -> str:
    return input("Name? ")


async def waits_for_a_future() -> t.Any:
    future = pool.submit(time.time)
    return future.result()


async def waits_at_once(executor: t.Any) -> t.Any:
    return executor.submit(time.time).result()


async def waits_for_the_loop(coro: t.Any, loop: t.Any) -> t.Any:
    return asyncio.run_coroutine_threadsafe(coro, loop).result()


async def waits_for_a_thread() -> None:
    (thread := threading.Thread(target=print)).start()
    thread.join()


async def connects() -> None:
    import sqlite3

    sqlite3.connect(":memory:").execute("SELECT 1")


async def connects_unloaded() -> None:
    import psycopg2  # type: ignore[import-not-found,import-untyped,unused-ignore]

    psycopg2.connect()


async def commits() -> None:
    db.session.add(object())
    db.session.commit()


async def reads() -> str:
    return open("/dev/null").read()


async def reads_a_path() -> bytes:
    return Path("/dev/null").read_bytes()


async def is_an_argument() -> None:
    await asyncio.wait_for(asyncio.to_thread(print, time.sleep(1)), 1)  # type: ignore[func-returns-value]


# Nothing is wrong with these


async def awaits() -> None:
    await asyncio.sleep(0)
    await anyio.sleep(0)
    with anyio.move_on_after(1):
        await anyio.run_process(["true"])


async def hands_over() -> None:
    await anyio.to_thread.run_sync(time.sleep, 0)
    await asyncio.to_thread(lambda: time.sleep(0))
    await asyncio.get_running_loop().run_in_executor(None, partial(subprocess.run, ["true"]))

    def work() -> None:
        time.sleep(0)

    await anyio.to_thread.run_sync(work)


async def has_its_own_names(time: t.Any, results: t.Any) -> None:
    time.sleep()
    requests = results
    requests.get("what")
    for subprocess in results:
        subprocess.run()
    with results as urllib, results as (input, _):
        urllib.request.urlopen()
        input()
    async with results as open:
        open().read()
    async for sleep in results:
        sleep()


class Client:
    async def get(self) -> list[str]:
        return []

    async def sleep(self) -> None: ...


async def awaits_without_the_word(client: t.Any) -> None:
    async with db.session.begin() as session, db.session.execute():  # type: ignore[attr-defined,call-overload]
        session.commit()
    async for _ in db.session.scalars():  # type: ignore[call-overload]
        ...
    [_ async for _ in db.session.scalars() if _]  # type: ignore[call-overload]


async def asks_a_done_task() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    task.result()
    ", ".join(["a"])
    asyncio.Event().set()


def plain() -> None:
    time.sleep(0)


# Kinds of handlers


def decorated(func: t.Any) -> t.Any:
    @wraps(func)
    def wrapper(*args: t.Any) -> t.Any:
        return func(*args)

    return wrapper


class Methods(MethodView):
    def post(self) -> None:
        time.sleep(0)

    async def get(self) -> None:
        time.sleep(0)


class Called:
    async def __call__(self) -> None:
        time.sleep(0)

    async def method(self) -> None:
        time.sleep(0)


# What handlers call


def load() -> None:
    deeper()


def deeper() -> None:
    time.sleep(0)


async def helper() -> None:
    time.sleep(0)


class Service:
    def load(self) -> None:
        time.sleep(0)

    @staticmethod
    def fetch() -> None:
        time.sleep(0)


service = Service()


async def calls_a_function() -> None:
    load()


async def awaits_a_helper() -> None:
    await helper()


async def calls_a_method() -> None:
    service.load()


async def calls_a_class() -> None:
    Service.fetch()


async def makes_an_object() -> None:
    made = Service()
    made.load()


async def calls_itself() -> None:
    await calls_itself()
    time.sleep(0)
