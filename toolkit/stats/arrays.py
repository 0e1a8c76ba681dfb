"""Arrays as the room accepts them: one dimension, finite, of one length; anything else is named, not guessed at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]
    Flags = NDArray[np.bool_]


def numbers(name: str, given: ArrayLike) -> Numbers:
    """`given` as a one-dimensional array of finite floats.

    >>> numbers("scores", [0.2, None, 0.4])
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: scores: 1 of 3 is missing or not finite; leave such rows out and count them
    """
    import numpy as np

    array = np.asarray(given, dtype=np.float64)
    if array.ndim != 1:
        raise ArgumentError(f"{name} has {array.ndim} dimensions, must have one")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        verb = "is" if bad == 1 else "are"
        raise ArgumentError(
            f"{name}: {bad} of {array.size} {verb} missing or not finite; leave such rows out and count them"
        )
    return array


def matched(**columns: ArrayLike) -> list[Numbers]:
    """The arrays in the order given, checked by `numbers` and for one length.

    >>> matched(numerators=[1, 2], denominators=[3])
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: lengths differ: numerators 2, denominators 1
    """
    arrays = {name: numbers(name, given) for name, given in columns.items()}
    if len({array.size for array in arrays.values()}) > 1:
        raise ArgumentError("lengths differ: " + ", ".join(f"{name} {array.size}" for name, array in arrays.items()))
    return list(arrays.values())


def counts(name: str, array: Numbers) -> Numbers:
    """`array` if it holds whole numbers of at least 0."""
    import numpy as np

    wrong = array[(array < 0) | (array != np.floor(array))]
    if wrong.size:
        raise ArgumentError(f"{name} holds {wrong[0]}, must hold whole numbers of at least 0")
    return array


def ascending(name: str, array: Numbers, *, ties: bool = False) -> Numbers:
    """`array` if each number lies above the one before it; with `ties`, not below it.

    >>> ascending("days", numbers("days", [1, 2, 2]))
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: days holds 2 after 2, must ascend and hold nothing twice
    """
    import numpy as np

    steps = np.diff(array)
    wrong = np.flatnonzero(steps < 0 if ties else steps <= 0)
    if wrong.size:
        before, after = array[wrong[0] : wrong[0] + 2]
        wanted = "must not fall" if ties else "must ascend and hold nothing twice"
        raise ArgumentError(f"{name} holds {after:.12g} after {before:.12g}, {wanted}")
    return array


def labelled(scores: ArrayLike, labels: ArrayLike, *, probabilities: bool = True) -> tuple[Numbers, Flags]:
    """Scores with their labels, 0 or 1 (or bool); scores between 0 and 1 unless `probabilities` is False.

    >>> labelled([0.2, 1.4], [0, 1])
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: scores holds 1.4, must hold probabilities between 0 and 1
    """
    score, label = matched(scores=scores, labels=labels)
    wrong = label[(label != 0) & (label != 1)]
    if wrong.size:
        raise ArgumentError(f"labels holds {wrong[0]}, must hold 0 and 1 only")
    outside = score[(score < 0) | (score > 1)]
    if probabilities and outside.size:
        raise ArgumentError(f"scores holds {outside[0]}, must hold probabilities between 0 and 1")
    return score, label == 1
