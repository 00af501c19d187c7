"""Template fragments: one block of a template, rendered by itself.

What a block needs of the template around it is there, as if the whole page were rendered: what is
set or imported outside of blocks, its macros, and the templates that it extends, for ``super()``.
What the template puts out besides the block is not rendered at all: each template has a second
form for that, its *setup*, with nothing in it that puts out text.
"""

from __future__ import annotations

import typing as t
from collections.abc import AsyncGenerator, Iterator
from functools import partial

from jinja2 import Environment, Template, nodes
from jinja2.runtime import Context

from . import template_async
from .exceptions import BlockNotFound
from .templating import TemplateName, _found, _render, _render_async

#: The variable that holds, while setups run, what a template extends.
_PARENT = "_asyncflask_parent"

#: Statements that put nothing out, and whose effect is seen inside blocks.
_SILENT = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.ExprStmt,
    nodes.FromImport,
    nodes.Import,
    nodes.Macro,
)

#: The attribute in which a template has its setup.
_SETUP = "_asyncflask_setup"


def render_block(template_name_or_list: TemplateName, block: str, /, **context: t.Any) -> str:
    """Render one block of a template, for a page that replaces a part of itself.

    :param template_name_or_list: as for `render_template`.
    :param block: the block's name, in that template or in one that it extends.
    :param context: the names that the template is given.
    :raises jinja2.TemplateNotFound: if there is no such template.
    :raises BlockNotFound: if it has no such block.
    """
    return _render(*_found(template_name_or_list), context, partial(_text, block))


async def render_block_async(
    template_name_or_list: TemplateName, block: str, /, **context: t.Any
) -> str:
    """Render one block of a template that may call async functions; like `render_block`."""
    app, template = _found(template_name_or_list, asynchronous=True)
    return await _render_async(app, template, context, partial(_rendered, block))


# Rendering


def _text(block: str, template: Template, values: dict[str, t.Any]) -> str:
    context, environment = template.new_context(values), template.environment
    try:
        for setup in _setups_along(template, context):
            for _ in setup.root_render_func(context):
                pass
        text: str = environment.concat(_find(block, template, context)(context))
    except Exception:
        environment.handle_exception()
    return text


async def _rendered(block: str, template: Template, values: dict[str, t.Any]) -> str:
    if not template.environment.is_async:  # a template that the app's own environment made
        return _text(block, template, values)
    return await template_async.Rendering().whole(_async_text(block, template, values))


async def _async_text(block: str, template: Template, values: dict[str, t.Any]) -> str:
    context, environment = template.new_context(values), template.environment
    try:
        for setup in _setups_along(template, context):
            async for _ in t.cast("AsyncGenerator[str, None]", setup.root_render_func(context)):
                pass
        pieces = [piece async for piece in _find(block, template, context)(context)]
        text: str = environment.concat(pieces)
    except Exception:
        environment.handle_exception()
    return text


def _find(block: str, template: Template, context: Context) -> t.Any:
    """Return what renders a block; the setups have run."""
    found = context.blocks.get(block)
    if found is None:
        raise BlockNotFound(template.name, block, sorted(context.blocks))
    return found[0]


def _setups_along(template: Template, context: Context) -> Iterator[Template]:
    """Yield the setups of a template and of those it extends, each to be run before the next.

    :param context: gets the blocks of the latter.
    """
    along = [template]
    while True:
        setup = _setup_of(template)
        if setup is None:
            return
        yield setup
        parent = context.vars.pop(_PARENT, None)
        if parent is None:
            return
        template = template.environment.get_template(parent, template.name)
        if template in along:
            raise RecursionError(f"The template {template.name!r} extends itself.")
        along.append(template)
        for name, render in template.blocks.items():
            context.blocks.setdefault(name, []).append(render)


# Setups


def _setup_of(template: Template) -> Template | None:
    """Return a template's setup, made once; None if there is no source to make it of."""
    kept = vars(template)
    if _SETUP not in kept:  # NOTE: kept there, so that it goes with the template
        kept[_SETUP] = _make_setup(template)
    return t.cast("Template | None", kept[_SETUP])


def _make_setup(template: Template) -> Template | None:
    environment, name = template.environment, template.name
    loader = environment.loader
    if name is None or loader is None or not loader.has_source_access:
        return None
    source, filename, _uptodate = loader.get_source(environment, name)
    tree = environment.parse(source, name, filename)
    tree.body = [*_silent(tree.body, environment)]
    code = environment.compile(tree, name, filename)
    return environment.template_class.from_code(environment, code, template.globals)


def _silent(body: list[nodes.Node], environment: Environment) -> Iterator[nodes.Node]:
    """Yield of a template's statements those that a setup consists of."""
    for node in body:
        if isinstance(node, _SILENT):
            yield node
        elif isinstance(node, nodes.Extends):
            noted = nodes.Name(_PARENT, "store")
            made = nodes.Assign(noted, node.template).set_environment(environment)
            yield made.set_lineno(node.lineno)
        elif isinstance(node, nodes.If):
            yield from _silent_branches(node, environment)


def _silent_branches(node: nodes.If, environment: Environment) -> Iterator[nodes.Node]:
    branches = [node, *node.elif_]
    for branch in branches:
        branch.body = [*_silent(branch.body, environment)]
    node.else_ = [*_silent(node.else_, environment)]
    if any(branch.body for branch in branches) or node.else_:  # else its tests decide nothing
        yield node
