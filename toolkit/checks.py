"""Argument checks whose messages say what was given, what is allowed and what was probably meant.

>>> check_in("experimant", ["as_of", "experiment"], noun="parameter")
Traceback (most recent call last):
    ...
toolkit.errors.UnknownNameError: unknown parameter 'experimant'; allowed: as_of, experiment. Did you mean 'experiment'?
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches

from toolkit.errors import ArgumentError, ToolkitError, UnknownNameError


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """The allowed name closest to `given`, or None if none is close.

    >>> nearest("brire", ["auc", "brier"])
    'brier'
    """
    names = list(allowed)
    folded = {name.casefold(): name for name in reversed(names)}
    match = get_close_matches(given.casefold(), folded, n=1, cutoff=0.6)
    return folded[match[0]] if match else None


def unknown_name_message(given: str, allowed: Iterable[str], *, noun: str, most: int = 12) -> str:
    """The one wording for a name that is not there: given, allowed, nearest match."""
    names = sorted(allowed)
    listed = ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
    close = nearest(given, names)
    hint = f" Did you mean {close!r}?" if close else ""
    return f"unknown {noun} {given!r}; allowed: {listed or 'none are defined'}.{hint}"


def check_in(
    given: str,
    allowed: Iterable[str],
    *,
    noun: str,
    error: type[ToolkitError] = UnknownNameError,
) -> str:
    """Return `given` if it is allowed, else raise `error` with the nearest match."""
    names = list(allowed)
    if given not in names:
        raise error(unknown_name_message(given, names, noun=noun))
    return given


def check_between(name: str, given: float, low: float, high: float) -> float:
    """Return `given` if it is a finite number strictly between `low` and `high`.

    >>> check_between("alpha", 1.5, 0, 1)
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: alpha == 1.5, must be a number above 0 and below 1
    """
    if not (math.isfinite(given) and low < given < high):
        raise ArgumentError(f"{name} == {given}, must be a number above {low} and below {high}")
    return given


def check_at_least(name: str, given: float, low: float) -> float:
    """Return `given` if it is a finite number of at least `low`."""
    if not (math.isfinite(given) and given >= low):
        raise ArgumentError(f"{name} == {given}, must be a number of at least {low}")
    return given
