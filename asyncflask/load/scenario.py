"""A user's scenario: a coroutine in a file, which makes the requests of one user's visit."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
import typing as t
from collections.abc import Awaitable, Callable
from time import perf_counter_ns

import click
import httpx

from . import failures
from .metered import Metered
from .plan import Plan
from .record import Record
from .sending import USER_AGENT, Connect
from .target import Fence

Scenario: t.TypeAlias = Callable[[httpx.AsyncClient], Awaitable[t.Any]]

#: The name that the file's module has.
MODULE = "asyncflask_scenario"
#: What a file looks like, for those whose does not.
_SKETCH = "async def scenario(client):\n    await client.get('/')"


class ScenarioError(click.ClickException):
    """Raised when a scenario's file is of no use: the message says why."""


def load_scenario(path: str) -> Scenario:
    """Run a file and return the coroutine function ``scenario`` that it defines.

    The file's folder is put at the head of ``sys.path``, as for a script.

    :raises ScenarioError: if it cannot be read or run, or defines none.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise ScenarioError(f"The scenario {path!r} is no Python file: its name ends in '.py'.")
    module = sys.modules[MODULE] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        if error.filename == path:
            raise ScenarioError(f"There is no file {path!r}.") from None
        raise _failed(path, error) from None
    except Exception as error:
        raise _failed(path, error) from None
    return _checked(path, getattr(module, "scenario", None))


def _failed(path: str, error: BaseException) -> ScenarioError:
    return ScenarioError(f"The scenario {path!r} failed while it was loaded: {told(error, path)}.")


def _checked(path: str, found: t.Any) -> Scenario:
    if found is None:
        raise ScenarioError(f"{path!r} defines no 'scenario'. It has to look so:\n\n{_SKETCH}")
    if not inspect.iscoroutinefunction(found):
        raise ScenarioError(
            f"'scenario' in {path!r} is no coroutine function. It has to look so:\n\n{_SKETCH}"
        )
    try:
        inspect.signature(found).bind(object())
    except TypeError:
        raise ScenarioError(
            f"'scenario' in {path!r} cannot be called with one argument, the client: its signature"
            f" is scenario{inspect.signature(found)}."
        ) from None
    return t.cast("Scenario", found)


def told(error: BaseException, path: str) -> str:
    """Return an error in a line, with the place in a file where it came up."""
    if isinstance(error, SyntaxError):
        return f"{failures.example(error)}"
    places = traceback.extract_tb(error.__traceback__)
    lines = [
        each.lineno for each in places if os.path.abspath(each.filename) == os.path.abspath(path)
    ]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{failures.example(error)}{where}"


class ScenarioSender:
    """Runs a scenario with a client of its own, which starts each run without cookies.

    :param plan: the plan, with the scenario's file.
    :param connect: makes the transport.
    :param scenario: the coroutine function.
    :param fence: knows which hosts may be asked.
    """

    def __init__(self, plan: Plan, connect: Connect, scenario: Scenario, fence: Fence) -> None:
        self._scenario = scenario
        self._path = str(plan.scenario)
        self._metered = Metered(connect(), plan.timeout, fence)
        self._client = httpx.AsyncClient(
            transport=self._metered,
            base_url=plan.url,
            headers=[("User-Agent", USER_AGENT), *plan.headers],
            timeout=None,  # the time for the whole request is taken by the transport
            trust_env=False,
        )

    async def send(self, record: Record, since: int) -> None:
        """Run the scenario once."""
        self._metered.begin(record, since)
        self._client.cookies.clear()
        try:
            await self._scenario(self._client)
        except Exception as error:
            record.failed_runs += 1
            if not self._metered.has_recorded(error):
                kind = f"scenario: {type(error).__name__}"
                record.total.fail(kind, told(error, self._path))
        else:
            record.end_run(perf_counter_ns() - since)

    async def aclose(self) -> None:
        """Close the client and its connections."""
        await self._client.aclose()
