"""Makes ``python -m asyncflask`` the same as the command ``asyncflask``."""

from __future__ import annotations

from .cli import main

# The guard matters: worker processes import the main module again, under another name.
if __name__ == "__main__":
    main()
