from __future__ import annotations

import signal
import socket
import ssl
import sys
from pathlib import Path

import httpx
import pytest

from asyncflask import Flask
from asyncflask.cli import show_server_banner
from asyncflask.cli.groups import FlaskGroup

from .conftest import Start, get, invoke

CERT, KEY = (str(Path(__file__).with_name(name)) for name in ("localhost.pem", "localhost.key.pem"))
RUN = ("-m", "asyncflask", "run", "--port", "0")


def test_the_banner(capsys: pytest.CaptureFixture[str]) -> None:
    show_server_banner(True, "package:app")
    assert capsys.readouterr().out == " * Serving ASGI app 'package:app'\n * Debug mode: on\n"
    show_server_banner(False, None)
    assert capsys.readouterr().out == " * Debug mode: off\n"


def test_no_banner_below_the_reloader(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    show_server_banner(True, "package:app")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_ends_it_in_order(
    hello: Path, start: Start, number: signal.Signals
) -> None:
    with (hello / "app.py").open("a") as file:
        file.write("\nimport atexit\natexit.register(print, 'cleaned up')\n")
    server = start(*RUN)
    url = server.url()
    assert get(url).text == "hello"
    assert get(f"{url}/plain").text == "plain"
    assert server.end(number) == 0
    assert server.lines[:2] == [" * Serving ASGI app 'app'", " * Debug mode: off"]
    assert server.lines[-1] == "cleaned up"


def test_https(hello: Path, start: Start) -> None:
    server = start(*RUN, "--cert", CERT, "--key", KEY)
    url = server.url()
    assert url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=CERT)
    assert get(url, verify=trusting).text == "hello"


def test_https_with_a_context(hello: Path, start: Start) -> None:
    (hello / "tls_settings.py").write_text(
        "import ssl\n\ncontext = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
        f"context.load_cert_chain({CERT!r}, {KEY!r})\n"
    )
    server = start(*RUN, "--cert", "tls_settings:context")
    trusting = ssl.create_default_context(cafile=CERT)
    assert get(server.url(), verify=trusting).text == "hello"


def test_a_unix_socket(hello: Path, start: Start) -> None:
    path = hello / "server.sock"
    server = start("-m", "asyncflask", "run", "--host", f"unix://{path}")
    assert server.url() == f"unix://{path}"
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        assert client.get("/").text == "hello"
    assert server.end() == 0
    assert not path.exists()


@pytest.mark.parametrize("flags", [(), ("--reload",), ("--workers", "2")])
def test_a_port_that_is_taken(hello: Path, start: Start, flags: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = start("-m", "asyncflask", "run", "--port", port, *flags)
        assert server.wait() == 1
    assert server.lines[-1].startswith(f"Error: Cannot listen on port {port} of 127.0.0.1")
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("source", "status", "told"),
    [
        ("1 / 0\n", 1, "ZeroDivisionError: division by zero"),
        ("def broken(:\n", 1, "SyntaxError: invalid syntax"),
        ("import this_is_nowhere\n", 2, "No module named 'this_is_nowhere'"),
        ("app = 3\n", 2, "Module 'app' has no app"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--reload",)])
def test_an_app_that_cannot_be_loaded(
    project: Path, start: Start, source: str, status: int, told: str, flags: tuple[str, ...]
) -> None:
    (project / "app.py").write_text(source)
    server = start(*RUN, *flags)
    assert server.wait() == status
    assert server.output.count(told) == 1
    assert str(Path(sys.modules["asyncflask"].__path__[0])) not in server.output
    assert "Running on" not in server.output


def test_variables_set_options(hello: Path, start: Start) -> None:
    server = start("-m", "asyncflask", "run", FLASK_RUN_PORT="0", FLASK_DEBUG="1")
    server.until("Debug mode: on")
    server.until("Reloading when a Python file changes")
    assert get(server.url()).text == "hello"


def test_a_call_of_app_run_does_not_block_the_command(hello: Path, start: Start) -> None:
    with (hello / "app.py").open("a") as file:
        file.write("\napp.run()\n")
    server = start(*RUN)
    assert get(server.url()).text == "hello"
    assert server.output.count("is ignored") == 1


def test_all_addresses_in_debug_mode_are_warned_of(hello: Path, start: Start) -> None:
    server = start(*RUN, "--host", "0.0.0.0", "--debug", "--no-reload")
    server.until("Listening on all addresses (0.0.0.0)")
    server.until("Warning: debug mode")
    assert get(server.url()).text == "hello"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--reload", "--workers", "2"], "exclude each other"),
        (["--workers", "0"], "0 is not in the range"),
    ],
)
def test_options_that_do_not_go_together(args: list[str], message: str) -> None:
    group = FlaskGroup(create_app=lambda: Flask("demo"))
    result = invoke(group, "run", *args)
    assert result.exit_code == 2
    assert message in result.stderr
