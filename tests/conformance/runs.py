"""One run of a suite, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import environments
from .suites import HERE, Suite

#: Seconds after which a test that hangs has failed.
TEST_SECONDS = 60
#: What the tests see of our own environment.
PASSED_ON = ("PATH", "LANG", "TMPDIR")


@dataclass
class Outcome:
    """How the tests of one run ended."""

    passed: list[str] = field(default_factory=list)
    #: The first line of the error, by test.
    failed: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    seconds: float = 0.0
    #: pytest's exit status, or ``timeout``.
    exit: str = ""


@dataclass
class Result:
    """A suite under Flask and under asyncflask."""

    dist: str
    flask: Outcome
    asyncflask: Outcome
    #: Under asyncflask again, but with the test client's requests going over ASGI.
    asgi: Outcome | None = None

    @property
    def total(self) -> int:
        return len(self.flask.passed)

    @property
    def kept(self) -> int:
        return self.total - len(self.lost())

    def lost(self, *, over_asgi: bool = False) -> dict[str, str]:
        """Return the tests that pass under Flask and not under asyncflask, with their errors."""
        ours = (self.asgi or Outcome()) if over_asgi else self.asyncflask
        passed, failed = {*ours.passed}, ours.failed
        # A module that cannot be imported has one error, and no outcome of the tests in it.
        return {
            test: failed.get(test) or failed.get(test.partition("::")[0]) or "it was not run"
            for test in self.flask.passed
            if test not in passed
        }


def run_all(suite: Suite, wheel: Path, *, fresh: bool = False, over_asgi: bool = False) -> Result:
    """Run a suite under asyncflask, and under Flask if that has not been done before.

    :param fresh: run it under Flask again.
    :param over_asgi: run it under asyncflask once more, over ASGI.
    """
    kept = environments.HOME / "results" / "flask" / f"{suite.name}.json"
    venv = environments.with_flask(suite)
    plugins = [file.read_text() for file in sorted((HERE / "plugin").glob("*.py"))]
    recipe = [asdict(suite), (venv / "recipe.json").read_text(), *plugins]
    before = json.loads(kept.read_text()) if kept.exists() and not fresh else {}
    if before.get("recipe") != recipe:
        before = {"recipe": recipe, "outcome": asdict(run(suite, "flask", venv))}
        save(kept, before)
    venv = environments.with_asyncflask(suite, wheel)
    result = Result(suite.dist, Outcome(**before["outcome"]), run(suite, "asyncflask", venv))
    if over_asgi:
        result.asgi = run(suite, "asgi", venv, "-p", "conformance_asgi")
    save(environments.HOME / "results" / f"{suite.name}.json", asdict(result))
    return result


def load(name: str) -> Result | None:
    """Return the last result of a suite, or None if it has not been run."""
    file = environments.HOME / "results" / f"{name}.json"
    if not file.exists():
        return None
    kept = json.loads(file.read_text())
    outcomes = {
        under: found and Outcome(**found) for under, found in kept.items() if under != "dist"
    }
    return Result(kept["dist"], **outcomes)


def save(file: Path, content: dict[str, t.Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n")


def run(suite: Suite, under: str, venv: Path, *more: str) -> Outcome:
    """Run a suite's tests in a copy of its sources; `more` are arguments for pytest."""
    work = environments.HOME / "work" / suite.name / under
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(environments.sources(plain(suite.dist)), work, symlinks=True)
    record, log = work.with_name(f"{under}.jsonl"), work.with_name(f"{under}.log")
    record.write_text("")
    # Where a suite has no settings for pytest, it must not find those of this project.
    (environments.HOME / "work" / "pytest.ini").write_text("[pytest]\n")
    folder = work / suite.folder
    began = time.monotonic()
    with log.open("w") as out:
        child = subprocess.Popen(
            [*command(suite, venv), *more],
            cwd=folder,
            env=environment(suite, venv, folder, record),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        with ended(child):
            try:
                status = str(child.wait(suite.seconds))
            except subprocess.TimeoutExpired:
                status = "timeout"
    return outcome(record, time.monotonic() - began, status)


def plain(dist: str) -> str:
    """Return ``NAME==VERSION`` without the extras."""
    name, _, rest = dist.partition("[")
    return name + rest.rpartition("]")[2]


def command(suite: Suite, venv: Path) -> list[str]:
    fixed = ["-p", "conformance_recorder", "--rootdir=.", "-q", "-o", "addopts="]
    limit = [f"--timeout={TEST_SECONDS}", "--timeout-method=signal"]
    go_on = ["--continue-on-collection-errors"]
    pytest = [str(venv / "bin/python"), str(venv / "bin/pytest")]
    return [*pytest, *fixed, *limit, *go_on, *suite.args, *suite.tests]


def environment(suite: Suite, venv: Path, folder: Path, record: Path) -> dict[str, str]:
    found = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = [HERE / "plugin", *(folder / each for each in suite.path)]
    return {
        **found,
        "PATH": f"{venv / 'bin'}{os.pathsep}{found['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "VIRTUAL_ENV": str(venv),
        "HOME": str(folder),
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "CONFORMANCE_RECORD": str(record),
        **suite.env,
    }


@contextmanager
def ended(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process in the end, with whatever it has started and left."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def outcome(record: Path, seconds: float, status: str) -> Outcome:
    result = Outcome(seconds=round(seconds, 1), exit=status)
    for line in record.read_text().splitlines():
        test, ending, error = json.loads(line)
        if ending == "passed":
            result.passed.append(test)
        elif ending == "failed":
            result.failed[test] = error
        result.skipped += ending == "skipped"
    # Of a test that ran more than once, the failure counts.
    result.passed = [test for test in dict.fromkeys(result.passed) if test not in result.failed]
    return result
