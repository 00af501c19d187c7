"""What the suite has to show: promises, each of them one figure at most so many times another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .frameworks import DEPLOYMENTS, FRAMEWORKS
from .rounds import Bound, Found, Key
from .selection import IN_PROCESS, SERVER
from .workloads import BY_NAME

OURS, BARE = "asyncflask", "bare"

#: In process, beside one peer: workload, peer, at most, and why that figure.
BESIDE = (
    *((work, "blacksheep", 0.8) for work in ("str", "json", "path")),  # compiled; ours is Python
    *((work, "starlette", 0.35) for work in ("str", "json", "path")),
    ("sync", "starlette", 0.3),
    ("sync-32", "starlette", 0.15),
)

#: The workers of gunicorn that the blog is measured under.
GUNICORN = ("flask-gthread", "flask-gevent")


def title(name: str) -> str:
    """Return how a framework or a deployment is called."""
    found = FRAMEWORKS.get(name) or DEPLOYMENTS[name]
    return found.title


def peers(part: str) -> list[str]:
    """Return the names that ours is compared with in a part."""
    names = FRAMEWORKS if part == IN_PROCESS else DEPLOYMENTS
    return [name for name in names if name not in (OURS, BARE)]


def in_process() -> Iterator[Bound]:
    """Yield what must hold in process."""
    for work, peer, at_most in BESIDE:
        what = f"in process, {BY_NAME[work].title}: asyncflask / {title(peer)}"
        yield Bound(what, (work, OURS), [(work, peer)], at_most)
    few, many = ("routes-10", OURS), ("routes-10000", OURS)
    yield Bound("in process, asyncflask: 10,000 routes / 10 routes", many, [few], 1.2)


def over_servers() -> Iterator[Bound]:
    """Yield what must hold of a server's processor time."""
    ours = ("sync", OURS)
    yield Bound("server CPU, str: asyncflask / bare ASGI", ("str", OURS), [("str", BARE)], 1.15)
    yield Bound("server CPU, sync view: asyncflask / bare ASGI", ours, [("sync", BARE)], 1.35)
    yield Bound("server CPU of asyncflask: sync view / async view", ours, [("str", OURS)], 1.25)
    theirs = [("blog", name) for name in GUNICORN]
    what = "server CPU, the blog: asyncflask / Flask under its best gunicorn worker"
    yield Bound(what, ("blog", OURS), theirs, 1 / 3)
    for work in BY_NAME.values():
        what = f"server CPU, {work.title}: asyncflask / best peer"
        yield Bound(what, (work.name, OURS), [(work.name, name) for name in peers(SERVER)], 1.0)


def bounds(found: Mapping[str, Found]) -> Iterator[tuple[Bound, Found]]:
    """Yield the promises that can be judged by what was measured, and by what."""
    made: dict[str, Iterable[Bound]] = {IN_PROCESS: in_process(), SERVER: over_servers()}
    for part, promised in made.items():
        there = found.get(part, {})
        for bound in promised:
            theirs: list[Key] = [key for key in bound.theirs if key in there]
            if bound.ours in there and theirs:
                yield bound._replace(theirs=theirs), there
