"""The error page."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from .markup import Html, fill, join
from .report import Frame, Gap, Report
from .request_facts import RequestFacts, Table
from .source import Line
from .style import CSS, STYLE_SOURCE

_POLICY = f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; form-action 'none'"

#: Allows the page its style sheet, and nothing else: no script even if one got into it.
CONTENT_SECURITY_POLICY = f"{_POLICY}; frame-ancestors 'none'; sandbox"

#: Characters of the message in the window's title.
LONGEST_TITLE = 100

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<header>
{request_line}<h1>{type}</h1>
{message}</header>
<main>
{exceptions}{request}<h2>Traceback <small>as text, to copy</small></h2>
<details class="box"><summary>Show</summary><pre class="text">{text}</pre></details>
</main>
<footer>Shown because debug mode is on; never use it in production. What looks like a secret is \
masked. Python {python}.</footer>
</body>
</html>
"""


def render_page(report: Report, request: RequestFacts, text: str) -> str:
    """Return the page.

    :param report: the exception, most recent first.
    :param request: the request that it ended.
    :param text: the same traceback as text.
    """
    title = " ".join(f"{report.type}: {report.message}".split())
    return fill(
        _PAGE,
        policy=_POLICY,
        css=Html(CSS),
        title=title[:LONGEST_TITLE],
        request_line=_request_line(request),
        type=report.type,
        message=_message(report),
        exceptions=join(_exceptions(report)),
        request=_request(request),
        text=text,
        python=platform.python_version(),
    )


def _request_line(request: RequestFacts) -> Html:
    if not request.url and not request.method:
        return Html()
    line = '<p class="request-line"><b>{method}</b> {url}</p>\n'
    return fill(line, method=request.method, url=request.url)


def _message(report: Report) -> Html:
    message = fill('<p class="message">{text}</p>\n', text=report.message)
    notes = [fill('<p class="note">{text}</p>\n', text=note) for note in report.notes]
    return join([message, *notes] if report.message else notes)


def _exceptions(report: Report) -> Iterator[Html]:
    """Yield the parts of an exception, without its title, and then those that it came from."""
    yield from _parts(report)
    while report.origin is not None:
        link, report = report.link, report.origin
        yield fill('<p class="link">This was {link}:</p>\n', link=link)
        yield fill(
            '<h2 class="type">{type}</h2>\n{message}', type=report.type, message=_message(report)
        )
        yield from _parts(report)


def _parts(report: Report) -> Iterator[Html]:
    if report.frames:
        yield Html("<h2>Where it happened <small>the innermost call first</small></h2>\n")
    own = any(isinstance(part, Frame) and not part.is_library for part in report.frames)
    for index, part in enumerate(report.frames):
        if isinstance(part, Gap):
            yield fill('<p class="gap">&vellip; {count} more frames</p>\n', count=part.count)
        else:
            yield _frame(part, open=not part.is_library or (not own and index == 0))
    if report.members or report.left_out:
        yield _members(report)


def _members(report: Report) -> Html:
    return fill(
        '<h2>The exceptions in this group</h2>\n<div class="members">\n{members}{rest}</div>\n',
        members=join(map(_member, report.members)),
        rest=fill('<p class="gap">{count} not shown</p>\n', count=report.left_out)
        if report.left_out
        else Html(),
    )


def _member(report: Report) -> Html:
    return fill(
        "<details open><summary>{type}</summary>\n{message}{rest}</details>\n",
        type=report.type,
        message=_message(report),
        rest=join(_exceptions(report)),
    )


def _frame(frame: Frame, *, open: bool) -> Html:
    folder, name = _split(frame.file)
    return fill(
        '<details class="frame {kind}"{open}><summary><span class="where">{folder}<b>{name}</b>:'
        "{number}</span>{function}{badge}</summary>\n{source}{variables}</details>\n",
        kind="library" if frame.is_library else "own",
        open=Html(" open") if open else Html(),
        folder=folder,
        name=name,
        number=frame.number,
        function=fill(" in <code>{name}</code>", name=frame.function) if frame.function else Html(),
        badge=Html(' <span class="badge">async</span>') if frame.is_async else Html(),
        source=_source(frame.lines),
        variables=_variables(frame.variables),
    )


def _split(file: str) -> tuple[str, str]:
    end = max(file.rfind("/"), file.rfind("\\")) + 1
    return file[:end], file[end:]


def _source(lines: tuple[Line, ...]) -> Html:
    if not lines:
        return Html('<p class="missing">The source code is not available.</p>\n')
    return fill('<pre class="source">{lines}</pre>\n', lines=join(map(_line, lines)))


def _line(line: Line) -> Html:
    return fill(
        "<span{current}><i>{number}</i>{before}{failing}{after}\n</span>",
        current=Html(' class="current"') if line.current else Html(),
        number=line.number,
        before=line.before,
        failing=fill("<mark>{text}</mark>", text=line.failing) if line.failing else Html(),
        after=line.after,
    )


def _variables(variables: tuple[tuple[str, str], ...]) -> Html:
    if not variables:
        return Html()
    return fill(
        '<details class="locals"><summary>{count} local variable{s}</summary>{table}</details>\n',
        count=len(variables),
        s="" if len(variables) == 1 else "s",
        table=_rows(variables),
    )


def _request(request: RequestFacts) -> Html:
    tables = [_table(table) for table in request.tables if table.rows]
    if request.alone:
        tables.insert(0, fill('<div class="box">{rows}</div>\n', rows=_rows(request.alone)))
    return join([Html("<h2>Request</h2>\n"), *tables]) if tables else Html()


def _table(table: Table) -> Html:
    return fill(
        '<details class="box" open><summary>{title} <small>{count}</small></summary>{rows}'
        "</details>\n",
        title=table.title,
        count=len(table.rows),
        rows=_rows(table.rows),
    )


def _rows(rows: tuple[tuple[str, str], ...]) -> Html:
    row = "<tr><th>{name}</th><td>{value}</td></tr>\n"
    cells = join(fill(row, name=name, value=value) for name, value in rows)
    return fill("<table>\n{cells}</table>", cells=cells)
