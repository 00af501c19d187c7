"""The listening socket: bound before anything else happens, so that a taken port is said at once.

The socket listens from the start. Linux lets two sockets bind the same port as long as neither
listens, and while a reloader child restarts, connections wait here instead of being refused.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
import sys
import typing as t
from dataclasses import dataclass

import click

#: Connections that may wait to be accepted: uvicorn's default.
BACKLOG = 2048
#: What a host name with this prefix is: the path of a Unix socket.
UNIX = "unix://"
#: Hosts that mean every interface, and the address under which this machine reaches them.
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class ServerError(click.ClickException):
    """Raised when the server cannot start: the message says why, and what to do."""

    exit_code = 1


@dataclass
class Listener:
    """A listening socket and where it is reached.

    :param sock: the socket.
    :param host: the host as it was given, without brackets.
    :param path: the file of a Unix socket that goes when the listener is closed, else None.
    """

    sock: socket.socket
    host: str
    path: str | None = None

    def url(self, scheme: str) -> str:
        """Return the address to type into a browser."""
        if self.sock.family == getattr(socket, "AF_UNIX", None):
            return f"{UNIX}{self.sock.getsockname()}"
        host = WILDCARDS.get(self.host, self.host)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.sock.getsockname()[1]}"

    @property
    def is_public(self) -> bool:
        """Whether other machines can connect."""
        if self.sock.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        return not ipaddress.ip_address(self.sock.getsockname()[0].partition("%")[0]).is_loopback

    def close(self) -> None:
        """Close the socket, and remove its file if it has one."""
        self.sock.close()
        if self.path is not None and os.path.exists(self.path):
            os.unlink(self.path)


def listen(host: str, port: int) -> Listener:
    """Bind and listen.

    :param host: a name, an IPv4 or IPv6 address, or ``unix://`` and a path.
    :param port: 0 for any free one.
    :raises ServerError: if that is not possible.
    """
    if host.startswith(UNIX):
        return _listen_unix(host.removeprefix(UNIX))
    host = host.strip("[]")
    family, address = _resolve(host, port)
    # NOTE: asyncio switches Nagle's algorithm off only where the protocol is named. With it, an
    # answer in two writes waits 40 ms for the client's acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # A restart must not wait for old connections. (On Windows it would share the port.)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ServerError(_explain(error, host, port)) from None
    return Listener(sock, host)


def _resolve(host: str, port: int) -> tuple[int, tuple[t.Any, ...]]:
    if not 0 <= port <= 65535:
        raise ServerError(f"There is no port {port}: ports go from 0 (any free one) to 65535.")
    try:
        found = socket.getaddrinfo(
            host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        raise ServerError(
            f"The host {host!r} is not known here ({error}). Use an address of this machine, such"
            " as 127.0.0.1, or 0.0.0.0 for all of them."
        ) from None
    # For a name with both, IPv4: what people mean by localhost, and what Flask listens on.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def _listen_unix(path: str) -> Listener:
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise ServerError(f"This system has no Unix sockets, so it cannot listen on {path!r}.")
    _remove_leftover(path)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ServerError(_explain(error, f"{UNIX}{path}", None)) from None
    return Listener(sock, "localhost", path)


def _remove_leftover(path: str) -> None:
    """Remove the socket file of a server that is gone; one that answers stays."""
    if not os.path.exists(path) or not stat.S_ISSOCK(os.stat(path).st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def _explain(error: OSError, host: str, port: int | None) -> str:
    place = host if port is None else f"port {port} of {host or '0.0.0.0'}"
    reason = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        text = f"Cannot listen on {place}: another program does so already."
        if port is not None:
            text += " End that program, or choose another port: --port 0 takes any free one."
        if sys.platform == "darwin" and port == 5000:
            text += " On macOS it is often the AirPlay Receiver (System Settings turn it off)."
        return text
    if error.errno == errno.EACCES:
        return f"Cannot listen on {place}: {reason}. Ports below 1024 are often reserved."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"Cannot listen on {place}: this machine does not have that address."
    return f"Cannot listen on {place}: {reason}."
