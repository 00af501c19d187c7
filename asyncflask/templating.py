"""Templates: where they are found, what they are given, and how they are rendered.

`render_template` and its kin render at once and return text. The ``..._async`` ones use Jinja's
async mode, in which a template may call and loop over async things; each app has a second
environment for it, an overlay of ``app.jinja_env`` that shares its filters, globals and loader.
"""

from __future__ import annotations

import typing as t
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import aclosing, contextmanager
from functools import partial

from blinker import NamedSignal
from jinja2 import BaseLoader, Template, TemplateNotFound
from jinja2 import Environment as BaseEnvironment

from . import _current, drivers, template_async, template_runtime
from ._current import _default_template_ctx_processor as _default_template_ctx_processor
from .at_once import call_at_once
from .debughelpers import Attempt, Found, explain_template_loading_attempts
from .sansio.app import App
from .sansio.scaffold import Scaffold
from .signals import before_render_template, template_rendered
from .streams import stream_with_context


class TemplateHost(drivers.SyncHost, drivers.PoolHost, t.Protocol):
    """What rendering needs of the app."""

    template_context_processors: dict[str | None, list[Callable[[], t.Any]]]

    @property
    def jinja_env(self) -> BaseEnvironment:
        """The app's environment."""
        ...

    def update_template_context(self, context: dict[str, t.Any]) -> None:
        """Add to the names that a template is given."""
        ...

    def _call_at_once(self, func: Callable[..., t.Any], /, *args: t.Any) -> t.Any: ...


#: A template's name, a template, or several of either, of which the first that exists is meant.
TemplateName = str | Template | list[str | Template]


class Environment(template_runtime.Attributes):
    """Jinja's environment, which finds the templates of an app and of its blueprints.

    :param app: the app.
    :param options: arguments of `jinja2.Environment`. Without a ``loader`` it gets the app's.
    """

    def __init__(self, app: App, **options: t.Any) -> None:
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        super().__init__(**options)
        self.app = app
        if type(self) is Environment:
            self.context_class = template_runtime.Context
            self.template_class = template_runtime.Template

    def make_globals(self, d: MutableMapping[str, t.Any] | None) -> MutableMapping[str, t.Any]:
        """Return the globals of a template: its own, `d`, over the environment's."""
        if type(self) is not Environment:
            return super().make_globals(d)
        return template_runtime.Globals({} if d is None else d, self.globals)


class DispatchingJinjaLoader(BaseLoader):
    """Looks for a template in the app's folder, then in each blueprint's.

    :param app: the app.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    def get_source(self, environment: BaseEnvironment, template: str) -> Found:
        """Return a template's source, its file name if any, and a check for freshness.

        With ``EXPLAIN_TEMPLATE_LOADING``, log where it was looked for.

        :raises jinja2.TemplateNotFound: if no loader has it.
        """
        attempts: Iterable[Attempt] = self._attempts(environment, template)
        if self.app.config["EXPLAIN_TEMPLATE_LOADING"]:
            attempts = [*attempts]
            explain_template_loading_attempts(self.app, template, attempts)
        for _loader, _source, found in attempts:
            if found is not None:
                return found
        raise TemplateNotFound(template)

    def _attempts(self, environment: BaseEnvironment, template: str) -> Iterator[Attempt]:
        """Ask one loader after the other, as far as the caller goes."""
        for source, loader in self._iter_loaders(template):
            try:
                found = loader.get_source(environment, template)
            except TemplateNotFound:
                yield loader, source, None
            else:
                yield loader, source, found

    def _iter_loaders(self, template: str) -> Iterator[tuple[Scaffold, BaseLoader]]:
        """Yield whose loaders may have a template, and the loaders."""
        for source in (self.app, *self.app.iter_blueprints()):
            if source.jinja_loader is not None:
                yield source, source.jinja_loader

    def list_templates(self) -> list[str]:
        """Return the names of all templates, each of them once."""
        loaders = self._iter_loaders("")
        return [*{name for _source, loader in loaders for name in loader.list_templates()}]


def _async_environment(env: BaseEnvironment) -> BaseEnvironment:
    """Return the environment for async rendering that belongs to an app's own.

    Made once, and anew only after an attribute or an extension of `env` was changed.
    """
    if env.is_async:
        return env
    facts = {name: value for name, value in vars(env).items() if name != "_async_overlay"}
    facts["extensions"] = tuple(env.extensions)
    known, overlay = vars(env).get("_async_overlay", (None, None))
    if known != facts:
        # NOTE: no bytecode cache, whose keys do not tell a template's two compiled forms apart.
        overlay = env.overlay(enable_async=True, bytecode_cache=None)
        template_async.prepare(overlay)
        vars(env)["_async_overlay"] = facts, overlay
    return t.cast("BaseEnvironment", overlay)


# What a template is given


def _context_processors(app: TemplateHost) -> list[Callable[[], t.Any]]:
    """Return the app's context processors, then those of the request's blueprints."""
    registered = app.template_context_processors
    found = [*registered.get(None, ())]
    ctx = _current.request_context() if len(registered) > (None in registered) else None
    if ctx is not None:
        for name in reversed(ctx.request.blueprints):
            found += registered.get(name, ())
    return found


def update_template_context(app: TemplateHost, context: dict[str, t.Any]) -> None:
    """Add what the context processors return to the names that a template is given.

    This is what ``Flask.update_template_context`` does.

    :param app: the app.
    :param context: what the caller passed, which wins; changed in place.
    """
    passed = context.copy()
    for processor in _context_processors(app):
        ours = processor is _default_template_ctx_processor  # PERF: 1 us, if nobody is asked
        context.update(processor() if ours else call_at_once(app, processor))
    context.update(passed)


async def _fill_async(app: TemplateHost, context: dict[str, t.Any], driver: drivers.Driver) -> None:
    update = app.update_template_context
    if not update.__module__.startswith(f"{__package__}."):
        await driver.call(update, context)  # somebody has put a method of their own in its place
        return
    passed = context.copy()
    for processor in _context_processors(app):
        ours = processor is _default_template_ctx_processor  # which is not worth a thread
        context.update(processor() if ours else await driver.call(processor))
    context.update(passed)


# How it is rendered


def _announce(signal: NamedSignal, app: TemplateHost, template: Template, context: t.Any) -> None:
    wrap = partial(partial, app._call_at_once)
    signal.send(app, _async_wrapper=wrap, template=template, context=context)


async def _announce_async(
    signal: NamedSignal,
    app: TemplateHost,
    template: Template,
    context: t.Any,
    driver: drivers.Driver,
) -> None:
    def in_lane(receiver: Callable[..., t.Any]) -> t.Any:
        return partial(driver.call, receiver)

    await signal.send_async(app, _sync_wrapper=in_lane, template=template, context=context)


def _render(
    app: TemplateHost,
    template: Template,
    context: dict[str, t.Any],
    render: Callable[[Template, dict[str, t.Any]], str] | None = None,
) -> str:
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)
    text = template.render(context) if render is None else render(template, context)
    _announce(template_rendered, app, template, context)
    return text


def _generate(app: TemplateHost, template: Template, context: dict[str, t.Any]) -> Iterator[str]:
    yield from template.generate(context)
    _announce(template_rendered, app, template, context)


def _stream(app: TemplateHost, template: Template, context: dict[str, t.Any]) -> Iterator[str]:
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)
    stream = _generate(app, template, context)
    return stream if _current.request_context() is None else stream_with_context(stream)


@contextmanager
def _driver(app: TemplateHost) -> Iterator[drivers.Driver]:
    """Give what calls sync code from the loop, in the request's own lane if it has one."""
    ctx = _current.request_context()
    lane = None if ctx is None else ctx._lane
    borrowed = lane is not None and lane.pool.loop.is_running_here()  # not from another loop
    driver = drivers.LoopDriver(app, lane if borrowed else None)
    try:
        yield driver
    finally:
        if not borrowed:
            driver.close()


async def _pieces(template: Template, context: dict[str, t.Any]) -> AsyncGenerator[str, None]:
    """Yield what a template that the app's own environment made puts out."""
    for piece in template.generate(context):
        yield piece


def _pieces_of(template: Template, context: dict[str, t.Any]) -> AsyncGenerator[str, None]:
    if not template.environment.is_async:
        return _pieces(template, context)
    pieces = t.cast("AsyncGenerator[str, None]", template.generate_async(context))
    return template_async.Rendering().follow(pieces)


#: Gives what a template puts out.
Pieces = Callable[[Template, dict[str, t.Any]], AsyncGenerator[str, None]]


async def _generate_async(
    app: TemplateHost, template: Template, context: dict[str, t.Any], pieces_of: Pieces = _pieces_of
) -> AsyncGenerator[str, None]:
    with _driver(app) as driver:
        await _fill_async(app, context, driver)
        await _announce_async(before_render_template, app, template, context, driver)
        async with aclosing(pieces_of(template, context)) as pieces:
            async for piece in pieces:
                yield piece
        await _announce_async(template_rendered, app, template, context, driver)


def _stream_async(
    app: TemplateHost, template: Template, context: dict[str, t.Any]
) -> AsyncGenerator[str, t.Any]:
    stream = _generate_async(app, template, context)
    return stream if _current.request_context() is None else stream_with_context(stream)


async def _rendered(template: Template, context: dict[str, t.Any]) -> str:
    if not template.environment.is_async:
        return template.render(context)
    return await template_async.Rendering().whole(template.render_async(context))


async def _render_async(
    app: TemplateHost,
    template: Template,
    context: dict[str, t.Any],
    rendered: Callable[[Template, dict[str, t.Any]], Awaitable[str]] = _rendered,
) -> str:
    """Render a template. PERF: as a whole; piece by piece a page of 350 took 60 % longer."""
    with _driver(app) as driver:
        await _fill_async(app, context, driver)
        await _announce_async(before_render_template, app, template, context, driver)
        text = await rendered(template, context)
        await _announce_async(template_rendered, app, template, context, driver)
    return text


def _found(name: TemplateName, *, asynchronous: bool = False) -> tuple[TemplateHost, Template]:
    """Return the current app and a template of its."""
    app: TemplateHost = _current.require_app_context().app
    env = _async_environment(app.jinja_env) if asynchronous else app.jinja_env
    return app, env.get_or_select_template(name)


def _compiled(source: str, *, asynchronous: bool = False) -> tuple[TemplateHost, Template]:
    """Return the current app and a template made from source text."""
    app: TemplateHost = _current.require_app_context().app
    env = _async_environment(app.jinja_env) if asynchronous else app.jinja_env
    return app, env.from_string(source)


def render_template(template_name_or_list: TemplateName, **context: t.Any) -> str:
    """Render a template.

    :param template_name_or_list: its name, or several, of which the first that exists is rendered.
    :param context: the names that it is given.
    :raises jinja2.TemplateNotFound: if there is no such template.
    """
    return _render(*_found(template_name_or_list), context)


def render_template_string(source: str, **context: t.Any) -> str:
    """Render a template given as text.

    Never put together `source` from what visitors send: give it to the template as `context`.

    :param source: the template's text.
    :param context: the names that it is given.
    """
    return _render(*_compiled(source), context)


def stream_template(template_name_or_list: TemplateName, **context: t.Any) -> Iterator[str]:
    """Render a template piece by piece, as a response that a view may return.

    :param template_name_or_list: its name, or several, of which the first that exists is rendered.
    :param context: the names that it is given.
    :raises jinja2.TemplateNotFound: if there is no such template.
    """
    return _stream(*_found(template_name_or_list), context)


def stream_template_string(source: str, **context: t.Any) -> Iterator[str]:
    """Render a template given as text piece by piece, as a response that a view may return.

    :param source: the template's text; see `render_template_string`.
    :param context: the names that it is given.
    """
    return _stream(*_compiled(source), context)


async def render_template_async(template_name_or_list: TemplateName, **context: t.Any) -> str:
    """Render a template that may call async functions and loop over async iterables.

    :param template_name_or_list: its name, or several, of which the first that exists is rendered.
    :param context: the names that it is given.
    :raises jinja2.TemplateNotFound: if there is no such template.
    """
    return await _render_async(*_found(template_name_or_list, asynchronous=True), context)


async def render_template_string_async(source: str, **context: t.Any) -> str:
    """Render a template given as text that may call async functions.

    :param source: the template's text; see `render_template_string`.
    :param context: the names that it is given.
    """
    return await _render_async(*_compiled(source, asynchronous=True), context)


def stream_template_async(
    template_name_or_list: TemplateName, **context: t.Any
) -> AsyncGenerator[str, t.Any]:
    """Render a template that may call async functions, piece by piece. Return it; do not await.

    Context processors run when the first piece is asked for.

    :param template_name_or_list: its name, or several, of which the first that exists is rendered.
    :param context: the names that it is given.
    :raises jinja2.TemplateNotFound: if there is no such template.
    """
    return _stream_async(*_found(template_name_or_list, asynchronous=True), context)


def stream_template_string_async(source: str, **context: t.Any) -> AsyncGenerator[str, t.Any]:
    """Render a template given as text piece by piece; like `stream_template_async`.

    :param source: the template's text; see `render_template_string`.
    :param context: the names that it is given.
    """
    return _stream_async(*_compiled(source, asynchronous=True), context)
