"""The default configuration: Flask's keys with Flask's values, then our own."""

from __future__ import annotations

import typing as t
from datetime import timedelta

FLASK: t.Final[dict[str, t.Any]] = {
    "DEBUG": None,
    "TESTING": False,
    "PROPAGATE_EXCEPTIONS": None,
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
    "USE_X_SENDFILE": False,
    "TRUSTED_HOSTS": None,
    "SERVER_NAME": None,
    "APPLICATION_ROOT": "/",
    "SESSION_COOKIE_NAME": "session",
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_PATH": None,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_COOKIE_PARTITIONED": False,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_REFRESH_EACH_REQUEST": True,
    "MAX_CONTENT_LENGTH": None,
    "MAX_FORM_MEMORY_SIZE": 500_000,
    "MAX_FORM_PARTS": 1_000,
    "SEND_FILE_MAX_AGE_DEFAULT": None,
    "TRAP_BAD_REQUEST_ERRORS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    "EXPLAIN_TEMPLATE_LOADING": False,
    "PREFERRED_URL_SCHEME": "http",
    "TEMPLATES_AUTO_RELOAD": None,
    "MAX_COOKIE_SIZE": 4093,
    "PROVIDE_AUTOMATIC_OPTIONS": True,
}

OWN: t.Final[dict[str, t.Any]] = {
    # Threads that run sync code, for each event loop. anyio's and Starlette's figure.
    "SYNC_WORKERS": 40,
    # Requests that may wait for a thread, or keep one while async code works for them; beyond it
    # the answer is 503. About a second of work for 40 threads at 40 ms a call: who would wait
    # longer is better told to come again.
    "SYNC_QUEUE_LIMIT": 1_000,
    # Threads that read files which are sent and not in memory, and those that run teardown
    # functions of requests which needed no thread before. Short work; so many keep a disk busy.
    "FILE_WORKERS": 10,
    "TEARDOWN_WORKERS": 10,
    # Threads that run background tasks which are plain functions. A few such tasks work at any
    # time; more than that, and they take the processor from the requests.
    "BACKGROUND_WORKERS": 10,
    # Background tasks there may be at a time; beyond it, who adds one gets a 503. Each takes some
    # kilobytes, so that a client which starts one with each request fills no memory.
    "BACKGROUND_TASK_LIMIT": 10_000,
    # Seconds that background tasks get to finish when the app shuts down. Quart's figure; with the
    # requests' own time before it, as long as most supervisors wait before they kill.
    "BACKGROUND_TASK_SHUTDOWN_TIMEOUT": 5.0,
    # Seconds before a task is run again that has failed, doubled with each failure up to the
    # second figure: what it needs (a database, a broker) is back in a second or in minutes.
    "BACKGROUND_RESTART_DELAY": 1.0,
    "BACKGROUND_RESTART_MAX_DELAY": 60.0,
    # In debug mode, answer an unhandled exception with a page that shows source and locals. Off
    # with `asyncflask run --no-debugger` and `app.run(use_debugger=False)`.
    "DEBUG_PAGES": True,
    # Bytes of a body that are read ahead for async handlers where MAX_CONTENT_LENGTH is not set.
    "MAX_BUFFERED_BODY": 16 * 1024 * 1024,
    # Bytes of them that all requests of the process together keep in memory, beyond the first 500
    # kB of each; the rest lies in temporary files. Two of the longest at once, and less than a
    # worker takes anyhow: files are for the rush, and for clients that are slow on purpose. While a
    # file is written, what it will make free is given away already, of one body at a time.
    "BODY_MEMORY": 32 * 1024 * 1024,
    # Seconds for which a client may be silent in the middle of its body before the request is given
    # up with 408; None for ever. Between two pieces, not for all of it: nginx's client_body_timeout
    # is the same, and so is its figure.
    "BODY_TIMEOUT": 60,
    # Origins whose pages may open websockets, such as "https://example.com"; "*" for all. None:
    # those of the page's own origin only, as foreign ones would act in their visitors' names.
    "WEBSOCKET_ALLOWED_ORIGINS": None,
    # Bytes of one message from a client; beyond it the websocket is closed with 1009. What most
    # servers and proxies allow.
    "WEBSOCKET_MAX_MESSAGE_SIZE": 1024 * 1024,
    # Messages that the server of `asyncflask run` keeps for a handler that does not ask for them;
    # then the client is held back. uvicorn's own figure.
    "WEBSOCKET_MAX_QUEUE": 32,
    # Messages a second that are taken from one client; what comes faster waits, and the client
    # with it. None: as many as the handler asks for, which holds a client back as well.
    "WEBSOCKET_MAX_MESSAGE_RATE": None,
}
