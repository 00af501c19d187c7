"""The parameter types of ``asyncflask load``: durations, headers, bodies, numbers of errors."""

from __future__ import annotations

import json
import re
import typing as t

import click

#: Seconds of each unit. A number alone is seconds.
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(us|ms|s|m|h|)", re.IGNORECASE)
#: What a header's name consists of (RFC 9110, 5.1 and 5.6.2).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A duration such as ``50ms``, ``1.5s``, ``1m`` or ``10``, in seconds; not zero."""

    name = "duration"

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds.

        :raises click.BadParameter: if it is no duration, or zero.
        """
        found = _DURATION.fullmatch(str(value).strip())
        if found is None:
            self.fail(
                f"{value!r} is no duration: write a number and one of us, ms, s, m and h, as in"
                " '500ms', '10s' or '1m'.",
                param,
                ctx,
            )
        seconds = float(found[1]) * UNITS[found[2].lower()]
        if not seconds:
            self.fail(f"{value!r} is no time at all: it must be more than zero.", param, ctx)
        return seconds


class Header(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A header as for curl: ``Name: value``."""

    name = "header"

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return name and value.

        :raises click.BadParameter: if it is none.
        """
        name, colon, text = str(value).partition(":")
        if not colon or not _TOKEN.fullmatch(name.strip()):
            self.fail(f"{value!r} is no header: write 'Name: value'.", param, ctx)
        if re.search(r"[\r\n\0]", text):
            self.fail(f"the value of {name!r} has a line break in it.", param, ctx)
        return name.strip(), text.strip()


class Body(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A body: the text itself, or with ``@`` before it the name of its file.

    :param is_json: whether it has to be JSON.
    """

    name = "body"

    def __init__(self, is_json: bool = False) -> None:
        self._is_json = is_json

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Return the bytes.

        :raises click.BadParameter: if there is no such file, or it is to be JSON and is not.
        """
        text = str(value)
        body = self._read(text[1:], param, ctx) if text.startswith("@") else text.encode()
        if self._is_json:
            try:
                json.loads(body)
            except ValueError as error:
                self.fail(f"that is not JSON: {error}.", param, ctx)
        return body

    def _read(self, name: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        try:
            with click.open_file(name, "rb") as file:
                content: bytes = file.read()
        except OSError as error:
            self.fail(f"the file {name!r} cannot be read: {error.strerror}.", param, ctx)
        return content


class Errors(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A number of errors, ``3``, or a share of all requests, ``0.5%``."""

    name = "count"

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, bool]:
        """Return the number, and whether it is a percentage.

        :raises click.BadParameter: if it is no number, or below zero.
        """
        text = str(value).strip()
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text)
        if found is None:
            self.fail(
                f"{text!r} is neither a number of errors, as 3, nor a share, as 0.5%.", param, ctx
            )
        return float(found[1]), found[2] == "%"
