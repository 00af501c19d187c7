"""Fifty users at once: nobody is taken for somebody else, and nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools

import httpx
import pytest

from .test_database import NOTHING

USERS = 50
ROUNDS = 2


class User:
    """One user, who notes whatever is not theirs.

    :param client: a client of their own.
    :param name: who they are.
    """

    def __init__(self, client: httpx.AsyncClient, name: str) -> None:
        self.client, self.name = client, name
        self.written: list[str] = []
        self.wrong: list[str] = []
        self._flavour = itertools.cycle(["", "-async"])

    async def arrive(self) -> None:
        token = (await self.client.get("/token")).json()["token"]
        self.client.headers["X-CSRFToken"] = token
        await self.post("/register", 201, name=self.name)

    async def post(self, path: str, status: int, **data: str) -> httpx.Response:
        return self.checked(await self.client.post(path, data=data), status)

    async def get(self, path: str, status: int = 200) -> httpx.Response:
        return self.checked(await self.client.get(path), status)

    def checked(self, answer: httpx.Response, status: int) -> httpx.Response:
        what = f"{self.name}: {answer.request.method} {answer.request.url.path}"
        if answer.status_code != status:
            self.wrong.append(f"{what}: {answer.status_code}, not {status}")
        if answer.headers.get("X-User", self.name) != self.name:
            self.wrong.append(f"{what}: taken for {answer.headers['X-User']}")
        return answer

    async def round(self, number: int) -> None:
        one, other = next(self._flavour), next(self._flavour)
        await self.post(f"/login{one}", 200, name=self.name)
        for flavour in (one, other):
            text = f"{self.name}{number}{flavour}"
            self.written.append(text)
            created = await self.post(f"/notes{flavour}", 201, text=text)
            self.compare("created", created.json().get("text"), text)
        for flavour in (one, other):
            await self.post(f"/broken{flavour}", 500)
            listed = (await self.get(f"/notes{flavour}")).json()
            self.compare("listed", listed, {**listed, "user": self.name, "notes": self.written})
        private = (await self.get("/private")).json()
        self.compare("cached", (private["user"], private["calls"]), (self.name, 1))
        await self.post("/logout", 200)
        await self.get(f"/me{other}", 401)

    def compare(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            self.wrong.append(f"{self.name} {what}: {found!r}, not {expected!r}")


@pytest.mark.time_limit(60)
async def test_nobody_is_taken_for_somebody_else(url: str) -> None:
    async def live(number: int) -> list[str]:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            user = User(client, f"user{number}")
            await user.arrive()
            for round_ in range(ROUNDS):
                await user.round(round_)
            return user.wrong

    wrong = await asyncio.gather(*map(live, range(USERS)))
    assert [*itertools.chain.from_iterable(wrong)] == []
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/leaks")).json() == NOTHING
        assert (await client.get("/all")).json()["lost"] == 0
