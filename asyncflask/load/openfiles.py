"""Open files: a connection is one, and many systems allow a program 1,024 by default."""

from __future__ import annotations

#: Files that are open besides connections: standard streams, the event loop's, imports, reports.
OTHERS = 64


def allow(connections: int) -> None:
    """Raise this process's own limit as far as it may, where it is too low for all connections.

    What is still missing then shows as an error of its kind.
    """
    try:
        import resource
    except ImportError:  # on Windows, where there is no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHERS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
