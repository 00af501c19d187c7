"""``asyncflask load`` as it is typed."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from click.testing import Result

from asyncflask import Flask, request
from asyncflask.cli import FlaskGroup, cli

from ..conftest import Live
from .conftest import Start, invoke

pytestmark = pytest.mark.time_limit(60)

APP = """\
from asyncflask import Flask, request

app = Flask(__name__)


@app.get("/")
async def index():
    return "hello"


@app.post("/form")
async def form():
    return {"form": request.form, "json": request.get_json(silent=True)}
"""
OWN = APP + '\n\n@app.cli.command("load")\ndef load():\n    print("the app\'s own")\n'


@pytest.fixture
def shop(project: Path) -> Path:
    (project / "app.py").write_text(APP)
    return project


def load(*args: str) -> Result:
    return invoke(cli, "load", *args)


@pytest.fixture
def url(live: Live) -> str:
    app = Flask("live")

    @app.get("/")
    async def index() -> str:
        return "hello"

    return live(app).url


def test_a_url(url: str, project: Path) -> None:
    result = load(url, "-n", "20", "-c", "4")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"GET {url}\n4 connections, 20 requests\n")
    assert "Status        200: 20" in result.stdout


def test_a_url_as_for_curl(url: str, project: Path) -> None:
    port = url.rpartition(":")[2]
    for typed in (f"127.0.0.1:{port}/", f":{port}", f"http://localhost:{port}/"):
        assert load(typed, "-n", "1").exit_code == 0


def test_an_app_in_this_process(shop: Path) -> None:
    for args in (["-A", "app"], ["--app", "app:app", "/"], []):
        result = load(*args, "-n", "3")
        assert result.exit_code == 0, result.output
        assert "Status        200: 3" in result.stdout
        assert "took turns on one core" in result.stdout.replace("\n", " ")


def test_the_group_names_the_app_as_well(shop: Path) -> None:
    (shop / "app.py").rename(shop / "other.py")
    assert invoke(cli, "--app", "other", "load", "/", "-n", "1").exit_code == 0


def test_no_target_and_no_app(project: Path) -> None:
    result = load()
    assert result.exit_code == 2
    assert "No app was named" in result.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--data", "a=b"], '{"form":{"a":"b"},"json":null}\n'),
        (["--data-json", '{"a":1}'], '{"form":{},"json":{"a":1}}\n'),
        (["--data", "{}", "-H", "content-type: application/json"], '{"form":{},"json":{}}\n'),
    ],
)
def test_bodies(shop: Path, args: list[str], expected: str) -> None:
    result = load("/form", "-n", "1", *args, "--json", "-")
    report = json.loads(result.stdout)
    assert report["plan"]["method"] == "POST"
    assert report["requests"]["statuses"] == {"200": 1}
    assert report["requests"]["received_body_bytes"] == len(expected)


def test_json_on_standard_output_is_alone_there(shop: Path) -> None:
    result = load("-n", "2", "--json", "-")
    assert json.loads(result.stdout)["requests"]["answered"] == 2
    assert "2 answered" in result.stderr


def test_files_of_reports(shop: Path) -> None:
    result = load("-n", "2", "--json", "r.json", "--html", "r.html")
    assert "2 answered" in result.stdout
    assert json.loads((shop / "r.json").read_text())["version"] == 1
    assert (shop / "r.html").read_text().startswith("<!doctype html>")


def test_a_report_that_cannot_be_written(shop: Path) -> None:
    result = load("-n", "2", "--html", "not/there/r.html")
    assert result.exit_code == 1
    assert "cannot be written to 'not/there/r.html': No such file" in result.stderr
    assert "2 answered" in result.stdout


@pytest.mark.parametrize(
    ("args", "status", "line"),
    [
        (["--max-p99", "10s"], 0, "ok      --max-p99 10.0 s"),
        (["--max-p99", "1us"], 1, "BROKEN  --max-p99 1.00 us"),
        (["--max-p50", "1us"], 1, "BROKEN  --max-p50"),
        (["--max-p95", "1us"], 1, "BROKEN  --max-p95"),
        (["--max-mean", "1us"], 1, "BROKEN  --max-mean"),
        (["--min-rate", "1e9"], 1, "BROKEN  --min-rate"),
        (["--max-errors", "0"], 0, "ok      --max-errors 0: 0"),
        (["/none", "--max-errors", "2"], 1, "BROKEN  --max-errors 2: 3"),
        (["/none", "--max-errors", "99%"], 1, "BROKEN  --max-errors 99%: 100%"),
        (["/none"], 0, "Every answer was 404"),
    ],
)
def test_limits_and_the_exit_status(shop: Path, args: list[str], status: int, line: str) -> None:
    result = load("-n", "3", *args)
    assert result.exit_code == status
    assert line in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["http://127.0.0.1:1/", "--app", "app"], "Leave out one of the two"),
        (["http://127.0.0.1:1/", "--serve"], "Leave out one of the two"),
        (["/", "--processes", "2"], "add --serve"),
        (["/", "--data", "a", "--data-json", "1"], "exclude each other"),
        (["/", "-s", "app.py", "--data", "a"], "makes its own requests"),
        (["/", "-s", "none.py"], "does not exist"),
        (["ftp://127.0.0.1/"], "not of HTTP"),
        (["/", "-d", "soon"], "is no duration"),
        (["/", "-c", "0"], "not in the range"),
        (["/", "--rate", "0"], "not in the range"),
        (["/", "--max-errors", "few"], "neither a number of errors"),
    ],
)
def test_wrong_usage_is_2(shop: Path, args: list[str], message: str) -> None:
    result = load(*args)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_remote_host_needs_a_flag(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = load("http://192.0.2.1/", "-n", "1")
    assert result.exit_code == 1
    assert "--allow-remote" in result.stderr
    asked: list[t.Any] = []

    def refuse(address: t.Any, timeout: float) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    result = load("http://192.0.2.1/", "-n", "1", "--allow-remote")
    assert "Nothing listens on port 80 of 192.0.2.1" in result.stderr
    assert asked == [("192.0.2.1", 80)]


def test_no_server(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = load(f":{port}/")
    assert result.exit_code == 1
    assert f"Nothing listens on port {port}" in result.stderr


def test_a_scenario(shop: Path) -> None:
    (shop / "visit.py").write_text(
        "async def scenario(client):\n"
        "    assert (await client.get('/')).text == 'hello'\n"
        "    await client.post('/form', json=[1])\n"
    )
    result = load("-s", "visit.py", "-n", "4", "--max-errors", "0")
    assert result.exit_code == 0, result.output
    assert "Runs          4 done, 0 failed" in result.stdout
    assert re.search(r"^POST /form +4 +0 ", result.stdout, re.MULTILINE)


def test_a_scenario_of_no_use(shop: Path) -> None:
    (shop / "visit.py").write_text("x = 1\n")
    result = load("-s", "visit.py", "-n", "1")
    assert result.exit_code == 1
    assert "defines no 'scenario'" in result.stderr


def test_a_rate(shop: Path) -> None:
    result = load("--rate", "200", "-n", "20", "--json", "-")
    report = json.loads(result.stdout)
    assert report["requests"]["answered"] == 20
    assert report["seconds"] >= 19 / 200 - 0.002


def test_progress_goes_to_standard_error(shop: Path) -> None:
    assert "answered" in load("-d", "1200ms", "-c", "1").stderr
    result = load("-d", "1200ms", "-c", "1", "-w", "10ms", "--quiet")
    assert result.stderr == ""


def test_several_processes(url: str, project: Path) -> None:
    result = load(url, "-n", "10", "-c", "2", "-p", "2")
    assert result.exit_code == 0, result.output
    assert "2 client processes" in result.stdout
    assert "Status        200: 10" in result.stdout


def test_the_apps_own_command_wins(project: Path) -> None:
    (project / "app.py").write_text(OWN)
    assert load().stdout == "the app's own\n"


def test_an_app_that_is_broken_has_no_command(url: str, project: Path) -> None:
    (project / "app.py").write_text("1 / 0\n")
    assert load(url, "-n", "1").exit_code == 0


def test_the_command_line_of_an_app_has_it_as_well(project: Path) -> None:
    def create_app() -> Flask:
        made = Flask("made")

        @made.get("/")
        async def index() -> str:
            return "hello"

        return made

    result = invoke(FlaskGroup(create_app=create_app), "load", "-n", "3", "--max-errors", "0")
    assert result.exit_code == 0, result.output
    assert "Status        200: 3" in result.stdout


def test_an_app_written_for_flask(project: Path, start: Start) -> None:
    (project / "app.py").write_text(APP.replace("asyncflask", "flask").replace("async def", "def"))
    command = ("--as-flask", "load", "-n", "5", "--max-errors", "0", "--quiet")
    for more in ((), ("--serve",)):
        process = start("-m", "asyncflask", *command, *more)
        assert process.wait() == 0, process.output
        assert "Status        200: 5" in process.lines


def test_a_password_in_the_url_is_sent_and_not_shown(live: Live, project: Path) -> None:
    app, seen = Flask("live"), []

    @app.get("/")
    async def index() -> str:
        seen.append(request.authorization)
        return ""

    url = live(app).url.replace("http://", "http://ada:open-sesame@")
    result = load(url, "-n", "1", "--json", "r.json", "--html", "r.html")
    assert result.exit_code == 0
    assert seen[0] is not None
    assert (seen[0].username, seen[0].password) == ("ada", "open-sesame")
    written = [result.output, *((project / name).read_text() for name in ("r.json", "r.html"))]
    assert not any("sesame" in text for text in written)


def test_help_reads_well() -> None:
    text = load("--help").stdout
    assert "  load --app shop:app --serve /cart      the app, in a server of its own\n" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "IntRange" not in text
    assert "INTEGER RANGE" not in text


def test_a_server_of_its_own(shop: Path, start: Start) -> None:
    process = start("-m", "asyncflask", "load", "--serve", "-n", "20", "--max-errors", "0")
    assert process.wait() == 0, process.output
    assert "10 connections, 20 requests, server started here" in process.lines
    assert "Status        200: 20" in process.lines
    assert "INFO" not in process.output


def test_a_server_that_does_not_start(shop: Path, start: Start) -> None:
    (shop / "app.py").write_text(APP + "\n\n@app.before_serving\ndef fail():\n    1 / 0\n")
    process = start("-m", "asyncflask", "load", "--serve", "-n", "20")
    assert process.wait() == 1
    assert "The server has ended with status 3" in process.output


def test_ctrl_c_ends_the_run_and_prints_the_report(shop: Path, start: Start) -> None:
    process = start(
        "-m", "asyncflask", "load", "--serve", "-d", "1h", "-c", "2", "--json", "r.json"
    )
    process.until("answered")
    assert process.end(signal.SIGINT) == 130
    assert any(line.startswith("Interrupted: this is what there was") for line in process.lines)
    report = json.loads((shop / "r.json").read_text())
    assert (report["interrupted"], report["status"]) == (True, 130)
    assert report["requests"]["answered"] > 0
    assert report["errors"] == 0


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, asyncflask, asyncflask.cli;"
        "print([name for name in sys.modules if name.startswith('asyncflask.load')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
