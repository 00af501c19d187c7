"""`asyncflask.serving`: here, since it runs servers."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import werkzeug.serving

from asyncflask import Flask

from .conftest import HELLO, Start, get

SCRIPT = HELLO + "\n\nif __name__ == '__main__':\n    app.run({options})\n    print('went on')\n"


def script(folder: Path, options: str) -> str:
    path = folder / "script.py"
    path.write_text(SCRIPT.replace("{options}", options))
    return str(path)


def test_a_script_serves_and_goes_on_after_ctrl_c(project: Path, start: Start) -> None:
    server = start(script(project, "port=0"))
    assert get(server.url()).text == "hello"
    assert server.end(signal.SIGINT) == 0
    assert server.lines[0] == " * Serving ASGI app 'script'"
    assert server.lines[-1] == "went on"


def test_a_script_with_the_reloader(project: Path, start: Start) -> None:
    path = script(project, "port=0, debug=True")
    server = start(path)
    url = server.url()
    assert get(url).text == "hello"
    Path(path).write_text("def broken(:\n")
    server.until("waiting for a file to change")
    script(project, "port=0, debug=True, threaded=False")
    assert get(f"{url}/plain").text == "plain"
    assert server.end() == 0
    assert server.output.count("Running on") == 1


def test_a_taken_port_is_told_without_a_traceback(project: Path, start: Start) -> None:
    first = start(script(project, "port=0"))
    port = first.url().rpartition(":")[2]
    second = start(script(project, f"port={port}"))
    assert second.wait() == 1
    assert "another program does so already" in second.output
    assert "Traceback" not in second.output


class Recorder:
    """Stands in werkzeug's place, as programs do that bring their own server."""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}

    def __call__(self, *args: Any, **options: Any) -> None:
        self.args, self.options = args, options


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(werkzeug.serving, "run_simple", made)
    return made


@pytest.mark.parametrize(
    ("server_name", "given", "expected"),
    [
        (None, (), ("127.0.0.1", 5000)),
        (None, ("localhost", 0), ("localhost", 0)),
        ("example.org", (), ("example.org", 5000)),
        ("example.org:80", (), ("example.org", 80)),
        ("example.org:80", (None, 81), ("example.org", 81)),
        ("example.org:80", ("", None), ("example.org", 80)),
    ],
)
def test_the_address(
    project: Path,
    recorder: Recorder,
    server_name: str | None,
    given: tuple[Any, ...],
    expected: tuple[str, int],
) -> None:
    app = Flask("demo")
    app.config["SERVER_NAME"] = server_name
    app.run(*given)
    assert recorder.args == (*expected, app)


@pytest.mark.parametrize("debug", [True, False])
def test_debug_mode_sets_the_defaults(project: Path, recorder: Recorder, debug: bool) -> None:
    app = Flask("demo")
    app.run(debug=debug)
    assert app.debug is debug
    assert recorder.options == {"use_reloader": debug, "use_debugger": debug, "threaded": True}
    app.run(debug=debug, use_reloader=False, threaded=False)
    assert recorder.options == {"use_reloader": False, "use_debugger": debug, "threaded": False}


def test_variables_from_a_file(project: Path, recorder: Recorder) -> None:
    (project / ".env").write_text("FLASK_DEBUG=1\n")
    app = Flask("demo")
    app.run(load_dotenv=False)
    assert not app.debug
    app.run()
    assert app.debug
    app.run(debug=False)
    assert not app.debug


@pytest.mark.parametrize("child", [True, False])
def test_below_a_command_it_does_nothing(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    child: bool,
) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    if child:
        monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    Flask("demo").run()
    assert recorder.args == ()
    assert ("is ignored" in capsys.readouterr().out) is not child


def test_an_option_that_nobody_knows(project: Path) -> None:
    with pytest.raises(TypeError, match="'static_files', 'treaded'"):
        Flask("demo").run(treaded=True, static_files={})


def test_the_app_may_be_set_up_further_afterwards(project: Path, recorder: Recorder) -> None:
    app = Flask("demo")
    app._got_first_request = True
    app.run()
    app.add_url_rule("/later", "later")
