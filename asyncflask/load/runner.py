"""The connections of one process, each of which sends as the schedule says."""

from __future__ import annotations

import typing as t
from time import perf_counter_ns
from types import TracebackType

import anyio
import anyio.lowlevel

from .plan import Plan
from .progress import Glance
from .record import Record
from .scenario import ScenarioSender, load_scenario
from .schedule import Schedule, schedule
from .sending import Connect, PlainSender, Sender
from .strain import Strain
from .target import Fence

#: Nanoseconds that a timer may come late, as event loops count in milliseconds. It is set that
#: much early; what then starts before its time counts from when it starts.
GRAIN = 1_000_000


def senders(plan: Plan, connect: Connect) -> list[Sender]:
    """Return what sends, one for each connection.

    :raises ScenarioError: if the scenario's file is of no use.
    """
    if plan.scenario is None:
        return [PlainSender(plan, connect) for _ in range(plan.connections)]
    scenario, fence = load_scenario(plan.scenario), Fence(plan.allow_remote)
    return [ScenarioSender(plan, connect, scenario, fence) for _ in range(plan.connections)]


class Runner:
    """Does what a plan says, in one process; ``async with`` closes the connections.

    `record` and `strain` grow while `measure` runs.

    :param plan: what to do.
    :param connect: makes the transport of a connection.
    """

    def __init__(self, plan: Plan, connect: Connect) -> None:
        self.plan = plan
        self.record, self.strain = Record(), Strain()
        self._senders = senders(plan, connect)
        self._scope = anyio.CancelScope()

    async def __aenter__(self) -> t.Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            for sender in self._senders:
                await sender.aclose()

    @property
    def glance(self) -> Glance:
        """The figures so far."""
        return Glance.at(self.record)

    async def stop(self) -> None:
        """End at once, whatever has not been answered."""
        self._scope.cancel()

    async def warm_up(self) -> None:
        """Do the same for the plan's time of warm-up, and forget what came of it."""
        if self.plan.warm_up:
            await self._phase(self.plan.warming(), Record(), Strain())

    async def measure(self) -> None:
        """Do what the plan says."""
        await self._phase(self.plan, self.record, self.strain)

    async def _phase(self, plan: Plan, record: Record, strain: Strain) -> None:
        if self._scope.cancel_called:  # during the warm-up
            return
        record.began = perf_counter_ns()
        when = schedule(plan, record.began)
        with self._scope:
            async with anyio.create_task_group() as watchers:
                watchers.start_soon(strain.watch)
                async with anyio.create_task_group() as connections:
                    for sender in self._senders:
                        connections.start_soon(_send, sender, when, record, strain)
                watchers.cancel_scope.cancel()
        self._renew_scope()
        now = perf_counter_ns()
        for due in when.unsent(now):
            record.miss(now - due, is_run=plan.scenario is not None)

    def _renew_scope(self) -> None:
        """Make a scope for the next phase, which an interrupt of this one ends as well."""
        was_stopped, self._scope = self._scope.cancel_called, anyio.CancelScope()
        if was_stopped:
            self._scope.cancel()


async def _send(sender: Sender, when: Schedule, record: Record, strain: Strain) -> None:
    while (due := when.take(perf_counter_ns())) is not None:
        since = await _started(due, strain)
        try:
            await sender.send(record, since)
        except BaseException:
            record.unfinished += 1
            raise
        # An app in this process may answer without ever waiting: let others have their turn.
        await anyio.lowlevel.checkpoint()


async def _started(due: int, strain: Strain) -> int:
    """Wait until a request is due, and return what its duration counts from."""
    now = perf_counter_ns()
    ahead = due - now - GRAIN
    if ahead > 0:
        await anyio.sleep(ahead / 1e9)
        now = perf_counter_ns()
        strain.late.add(now - due)
    return min(due, now)
