from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from asyncflask.cli import children
from asyncflask.cli.children import RELOADED, UNDER_LOAD, WORKER, Child

from .conftest import PATIENCE


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    """A child that waits for the word on its listening socket, says that it serves, and waits."""
    code = (
        "from asyncflask.cli import children as c\n"
        "listening, served = c.inherited(c.SOCKET), c.follow_parent()\n"
        "listening.accept()[0].recv(1)\n"
        "served()\n"
        "listening.accept()[0].recv(1)\n"
    )
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", code])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Child(WORKER, 0, listening.fileno())
        made.address = listening.getsockname()  # type: ignore[attr-defined]
        yield made
        made.end(0)


def say(child: Child) -> None:
    with socket.create_connection(child.address) as connection:  # type: ignore[attr-defined]
        connection.sendall(b"x")


def test_it_says_when_it_serves_and_how_it_ended(child: Child) -> None:
    assert not child.has_served()
    assert child.status() is None
    say(child)
    child._tie.setblocking(True)
    assert child.has_served()
    say(child)
    child._process.wait(PATIENCE)
    assert child.status() == 0
    assert child.has_served()


def test_it_is_killed_when_it_does_not_end(child: Child) -> None:
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    child.end(0.01)
    assert child.status() == 128 + signal.SIGKILL


@pytest.mark.parametrize("reads", [True, False])
def test_it_ends_with_its_parent(child: Child, reads: bool) -> None:
    if reads:
        child._tie.setblocking(True)
        say(child)
        assert child.has_served()
    child._tie.close()  # what the system does with a dead parent's sockets
    child._process.wait(PATIENCE)
    assert child.status() == 128 + signal.SIGTERM


def test_what_it_inherits_goes_no_further(child: Child) -> None:
    code = (
        "import os\n"
        "from asyncflask.cli import children\n"
        "with children.inherited('ASYNCFLASK_TEST_FD') as sock:\n"
        "    print(os.get_inheritable(sock.fileno()))\n"
    )
    with socket.socket() as sock:
        os.set_inheritable(sock.fileno(), True)
        environ = {**os.environ, WORKER: "true", "ASYNCFLASK_TEST_FD": str(sock.fileno())}
        shown = subprocess.check_output(
            [sys.executable, "-c", code], env=environ, close_fds=False, text=True
        )
    assert shown == "False\n"


@pytest.mark.parametrize(
    ("variable", "generation", "is_child", "is_first"),
    [
        (None, None, False, True),
        (RELOADED, "0", True, True),
        (RELOADED, "1", True, False),
        (RELOADED, None, True, False),
        (WORKER, "0", True, True),
        (WORKER, "3", True, False),
    ],
)
def test_who_greets(
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    generation: str | None,
    is_child: bool,
    is_first: bool,
) -> None:
    if variable:
        monkeypatch.setenv(variable, "true")
    if generation:
        monkeypatch.setenv("ASYNCFLASK_GENERATION", generation)
    assert children.is_child() is is_child
    assert children.is_first() is is_first
    assert children.is_reloaded() is (variable == RELOADED)


def test_without_a_parent_there_is_nothing_to_follow() -> None:
    children.follow_parent()()
    assert children.inherited("ASYNCFLASK_PARENT_FD") is None


def test_signals_are_handled_in_the_main_thread_only() -> None:
    got: list[str] = []
    with children.handling({signal.SIGUSR1: lambda: got.append("here")}):
        signal.raise_signal(signal.SIGUSR1)
    assert got == ["here"]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL

    def elsewhere() -> None:
        with children.handling({signal.SIGUSR1: lambda: None}):
            got.append(str(signal.getsignal(signal.SIGUSR1)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert got[1] == str(signal.SIG_DFL)


@pytest.mark.parametrize(("kind", "is_apart"), [(WORKER, False), (UNDER_LOAD, True)])
def test_ctrl_c_reaches_workers_but_not_the_server_of_a_load_test(
    monkeypatch: pytest.MonkeyPatch, kind: str, is_apart: bool
) -> None:
    code = "import os, sys\nfrom asyncflask.cli import children as c\nsys.exit(c.is_under_load())"
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", code])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Child(kind, 1, listening.fileno())
        assert (os.getpgid(made.pid) != os.getpgrp()) is is_apart
        assert made._process.wait(PATIENCE) == (kind == UNDER_LOAD)
        made.end(0)
