"""URL rules and the map that holds them: werkzeug's, with options and a count of changes."""

from __future__ import annotations

import math
import typing as t
from threading import RLock

from werkzeug.routing import Map as MapBase
from werkzeug.routing import Rule as RuleBase
from werkzeug.routing import RuleFactory
from werkzeug.routing.converters import DEFAULT_CONVERTERS


class Rule(RuleBase):
    """One URL rule: werkzeug's, with more options.

    :param string: the rule, such as ``/user/<int:id>``.
    :param stream_body: hand the request's body to the view as it arrives, not read ahead.
    :param cancel_on_disconnect: end the view's work when its client leaves.
    :param timeout: seconds that the view may take until its response begins; then its work is ended
        and the answer is 503.
    :raises ValueError: if `timeout` is not positive.
    """

    def __init__(
        self,
        string: str,
        *args: t.Any,
        stream_body: bool = False,
        cancel_on_disconnect: bool = False,
        timeout: float | None = None,
        **options: t.Any,
    ) -> None:
        super().__init__(string, *args, **options)
        if timeout is not None and not 0 < timeout < math.inf:
            raise ValueError(
                f"The timeout of a route is seconds, or None for no limit, not {timeout!r}."
            )
        self.stream_body = stream_body
        self.cancel_on_disconnect, self.timeout = cancel_on_disconnect, timeout
        #: As what the app was seen when this was decided, the view, and what serves its requests.
        self.shortcut: tuple[t.Any, t.Any, t.Any, str | None] = (None, None, None, None)
        #: The callbacks of its requests, if some have a say (see `dispatch.plan.Hooks`).
        self.hooks: t.Any = None
        #: Whether something may end the view's work before its time.
        self.is_guarded = cancel_on_disconnect or timeout is not None

    def get_empty_kwargs(self) -> t.Mapping[str, t.Any]:
        """Return the options that a copy of this rule is made with."""
        return {
            **super().get_empty_kwargs(),
            "stream_body": self.stream_body,
            "cancel_on_disconnect": self.cancel_on_disconnect,
            "timeout": self.timeout,
        }


class Map(MapBase):
    """A URL map: werkzeug's, which also counts its changes.

    PERF: the matcher knows whether it is still right without a walk over all rules.
    """

    #: How often a rule was added, or a setting changed.
    changes = 0

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        self._changing = RLock()
        super().__init__(*args, **kwargs)

    @property
    def changing(self) -> t.ContextManager[t.Any]:
        """What is held while a rule is added, and by whom that would disturb."""
        return self._changing

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule, or the rules of a factory."""
        with self._changing:
            try:
                super().add(rulefactory)
            finally:  # it may have added some
                self.changes += 1

    def __setattr__(self, name: str, value: t.Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_") and name != "changes":
            with self._changing:
                self.changes += 1


def has_custom_converters(url_map: MapBase) -> bool:
    """Whether matching may call code that is not werkzeug's."""
    known = DEFAULT_CONVERTERS
    return any(known.get(name) is not kind for name, kind in url_map.converters.items())
