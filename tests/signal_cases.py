"""The cases of part `signals` in tests/reference/signals_cases.json, and how a result is held against one by its role.

An area of the statistics has a file `tests/**/test_signals_cases_<area>.py` with its `FUNCTIONS`: by kind of case the
function that gives our result, shaped as `expected` is (a mapping, a list or a number). `ours` and `optional` must be
equal, `peer-wrong` must not; `tests/stats/test_signals_cases.py` sees that no case is left over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Inputs = dict[str, Any]
Function = Callable[[Inputs], Any]

CASES: tuple[dict[str, Any], ...] = tuple(
    case
    for case in json.loads((Path(__file__).parent / "reference" / "signals_cases.json").read_text(encoding="utf-8"))
    if case["part"] == "signals"
)
COMPARED = ("ours", "optional", "peer-wrong")


def case_of(key: str) -> dict[str, Any]:
    """One case by its id."""
    return next(case for case in CASES if case["id"] == key)


def keyed(functions: Mapping[str, Function]) -> list[Any]:
    """The cases that an area's functions answer, as parameters of a test."""
    return [
        pytest.param(case, id=case["id"]) for case in CASES if case["kind"] in functions and case["role"] in COMPARED
    ]


def check_case(case: dict[str, Any], functions: Mapping[str, Function]) -> None:
    """Assert by the case's role, number by number."""
    found = functions[case["kind"]](case["inputs"])
    if case["role"] == "peer-wrong":
        assert not agrees(found, case["expected"], case["tolerance"]), found
        return
    expected = case["expected"]
    if isinstance(expected, dict):
        assert expected
        for name in sorted(expected):
            assert agrees(found[name], expected[name], case["tolerance"]), (name, found[name], expected[name])
    else:
        assert agrees(found, expected, case["tolerance"]), (found, expected)


def agrees(found: Any, expected: Any, tolerance: Any) -> bool:
    """By the case's tolerance, nested values part by part; the text `inf` stands for infinity, as JSON has none."""
    if isinstance(expected, Mapping):
        return set(expected) <= set(found) and all(
            agrees(found[name], value, tolerance) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            agrees(one, other, tolerance) for one, other in zip(found, expected, strict=True)
        )
    if expected == "inf":
        return bool(found == math.inf)
    if isinstance(expected, str | bool) or expected is None:
        return bool(found == expected)
    by = {"rel": tolerance["rel"], "abs": 0} if isinstance(tolerance, dict) else {"rel": 0, "abs": tolerance}
    return bool(found == pytest.approx(expected, **by))
