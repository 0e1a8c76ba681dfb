"""The delay model of the example: the probability that a flight arrives more than 15 minutes late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.digests import digest_bytes
from toolkit.windows import Window

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CATEGORIES = ("carrier", "origin", "dest", "scheduled_hour", "weekday")
"""The features that have levels; the others are numbers."""
FREEZING_F = 32.0
SCORE_DECIMALS = 6
"""Scores are rounded, so that the last bits of a machine's linear algebra do not show."""
COEFFICIENT_DECIMALS = 9
"""The model's coefficients are, for the same reason: contributions are shown as they are."""
BASE = "base"
"""What the model adds for every flight alike, among the names of the features."""


class Scale(NamedTuple):
    """Mean and standard deviation of a number in training."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class DelayModel:
    """A logistic regression, linear in named terms.

    Attributes
    ----------
    features: the columns it reads, in order.
    levels: per feature of `CATEGORIES`, the levels seen in training; another one adds nothing to the score.
    scales: per number, what it is standardised by.
    regression: scikit-learn's fitted `LogisticRegression` on the terms, L2-penalised.
    """

    features: tuple[str, ...]
    levels: Mapping[str, pd.Index]
    scales: Mapping[str, Scale]
    regression: Any

    def inputs(self, flights: pd.DataFrame) -> np.ndarray:
        """What the model reads: one row per flight, one column per feature.

        A level is its place in `levels` (-1: not seen in training), a number is itself (NaN: missing).
        """
        import numpy as np

        columns = [
            self.levels[name].get_indexer(flights[name]) if name in self.levels else read_number(flights, name)
            for name in self.features
        ]
        return np.column_stack(columns).astype(float)

    def terms(self, inputs: np.ndarray) -> np.ndarray:
        """One row per flight: 0 or 1 per level; per number its standardised value (0: missing), and 1 if missing."""
        import numpy as np

        columns: list[np.ndarray] = []
        for position, name in enumerate(self.features):
            column = inputs[:, [position]]
            if name in self.levels:
                columns.append(column == np.arange(len(self.levels[name])))
            else:
                missing = np.isnan(column)
                scale = self.scales[name]
                columns += [np.where(missing, 0.0, (column - scale.mean) / scale.deviation), missing]
        return np.hstack(columns).astype(float)

    def scores(self, inputs: np.ndarray) -> np.ndarray:
        """The probability of a late arrival, per row of `inputs`."""
        import numpy as np

        probability: np.ndarray = self.regression.predict_proba(self.terms(inputs))[:, 1]
        return np.round(probability, SCORE_DECIMALS)

    def contributions(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """What each feature and `BASE` add to the log odds of a late arrival: one number per row of `inputs`.

        The model is linear, so these are no approximation: they add up to the log odds.
        """
        import numpy as np

        coefficients, intercept = self.regression.coef_[0], float(self.regression.intercept_[0])
        values = self.terms(inputs) * coefficients
        parts = {BASE: np.full(len(inputs), intercept)}
        start = 0
        for name in self.features:
            width = len(self.levels[name]) if name in self.levels else 2
            # Of a feature's terms at most one is not 0; adding 0.0 makes -0.0 a plain 0.
            parts[name] = values[:, start : start + width].sum(axis=1) + 0.0
            start += width
        return parts


def read_number(flights: pd.DataFrame, name: str) -> np.ndarray:
    """A number as the model reads it: as it is, but temperature as degrees of frost, below 32 °F.

    Two winter months teach nothing about heat; a straight line through them would invent it.
    """
    import numpy as np

    values: np.ndarray = flights[name].to_numpy(float)
    return np.maximum(FREEZING_F - values, 0.0) if name == "temp_f" else values


def training_snapshot(flights: pd.DataFrame, features: Sequence[str], trained: Window) -> pd.DataFrame:
    """What a version learned from: one row per flight decided in `trained` that arrived, key `request_id`.

    Columns: `request_id`, the features, `label`.
    """
    inside = (flights["occurred_at"] >= trained.start) & (flights["occurred_at"] < trained.end)
    columns = ["request_id", *features, "label"]
    return flights.loc[inside & flights["label"].notna(), columns].sort_values("request_id", ignore_index=True)


def digest_snapshot(snapshot: pd.DataFrame) -> str:
    """The digest of a training snapshot: its rows as CSV with a header, Unix line ends, shortest floats, UTF-8."""
    return digest_bytes(snapshot.to_csv(index=False, lineterminator="\n").encode())


def fit_model(snapshot: pd.DataFrame, features: Sequence[str]) -> DelayModel:
    """Fit one version to its training snapshot.

    Deterministic: Newton steps to convergence, no random start, coefficients rounded to `COEFFICIENT_DECIMALS`.
    """
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    levels = {name: pd.Index(sorted(snapshot[name].unique())) for name in features if name in CATEGORIES}
    numbers = {name: read_number(snapshot, name) for name in features if name not in CATEGORIES}
    scales = {name: Scale(float(np.nanmean(x)), float(np.nanstd(x))) for name, x in numbers.items()}
    model = DelayModel(
        tuple(features), levels, scales, regression=LogisticRegression(solver="newton-cholesky", tol=1e-8)
    )
    regression = model.regression.fit(model.terms(model.inputs(snapshot)), snapshot["label"].astype(int))
    regression.coef_ = np.round(regression.coef_, COEFFICIENT_DECIMALS)
    regression.intercept_ = np.round(regression.intercept_, COEFFICIENT_DECIMALS)
    return model
