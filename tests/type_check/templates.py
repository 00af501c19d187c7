"""Filters, tests and globals of templates."""

from __future__ import annotations

import typing as t

from jinja2 import Environment

from asyncflask import (
    Blueprint,
    Flask,
    before_render_template,
    get_template_attribute,
    render_template_string,
    render_template_string_async,
    stream_template_string,
)

app = Flask(__name__)
part = Blueprint("part", __name__)


@app.template_filter()
def short(text: str, length: int = 10) -> str:
    return text[:length]


@app.template_filter("reversed_text")
def backwards(text: str) -> str:
    return text[::-1]


@app.template_test("even")
def is_even(number: int) -> bool:
    return number % 2 == 0


@app.template_global()
def double(number: int) -> int:
    return number * 2


@part.app_template_filter("doubled")
async def async_filter(number: int) -> int:
    return number * 2


@part.app_context_processor
async def names() -> dict[str, t.Any]:
    return {"double": double}


app.add_template_filter(short, "shortened")
app.add_template_test(is_even, "divisible")
app.add_template_global(double, "twice")

t.assert_type(short("text", 2), str)
t.assert_type(app.jinja_env.from_string("{{ 1 }}").render(), str)
t.assert_type(render_template_string("{{ 1 }}", number=1), str)


async def rendered() -> str:
    return await render_template_string_async("{{ number|doubled }}", number=1)


def streamed() -> t.Iterator[str]:
    yield from stream_template_string("{{ 1 }}")


def environment() -> Environment:
    get_template_attribute("macros.html", "button")("Save")
    before_render_template.connect(lambda sender, template, context, **extra: None, app)
    return app.jinja_env
