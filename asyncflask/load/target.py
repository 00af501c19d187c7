"""What is asked: a URL as people type it, and whether its host is this machine."""

from __future__ import annotations

import ipaddress
import socket
from base64 import b64encode

import click
import httpx

#: Seconds that the look at whether anything listens may take: on the same machine it is at once.
PROBE_TIMEOUT = 5.0
#: The host that an app without a server is asked for.
IN_PROCESS = "http://localhost"


class TargetError(click.ClickException):
    """Raised when a target cannot be tested: the message says why, and what to do."""


def read_url(text: str) -> str:
    """Return the URL that somebody means: ``127.0.0.1:8000`` is one of HTTP, as for curl.

    :raises click.UsageError: if it is none, or not of HTTP.
    """
    whole = text if "://" in text else f"http://{'127.0.0.1' if text[:1] == ':' else ''}{text}"
    try:
        url = httpx.URL(whole)
    except httpx.InvalidURL as error:
        raise click.UsageError(f"{text!r} is no URL: {error}") from None
    if url.scheme not in ("http", "https"):
        raise click.UsageError(
            f"{text!r} is not of HTTP, but of {url.scheme!r}: a URL looks like"
            " http://127.0.0.1:8000/path."
        )
    if not url.host:
        raise click.UsageError(f"{text!r} names no host: write http://127.0.0.1:8000/path.")
    return str(url)


def without_user(url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Split ``http://user:password@host/`` into the URL without them, and their header.

    So the reports show no password. (Basic authentication: RFC 7617.)
    """
    parsed = httpx.URL(url)
    if not parsed.userinfo:
        return url, ()
    pair = f"{parsed.username}:{parsed.password}".encode()
    header = ("Authorization", f"Basic {b64encode(pair).decode()}")
    return str(parsed.copy_with(userinfo=b"")), (header,)


def address(url: httpx.URL) -> tuple[str, int]:
    """Return the host and the port to connect to."""
    return url.host, url.port or (443 if url.scheme == "https" else 80)


def address_of(url: str) -> tuple[str, int]:
    """Return the host and the port to connect to."""
    return address(httpx.URL(url))


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses that a name may mean.

    :raises TargetError: if there are none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(
            f"The host {host!r} is not known here ({reason}). Check how it is spelled."
        ) from None
    return sorted({str(sockaddr[0]) for *_, sockaddr in found})


def is_loopback(text: str) -> bool:
    """Return whether an address is this machine's own, which no packet to it leaves."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def refuse_remote(host: str, port: int) -> None:
    """Let only hosts pass whose every address is loopback.

    :raises TargetError: if one is not, or there is no such host.
    """
    others = [each for each in resolve(host, port) if not is_loopback(each)]
    if not others:
        return
    if any(ipaddress.ip_address(each.partition("%")[0]).is_unspecified for each in others):
        raise TargetError(
            f"{host} is the address on which a server listens, not one to ask. Ask 127.0.0.1."
        )
    raise TargetError(
        f"{host!r} is not (only) this machine: it means {', '.join(others)}. A load test of a"
        " server whose owner does not expect it is an attack. If it is yours, add --allow-remote."
    )


def refuse_silent(url: str) -> None:
    """Fail at once, instead of with each request, where nothing listens.

    :raises TargetError: if no connection can be made.
    """
    host, port = address_of(url)
    try:
        socket.create_connection((host, port), PROBE_TIMEOUT).close()
    except ConnectionRefusedError:
        raise TargetError(
            f"Nothing listens on port {port} of {host}. Start the server, or check the port; or"
            " have it started: 'asyncflask load --app module:app --serve'."
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise TargetError(f"Cannot connect to port {port} of {host}: {reason}.") from None


class Fence:
    """Remembers which hosts a scenario may ask.

    :param allow_remote: whether all of them.
    """

    def __init__(self, allow_remote: bool) -> None:
        self._allow_remote = allow_remote
        self._known: set[tuple[str, int]] = set()

    def knows(self, url: httpx.URL) -> bool:
        """Return whether a URL's host may be asked, as far as is known without a look-up."""
        return self._allow_remote or address(url) in self._known

    def check(self, url: httpx.URL) -> None:
        """Let a URL pass whose host may be asked.

        :raises TargetError: if it may not, or there is no such host.
        """
        place = address(url)
        refuse_remote(*place)
        self._known.add(place)


def base_url(url: str) -> str:
    """Return what the paths of a scenario are relative to: a URL without query and fragment."""
    return str(httpx.URL(url).copy_with(query=None, fragment=None))


def joined(base: str, path: str) -> str:
    """Return the URL of a path, with its query, on a server."""
    return str(httpx.URL(base).join(path))
