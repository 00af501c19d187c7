"""`TRUSTED_HOSTS` holds on every route, matched in whichever way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .hostile_app import make_app
from .server import STACKS, LiveServer, serving

pytestmark = pytest.mark.usefixtures("unharmed")


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("trusting")
    hosts = ["here", ".example.com"]
    with serving(make_app(folder, TRUSTED_HOSTS=hosts), *request.param) as server:
        yield server


PATHS = [
    *("/int/1", "/strict", "/make/url", "/sync/args", "/async/args", "/static/public.txt"),
    *("/no/no", "/headers"),
]


def test_own_hosts_are_let_in(target: LiveServer) -> None:
    for host in ("here", "here:80", "here:8000", "example.com", "a.b.example.com"):
        for path in PATHS:
            assert target.get(path, host=host).status in (200, 308, 404), host


def test_others_are_kept_out(target: LiveServer) -> None:
    for host in (
        *("evil", "examplexcom", "example.com.evil", "evilexample.com", "here.evil"),
        *("evil@here", "here/evil", "here:x", "", "..", "a..example.com"),
    ):
        for path in PATHS:
            assert target.get(path, host=host).status == 400, (host, path)


def test_second_host_changes_nothing(target: LiveServer) -> None:
    for path in PATHS:
        assert target.get(path, "X-Forwarded-Host: here", host="evil").status == 400
        assert target.get(path, "Host: here", host="evil").status == 400
        assert target.get(path, "Host: evil", host="here").status == 400
