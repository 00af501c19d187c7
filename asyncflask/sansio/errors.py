"""Which handler answers an exception, and which exceptions no handler gets to see."""

from __future__ import annotations

from collections.abc import Iterable

from werkzeug.exceptions import BadRequest, BadRequestKeyError

from .. import typing as ft
from ..config import Config
from .scaffold import Scaffold


class ErrorPolicy(Scaffold):
    """The part of an app that decides about exceptions."""

    config: Config

    def _find_error_handler(
        self, e: Exception, blueprints: Iterable[str]
    ) -> ft.ErrorHandlerCallable | None:
        """Return the handler for an exception, or None.

        1. Handlers for the exception's status code come before those for its class alone.
        2. Among these, the innermost blueprint comes first and the app last.
        3. Among these, the class that comes first in the exception's MRO wins.

        :param e: the exception.
        :param blueprints: the request's blueprints, innermost first.
        """
        exc_class, code = self._get_exc_class_and_code(type(e))
        scopes = (*blueprints, None)
        for key in (None,) if code is None else (code, None):
            for scope in scopes:
                # `get`: looking must not add to the registry, as indexing it would.
                handlers = self.error_handler_spec.get(scope, {}).get(key, {})
                found = next(filter(handlers.__contains__, exc_class.__mro__), None)
                if found is not None:
                    return handlers[found]
        return None

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP exception is treated like any other one, to be seen in a traceback.

        ``TRAP_HTTP_EXCEPTIONS`` does so for all of them, ``TRAP_BAD_REQUEST_ERRORS`` for 400s.
        Unless the latter is set, debug mode does so for missing keys of forms and the like.

        :param e: the exception.
        """
        if self.config["TRAP_HTTP_EXCEPTIONS"]:
            return True
        trap = self.config["TRAP_BAD_REQUEST_ERRORS"]
        if trap is None and self.config["DEBUG"]:
            return isinstance(e, BadRequestKeyError)
        return bool(trap) and isinstance(e, BadRequest)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Whether teardown functions are told of no error although there was one.

        Always False; override it to ignore some.

        :param error: the exception that ended the request.
        """
        return False
