"""Requests per second as wrk counts them, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache

from .rounds import CellError

#: What wrk's units are in milliseconds.
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}

RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
PERCENTILE = re.compile(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s|m) *$", re.MULTILINE)
SLOWEST = re.compile(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)")
WRONG = re.compile(r"(Non-2xx.*|Socket errors: .*)")


@cache
def installed() -> bool:
    """Return whether it is there."""
    return shutil.which("wrk") is not None


def rates(port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    """Return how many requests are answered in a second, and how soon.

    :param seconds: rounded up, as wrk takes whole ones only.
    :raises CellError: if an answer is wrong, or none comes.
    """
    command = ["wrk", "--threads=1", f"--connections={connections}", "--latency"]
    command += [f"--duration={max(1, round(seconds))}s", f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CellError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    return read(done.stdout)


def read(text: str) -> dict[str, float]:
    """Return what wrk says.

    :raises CellError: if it tells of errors, or of nothing.
    """
    rate, slowest, shares = RATE.search(text), SLOWEST.search(text), PERCENTILE.findall(text)
    if (wrong := WRONG.search(text)) or not rate or not slowest or len(shares) != 3:
        raise CellError(f"wrk says: {wrong[0] if wrong else text}")
    return {
        "per_second": float(rate[1]),
        **{f"p{share}": float(took) * UNITS[unit] for share, took, unit in shares},
        "slowest": float(slowest[1]) * UNITS[slowest[2]],
    }
