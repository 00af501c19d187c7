"""How the page looks. No font, image or rule comes from elsewhere."""

from __future__ import annotations

import base64
import hashlib

CSS = """\
:root {
  color-scheme: light dark;
  --paper: #f6f5f2; --card: #fff; --ink: #1f2328; --dim: #646b75; --line: #dfdcd5;
  --alarm: #b3261e; --alarm-soft: #fdecea; --mark: #f9c9c4; --mark-line: #b3261e;
  --code: #faf9f7; --link: #5a4a9c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --card: #1d2024; --ink: #e4e6e9; --dim: #969da8; --line: #32363c;
    --alarm: #ff8a80; --alarm-soft: #3a2124; --mark: #6b2b2b; --mark-line: #ff8a80;
    --code: #181b1e; --link: #b9a9ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
code, pre, .where, table { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
code, pre, table { font-size: 13px; }
.request-line { margin: 0; color: var(--dim); overflow-wrap: anywhere; }
.request-line b { color: var(--ink); font-weight: 600; }
h1, h2.type { margin: .4rem 0 0; font-weight: 650; line-height: 1.25; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; color: var(--alarm); }
h2 { font-size: 1.05rem; margin: 2.25rem 0 .6rem; }
h2.type { font-size: 1.3rem; color: var(--alarm); }
small { font-weight: 400; color: var(--dim); }
.message {
  margin: .5rem 0 0; font-size: 1.05rem; white-space: pre-wrap; overflow-wrap: anywhere;
  max-height: 20rem; overflow-y: auto;
}
.note {
  margin: .6rem 0 0; padding: .3rem .8rem; border-left: 3px solid var(--link);
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.link {
  margin: 2.5rem 0 0; padding-top: 1rem; color: var(--dim); border-top: 1px solid var(--line);
}
.frame, .box {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0;
  overflow: hidden;
}
.frame.own { border-left: 4px solid var(--alarm); }
.frame > summary, .box > summary { padding: .5rem .9rem; cursor: pointer; overflow-wrap: anywhere; }
.frame.library > summary { color: var(--dim); font-size: 14px; padding-block: .3rem; }
summary:hover { background: var(--code); }
summary:focus-visible { outline: 2px solid var(--link); outline-offset: -2px; }
.where { font-size: 13px; color: var(--dim); word-break: break-all; }
.where b { color: var(--ink); font-weight: 600; }
.library .where b { color: inherit; }
.badge {
  font-size: 11px; padding: .05rem .45rem; border-radius: 9px; border: 1px solid var(--line);
  color: var(--link); white-space: nowrap;
}
.source {
  margin: 0; padding: .5rem 0; background: var(--code); border-block: 1px solid var(--line);
  overflow-x: auto; tab-size: 4; line-height: 1.55;
}
.source:last-child { border-bottom: 0; }
.source span { display: block; width: max-content; min-width: 100%; padding-right: 1rem; }
.source i {
  display: inline-block; width: 4rem; padding-right: 1rem; text-align: right; font-style: normal;
  color: var(--dim); user-select: none; -webkit-user-select: none;
}
.source .current { background: var(--alarm-soft); }
.source .current i { color: var(--alarm); font-weight: 700; }
mark {
  background: var(--mark); color: inherit; border-radius: 2px;
  box-shadow: 0 2px 0 0 var(--mark-line);
}
.missing, .gap { color: var(--dim); padding: .4rem .9rem; margin: 0; font-size: 14px; }
.locals > summary { padding: .35rem .9rem; color: var(--dim); font-size: 14px; cursor: pointer; }
table { border-collapse: collapse; width: 100%; }
div.box tr:first-child > * { border-top: 0; }
td, th {
  padding: .25rem .9rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; white-space: pre-wrap; font-weight: 400;
}
th { width: 25%; color: var(--link); }
.members { margin: 1rem 0 0 .3rem; padding-left: 1.1rem; border-left: 2px solid var(--line); }
.members > details { margin-bottom: 1rem; }
.members > details > summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
.text { margin: 0; padding: .8rem .9rem; overflow-x: auto; border-top: 1px solid var(--line); }
footer { color: var(--dim); font-size: 13px; padding-block: 2.5rem; }
"""

_DIGEST = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()

#: The value for a ``style-src`` directive that allows this style sheet and no other.
STYLE_SOURCE = f"'sha256-{_DIGEST}'"
