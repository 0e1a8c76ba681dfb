"""Classes of equal mass from slices of the scale are those of a sort, wherever scores crowd or tie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from metrics.test_rank_kinds import EVERY

from toolkit.metrics import sorting
from toolkit.metrics.classes import Asked
from toolkit.metrics.ranking import CLASSES, EXACT
from toolkit.metrics.slices import SLICES, sliced_classes
from toolkit.metrics.sorting import classes_of, sorted_classes

ECE, WITHIN, AUC = EVERY["ece"], EVERY["within"], EVERY["auc"]
ASKED = Asked.by([ECE, WITHIN])
HIGHEST = np.nextafter(2.0, 0.0)
AT_EDGES = [
    near
    for edge in (2.0**-16, 2.0**-15, 0.25, 0.5, 0.5 + 2.0**-10, 1.0, 1.5)
    for near in (np.nextafter(edge, 0.0), edge, np.nextafter(edge, 2.0))
]
SCORES = st.one_of(
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0**-15),
    st.floats(0.7, 0.7001),
    st.sampled_from([0.0, 0.5, 1.0, HIGHEST, *AT_EDGES]),
)
REQUESTS = st.lists(st.tuples(SCORES, st.booleans(), st.integers(0, 2), st.integers(1, 40)), min_size=2, max_size=60)


def keys_of(score, label):
    return (np.asarray(score, dtype=float).view(np.int64) << 1) | np.asarray(label, dtype=np.int64)


def in_cells(score, label, cell):
    return [keys_of(score[cell == each], label[cell == each]) for each in range(cell.max() + 1)]


def by_class(classes):
    """The sums of each cell and class of equal mass."""
    frame = pd.DataFrame({"cell": classes.cell, **classes.sums}).astype(float)
    return frame.groupby(["cell", "mass_class"]).sum().sort_index(axis=1)


def by_hand(score, label, cell):
    """The same sums from the ranks of every request."""
    frame = pd.DataFrame({"cell": cell, "score": score, "label": label}).astype(float)
    size, ranks = len(frame), frame["score"].rank
    middle = ((ranks(method="min") - 1) / (size - 1) + ranks(method="max") / size) * (CLASSES / 2)
    begins = ASKED.mass_classes
    frame["mass_class"] = begins[np.searchsorted(begins, np.floor(middle), "right") - 1].astype(float)
    sums = frame.assign(
        n=1.0,
        score_sum=frame["score"],
        label_sum=frame["label"],
        score_square_sum=frame["score"] ** 2,
        score_label_sum=frame["score"] * frame["label"],
    )
    return sums.drop(columns=["score", "label"]).groupby(["cell", "mass_class"]).sum().sort_index(axis=1)


@given(REQUESTS)
@example([(0.5, True, 0, 40), (0.5, False, 1, 40)])
@example([(0.0, False, 0, 1), (0.0, True, 2, 1)])
@example([(HIGHEST, True, 0, 7), (1.0, False, 0, 1), (2.0**-1074, True, 1, 20)])
def test_slices_and_a_sort_give_the_classes_that_ranks_give(requests):
    often = np.array([count for *_, count in requests])
    often *= 1 + CLASSES // often.sum()  # each class has room for a request
    score, label, cell = (np.repeat([each[at] for each in requests], often) for at in range(3))
    cell = np.unique(cell, return_inverse=True)[1]
    expected = by_hand(score, label, cell)
    found = {"slices": by_class(sliced_classes(in_cells(score, label, cell), ASKED))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "EXACT", 1)  # so that a few requests are a large scope
        found["a sort"] = by_class(sorted_classes(in_cells(score, label, cell), ASKED))
    for sums in found.values():
        pd.testing.assert_frame_equal(sums, expected, rtol=1e-12, check_dtype=False)


@pytest.mark.parametrize("decimals", [16, 3])
def test_a_scope_of_many_slices_gives_the_classes_that_ranks_give(decimals):
    chance = np.random.default_rng(3)
    score = (chance.random(2 * EXACT) ** 3).round(decimals)
    label, cell = chance.random(score.size) < score, chance.integers(0, 3, score.size)
    found = by_class(sliced_classes(in_cells(score, label, cell), ASKED))
    pd.testing.assert_frame_equal(found, by_hand(score, label, cell), rtol=1e-12, check_dtype=False)


@pytest.mark.parametrize(
    ("size", "cells", "kinds", "expected"),
    [
        (EXACT + 1, 1, [ECE, WITHIN], "slices"),
        (EXACT, 1, [ECE], "a sort"),
        (EXACT + 1, 1, [ECE, AUC], "a sort"),
        (4 * 20 * SLICES, 20, [ECE], "slices"),
        (4 * 20 * SLICES - 20, 20, [ECE], "a sort"),
    ],
    ids=["large", "small", "with ranks", "in some cells", "in too many cells"],
)
def test_only_a_large_scope_in_few_cells_without_ranks_is_sliced(size, cells, kinds, expected, monkeypatch):
    for name, way in (("sliced_classes", "slices"), ("sorted_classes", "a sort")):
        monkeypatch.setattr(sorting, name, lambda *_, way=way: way)
    keys = [np.zeros(size // cells, dtype=np.int64)] * cells
    assert classes_of(keys, Asked.by(kinds)) == expected
