"""One framework, called in process: a child that is told over its standard input what to measure.

    python -m benchmarks.worker

Runs in the framework's environment and loads the framework, uvloop and the standard library. Each
line that it reads is a command, as JSON, and so is each line that it writes:

- ``{"app": ..., "workload": ..., "wsgi": ...}`` has the app made and asked once; the answer is
  ``{}``, or ``{"absent": true}`` where the framework has no such path;
- with ``"seconds"`` it is measured; the answer is ``{"cost": ...}``, in microseconds a request.

Whatever goes wrong is told in ``{"error": ...}``. What an app prints goes to standard error.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
import typing as t

import uvloop

from . import entry
from .calling import Absent, ASGICaller, Call, Headers, cost
from .workloads import BY_NAME, MESSAGES, Workload
from .wsgi_calling import WSGICaller

Caller = ASGICaller | WSGICaller


class Worker:
    """What is measured here."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._calls: dict[str, Call] = {}

    async def caller(self, app: str, wsgi: bool) -> Caller:
        """Return what calls an app, which is made if it is not there."""
        if app not in self._callers:
            try:
                made = entry.make(app)
            except entry.MissingError as error:
                raise Absent from error
            self._callers[app] = WSGICaller(made) if wsgi else ASGICaller(made)
            await self._callers[app].start()
        return self._callers[app]

    async def stop(self) -> None:
        """End the lifespans."""
        for caller in self._callers.values():
            await caller.stop()

    async def call(self, workload: Workload, caller: Caller) -> Call:
        """Return what makes a workload's requests, once an answer was looked at.

        :raises Absent: if the app cannot do it.
        :raises CallError: if it is not the right one.
        """
        if workload.name not in self._calls:
            answer = await caller.answer(workload)
            cookie: Headers = ()
            if workload.cookie and answer.status == 200:
                cookie = answer.cookie()
                answer = await caller.answer(workload, cookie)
            answer.judged(workload)
            self._calls[workload.name] = caller.call(workload, cookie)
        return self._calls[workload.name]

    async def obey(self, asked: dict[str, t.Any]) -> dict[str, t.Any]:
        """Carry out a command and return the answer."""
        workload = BY_NAME[asked["workload"]]
        try:
            call = await self.call(workload, await self.caller(asked["app"], asked["wsgi"]))
        except Absent:
            return {"absent": True}
        if "seconds" not in asked:
            return {}
        requests = MESSAGES if workload.websocket else workload.at_once
        return {"cost": await cost(call, asked["seconds"], requests)}


def main() -> None:
    """Obey until the input ends."""
    with os.fdopen(os.dup(1), "w", buffering=1) as told:
        os.dup2(2, 1)
        worker = Worker()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            for line in sys.stdin:
                try:
                    answer = runner.run(worker.obey(json.loads(line)))
                except Exception as error:  # whatever it is, it is told
                    traceback.print_exc()
                    answer = {"error": f"{type(error).__name__}: {error}"}
                print(json.dumps(answer), file=told)
            runner.run(worker.stop())


if __name__ == "__main__":
    main()
