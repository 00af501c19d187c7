"""The suite runs and says what it measured; its figures are not judged here.

What is run for real is what our own environment has: ours, Starlette and the bare callable.
"""

from __future__ import annotations

import json
import os
import select as poll
import subprocess
import sys
import typing as t
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from benchmarks import (
    __main__ as suite,
)
from benchmarks import (
    apps,
    blog,
    entry,
    environment,
    in_process,
    page,
    promises,
    report,
)
from benchmarks.calling import Absent, Answer, ASGICaller, CallError
from benchmarks.frameworks import DEPLOYMENTS, FRAMEWORKS
from benchmarks.over_servers import prepare
from benchmarks.rounds import Bound, CellError, Key, joined, means, measure, plain
from benchmarks.selection import PARTS, SelectionError, select
from benchmarks.server import ServerError, serving, uvicorn
from benchmarks.workloads import ALL, BLOG, BY_NAME, Workload, spec
from benchmarks.wsgi_calling import WSGICaller

ROOT = Path(__file__).parent.parent

OURS, THEIRS, OTHERS = ("str", "asyncflask"), ("str", "quick"), ("str", "slow")
HERE = ("bare", "asyncflask", "starlette")

#: What each cannot do. Who can do more is to be asked for more.
ABSENT = {"bare": {"session", "upload"}, "asyncflask": set[str](), "starlette": set[str]()}

#: Apps of thousands of routes take seconds to be made.
QUICK = [each for each in ALL if each.app not in (BLOG, "routes:10000")]

linux_only = pytest.mark.skipif(not hasattr(poll, "epoll"), reason="the load generator's poll")


@linux_only
@pytest.mark.time_limit(120)
def test_a_run_measures_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    works = "str,sync,session,sync-32,websocket,form"
    suite.main([f"--only={works},{','.join(HERE)}", "--quick", f"--json={file}"])
    facts = json.loads(file.read_text())
    assert facts["failures"] == []
    assert {"asyncflask", "starlette", "uvloop", "werkzeug"} <= set(facts["versions"])
    assert facts["machine"]["cores"] >= 1
    called, served, rated = (facts["figures"][part] for part in PARTS)
    assert set(called) == {"str", "sync", "session", "sync-32", "websocket", "form"}
    assert set(served) == set(called) - {"sync-32"}
    assert set(rated) == {f"{work}@{n}" for work in ("str", "sync") for n in (1, 32, 256)}
    for part in (called, served, rated):
        for work, names in part.items():
            assert {*names} == {*HERE} - ({"bare"} if work == "session" else set())
    for name in HERE:
        assert len(called["str"][name]["us"]["rounds"]) == 1
        assert served["str"][name]["us"]["median"] > 0
        rates = {each: figure["median"] for each, figure in rated["str@32"][name].items()}
        assert rates["per_second"] > 0
        assert 0 < rates["p50"] <= rates["p90"] <= rates["p99"] <= rates["slowest"]
    promised = {each["what"] for each in facts["promises"]}
    assert "in process, sync view, 32 in flight: asyncflask / Starlette" in promised
    assert "server CPU, str: asyncflask / bare ASGI" in promised
    assert "server CPU of asyncflask: sync view / async view" in promised
    assert capsys.readouterr().out == page.section(facts) + "\n"


@pytest.mark.loop_limit(15)  # a megabyte of JSON is parsed on it
@pytest.mark.time_limit(60)
@pytest.mark.parametrize("workload", QUICK, ids=lambda each: each.name)
@pytest.mark.parametrize("name", HERE)
async def test_the_apps_answer_right(name: str, workload: Workload) -> None:
    caller = ASGICaller(entry.make(spec(workload, name)))
    await caller.start()
    try:
        answer = await caller.answer(workload)
        if workload.cookie and answer.status == 200:
            assert answer.body == b"1"
            answer = await caller.answer(workload, answer.cookie())
        answer.judged(workload)
        assert workload.name not in ABSENT[name]
        await caller.call(workload)()
    except Absent:
        assert workload.name in ABSENT[name]
    finally:
        await caller.stop()


def test_every_framework_has_its_deployment_and_a_title() -> None:
    assert {each.framework for each in DEPLOYMENTS.values()} == {*FRAMEWORKS}
    titles = [promises.title(name) for name in {**FRAMEWORKS, **DEPLOYMENTS}]
    assert len(set(titles)) == len(titles)


async def test_a_wsgi_app_is_called_as_an_asgi_app_is(tmp_path: Path) -> None:
    def app(environ: dict[str, t.Any], start_response: t.Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH", 0)))
        if "HTTP_COOKIE" in environ:
            body = environ["HTTP_COOKIE"].encode()
        start_response("200 OK", [("Set-Cookie", "a=b; Path=/"), ("Content-Type", "text/plain")])
        return [environ["REQUEST_METHOD"].encode(), b" ", body]

    caller = WSGICaller(app)
    await caller.start()
    form = BY_NAME["form"]
    assert form.body
    answer = await caller.answer(form)
    assert answer.body == b"POST " + form.body()
    assert (await caller.answer(BY_NAME["str"], answer.cookie())).body == b"GET a=b"
    with pytest.raises(Absent):
        await caller.answer(BY_NAME["websocket"])
    await caller.call(BY_NAME["sync-32"])()
    await caller.stop()


def test_a_wrong_answer_is_told_from_a_missing_one() -> None:
    work = BY_NAME["str"]
    Answer(200, [], b"Hello, World!").judged(work)
    for wrong in (Answer(200, [], b"Hello"), Answer(201, [], b"Hello, World!")):
        with pytest.raises(CallError, match=r"/str is answered with 20"):
            wrong.judged(work)
    with pytest.raises(Absent):
        Answer(404, [], b"").judged(work)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("json", b'{"message": "hello"}'),
        ("template", b"<tr><td>0</td><td>Item 0</td><td>0.00</td></tr>"),
        ("sse", b"data: 0\n\ndata: 2\n\n"),
        ("range", b""),
        ("static", b"x"),
        ("stream", b"c"),
        ("blog", b"no post"),
    ],
)
def test_each_workload_knows_a_wrong_body(name: str, body: bytes) -> None:
    assert not BY_NAME[name].check(body)


async def test_an_app_that_fails_to_start_is_told() -> None:
    async def app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(CallError, match="no database"):
        await ASGICaller(app).start()


@pytest.mark.time_limit(60)
def test_a_worker_tells_what_it_cannot_do() -> None:
    with in_process.working(FRAMEWORKS["bare"], {}) as child:
        assert child.can(BY_NAME["str"])
        assert not child.can(BY_NAME["session"])
        assert child.cost(BY_NAME["str"], 0.001) > 0
        failures: list[str] = []
        made = child.cells([BY_NAME["json"], BY_NAME["blog"]], 0.001, failures)
        assert [*made] == [("json", "bare")]
        [failure] = failures
        assert failure.startswith("in-process, blog bare: ModuleNotFoundError")
    with pytest.raises(CellError, match="ended"):
        child.can(BY_NAME["str"])


@linux_only
@pytest.mark.time_limit(60)
def test_a_server_is_asked_before_it_is_measured() -> None:
    environ = {entry.VARIABLE: "benchmarks.apps.starlette:main", "PYTHONPATH": str(ROOT)}
    command = uvicorn("benchmarks.entry:app")
    with serving("Starlette", sys.executable, *command, environ=environ) as server:
        asked = prepare(server, BY_NAME["big-json"])
        assert asked.question is not None
        with pytest.raises(Absent):
            prepare(server, BY_NAME["str"]._replace(path="/nowhere"))
        with pytest.raises(Absent):
            prepare(server, BY_NAME["websocket"]._replace(path="/nowhere"))
        with pytest.raises(CallError, match="/json"):
            prepare(server, BY_NAME["str"]._replace(path="/json"))
    with (
        pytest.raises(ServerError, match="not up to the load"),
        asked.asking(1, suite.QUICK["server"]),
    ):
        pass


@linux_only
@pytest.mark.time_limit(60)
def test_all_blogs_show_the_same_page(capfd: pytest.CaptureFixture[str]) -> None:
    """Flask is in our environment, too, as what the tests compare with."""
    pages = []
    servers = (("asyncflask", "asyncflask"), ("flask", "flask-gthread"), ("bare", "bare"))
    for name, server in servers:
        with blog.installed() as folders:
            environ = {
                entry.VARIABLE: spec(BY_NAME["blog"], name),
                "PYTHONPATH": in_process.search_path(name, folders),
            }
            command = DEPLOYMENTS[server].command
            with serving(name, sys.executable, *command, environ=environ) as running:
                pages.append(running.get("/"))
    assert pages[0] == pages[1] == pages[2]
    assert BY_NAME["blog"].check(pages[0])


def test_a_round_measures_each_cell_and_what_is_compared_together() -> None:
    log: list[Key] = []
    json: list[Key] = [("json", name) for name in (OURS[1], THEIRS[1])]

    def cell(key: Key) -> float:
        log.append(key)
        return 4.0 if key == THEIRS else 1.0

    cells = {key: partial(cell, key) for key in (OURS, json[0], THEIRS, json[1])}
    found = measure("test", plain(cells), 2)
    assert (found[OURS], found[THEIRS]) == ([1.0, 1.0], [4.0, 4.0])
    assert [{*log[at : at + 2]} for at in range(0, 8, 2)] == [{OURS, THEIRS}, {*json}] * 2


def test_cells_of_a_workload_take_turns_in_another_order_each_time() -> None:
    log: list[str] = []

    @contextmanager
    def opening(key: Key) -> Iterator[Callable[[], None]]:
        log.append(f"open {key[1]}")
        yield partial(log.append, key[1])
        log.append(f"close {key[1]}")

    keys = [OURS, THEIRS, OTHERS]
    found = measure("test", {key: partial(opening, key) for key in keys}, 2, turns=20)
    assert {len(figures) for figures in found.values()} == {40}
    rounds = [log[: len(log) // 2], log[len(log) // 2 :]]
    for each in rounds:
        taken = [name for name in each if " " not in name]
        turns = [tuple(taken[at : at + 3]) for at in range(0, 60, 3)]
        assert {tuple(sorted(turn)) for turn in turns} == {tuple(sorted(key[1] for key in keys))}
        assert len({*turns}) > 3
        assert sorted(each[-3:]) == sorted(f"close {key[1]}" for key in keys)


def test_one_figure_for_the_turns_of_a_round() -> None:
    assert means({OURS: [1.0, 2.0, 5.0, 7.0]}, 2) == {OURS: [1.5, 6.0]}


def test_starts_are_joined_where_all_of_them_have_a_figure() -> None:
    assert joined([{OURS: [1], THEIRS: [2]}, {OURS: [3, 4]}]) == {OURS: [1, 3, 4]}


def test_what_cannot_be_measured_is_told_and_left_out() -> None:
    def fail() -> float:
        raise CellError("no answer")

    failures: list[str] = []
    cells = plain({OURS: fail, THEIRS: lambda: 1.0})
    assert measure("test", cells, 2, failures, turns=2) == {THEIRS: [1.0] * 4}
    assert failures == ["test, str asyncflask: CellError('no answer')"]
    with pytest.raises(CellError):
        measure("test", plain({OURS: fail}), 1)


def test_ratio_is_taken_within_each_round_and_to_the_best() -> None:
    found = {OURS: [1.0, 10.0, 2.0], THEIRS: [4.0, 40.0, 4.0], OTHERS: [9.0, 50.0, 9.0]}
    bound = Bound("CPU", OURS, [OTHERS, THEIRS], 0.25)
    assert bound.best(found) == THEIRS
    verdict = report.verdict(bound, found)
    assert verdict == ("CPU (quick)", [0.25, 0.25, 0.5], 0.25)
    assert verdict.ratio == 0.25
    assert verdict.kept
    assert not verdict._replace(at_most=0.24).kept


def test_a_broken_promise_is_shown() -> None:
    verdict = report.Verdict("CPU", [0.25, 0.5, 0.75], 0.3)
    assert "| CPU | 0.50 | 0.25 - 0.75 | 0.30 | no |" in report.verdict_table([verdict])


def test_promises_are_judged_as_far_as_there_are_figures() -> None:
    assert [*promises.bounds({})] == []
    found = {"in-process": {("str", "asyncflask"): [2.0], ("str", "starlette"): [8.0]}}
    [(bound, _)] = promises.bounds(found)
    assert (bound.what, bound.at_most) == ("in process, str: asyncflask / Starlette", 0.35)


def test_every_promise_is_of_something_that_is_measured() -> None:
    every = {
        "in-process": {(w.name, f): [1.0] for w in ALL for f in FRAMEWORKS},
        "server": {(w.name, d): [1.0] for w in ALL for d in DEPLOYMENTS},
    }
    judged = [*promises.bounds(every)]
    assert len(judged) == len([*promises.in_process(), *promises.over_servers()])
    for bound, _ in judged:
        for work, name in (bound.ours, *bound.theirs):
            assert work in BY_NAME
            assert name in {**FRAMEWORKS, **DEPLOYMENTS}


def test_names_of_each_kind_are_combined() -> None:
    asked = select(["in-process", "str", "blog", "flask-gevent", "asyncflask"])
    assert [each.name for each in asked.workloads("in-process")] == ["str", "blog"]
    assert asked.workloads("server") == []
    assert [each.name for each in asked.frameworks()] == ["asyncflask", "flask"]
    assert [each.name for each in asked.deployments()] == ["asyncflask", "flask-gevent"]
    everything = select([])
    assert everything.frameworks() == [*FRAMEWORKS.values()]
    assert everything.deployments() == [*DEPLOYMENTS.values()]
    assert len(select(["flask"]).deployments()) == 4
    assert everything.workloads("in-process") == [*ALL]
    assert {each.name for each in everything.workloads("throughput")} < {*BY_NAME}


def test_a_name_that_is_not_there_gets_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SelectionError, match="nothing called flusk"):
        select(["flusk"])
    with pytest.raises(SystemExit):
        suite.main(["--only=str,flusk"])
    assert "Workloads: str, json" in capsys.readouterr().err


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "HOME", tmp_path)
    monkeypatch.setattr(environment, "PINNED", {"none": ()})
    monkeypatch.setattr(environment, "SHARED", ())
    commands: list[list[str]] = []

    def run(command: list[str], **_: t.Any) -> subprocess.CompletedProcess[str]:
        commands.append([*map(str, command)])
        environment.folder("none").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, len(commands) == 2, "", "no such version")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(environment.InstallationError, match="no such version"):
        environment.python("none")
    made = environment.python("none")
    assert made == tmp_path / ".venv-none/bin/python"
    assert environment.python("none") == made
    assert len(commands) == 4
    assert environment.python(environment.OURS) == Path(sys.executable)


def test_an_app_of_the_environment_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(entry.VARIABLE, "benchmarks.apps.starlette:routes:3")
    assert len(entry.app("an", "argument").routes) == 3
    monkeypatch.setenv(entry.VARIABLE, "benchmarks.apps.starlette:nothing")
    with pytest.raises(entry.MissingError, match="starlette:nothing"):
        entry.app()


def test_files_are_made_when_first_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps.shared, "FOLDER", tmp_path)
    file = apps.shared.static.__wrapped__() / apps.shared.FILE
    assert file.stat().st_size == apps.shared.FILE_SIZE
    made = file.stat().st_mtime_ns
    assert apps.shared.static.__wrapped__() == file.parent
    assert file.stat().st_mtime_ns == made
    assert [*map(os.fspath, file.parent.iterdir())] == [os.fspath(file)]
