"""A user's coroutine that makes requests: what is recorded of them, and files that are no use."""

from __future__ import annotations

import textwrap
import typing as t
from pathlib import Path

import anyio
import pytest

from asyncflask import Flask, request, session
from asyncflask.load.record import Record
from asyncflask.load.scenario import ScenarioError, load_scenario

from ..conftest import Live
from .servers import broken, is_silent, run, sends


def shop() -> Flask:
    made = Flask(__name__)
    made.secret_key = "of a test"

    @made.get("/")
    async def index() -> str:
        session["visits"] = session.get("visits", 0) + 1
        return str(session["visits"])

    @made.post("/buy")
    async def buy() -> str:
        return ",".join(request.form.values())

    @made.get("/page/<int:number>")
    async def page(number: int) -> str:
        return "x" * number

    @made.get("/missing")
    async def missing() -> tuple[str, int]:
        return "", 404

    @made.get("/away")
    async def away() -> tuple[str, int, dict[str, str]]:
        return "", 302, {"Location": "http://192.0.2.1/"}

    @made.get("/round")
    async def round() -> tuple[str, int, dict[str, str]]:
        return "", 302, {"Location": "/"}

    return made


@pytest.fixture
def visit(live: Live, tmp_path: Path) -> t.Callable[..., Record]:
    """Run a scenario, whose body is given, against the shop."""
    server = live(shop())

    def visited(body: str, **settings: t.Any) -> Record:
        file = tmp_path / "visit.py"
        file.write_text("import anyio, httpx\nasync def scenario(client):\n")
        with file.open("a") as end:
            end.write(textwrap.indent(textwrap.dedent(body), "    "))
        return run(server.url, **{"scenario": str(file), **settings})

    return visited


def counts(record: Record) -> dict[str, int]:
    return {name: step.answered for name, step in record.steps.items()}


def test_requests_are_recorded_by_their_steps(visit: t.Callable[..., Record]) -> None:
    record = visit(
        """\
        assert (await client.get("/")).text == "1"
        response = await client.post("/buy", data={"what": "tea"})
        assert response.text == "tea"
        for number in range(3):
            await client.get(f"/page/{number}", extensions={"name": "a page"})
        """,
        requests=4,
        connections=2,
    )
    assert counts(record) == {"GET /": 4, "POST /buy": 4, "a page": 12}
    assert (record.done_runs, record.failed_runs, record.runs.count) == (4, 0, 4)
    assert record.total.answered == 20
    assert record.total.failures == {}
    assert record.steps["POST /buy"].sent == 4 * len("what=tea")
    assert record.steps["a page"].received == 4 * (0 + 1 + 2)
    assert record.total.histogram.count == 20


def test_names_of_steps_are_not_endless(visit: t.Callable[..., Record]) -> None:
    record = visit("""await client.get("/", extensions={"name": "x" * 9999})\n""")
    assert [len(name) for name in record.steps] == [120]


def test_each_run_is_a_new_visitor(visit: t.Callable[..., Record]) -> None:
    body = """\
        assert (await client.get("/")).text == "1"
        assert (await client.get("/")).text == "2"
        """
    assert visit(body, requests=3).failed_runs == 0


def test_what_a_scenario_raises_is_an_error_with_its_line(visit: t.Callable[..., Record]) -> None:
    record = visit('text = (await client.get("/")).text\nassert text == "5", text\n', requests=2)
    assert (record.done_runs, record.failed_runs) == (0, 2)
    assert record.total.failures == {"scenario: AssertionError": 2}
    assert record.total.examples == {"scenario: AssertionError": "AssertionError: 1 (line 4)"}
    assert record.errors == 2


def test_an_error_status_counts_once(visit: t.Callable[..., Record]) -> None:
    record = visit('(await client.get("/missing")).raise_for_status()\n')
    assert (record.failed_runs, record.errors) == (1, 1)
    assert record.steps["GET /missing"].statuses == {404: 1}
    assert record.total.failures == {}


def test_a_failed_request_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "visit.py"
    file.write_text('async def scenario(client):\n    await client.get("/a")\n')
    with broken(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")) as url:
        record = run(url, scenario=str(file))
    assert record.total.failures == {"connection closed early": 1}
    assert record.steps["GET /a"].failures == {"connection closed early": 1}
    assert (record.failed_runs, record.errors, record.total.answered) == (1, 1, 0)


def test_a_failure_that_the_scenario_handles_is_no_failed_run(tmp_path: Path) -> None:
    file = tmp_path / "visit.py"
    file.write_text(
        "import httpx\n"
        "async def scenario(client):\n"
        "    try:\n"
        "        await client.get('/')\n"
        "    except httpx.ReadTimeout as error:\n"
        "        assert str(error) == 'no complete answer within 0.05 s'\n"
    )
    with broken(is_silent) as url:
        record = run(url, scenario=str(file), timeout=0.05)
    assert record.total.failures == {"timeout": 1}
    assert record.total.histogram.smallest >= 50_000_000
    assert (record.done_runs, record.failed_runs) == (1, 0)


def test_a_body_that_stops_is_a_timeout(tmp_path: Path) -> None:
    file = tmp_path / "visit.py"
    file.write_text("async def scenario(client):\n    await client.get('/')\n")

    def stops(connection: t.Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        is_silent(connection)

    with broken(stops) as url:
        record = run(url, scenario=str(file), timeout=0.05)
    assert record.total.failures == {"timeout": 1}
    assert record.failed_runs == 1


def test_requests_at_the_same_time(visit: t.Callable[..., Record]) -> None:
    record = visit(
        """\
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(client.get, f"/page/{number}")
        """
    )
    assert record.total.answered == 5
    assert record.failed_runs == 0


def test_failures_of_requests_at_the_same_time_count_once(visit: t.Callable[..., Record]) -> None:
    record = visit(
        """\
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, "http://192.0.2.1/")
        """
    )
    assert record.total.failures == {"remote host not allowed": 1}
    assert record.failed_runs == 1


def test_a_response_that_is_left_early(visit: t.Callable[..., Record]) -> None:
    record = visit(
        """\
        async with client.stream("GET", "/page/100000") as response:
            assert response.status_code == 200
        """
    )
    assert counts(record) == {"GET /page/100000": 1}
    assert record.total.received < 100_000


def test_another_host_is_not_asked(visit: t.Callable[..., Record]) -> None:
    record = visit(
        """\
        await client.get("/away")
        try:
            await client.get("/away", follow_redirects=True)
        except httpx.RequestError as error:
            assert "--allow-remote" in str(error), error
        else:
            raise LookupError("it was")
        """
    )
    assert record.failed_runs == 0
    assert record.total.statuses == {302: 2}
    assert record.total.failures == {"remote host not allowed": 1}


def test_redirects_are_followed_where_the_scenario_says_so(
    visit: t.Callable[..., Record],
) -> None:
    record = visit('await client.get("/round", follow_redirects=True)\n')
    assert counts(record) == {"GET /round": 1, "GET /": 1}


def test_headers_of_the_plan_are_sent(visit: t.Callable[..., Record]) -> None:
    record = visit(
        """\
        assert client.headers["X-A"] == "b"
        assert client.headers["User-Agent"].startswith("asyncflask-load/")
        await client.get("/")
        """,
        headers=(("X-A", "b"),),
    )
    assert record.failed_runs == 0


def test_the_first_request_of_a_late_run_is_late(visit: t.Callable[..., Record]) -> None:
    """Ten runs in a tenth of a second over one connection, each of which takes 30 ms at least."""
    record = visit(
        'await client.get("/")\nawait anyio.sleep(0.03)\nawait client.get("/page/1")\n',
        requests=10,
        rate=100.0,
    )
    late = record.steps["GET /"].histogram
    # The last is due after 90 ms, and starts after nine runs of 30 ms.
    assert late.largest >= 9 * (30_000_000 - 10_000_000)
    assert record.runs.largest >= late.largest


def test_a_run_that_is_cut_short_leaves_no_half_answers(tmp_path: Path) -> None:
    from asyncflask.load.plan import Plan
    from asyncflask.load.runner import Runner
    from asyncflask.load.sending import in_process

    file = tmp_path / "visit.py"
    file.write_text("async def scenario(client):\n    await client.get('/')\n")

    async def cut() -> Record:
        asked = anyio.Event()

        async def silent(scope: t.Any, receive: t.Any, send: t.Any) -> None:
            asked.set()
            await anyio.sleep_forever()

        plan = Plan("http://localhost", connections=1, scenario=str(file))
        async with (
            Runner(plan, in_process(silent, {})) as runner,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(runner.measure)
            await asked.wait()
            await runner.stop()
        return runner.record

    record = anyio.run(cut)
    assert (record.unfinished, record.total.answered, record.errors) == (1, 0, 0)
    assert (record.done_runs, record.failed_runs) == (0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "defines no 'scenario'"),
        ("def scenario(client): pass\n", "is no coroutine function"),
        ("scenario = 5\n", "is no coroutine function"),
        ("async def scenario(): pass\n", r"its signature is scenario\(\)"),
        ("async def scenario(a, b): pass\n", r"its signature is scenario\(a, b\)"),
        ("\nasync def scenario(client)\n", r"SyntaxError: .*line 2"),
        ("import not_there\n", r"No module named 'not_there' \(line 1\)"),
        ("\n\n1 / 0\n", r"ZeroDivisionError: division by zero \(line 3\)"),
        ("open('/not/there')\n", r"FileNotFoundError: .*not/there.* \(line 1\)"),
    ],
)
def test_files_of_no_use(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "visit.py"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=message):
        load_scenario(str(file))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="There is no file"):
        load_scenario(str(tmp_path / "none.py"))
    with pytest.raises(ScenarioError, match="is no Python file"):
        load_scenario(str(tmp_path / "none.txt"))


def test_a_file_imports_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["/nowhere"])
    (tmp_path / "beside_the_scenario.py").write_text("PATH = '/'\n")
    file = tmp_path / "visit.py"
    file.write_text("from beside_the_scenario import PATH\nasync def scenario(client): ...\n")
    assert load_scenario(str(file)).__name__ == "scenario"
