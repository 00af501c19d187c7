"""The guard of the hot paths: nothing grows unseen, and what has grown is told."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import typing as t
from collections.abc import Awaitable, Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from asyncflask import Flask
from asyncflask.asgi import outgoing
from asyncflask.matcher import Matcher
from benchmarks import counting, guard
from benchmarks.counting import Counter, Counts
from benchmarks.hot_paths import HotPath, hot_paths, plain
from benchmarks.requests import AnswerError, ask

ROOT = Path(__file__).parent.parent

#: Between two calls that are counted, the loop waits until no thread does anything.
pytestmark = pytest.mark.loop_limit(20)


def step_module(folder: Path, name: str = "step") -> t.Any:
    """Write a module with a step whose work is so many turns, and import it."""
    file = folder / f"{name}.py"
    file.write_text("def step(turns):\n    for turn in range(turns):\n        abs(turn)\n")
    spec = t.cast("t.Any", spec_from_file_location(name, file))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def calling(func: Callable[..., t.Any], *args: t.Any) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        func(*args)

    return call


def counts_of(folder: Path, call: Callable[[], Awaitable[None]], **options: t.Any) -> Counts:
    counter = Counter(str(folder), **options)
    with counter.counting():
        return asyncio.run(counting.per_call(counter, call))


@pytest.mark.time_limit(120)
def test_no_hot_path_has_grown() -> None:
    """In a process of its own: others trace, too (coverage, debuggers)."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| async str |" in done.stdout


def test_the_file_has_each_path_for_each_python(tmp_path: Path) -> None:
    kept = guard.read()
    assert [*kept] == ["3.11", "3.12", "3.13"]
    for paths in kept.values():
        assert [*paths] == [*hot_paths(tmp_path)]
        for each in paths.values():
            assert set(each) == set(guard.JUDGED)
            assert all(count > 0 for count in each.values())


def test_bytecodes_and_calls_of_the_folder_are_counted(tmp_path: Path) -> None:
    step = step_module(tmp_path).step
    ten, twenty = (counts_of(tmp_path, calling(step, turns)) for turns in (10, 20))
    assert twenty.calls - ten.calls == 10
    assert twenty.bytecodes - ten.bytecodes >= 50
    assert ten == counts_of(tmp_path, calling(step, 10))
    assert ten.outside == 0


def test_what_others_execute_is_counted_apart(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    step = step_module(tmp_path).step
    ten, twenty = (
        counts_of(tmp_path / "ours", calling(step, turns), outside=True) for turns in (10, 20)
    )
    assert twenty.outside - ten.outside >= 50
    assert (ten.bytecodes, ten.calls) == (0, 0)


def test_threads_are_counted(tmp_path: Path) -> None:
    step = step_module(tmp_path).step

    def in_thread(turns: int) -> None:
        thread = threading.Thread(target=step, args=(turns,))
        thread.start()
        thread.join()

    ten, twenty = (counts_of(tmp_path, calling(in_thread, turns)) for turns in (10, 20))
    assert twenty.bytecodes - ten.bytecodes >= 50


def test_a_thread_that_is_never_idle_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, ticks = Counter(str(tmp_path)), itertools.count()
    monkeypatch.setattr(counting, "MOST_LOOKS", 3)
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    monkeypatch.setattr(counter, "now", lambda: (next(ticks), 0, 0))
    with pytest.raises(RuntimeError, match="never idle"):
        counter.settled()
    assert next(ticks) == 4


def test_nothing_is_counted_any_more_afterwards(tmp_path: Path) -> None:
    step, before = step_module(tmp_path).step, (sys.gettrace(), sys.getprofile())
    counter = Counter(str(tmp_path))
    with counter.counting():
        step(1)
    counted = counter.now()
    step(1)
    assert counter.now() == counted
    assert (sys.gettrace(), sys.getprofile()) == before
    assert threading.gettrace() is None


async def test_a_step_done_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    app, search = Flask(__name__), Matcher.search

    @app.get("/user/<int:id>")
    async def user(id: int) -> str:
        return str(id)

    def search_twice(self: Matcher, path: str, method: str) -> t.Any:
        search(self, path, method)
        return search(self, path, method)

    path = {"path": HotPath(ask(app, "/user/42"))}
    once = (await guard.measure(path))["path"]
    monkeypatch.setattr(Matcher, "search", search_twice)
    twice = (await guard.measure(path))["path"]
    assert guard.compare({"path": once._asdict()}, {"path": once}) == []
    grown = guard.compare({"path": once._asdict()}, {"path": twice})
    assert [each.what for each in grown] == ["bytecodes", "calls"]
    assert all(each.grew for each in grown)


async def test_time_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CALLS", 3)
    path = {"path": hot_paths(tmp_path)["streamed chunk"]}
    quick, interval = await guard.measure(path), sys.getswitchinterval()
    late = itertools.count().__next__  # each piece is
    monkeypatch.setattr(outgoing, "monotonic", late)
    assert await guard.measure(path) == quick
    assert sys.getswitchinterval() == interval
    assert late() == 0


def kept(bytecodes: float, calls: float = 10) -> dict[str, dict[str, float]]:
    return {"str": {"bytecodes": bytecodes, "calls": calls}}


@pytest.mark.parametrize(("now", "changed"), [(1000, 0), (1050, 0), (1051, 1), (950, 0), (949, 1)])
def test_five_percent_are_tolerated(now: float, changed: int) -> None:
    changes = guard.compare(kept(1000), {"str": Counts(now, 10, 0)})
    assert len(changes) == changed
    assert all(each.grew == (now > 1000) for each in changes)


def test_one_more_of_few_is_tolerated() -> None:
    assert guard.compare(kept(1000), {"str": Counts(1000, 11, 0)}) == []
    assert len(guard.compare(kept(1000), {"str": Counts(1000, 12, 0)})) == 1


def test_a_path_that_is_not_kept_has_grown() -> None:
    changes = guard.compare({}, {"str": Counts(1000, 10, 0)})
    assert [str(each) for each in changes] == [
        "str: 0 bytecodes, now 1000 (+100.0 %)",
        "str: 0 calls, now 10 (+100.0 %)",
    ]


def test_the_report_says_what_to_do() -> None:
    changes = guard.compare(kept(1000), {"str": Counts(1100, 10, 0)})
    text = guard.report(changes)
    assert "str: 1000 bytecodes, now 1100 (+10.0 %)" in text
    assert "make guard ARGS=--write" in text
    assert "well done" not in text
    assert "well done" in guard.report(guard.compare(kept(1000), {"str": Counts(900, 10, 0)}))
    assert guard.report([]) == ""


def run_guard(
    monkeypatch: pytest.MonkeyPatch, file: Path, bytecodes: float, *arguments: str
) -> int:
    async def found(*args: t.Any, **kwargs: t.Any) -> guard.Found:
        return dict.fromkeys(args[0], Counts(bytecodes, 10, 0))

    monkeypatch.setattr(guard, "FILE", file)
    monkeypatch.setattr(guard, "measure", found)
    monkeypatch.setattr(guard, "hot_paths", lambda folder: {"str": None})
    return guard.main([*arguments])


def test_growth_fails_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "guard.json"
    assert run_guard(monkeypatch, file, 1000) == 0
    assert "Nothing is kept" in capsys.readouterr().out
    assert run_guard(monkeypatch, file, 1000, "--write") == 0
    assert run_guard(monkeypatch, file, 1100) == 1
    assert "execute over 5% more" in capsys.readouterr().err
    assert run_guard(monkeypatch, file, 1100, "--write") == 0
    assert run_guard(monkeypatch, file, 1100) == 0
    assert run_guard(monkeypatch, file, 900) == 0
    assert "well done" in capsys.readouterr().err


def test_writing_leaves_the_other_pythons_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "guard.json"
    file.write_text(json.dumps({"3.100": kept(7), "3.9": kept(5)}))
    run_guard(monkeypatch, file, 1000, "--write")
    written = json.loads(file.read_text())
    assert [*written] == ["3.9", guard.version(), "3.100"]
    assert (written["3.9"], written["3.100"]) == (kept(5), kept(7))
    assert written[guard.version()] == kept(1000)


def test_what_seems_to_have_grown_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[list[str]] = []
    counts = iter([1100, 1060, 1000])

    async def found(paths: t.Any, **kwargs: t.Any) -> guard.Found:
        looks.append([*paths])
        now = next(counts)
        return {path: Counts(now if path == "str" else 7, 10, 0) for path in paths}

    monkeypatch.setattr(guard, "measure", found)
    paths: t.Any = {"str": None, "other": None}
    known = kept(1000) | {"other": {"bytecodes": 7, "calls": 10}}
    assert guard.look(paths, known)["str"] == Counts(1000, 10, 0)
    assert looks == [["str", "other"], ["str"], ["str"]]


async def test_a_wrong_answer_is_not_counted() -> None:
    with pytest.raises(AnswerError, match="404"):
        await guard.measure({"str": HotPath(ask(plain(), "/nowhere"))})
