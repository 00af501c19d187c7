"""The notebook's websockets, which it has under asyncflask only."""

from __future__ import annotations

import threading
import typing as t

from flask_login import current_user, login_required
from sqlalchemy import select

from asyncflask import Blueprint, websocket

sockets = Blueprint("sockets", __name__, url_prefix="/socket")

#: The websocket as sync code sees it, whose methods return what they do.
here: t.Any = websocket


@sockets.websocket("/me")
@login_required
def me() -> None:
    for _ in here:
        here.send_json(user=current_user.name, thread=threading.get_ident())


@sockets.websocket("/me-async")
@login_required
async def me_async() -> None:
    async for _ in websocket:
        await websocket.send_json(user=current_user.name, thread=threading.get_ident())


@sockets.websocket("/anybody")
async def anybody() -> None:
    user = current_user.name if current_user.is_authenticated else None
    await websocket.send_json(user=user)


@sockets.websocket("/notes")
@login_required
def notes() -> None:
    from .app import Note, db

    for _ in here:
        query = select(Note.text).filter_by(owner_id=current_user.id).order_by(Note.id)
        here.send_json(list(db.session.scalars(query)))
        db.session.rollback()
