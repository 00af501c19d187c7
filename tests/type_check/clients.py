"""The test clients and the command runner."""

from __future__ import annotations

import typing as t

import click
from httpx import Response as HttpxResponse
from werkzeug.test import TestResponse

from asyncflask import Flask, session
from asyncflask.testing import (
    AsyncClient,
    AsyncWebSocket,
    FlaskClient,
    FlaskCliRunner,
    StartedApp,
    WebSocket,
    WebSocketRefused,
)
from asyncflask.testing.sse import AsyncEvents, Events

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


def sync_connections() -> None:
    with app.test_app() as started:
        t.assert_type(started, StartedApp)
        client = started.test_client()
        t.assert_type(client, FlaskClient)
        with client.websocket("/chat", subprotocols=["v1"], headers={"X": "y"}) as ws:
            t.assert_type(ws, WebSocket)
            ws.send("text")
            ws.send_json({"a": 1})
            t.assert_type(ws.receive(timeout=1), str | bytes)
            t.assert_type(ws.receive_text(), str)
            t.assert_type(list(ws), list[str | bytes])
            t.assert_type(ws.close_code, int | None)
        with client.sse("/events", last_event_id="1") as events:
            t.assert_type(events, Events)
            t.assert_type(next(events).data, str)


async def async_connections() -> None:
    async with app.test_app() as started, started.async_client() as client:
        t.assert_type(client, AsyncClient)
        async with client.session_transaction() as stored:
            stored["name"] = "ann"
        try:
            async with client.websocket("/chat", params={"page": 2}) as ws:
                t.assert_type(ws, AsyncWebSocket)
                await ws.send(b"bytes")
                t.assert_type(await ws.receive_bytes(), bytes)
                async for message in ws:
                    t.assert_type(message, str | bytes)
                await ws.close(4000, "why")
        except WebSocketRefused as refused:
            t.assert_type(refused.response, HttpxResponse)
        async with client.sse("/events") as events:
            t.assert_type(events, AsyncEvents)
            t.assert_type((await anext(events)).json(), t.Any)


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
