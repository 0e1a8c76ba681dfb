"""Why an own column cannot be a column of a contract, by what it holds."""

from __future__ import annotations

import shlex

from toolkit.data.column_facts import MOST, ColumnFacts
from toolkit.data.contracts import CONTRACTS, Column


def misfit(spec: Column, own: ColumnFacts) -> str | None:
    """Why an own column cannot be a contract column by what it holds; None when it can."""
    if not own.present:
        return "it is empty"
    if spec.kind == "instant" and not own.styles(MOST):
        return f"it holds no instants, but {own.range_text}"
    if spec.kind == "boolean" and not own.is_truth(MOST):
        return f"it holds no yes and no, but {own.range_text}"
    if spec.kind == "number" and not own.is_number(MOST):
        return f"it holds no numbers, but {own.range_text}"
    if spec.high is not None and not own.is_unit(MOST):
        return f"it must lie between {spec.low:g} and {spec.high:g}, and has {own.range_text}"
    return None


def describe(spec: Column) -> str:
    """What a contract column must hold, in a few words."""
    bounds = f" from {spec.low:g} to {spec.high:g}" if spec.low is not None and spec.high is not None else ""
    return {"text": "a text", "number": f"a number{bounds}", "boolean": "yes or no", "instant": "an instant"}[spec.kind]


def label_misfit(own: ColumnFacts, *, positive: str | None, binary: bool) -> str | None:
    """Why an own column cannot be the labels: with `binary` yes and no, else also any number.

    `positive` is the text that is said to be a yes.
    """
    if not own.present:
        return "it is empty"
    two = own.distinct == 2  # so few are counted exactly
    if positive is not None:
        if not two or positive in own.ends:
            return None
        return f"it holds {own.ends[0]!r} and {own.ends[1]!r}, and the yes is said to be {positive!r}"
    if own.is_truth(MOST):
        return None
    words = "write yes and no, or 1 and 0"
    if two:
        words += ", or say which is yes: " + " or ".join(f"--positive {shlex.quote(text)}" for text in own.ends)
    if binary and not own.is_unit(MOST):
        return f"it holds no yes and no, but {own.range_text}; {words}"
    problem = misfit(CONTRACTS["outcomes"].columns["label"], own)
    return f"{problem}; {words}" if problem and two else problem
