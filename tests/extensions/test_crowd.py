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
    """One user, who is served what is theirs, or raises.

    :param client: a client of their own.
    :param name: who they are.
    """

    def __init__(self, client: httpx.AsyncClient, name: str) -> None:
        self.client, self.name = client, name
        self.written: list[str] = []
        self._flavour = itertools.cycle(["", "-async"])

    async def arrive(self) -> None:
        token = (await self.ask("GET", "/token")).json()["token"]
        self.client.headers["X-CSRFToken"] = token
        await self.ask("POST", "/register", 201, name=self.name)

    async def ask(self, method: str, path: str, status: int = 200, **data: str) -> httpx.Response:
        answer = await self.client.request(method, path, data=data)
        assert (path, answer.status_code) == (path, status)
        assert answer.headers.get("X-User", self.name) == self.name
        return answer

    async def round(self, number: int) -> None:
        one, other = next(self._flavour), next(self._flavour)
        await self.ask("POST", f"/login{one}", name=self.name)
        for flavour in (one, other):
            text = f"{self.name}{number}{flavour}"
            self.written.append(text)
            created = (await self.ask("POST", f"/notes{flavour}", 201, text=text)).json()
            assert (created["user"], created["text"]) == (self.name, text)
        for flavour in (one, other):
            await self.ask("POST", f"/broken{flavour}", 500)
            listed = (await self.ask("GET", f"/notes{flavour}")).json()
            assert (listed["user"], listed["notes"]) == (self.name, self.written)
        private = (await self.ask("GET", "/private")).json()
        assert (private["user"], private["calls"]) == (self.name, 1)
        await self.ask("POST", "/logout")
        await self.ask("GET", f"/me{other}", 401)


@pytest.mark.time_limit(60)
@pytest.mark.loop_limit(5)  # it is the clients' own loop, fifty of them at once
async def test_nobody_is_taken_for_somebody_else(url: str) -> None:
    async def live(number: int) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30, verify=False) as client:
            user = User(client, f"user{number}")
            await user.arrive()
            for round_ in range(ROUNDS):
                await user.round(round_)

    async with asyncio.TaskGroup() as group:
        for number in range(USERS):
            group.create_task(live(number))
    async with httpx.AsyncClient(base_url=url, timeout=30, verify=False) as client:
        assert (await client.get("/leaks")).json() == NOTHING
        assert (await client.get("/all")).json()["lost"] == 0
