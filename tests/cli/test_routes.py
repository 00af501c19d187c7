from __future__ import annotations

from functools import partial

import pytest

from asyncflask import Flask
from asyncflask.cli import FlaskGroup

from .conftest import invoke


def table(app: Flask, *args: str) -> list[str]:
    result = invoke(FlaskGroup(create_app=lambda: app), "routes", *args)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


@pytest.fixture
def app() -> Flask:
    app = Flask("demo")

    @app.get("/zebra")
    async def b_async() -> str:
        return ""

    @app.post("/ant/<int:number>")
    def a_sync(number: int) -> str:
        return str(number)

    app.add_url_rule("/nothing", "c_none", methods=["PUT", "DELETE"])
    app.add_url_rule("/partial", "d_partial", partial(b_async))
    return app


def test_the_table(app: Flask) -> None:
    assert table(app) == [
        "Endpoint   Methods      Rule                     View",
        "---------  -----------  -----------------------  -----",
        "a_sync     POST         /ant/<int:number>        sync",
        "b_async    GET          /zebra                   async",
        "c_none     DELETE, PUT  /nothing                 -",
        "d_partial  GET          /partial                 async",
        "static     GET          /static/<path:filename>  sync",
    ]


@pytest.mark.parametrize(
    ("sort", "first"),
    [("endpoint", "a_sync"), ("methods", "c_none"), ("rule", "a_sync"), ("domain", "static")],
)
def test_sorting(app: Flask, sort: str, first: str) -> None:
    assert table(app, "--sort", sort)[2].startswith(first)


def test_match_is_the_order_of_the_map(app: Flask) -> None:
    order = [rule.endpoint for rule in app.url_map.iter_rules()]
    assert [line.split()[0] for line in table(app, "-s", "match")[2:]] == order


def test_all_methods(app: Flask) -> None:
    assert "GET, HEAD, OPTIONS" not in "\n".join(table(app))
    assert "GET, HEAD, OPTIONS" in "\n".join(table(app, "--all-methods"))


def test_a_column_for_hosts_or_subdomains_where_there_are_some() -> None:
    app = Flask("demo", static_folder=None)
    app.add_url_rule("/", "a", subdomain="sub")
    assert "Subdomain" in table(app)[0]
    app = Flask("demo", static_folder=None, host_matching=True)
    app.add_url_rule("/", "a", host="example.org")
    assert "Host" in table(app)[0]
    assert "example.org" in table(app, "-s", "domain")[2]


def test_no_routes() -> None:
    assert table(Flask("demo", static_folder=None)) == ["No routes were registered."]


def test_mounted_apps() -> None:
    app, inner = Flask("demo", static_folder=None), Flask("inner")
    app.add_url_rule("/", "index", lambda: "index")
    app.mount("/inner", inner)
    app.mount("/inner/legacy", inner.wsgi_app, name="legacy")
    assert table(app) == [
        "Endpoint  Methods  Rule           View",
        "--------  -------  -------------  ------------------",
        "-         -        /inner         mount (asgi, wsgi)",
        "index     GET      /              sync",
        "legacy    -        /inner/legacy  mount (wsgi)",
    ]
    assert [line.split()[2] for line in table(app, "-s", "match")[2:]] == [
        *("/inner", "/inner/legacy", "/"),
    ]
