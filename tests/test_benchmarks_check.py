"""The check of the benchmark's answers: what is right passes, what is wrong or missing is named."""

from __future__ import annotations

import select as poll
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import check, environment, server
from benchmarks.calling import CallError
from benchmarks.frameworks import FRAMEWORKS
from benchmarks.server import ServerError
from benchmarks.workloads import BY_NAME

linux_only = pytest.mark.skipif(not hasattr(poll, "epoll"), reason="the load generator's poll")

SOME = "str,session,range,websocket,hooks"


def test_absences_are_of_what_there_is() -> None:
    assert {*check.ABSENT} <= {*FRAMEWORKS}
    assert {name for names in check.ABSENT.values() for name in names} <= {*BY_NAME}
    assert "asyncflask" not in check.ABSENT


@linux_only
@pytest.mark.time_limit(120)
def test_right_answers_pass(capsys: pytest.CaptureFixture[str]) -> None:
    check.main(["bare,asyncflask", SOME])
    lines = capsys.readouterr().out.splitlines()
    assert "bare ASGI, in process: 4 right, session absent" in lines
    assert "asyncflask, in process: 5 right" in lines
    assert "bare ASGI, main: 3 right, session absent" in lines
    assert "asyncflask, hooks: 1 right" in lines


def test_wrong_answers_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = check.Findings()
    works = [BY_NAME["str"], BY_NAME["json"], BY_NAME["session"]]

    def ask(workload: object) -> bool:
        if workload is works[1]:
            raise CallError("nonsense")
        return workload is works[2]

    found.judge("Falcon", "falcon", works, ask)
    assert found.wrong == [
        "Falcon: str should not be absent",
        "Falcon: json: nonsense",
        "Falcon: session should not be there",
    ]
    assert capsys.readouterr().out == "Falcon: 1 right, str absent\n"


@linux_only
@pytest.mark.time_limit(60)
def test_whatever_is_wrong_ends_with_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "ABSENT", {"asyncflask": {"str": "it is there, though"}})
    with pytest.raises(SystemExit, match="in process: str should not be there"):
        check.main(["in-process,asyncflask,str"])
    assert "asyncflask, in process: 1 right" in capsys.readouterr().out


def test_a_name_that_is_not_there_gets_the_list() -> None:
    with pytest.raises(SystemExit, match="Workloads: str"):
        check.main(["flusk"])


@linux_only
def test_a_server_that_does_not_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def deployed(*_: object) -> object:
        raise ServerError("it ended with 1")

    monkeypatch.setattr(check, "deployed", deployed)
    with pytest.raises(SystemExit, match="asyncflask, main: it ended with 1"):
        check.main(["server,asyncflask,str"])


@pytest.mark.time_limit(60)
@pytest.mark.parametrize(
    ("killed", "patience"), [(False, 30.0), (True, 0.2)], ids=["hears", "deaf"]
)
def test_a_server_that_must_be_killed_is_seen(
    killed: bool, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PATIENCE", patience)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " if killed else ""
    code = f"{deaf}import time; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)  # it is as far as that
        running = server.Server("it", process, 0)
        running.stop()
        assert running.killed is killed


def test_what_cannot_be_compiled_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "HOME", tmp_path)
    monkeypatch.setattr(environment, "PINNED", {"none": ("needed==1",)})
    monkeypatch.setattr(environment, "OPTIONAL", {"none": ("fast==1", "faster==1")})
    monkeypatch.setattr(environment, "SHARED", ())

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        environment.folder("none").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, command[-1] == "fast==1", "", "no compiler")

    monkeypatch.setattr(subprocess, "run", run)
    assert environment.python("none") == tmp_path / ".venv-none/bin/python"
    said = capsys.readouterr().err
    assert "fast==1 could not be installed" in said
    assert "faster" not in said
