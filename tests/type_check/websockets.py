"""Websockets as users write them; their handlers, hooks and the calls they make."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asyncflask import Blueprint, Flask, Response, WebSocketDisconnect, websocket
from asyncflask.typing import ResponseReturnValue

app = Flask(__name__)
bp = Blueprint("bp", __name__)


@app.websocket("/echo/<name>")
async def echo(name: str) -> None:
    await websocket.accept({"Set-Cookie": "a=b"}, subprotocol="chat")
    async for message in websocket:
        await websocket.send(message)


@app.websocket("/plain")
def plain() -> None:
    for message in websocket:
        websocket.send(message)


@bp.websocket("/denied")
async def denied() -> ResponseReturnValue | None:
    return {"error": "no"}, 404


async def ticks() -> AsyncIterator[str]:
    yield "tick"


@app.websocket("/ticks")
async def serve_ticks() -> None:
    try:
        async with websocket.sending(ticks()):
            data: str | bytes = await websocket.receive()
            await websocket.send_json(got=str(data), path=websocket.path)
    except WebSocketDisconnect as gone:
        code: int = gone.code
        reason: str = gone.reason
        await websocket.close(code, reason)


@app.before_websocket
async def before() -> ResponseReturnValue | None:
    return None if websocket.headers.get("X") else ("no", 403)


@app.after_websocket
async def after(response: Response | None) -> Response | None:
    return response


@bp.teardown_websocket
def teardown(error: BaseException | None) -> None: ...


@bp.before_app_websocket
def before_all() -> None: ...


@app.errorhandler(ValueError)
async def tell(error: ValueError) -> None:
    await websocket.send_json(error=str(error))


app.add_websocket("/late", view_func=echo, endpoint="late")
