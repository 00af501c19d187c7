"""An app written for Flask with Flask-Compress, and what a client gets of it, as JSON.

``python -m tests.extensions.compressed``, in a process of its own: it is run under the alias.
"""

from __future__ import annotations

import json
import logging
import typing as t
from collections.abc import AsyncIterator, Iterator

import anyio

import asyncflask

asyncflask.install_as_flask()

from flask import Flask, Response  # noqa: E402
from flask_compress import Compress  # noqa: E402

app = Flask(__name__)
Compress(app)


def rows() -> Iterator[str]:
    for number in range(1000):
        yield f"{number},"


async def async_rows() -> AsyncIterator[str]:
    for row in rows():
        yield row


@app.get("/whole")
def whole() -> Response:
    return Response("".join(rows()), mimetype="text/html")


@app.get("/sync")
def in_thread() -> Response:
    return Response(rows(), mimetype="text/html")


@app.get("/async")
async def on_loop() -> Response:
    return Response(t.cast("t.Any", async_rows()), mimetype="text/html")


@app.get("/ndjson")
async def ndjson() -> asyncflask.Response:
    return asyncflask.NDJSONResponse(async_rows(), headers={"Content-Type": "application/json"})


@app.get("/block")
async def block() -> t.Any:
    async with asyncflask.streaming_response(mimetype="text/html") as out:
        await out.send("x")
    return out


@app.get("/identity")
async def identity() -> t.Any:
    headers = {"Content-Encoding": "identity"}
    async with asyncflask.streaming_response(mimetype="text/html", headers=headers) as out:
        async for row in async_rows():
            await out.send(row)
    return out


async def main() -> None:
    logging.disable()
    found = {}
    served: t.Any = app
    async with served.async_client() as client:
        for path in ("/whole", "/sync", "/async", "/ndjson", "/block", "/identity"):
            for coding in ("deflate", "br"):
                response = await client.get(path, headers={"Accept-Encoding": coding})
                head = response.status_code, response.headers.get("content-encoding")
                found[f"{path} {coding}"] = [*head, response.text]
    print(json.dumps(found))


if __name__ == "__main__":
    anyio.run(main)
