"""Puts the examples where their tests can import them."""

from __future__ import annotations

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES / "blog"), str(EXAMPLES / "async_api")]
