"""Growth is found where it is, and the subjects of the tool can be measured."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import growing, growth, growth_instructions, idle, instructions
from benchmarks.exponents import exponent, slope
from benchmarks.growing import SUBJECTS, Subject
from benchmarks.growth import Growth
from benchmarks.requests import AnswerError, Call, ask, at_once, multipart, split, urlencoded

SIZES = [1, 2, 4, 8, 16]


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
    found = Growth(SIZES, [100, 101, 101, 103, 110])
    assert (found.marginal, found.kept) == (0, True)
    assert "flat" in growth.line("routes", found)


def test_a_sudden_step_at_the_end_is_seen() -> None:
    assert not Growth(SIZES, [100, 100, 100, 100, 200]).kept


def test_routes_may_hardly_grow() -> None:
    assert growth.broken({"routes: static": Growth(SIZES, [100, 102, 110, 120, 125])}) == [
        "routes: static: 10,000 cost 1.25 times what 625 do",
    ]
    assert growth.broken({"routes: static": Growth(SIZES, [100, 100, 100, 100, 119])}) == []


def test_a_quadratic_term_is_seen_beside_a_linear_one() -> None:
    assert not grows(0, 10, 1).kept
    assert not grows(1000, 10, 1).kept


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("error", [0.9, 1.1])
def test_one_wrong_figure_decides_nothing(at: int, error: float) -> None:
    costs = [20 + 10 * size for size in SIZES]
    wrong = [cost * (error if number == at else 1) for number, cost in enumerate(costs)]
    assert exponent(SIZES, wrong) == pytest.approx(1, abs=0.21)
    worse = [20 + 10 * size**2 for size in SIZES]
    wrong = [cost * (error if number == at else 1) for number, cost in enumerate(worse)]
    assert exponent(SIZES, wrong) > 1.8


@pytest.mark.parametrize("power", [0.5, 1, 1.5, 2, 3])
@pytest.mark.parametrize("base", [0, 1, 1000])
def test_exponents_are_found(power: float, base: float) -> None:
    costs = [base + 7 * size**power for size in SIZES]
    assert exponent(SIZES, costs) == pytest.approx(power)
    if not base:
        assert slope(SIZES, costs) == pytest.approx(power)


def test_costs_that_fall_have_no_growth() -> None:
    assert exponent(SIZES, [5, 4, 3, 2, 1]) <= 1
    assert slope(SIZES, [16, 8, 4, 2, 1]) == pytest.approx(-1)


#: The processor time that has been spent on the work below, in seconds.
spent = SimpleNamespace(seconds=0.0)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have growth look at a clock of its own, which neither waits nor knows the machine."""
    clocks = vars(time) | {"process_time": lambda: spent.seconds}
    monkeypatch.setattr(growth, "time", SimpleNamespace(**clocks))


def spending(seconds: float) -> Call:
    async def call() -> None:
        spent.seconds += seconds

    return call


def quadratic(size: int) -> Call:
    return spending(1e-4 + 1e-7 * size**2)


def linear(size: int) -> Call:
    return spending(1e-4 + 1e-5 * size)


async def test_quadratic_work_is_caught() -> None:
    found = await growth.measure(Subject(20, quadratic), 3, 0.001)
    assert found.marginal == pytest.approx(2)
    assert not found.kept
    assert found.facts()["sizes"] == [20, 40, 80, 160, 320]
    assert "instructions" not in found.facts()


def test_what_grows_too_fast_has_its_instructions_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def count(name: str, sizes: list[int]) -> list[int]:
        counted.append((name, sizes))
        return [size * 1000 for size in sizes]

    monkeypatch.setattr(growth_instructions, "count", count)
    found = growth.grown("squares", Subject(20, quadratic), 2, 0.001)
    assert counted == [("squares", found.sizes)]
    assert not found.kept
    assert found.facts()["instructions"] == pytest.approx(1)
    assert "no (its instructions: 1.00)" in growth.line("squares", found)


def test_what_does_not_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth_instructions, "count", None)
    kept = Growth(SIZES, [100] * 5)

    async def measure(*_: object) -> Growth:
        return kept

    monkeypatch.setattr(growth, "measure", measure)
    assert growth.grown("same", Subject(1, linear), 1, 0) is kept


def test_each_call_that_is_counted_lies_between_two_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(growth_instructions, "mark", lambda: done.append("mark"))
    monkeypatch.setattr(growth_instructions, "SUBJECTS", {"small": Subject(1, made_by(done))})
    growth_instructions.main(["small", "2", "4"])
    assert done == [*(2 * [2]), *(3 * ["mark", 2, "mark"]), *(2 * [4]), *(3 * ["mark", 4, "mark"])]


def made_by(done: list[object]) -> Callable[[int], Call]:
    def make(size: int) -> Call:
        async def call() -> None:
            done.append(size)

        return call

    return make


@pytest.mark.parametrize("least", [1, 3])
def test_the_least_of_the_counts_is_taken(least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> None:
        out = next(Path(each.partition("=")[2]) for each in command if "file=" in each)
        for number in range(1, 13):
            count = 10 * least if number in (2 * least, 6 + 2 * least) else 99
            Path(f"{out}.{number}").write_text(f"events: Ir\ntotals: {count}\n")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    assert growth_instructions.count("any", [1, 4]) == [10 * least, 10 * least]


async def test_linear_work_is_not() -> None:
    found = await growth.measure(Subject(20, linear), 3, 0.001)
    assert found.marginal == pytest.approx(1)
    assert found.microseconds == pytest.approx([100 + 10 * size for size in found.sizes])


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
    monkeypatch.setattr(growth_instructions, "count", lambda name, sizes: sizes)
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
    "click",
    "decimal",
    "httpx",
    "jinja2",
    "starlette",
    "sysconfig",
    "asyncflask.templating",
    "asyncflask.cli.script",
    "rich",
    "asyncflask.cli.run",
    "asyncflask.debug.page",
    "asyncflask.testing.client",
}


def test_a_served_app_imports_no_tools() -> None:
    make = "import sys; from asyncflask import Blueprint, Flask, request; app = Flask('x')"
    make += "; app.register_blueprint(Blueprint('y', 'y')); app.test_request_context"
    command = [sys.executable, "-c", f"{make}; print({UNUSED!r} & sys.modules.keys())"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_without_valgrind_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "no valgrind" in instructions.table(["async str"])
    assert growth_instructions.count("headers", [1, 4]) == []
