"""What forms send: read, checked, and known to come from our own pages."""

from __future__ import annotations

import hmac
import secrets
import typing as t

from asyncflask import Flask, abort, request, session

#: The name of the hidden field in every form, and of its twin in the session.
TOKEN = "csrf_token"


class Field(t.NamedTuple):
    """What a text field may hold; lengths are in characters."""

    label: str
    longest: int
    shortest: int = 1
    secret: bool = False  # taken as typed, spaces included

    def read(self, name: str) -> tuple[str, str | None]:
        """Return what was sent under `name`, and what is wrong with it, if anything."""
        value = request.form.get(name, "")
        if not self.secret:
            value = value.replace("\r\n", "\n").strip()
        if not value:
            return value, f"{self.label} is missing."
        if len(value) < self.shortest:
            return value, f"{self.label} needs {self.shortest} characters or more."
        if len(value) > self.longest:
            return value, f"{self.label} has {len(value)} characters, {self.longest} are allowed."
        return value, None


def read(fields: t.Mapping[str, Field]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the values of the form that was sent, and its errors, both by field name."""
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    for name, field in fields.items():
        values[name], error = field.read(name)
        if error:
            errors[name] = error
    return values, errors


def csrf_token() -> str:
    """Return the token of this session. Only a page with a form makes one, and sets a cookie."""
    if TOKEN not in session:
        session[TOKEN] = secrets.token_urlsafe(24)
    return str(session[TOKEN])


def check_token() -> None:
    """Refuse a form that does not carry the session's token: another site may have sent it."""
    if request.method != "POST":
        return
    sent, expected = request.form.get(TOKEN, ""), session.get(TOKEN, "")
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        abort(400, "This form has expired. Go back, reload the page and send it again.")


def init_app(app: Flask) -> None:
    """Check every POST, and let templates say ``csrf_token()``."""
    app.before_request(check_token)
    app.template_global("csrf_token")(csrf_token)
