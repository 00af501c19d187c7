"""The test clients and the command runner."""

from __future__ import annotations

import typing as t

import click
from httpx import Response as HttpxResponse
from werkzeug.test import TestResponse

from asyncflask import Flask, session
from asyncflask.testing import AsyncClient, FlaskClient, FlaskCliRunner

app = Flask(__name__)


class Client(FlaskClient):
    def log_in(self, name: str) -> TestResponse:
        return self.post("/login", data={"name": name}, follow_redirects=True)


app.test_client_class = Client


def sync_test() -> None:
    t.assert_type(app.test_client(), FlaskClient)
    with app.test_client(use_cookies=True) as client:
        response = client.post("/books?page=2", json={"title": "Emma"}, headers={"X-Part": "1"})
        t.assert_type(response, TestResponse)
        t.assert_type(response.status_code, int)
        t.assert_type(response.text, str)
        with client.session_transaction() as stored:
            stored["name"] = "ann"
        assert session["name"] == "ann"


async def async_test() -> None:
    client = app.async_client(raise_app_exceptions=False)
    t.assert_type(client, AsyncClient)
    async with client:
        response = await client.get("/books", params={"page": 2})
        t.assert_type(response, HttpxResponse)
        async with client.stream("GET", "/events") as streamed:
            async for line in streamed.aiter_lines():
                t.assert_type(line, str)


@app.cli.command("init-db")
@click.argument("name")
def init_db(name: str) -> None:
    click.echo(name)


@app.cli.command()
@click.option("--count", default=1)
async def fill(count: int) -> None:
    click.echo(count)


def command_test() -> None:
    runner = app.test_cli_runner()
    t.assert_type(runner, FlaskCliRunner)
    assert runner.invoke(args=["init-db", "books"]).exit_code == 0
    assert runner.invoke(fill, ["--count", "2"]).output == "2\n"


def context_test() -> None:
    with app.app_context() as ctx:
        current: Flask = ctx.app
        assert current is app
    with app.test_request_context("/books", method="POST", data={"title": "Emma"}) as ctx:
        assert ctx.request.form["title"] == "Emma"
    app.async_to_sync(fill_shelf)(3)


async def fill_shelf(count: int) -> int:
    async with app.app_context():
        return count
