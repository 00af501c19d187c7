"""The smallest app: one view of each kind."""

from __future__ import annotations

from asyncflask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Answer in a worker thread, where blocking calls harm nobody."""
    return "Hello from a thread!\n"


@app.get("/async/<name>")
async def hello_async(name: str) -> dict[str, str]:
    """Answer on the event loop, where to `await` a service or a database costs no thread."""
    return {"hello": name}
