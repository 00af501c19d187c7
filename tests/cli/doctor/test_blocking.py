from __future__ import annotations

import asyncio
import time
import typing as t
from functools import partial
from pathlib import Path

import pytest

from asyncflask import Flask
from asyncflask.cli.doctor.blocking import check_blocking_calls
from asyncflask.cli.doctor.finding import Finding

from . import samples


def examined(*views: t.Any, **hooks: t.Any) -> list[Finding]:
    app = Flask("demo", static_folder=None)
    for number, view in enumerate(views):
        app.add_url_rule(f"/{number}", f"view{number}", view)
    for name, func in hooks.items():
        getattr(app, name)(func)
    return [*check_blocking_calls(app)]


WRONG = [
    (samples.sleeps, "error", "time.sleep()"),
    (samples.sleeps_by_another_name, "error", "doze()"),
    (samples.imports_for_itself, "error", "request.urlopen()"),
    (samples.runs_a_loop, "error", "asyncio.run()"),
    (samples.runs_a_loop_by_hand, "error", "asyncio.new_event_loop(...).run_until_complete()"),
    (samples.fetches, "error", "urllib.request.urlopen()"),
    (samples.starts_a_process, "error", "subprocess.run()"),
    (samples.waits_for_a_process, "error", "process.wait()"),
    (samples.waits_for_an_annotated_process, "error", "process.wait()"),
    (samples.enclosing(), "error", "nap()"),
    (samples.asks, "error", "input()"),
    (samples.waits_for_a_future, "error", "future.result()"),
    (samples.waits_at_once, "error", "executor.submit(...).result()"),
    (samples.waits_for_the_loop, "error", "asyncio.run_coroutine_threadsafe(...).result()"),
    (samples.waits_for_a_thread, "error", "thread.join()"),
    (samples.connects, "warning", "sqlite3.connect()"),
    (samples.connects_unloaded, "warning", "psycopg2.connect()"),
    (samples.commits, "warning", "db.session.commit()"),
    (samples.reads, "note", "open(...).read()"),
    (samples.reads_a_path, "note", "Path(...).read_bytes()"),
    (samples.is_an_argument, "error", "time.sleep()"),
]


@pytest.mark.parametrize(("view", "level", "call"), WRONG)
def test_found(view: t.Any, level: str, call: str) -> None:
    (finding,) = examined(view)
    assert (finding.level, finding.what.partition(" in ")[0]) == (level, call)
    assert "the async view 'view0'" in finding.what
    file, _, line = finding.place.rpartition(":")
    assert file.endswith("samples.py")
    first = view.__code__.co_firstlineno
    assert first < int(line) < first + 10
    assert finding.way_out.endswith(".")


@pytest.mark.parametrize(
    "view",
    [
        samples.awaits,
        samples.hands_over,
        samples.has_its_own_names,
        samples.awaits_without_the_word,
        samples.asks_a_done_task,
        samples.plain,
    ],
)
def test_no_false_alarm(view: t.Any) -> None:
    assert examined(view) == []


# What a handler is


@pytest.mark.parametrize(
    ("view", "role"),
    [
        (samples.decorated(samples.sleeps), "view 'view0'"),
        (partial(samples.sleeps), "view 'view0'"),
        (partial(samples.decorated(samples.sleeps)), "view 'view0'"),
        (samples.Called(), "view 'view0'"),
        (samples.Called().method, "view 'view0'"),
        (samples.Methods.as_view("methods"), "view 'view0' (get)"),
    ],
)
def test_kinds_of_views(view: t.Any, role: str) -> None:
    (finding,) = examined(view)
    assert f"the async {role} " in finding.what


@pytest.mark.parametrize(
    ("registrar", "role"),
    [
        ("before_request", "before_request function"),
        ("after_request", "after_request function"),
        ("teardown_request", "teardown_request function"),
        ("teardown_appcontext", "teardown_appcontext function"),
        ("url_value_preprocessor", "URL value preprocessor"),
        ("context_processor", "context processor"),
    ],
)
def test_hooks(registrar: str, role: str) -> None:
    (finding,) = examined(**{registrar: samples.sleeps})
    assert f"the async {role} 'sleeps'" in finding.what


def test_error_handlers() -> None:
    app = Flask("demo")
    for what in (404, LookupError):
        app.register_error_handler(what, t.cast("t.Any", samples.sleeps))
    (finding,) = check_blocking_calls(app)
    assert "the async error handler 'sleeps'" in finding.what


# What a handler calls


@pytest.mark.parametrize(
    ("view", "via"),
    [
        (samples.calls_a_function, "deeper"),
        (samples.imports_a_sibling, "waits"),
        (samples.awaits_a_helper, "helper"),
        (samples.calls_a_method, "Service.load"),
        (samples.calls_a_class, "Service.fetch"),
        (samples.makes_an_object, "Service.load"),
    ],
)
def test_the_apps_own_functions_are_read_too(view: t.Any, via: str) -> None:
    (finding,) = examined(view)
    assert f"time.sleep() in {via}(), called by the async view 'view0'" in finding.what


def test_each_place_is_told_once() -> None:
    assert (
        len(
            examined(
                samples.awaits_a_helper, samples.calls_itself, partial(samples.awaits_a_helper)
            )
        )
        == 2
    )


# Without source


def test_a_file_that_has_changed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "changing.py"
    path.write_text("import time\n\nasync def view():\n    time.sleep(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    import changing  # type: ignore[import-not-found]

    path.write_text("async def (:\n")
    (finding,) = examined(changing.view)
    assert finding.place.endswith("changing.py:4")


def made_up(body: str) -> t.Any:
    names: dict[str, t.Any] = {"time": time, "asyncio": asyncio, "doze": time.sleep}
    exec(f"async def view():\n    {body}\n", names)
    return names["view"]


@pytest.mark.parametrize("body", ["time.sleep(1)", "doze(1)"])
def test_code_without_source_is_read_by_its_names(body: str) -> None:
    (finding,) = examined(made_up(body))
    assert finding.what.startswith("time.sleep() in the async view")
    assert finding.place.startswith("<string>:")


@pytest.mark.parametrize("body", ["await asyncio.sleep(1)", "time.time()"])
def test_code_without_source_gives_no_false_alarm_either(body: str) -> None:
    assert examined(made_up(body)) == []
