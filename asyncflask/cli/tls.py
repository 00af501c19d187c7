"""Certificates for the development server."""

from __future__ import annotations

import os
import ssl
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from .listener import ServerError

#: What the server takes: files of certificate and key (None: both in one file), a context, or
#: ``"adhoc"`` for a certificate that is made on the spot.
Certificate: t.TypeAlias = (
    "ssl.SSLContext | tuple[str, str | None] | t.Literal['adhoc'] | str | None"
)


@contextmanager
def prepared(cert: Certificate) -> Iterator[ssl.SSLContext | tuple[str, str | None] | None]:
    """Check a certificate, and make the files of an ad-hoc one for as long as they are needed.

    :raises ServerError: if it cannot be made or used.
    """
    if cert == "adhoc":
        with TemporaryDirectory(prefix="asyncflask-tls-") as folder:
            yield _make(folder)
    elif isinstance(cert, str):
        yield _checked(cert, None)
    elif isinstance(cert, tuple):
        yield _checked(*cert)
    else:
        yield cert


def _make(folder: str) -> tuple[str, str]:
    from werkzeug.serving import make_ssl_devcert

    try:
        return make_ssl_devcert(os.path.join(folder, "adhoc"), cn="localhost")
    except (ImportError, TypeError):
        raise ServerError(
            "A certificate made on the spot needs a package: pip install cryptography. Or give"
            " the files of one that you have."
        ) from None


def _checked(cert: str, key: str | None) -> tuple[str, str | None]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ServerError(
            f"The certificate {cert!r} with the key {key!r} cannot be used: {error}. Both must be"
            " PEM files that belong together."
        ) from None
    return cert, key
