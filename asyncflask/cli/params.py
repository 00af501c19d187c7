"""The parameter types of ``asyncflask run``."""

from __future__ import annotations

import typing as t

import click
from werkzeug.utils import import_string


class CertParamType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """The value of ``--cert``: a file, ``adhoc``, or the import path of an `ssl.SSLContext`."""

    name = "path"

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        """Return the file's absolute path, ``"adhoc"``, or the context.

        :raises click.BadParameter: if it is none of these, Python has no TLS, or ``adhoc`` is
            asked for without the package `cryptography`.
        """
        ssl = _import("ssl")
        if ssl is None:
            raise click.BadParameter("This Python has no TLS: it was built without 'ssl'.")
        try:
            return self.path_type.convert(value, param, ctx)
        except click.BadParameter:
            text = str(value).lower()
            if text == "adhoc":
                return _adhoc(ctx, param)
            imported = import_string(text, silent=True)
            if isinstance(imported, ssl.SSLContext):
                return imported
            raise


def _import(name: str) -> t.Any:
    try:
        return __import__(name)
    except ImportError:
        return None


def _adhoc(ctx: click.Context | None, param: click.Parameter | None) -> str:
    if _import("cryptography") is None:
        raise click.BadParameter(
            "A certificate made on the spot needs a package: pip install cryptography.", ctx, param
        )
    return "adhoc"


def pair_with_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check ``--key`` against ``--cert``, and make ``cert`` the pair of both where both are files.

    :raises click.BadParameter: if one is there without the other, or the key is of no use.
    """
    cert = ctx.params.get("cert")
    is_file = isinstance(cert, str) and cert != "adhoc"
    problem = None
    if value is None and is_file:
        problem = "A certificate file needs its key: add --key."
    elif value is not None and not cert:
        problem = "A key is of no use without its certificate: add --cert."
    elif value is not None and not is_file:
        problem = "Only a certificate from a file has a key file: leave --key out."
    if problem:
        raise click.BadParameter(problem, ctx, param)
    if is_file:
        ctx.params["cert"] = (cert, value)
    return value


class SeparatedPathType(click.Path):
    """Several paths in one value, separated as in ``PATH`` (``:``, on Windows ``;``)."""

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        """Return the list of the paths."""
        one = super().convert
        return [one(path, param, ctx) for path in self.split_envvar_value(value)]
