"""Flask-Caching and Flask-CORS: what they put around views."""

from __future__ import annotations

import httpx
import pytest

from .conftest import PARTNER, Visitor


@pytest.mark.parametrize("path", ["/cached", "/cached-async"])
def test_a_cached_view_runs_once(visitor: Visitor, name: str, path: str) -> None:
    first = visitor.get(path, params={"q": name})
    assert first.status_code == 200
    assert visitor.get(path, params={"q": name}).content == first.content
    assert visitor.get(path, params={"q": "other"}).json() != first.json()


def test_a_cached_async_view_runs_on_the_loop(
    visitor: Visitor, name: str, loop_thread: int
) -> None:
    answer = visitor.get("/cached-async", params={"q": name}).json()
    assert answer["thread"] == loop_thread


def test_a_memoized_coroutine_function(visitor: Visitor, loop_thread: int) -> None:
    for _ in range(2):
        answer = visitor.get("/memoized/12").json()
        assert answer == {"square": 144, "calls": 1, "thread": loop_thread}


def test_what_is_cached_for_one_user_is_not_shown_to_another(url: str, name: str) -> None:
    for who in (f"{name} ada", f"{name} bob"):
        with Visitor(url) as visitor:
            visitor.enter(who)
            for _ in range(2):
                answer = visitor.get("/private").json()
                assert (answer["user"], answer["calls"]) == (who, 1)


def allowed(answer: httpx.Response) -> str | None:
    origin: str | None = answer.headers.get("Access-Control-Allow-Origin")
    return origin


@pytest.mark.parametrize(
    ("path", "status"), [("/shared/notes", 200), ("/shared/broken", 500), ("/shared/missing", 404)]
)
def test_cors_for_a_part_of_the_app_errors_too(visitor: Visitor, path: str, status: int) -> None:
    answer = visitor.get(path, headers={"Origin": PARTNER})
    assert (answer.status_code, allowed(answer)) == (status, PARTNER)
    assert allowed(visitor.get(path, headers={"Origin": "https://evil.example"})) is None


def test_the_rest_of_the_app_is_not_shared(visitor: Visitor) -> None:
    assert allowed(visitor.get("/anybody", headers={"Origin": PARTNER})) is None


@pytest.mark.parametrize("path", ["/open", "/open-async"])
def test_cors_for_one_view(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path, headers={"Origin": PARTNER})
    assert (answer.status_code, allowed(answer)) == (200, PARTNER)
    assert answer.json()["user"] is None


@pytest.mark.parametrize("path", ["/open", "/open-async", "/shared/notes"])
def test_preflights(visitor: Visitor, path: str) -> None:
    headers = {"Origin": PARTNER, "Access-Control-Request-Method": "GET"}
    answer = visitor.options(path, headers=headers)
    assert answer.status_code == 200
    assert allowed(answer) == PARTNER
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]


def test_an_async_view_below_cors_runs_on_the_loop(visitor: Visitor, loop_thread: int) -> None:
    assert visitor.get("/open-async").json()["thread"] == loop_thread
    assert visitor.get("/shared/notes").json()["thread"] == loop_thread


def test_three_decorators_around_an_async_view(
    member: Visitor, name: str, loop_thread: int
) -> None:
    for _ in range(2):
        answer = member.get("/everything-async", headers={"Origin": PARTNER})
        assert answer.json() == {"user": name, "thread": loop_thread, "calls": 1}
        assert allowed(answer) == PARTNER
