"""How hard a file is to change: the cyclomatic complexities of its functions, summed, as `lizard` counts them.

One counter for all languages it reads, so that files of one repository can be ranked together; it reads source that
does not compile, and newer syntax than this Python's. Values of different counters, or of different versions of one,
do not compare (on one repository of 365 files three tools differed by half), so the version stands with the number.
Source: McCabe, A Complexity Measure, IEEE TSE 1976. Functions start at 1; branches, loops, boolean operators and
exception handlers add 1 each. What stands outside of functions is not counted.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any, NamedTuple

LARGEST_BYTES = 1_000_000
"""Larger files are data or generated; they are not read."""
_STAND_IN = "file"
"""Before the ending, for lizard tells languages by a pattern that a line break in a name defeats."""


class Complexity(NamedTuple):
    """The number, or None with the reason."""

    value: int | None
    reason: str = ""


def counter() -> str:
    """What counts, and its version."""
    return f"lizard {version('lizard')}"


def reason_not_to_read(name: str, size: int) -> str:
    """Why a file's complexity is not counted, or "" when it can be tried."""
    ending = PurePosixPath(name).suffix
    if _lizard().get_reader_for(_STAND_IN + ending) is None:
        return f"lizard reads no {ending} files" if ending else "a file without ending"
    return f"larger than {LARGEST_BYTES:,} bytes" if size > LARGEST_BYTES else ""


def count_complexity(name: str, content: bytes) -> Complexity:
    r"""The complexity of one file; its name tells the language.

    >>> count_complexity("a.py", b"def f(x):\n    return 1 if x and x > 2 else 0\n")
    Complexity(value=3, reason='')
    """
    if b"\0" in content:
        return Complexity(None, "binary")
    try:
        found = _lizard().analyze_file.analyze_source_code(
            _STAND_IN + PurePosixPath(name).suffix, content.decode(errors="replace")
        )
    except Exception as err:  # noqa: BLE001 - a file that the reader stumbles over must not hide all others
        return Complexity(None, f"lizard failed on it: {type(err).__name__}")
    return Complexity(sum(function.cyclomatic_complexity for function in found.function_list))


@cache
def _lizard() -> Any:
    before = list(sys.path)
    import lizard

    sys.path[:] = before  # it puts its own folder and that of the running script in front
    return lizard
