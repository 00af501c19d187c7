"""The examples of pages of the documentation, as modules that tests can use."""

from __future__ import annotations

import re
import types
import typing as t
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


class Page:
    """A page, or several, whose Python examples begin with a comment that names their file.

    :param names: of the pages, without their ending.
    """

    def __init__(self, *names: str) -> None:
        self.text = "".join((DOCS / f"{name}.md").read_text() for name in names)
        found = re.findall(
            r"^```python\n# (\w+).py.*?\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE
        )
        self._examples: dict[str, str] = dict(found)

    @property
    def names(self) -> list[str]:
        """The names of all examples, in their order."""
        return [*self._examples]

    def assert_all_are_named(self) -> None:
        """Fail if there is an example that no test could ask for."""
        assert self.text.count("```python") == len(self._examples)

    def source(self, name: str) -> str:
        """Return the code of an example."""
        return self._examples[name]

    def example(self, name: str) -> t.Any:
        """Return a new module that an example was run in."""
        module = types.ModuleType(name)
        exec(self._examples[name], module.__dict__)
        return module
