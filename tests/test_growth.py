"""Growth is found where it is, and the subjects of the tool can be measured."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import growing, growth, idle, instructions
from benchmarks.growing import SUBJECTS, Subject
from benchmarks.growth import Growth
from benchmarks.requests import AnswerError, Call, ask, at_once, multipart, split, urlencoded

SIZES = [1, 4, 16]


def grows(base: float, linear: float, quadratic: float) -> Growth:
    return Growth(SIZES, [base + linear * size + quadratic * size**2 for size in SIZES])


def test_a_base_does_not_hide_a_quadratic_term() -> None:
    hidden = grows(1000, 0, 10)
    assert hidden.total < 0.6
    assert hidden.marginal == pytest.approx(2)
    assert not hidden.kept


@pytest.mark.parametrize("base", [0, 10, 1000])
def test_linear_is_linear_whatever_the_base(base: float) -> None:
    found = grows(base, 100, 0)
    assert found.marginal == pytest.approx(1)
    assert found.total <= 1.0000001
    assert found.kept


def test_what_does_not_grow_is_flat() -> None:
    found = Growth(SIZES, [100, 101, 110])
    assert (found.marginal, found.kept) == (0, True)
    assert "flat" in growth.line("routes", found)


def test_a_sudden_step_at_the_end_is_seen() -> None:
    assert not Growth(SIZES, [100, 100, 200]).kept


def test_routes_may_hardly_grow() -> None:
    assert growth.broken({"routes: static": Growth(SIZES, [100, 110, 125])}) == [
        "routes: static: 10,000 cost 1.25 times what 625 do",
    ]
    assert growth.broken({"routes: static": Growth(SIZES, [100, 100, 119])}) == []


def quadratic(size: int) -> Call:
    async def call() -> None:
        sum(a * b for a in range(size) for b in range(size))

    return call


def linear(size: int) -> Call:
    async def call() -> None:
        sum(range(size * 1000))

    return call


@pytest.mark.loop_limit(20)
async def test_quadratic_work_is_caught() -> None:
    found = await growth.measure(Subject(20, quadratic), 3, 0.001)
    assert found.marginal > 1.6
    assert not found.kept
    assert found.facts()["sizes"] == [20, 80, 320]


@pytest.mark.loop_limit(20)
async def test_linear_work_is_not() -> None:
    found = await growth.measure(Subject(20, linear), 3, 0.001)
    assert found.marginal < 1.5


@pytest.mark.time_limit(60)
@pytest.mark.loop_limit(10)
@pytest.mark.parametrize("name", SUBJECTS)
def test_each_subject_answers(name: str) -> None:
    with asyncio.Runner() as runner:
        runner.run(growth.cost(SUBJECTS[name].make(3), 0))


def test_the_subjects_of_the_issue_are_there() -> None:
    names = " ".join(SUBJECTS)
    for word in ("routes", "headers", "cookies", "form", "query", "body", "nested", "at once"):
        assert word in names


async def test_a_wrong_answer_is_noticed() -> None:
    app = growing.one_view(growing.hello)
    with pytest.raises(AnswerError, match="404"):
        await ask(app, "/nowhere")()
    await at_once(ask(app, "/x"), 3)()


def test_bodies() -> None:
    assert urlencoded(2)[1] == b"field0=value+0&field1=value+1"
    assert multipart([(b"", b"text")])[1] == (
        b'--growth\r\nContent-Disposition: form-data; name="f0"\r\n\r\ntext\r\n--growth--\r\n'
    )
    assert split(b"abcde", 2) == [b"ab", b"cd", b"e"]


@pytest.mark.loop_limit(20)
def test_the_command_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(growth, "SUBJECTS", {"small": Subject(20, linear), "other": None})
    file = tmp_path / "growth.json"
    status = growth.main(["--only=small", "--rounds=2", "--seconds=0.001", f"--json={file}"])
    facts = json.loads(file.read_text())
    assert list(facts["growth"]) == ["small"]
    assert status == (0 if facts["growth"]["small"]["kept"] else 1)
    assert "| small | 20 |" in capsys.readouterr().out


@pytest.mark.time_limit(120)
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux counts it")
def test_an_idle_worker_is_weighed() -> None:
    found = idle.worker_memory(idle.SERVERS["asyncflask"])
    assert 5 < found["PSS"] <= found["RSS"]


def test_an_import_is_timed() -> None:
    milliseconds, modules = idle.import_cost("import json")
    assert milliseconds > 0
    assert modules > 20


UNUSED = {
    "httpx",
    "rich",
    "asyncflask.cli.run",
    "asyncflask.debug.page",
    "asyncflask.testing.client",
}


def test_a_served_app_imports_no_tools() -> None:
    make = "import sys; from asyncflask import Flask; Flask('x')"
    command = [sys.executable, "-c", f"{make}; print({UNUSED!r} & sys.modules.keys())"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_without_valgrind_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "no valgrind" in instructions.table(["async str"])
