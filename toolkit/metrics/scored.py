"""Kinds of metric that compare what a model said, a probability or a number, with the label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from toolkit import stats
from toolkit.data import LABEL
from toolkit.metrics.kinds import Parts, RatioKind, number
from toolkit.stats import Estimate

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from numpy.typing import ArrayLike


class _ScoredKind(RatioKind):
    """Of the score, a probability, against a label between 0 and 1; a request counts when it has both."""

    scored: ClassVar[bool] = True
    bounded_label: ClassVar[bool] = True

    @override
    def columns(self) -> Sequence[str]:
        return ["score", LABEL]


class Brier(_ScoredKind):
    """Mean squared difference between score and label (Brier 1950, Monthly Weather Review 78:1)."""

    kind: Literal["brier"]

    @property
    @override
    def estimand(self) -> str:
        return "mean of (label - score)²"

    @override
    def parts(self, table: ir.Table) -> Parts:
        gap = number(table, LABEL) - number(table, "score")
        return Parts(gap * gap)


class LogLoss(_ScoredKind):
    """Mean of -ln(probability that the score gave to the label), in nats (Good 1952, JRSS B 14:107).

    A request that was certain and wrong makes it infinite: then it is absent, and the reason counts such requests.
    """

    kind: Literal["log_loss"]

    @property
    @override
    def estimand(self) -> str:
        return "mean of -ln(probability given to the label)"

    @override
    def parts(self, table: ir.Table) -> Parts:
        score, label = number(table, "score"), number(table, LABEL)
        given_to_label = label * score + (1.0 - label) * (1.0 - score)
        return Parts(-((given_to_label > 0.0).ifelse(given_to_label, None).ln()))

    @override
    def spoilt(self, table: ir.Table) -> Any:
        return (number(table, LABEL) - number(table, "score")).abs() == 1.0

    @override
    def spoilt_reason(self, requests: int) -> str:
        return f"infinite: {requests:,} requests were scored 0 or 1 and were wrong"


class Calibration(_ScoredKind):
    """Mean label minus mean score: above 0, it happened more often than the model said."""

    kind: Literal["calibration"]

    @property
    @override
    def estimand(self) -> str:
        return "mean label - mean score"

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(number(table, LABEL) - number(table, "score"))


class _PredictedKind(RatioKind):
    """Of the prediction, a number in the label's unit, against the label; a request counts when it has both."""

    @override
    def columns(self) -> Sequence[str]:
        return ["prediction", LABEL]

    def error(self, table: ir.Table) -> Any:
        """Prediction minus label."""
        return number(table, "prediction") - number(table, LABEL)


class Bias(_PredictedKind):
    """Mean of prediction minus label: above 0, the model predicts too much."""

    kind: Literal["bias"]

    @property
    @override
    def estimand(self) -> str:
        return "mean of prediction - label"

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(self.error(table))


class MeanAbsoluteError(_PredictedKind):
    """Mean distance between prediction and label."""

    kind: Literal["mae"]

    @property
    @override
    def estimand(self) -> str:
        return "mean of |prediction - label|"

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(self.error(table).abs())


class RootMeanSquaredError(_PredictedKind):
    """Square root of the mean squared difference between prediction and label; its error by the delta method."""

    kind: Literal["rmse"]
    adds_up: ClassVar[bool] = False

    @property
    @override
    def estimand(self) -> str:
        return "square root of the mean of (prediction - label)²"

    @override
    def parts(self, table: ir.Table) -> Parts:
        error = self.error(table)
        return Parts(error * error)

    @override
    def estimate(self, numerators: ArrayLike, denominators: ArrayLike, *, n: int) -> Estimate:
        return stats.root_of_ratio(numerators, denominators, n=n, method="root mean square, day clusters")


class Pinball(_PredictedKind):
    """Mean pinball loss of predictions that are a quantile (Koenker & Bassett 1978, Econometrica 46:33)."""

    kind: Literal["pinball"]
    q: float = Field(gt=0, lt=1, description="the quantile that is predicted, such as 0.9")

    @property
    @override
    def estimand(self) -> str:
        return f"mean pinball loss at the quantile {self.q:g}"

    @override
    def parts(self, table: ir.Table) -> Parts:
        error = self.error(table)
        return Parts((error > 0).ifelse((1.0 - self.q) * error, -self.q * error))
