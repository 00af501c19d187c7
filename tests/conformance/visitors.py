"""Visitors of Flask's tutorial app: one who tries everything, and a crowd."""

from __future__ import annotations

import asyncio
import re
import time
import typing as t
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

#: The requests of the crowd, all under way at once: equal shares of so many users, of each kind.
CROWD, USERS, KINDS = 200, 5, 5
#: Seconds for one answer. All 200 wait for one SQLite file and two processor cores.
PATIENCE = 60


class Unexpected(Exception):
    """The app did something else than it does on Flask."""


class Post(t.NamedTuple):
    """A post as the index shows it."""

    title: str
    author: str
    #: The number in its edit link, or None: only the author gets one.
    editable: int | None


class Visitor:
    """A browser, as far as this app needs one. Every answer is compared with what is expected."""

    def __init__(self, client: httpx.AsyncClient, name: str) -> None:
        self.client, self.name = client, name

    async def get(self, path: str, status: int = 200, *texts: str) -> str:
        return self._checked(await self.client.get(path), status, *texts)

    async def post(self, path: str, form: dict[str, str], status: int, *texts: str) -> str:
        return self._checked(await self.client.post(path, data=form), status, *texts)

    async def register(self) -> None:
        await self.get("/auth/register", 200, "<h1>Register</h1>")
        form = {"username": self.name, "password": f"secret of {self.name}"}
        await self.post("/auth/register", form, 302, "/auth/login")
        await self.post("/auth/register", form, 200, "is already registered")

    async def log_in(self) -> None:
        await self.post("/auth/login", {"username": self.name, "password": "?"}, 200, "Incorrect")
        form = {"username": self.name, "password": f"secret of {self.name}"}
        await self.post("/auth/login", form, 302)
        await self.posts()

    async def write(self, title: str) -> None:
        await self.post("/create", {"title": title, "body": f"by {self.name}"}, 302)

    async def edit(self, number: int, title: str, status: int = 302) -> None:
        await self.post(f"/{number}/update", {"title": title, "body": "edited"}, status)

    async def posts(self) -> list[Post]:
        """Return the index, which has to greet this user and show edit links to his own posts."""
        page = await self.get("/", 200, f"<span>{self.name}</span>")
        posts = [read_post(part) for part in page.split("<article")[1:]]
        for post in posts:
            if (post.editable is not None) != (post.author == self.name):
                raise Unexpected(f"{self.name} sees {post}")
        return posts

    def _checked(self, answer: httpx.Response, status: int, *texts: str) -> str:
        asked = f"{self.name}: {answer.request.method} {answer.request.url.path}"
        if answer.status_code != status:
            raise Unexpected(f"{asked} answered {answer.status_code}, not {status}")
        for text in texts:
            if text not in answer.text:
                raise Unexpected(f"{asked} answered without {text!r}")
        return answer.text


def read_post(html: str) -> Post:
    title, author = re.findall(r"<h1>(.*?)</h1>|>by (\S+) on", html)[:2]
    link = re.search(r'href="/(\d+)/update"', html)
    return Post(title[0], author[1], int(link[1]) if link else None)


async def one_visitor(base: str) -> str:
    """Go through every page of the app, along the right ways and the wrong ones."""
    async with opened(base, "ann") as ann, opened(base, "bob") as bob:
        await ann.get("/hello", 200, "Hello, World!")
        await ann.get("/static/style.css", 200, "body")
        await ann.get("/create", 302, "/auth/login")
        for visitor in (ann, bob):
            await visitor.register()
            await visitor.log_in()
        await ann.post("/create", {"title": "", "body": ""}, 200, "Title is required.")
        await ann.write("first &amp; <last>")
        (post,) = await ann.posts()
        number = int(post.editable or 0)
        await ann.get(f"/{number}/update", 200, "first")
        await ann.edit(number, "changed")
        await bob.edit(number, "stolen", 403)
        await bob.post(f"/{number}/delete", {}, 403)
        await bob.get("/99/update", 404)
        await bob.get("/nowhere", 404)
        await bob.get(f"/{number}/delete", 405)
        if [each.title for each in await bob.posts()] != ["changed"]:
            raise Unexpected("the post was not changed by its author, or by somebody else")
        await ann.post(f"/{number}/delete", {}, 302)
        if await ann.posts():
            raise Unexpected("the post was not deleted")
        await ann.get("/auth/logout", 302)
        await ann.get("/", 200, "Log In")
    return "registered, logged in, wrote, edited, deleted, logged out"


async def crowd(base: str) -> str:
    """Let several users write, edit and read at once, each in his own session."""
    async with AsyncExitStack() as stack:
        opening = [opened(base, f"user{index}") for index in range(USERS)]
        users = [await stack.enter_async_context(each) for each in opening]
        own = await asyncio.gather(*map(settled, users))
        # Each tries to change the next one's first post, too.
        shares = zip(users, own, [*own[1:], own[0]], strict=True)
        requests = [request for share in shares for request in share_of(*share)]
        began = time.monotonic()
        answers = await asyncio.gather(*requests, return_exceptions=True)
        seconds = time.monotonic() - began
        posts = await users[0].posts()
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    if errors:
        raise Unexpected(f"{len(errors)} of {len(requests)} requests, the first: {errors[0]!r}")
    if len(posts) != USERS + CROWD // KINDS:
        raise Unexpected(f"there are {len(posts)} posts after {len(requests)} requests")
    return f"{len(requests)} requests of {USERS} users, 0 errors, {seconds:.1f} s"


async def settled(user: Visitor) -> int:
    """Register a user who writes a post, and return the post's number."""
    await user.register()
    await user.log_in()
    await user.write(f"{user.name} 0")
    return next(post.editable for post in await user.posts() if post.editable)


def share_of(user: Visitor, own: int, foreign: int) -> Iterator[Coroutine[t.Any, t.Any, object]]:
    """Return one user's requests: each kind equally often, reading, writing and forbidden ones."""
    for index in range(1, CROWD // USERS // KINDS + 1):
        yield user.posts()
        yield user.write(f"{user.name} {index}")
        yield user.edit(own, f"{user.name} changed {index}")
        yield user.edit(foreign, "stolen", status=403)
        yield user.get(f"/{own}/update", 200, f"<span>{user.name}</span>")


@asynccontextmanager
async def opened(base: str, name: str) -> AsyncIterator[Visitor]:
    """Open a browser for a user of this name. It takes as many connections as it wants."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, limits=limits) as client:
        yield Visitor(client, name)
