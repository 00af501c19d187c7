"""What is to be done: plain data, which other processes get as JSON."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, field, replace

#: Connections at the same time, where nobody says how many.
CONNECTIONS = 10
#: Seconds that a test lasts, where nobody says how long or how many.
DURATION = 10.0
#: Seconds for a request: who waits longer has given up.
TIMEOUT = 10.0


@dataclass(frozen=True)
class Plan:
    """A load test.

    :param url: what is asked; with a scenario, what its paths are relative to.
    :param method: of the request.
    :param headers: of the request, as pairs.
    :param body: of the request.
    :param connections: how many requests, or runs of a scenario, there are at the same time.
    :param duration: seconds after which no request is started, None for no end.
    :param requests: how many there are, or runs of the scenario; None for no end.
    :param rate: starts a second, whatever the answers take; None for each connection's next
        request to follow its last.
    :param warm_up: seconds of the same beforehand, which do not count.
    :param timeout: seconds for a request; with a scenario, for each of its requests.
    :param scenario: the path of its file.
    :param allow_remote: whether hosts that are not this machine may be asked.
    :param insecure: whether the server's certificate may be anybody's.
    :param part: which of `parts` processes this one is, from 0.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    connections: int = CONNECTIONS
    duration: float | None = None
    requests: int | None = None
    rate: float | None = None
    warm_up: float = 0.0
    timeout: float = TIMEOUT
    scenario: str | None = None
    allow_remote: bool = False
    insecure: bool = False
    part: int = 0
    parts: int = field(default=1)

    def split(self, parts: int) -> list[Plan]:
        """Return the plans of several processes, which together do what this one does.

        There are fewer where there would be processes without a connection or a request. With a
        rate, each takes every n-th start of the same schedule.
        """
        parts = min(parts, self.connections, self.requests or parts)
        return [
            replace(
                self,
                connections=_share(self.connections, part, parts),
                requests=None if self.requests is None else _share(self.requests, part, parts),
                part=part,
                parts=parts,
            )
            for part in range(parts)
        ]

    def warming(self) -> Plan:
        """Return the plan of the warm-up."""
        return replace(self, duration=self.warm_up, requests=None, warm_up=0.0)

    def as_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self) | {"body": self.body.decode("latin-1")})

    @classmethod
    def from_json(cls, text: str) -> t.Self:
        """Return the plan that `as_json` was called on."""
        data = json.loads(text)
        data["headers"] = tuple((name, value) for name, value in data["headers"])
        return cls(**data | {"body": data["body"].encode("latin-1")})


def _share(whole: int, part: int, parts: int) -> int:
    return whole // parts + (part < whole % parts)
