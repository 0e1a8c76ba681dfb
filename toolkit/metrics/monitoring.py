"""Which of a model's features anybody looks at: the share under active monitoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from toolkit.data.expressions import expression_columns
from toolkit.records import ResultRow, Shown, number_row

if TYPE_CHECKING:
    from toolkit.data import ModelDefinition
    from toolkit.metrics.kinds import MetricDefinition


@dataclass(frozen=True)
class FeatureCoverage(Shown):
    """The features that a version reads, each with the metrics that read it too.

    A feature is under active monitoring when some metric is made of it; a metric that only filters by it, or a segment
    of it, does not watch its values.
    """

    model: str
    version: str
    watched_by: Mapping[str, tuple[str, ...]]

    @property
    def share(self) -> float | None:
        """Share of the features that some metric watches; None for a version without features."""
        watched = sum(bool(metrics) for metrics in self.watched_by.values())
        return watched / len(self.watched_by) if self.watched_by else None

    @property
    def unwatched(self) -> tuple[str, ...]:
        """The features that nobody watches."""
        return tuple(feature for feature, metrics in self.watched_by.items() if not metrics)

    @property
    @override
    def text(self) -> str:
        if self.share is None:
            return f"Version {self.version} of {self.model} names no features."
        watched = len(self.watched_by) - len(self.unwatched)
        rest = f"; not: {', '.join(self.unwatched)}" if self.unwatched else ""
        return f"{watched} of {len(self.watched_by)} features of version {self.version} are watched by a metric{rest}."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        share = number_row(
            self.share,
            "the version names no features",
            key="features_monitored",
            statistic="share",
            n=len(self.watched_by),
            unit="share",
        )
        return [
            share,
            *(
                ResultRow(key="features_monitored", statistic="metrics", segment=f"feature={feature}", value=count)
                for feature, count in ((feature, len(metrics)) for feature, metrics in self.watched_by.items())
            ),
        ]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {"feature": feature, "watched_by": ", ".join(metrics) or "nothing"}
            for feature, metrics in self.watched_by.items()
        ]


def feature_coverage(
    model: ModelDefinition, metrics: Mapping[str, MetricDefinition], *, version: str
) -> FeatureCoverage:
    """Which features of a version the metrics watch. Raises `UnknownNameError` for a version that is not there."""
    reading = {key: _columns(metric) for key, metric in metrics.items()}
    return FeatureCoverage(
        model.key,
        version,
        {
            feature: tuple(key for key, columns in reading.items() if feature in columns)
            for feature in model.version(version).features
        },
    )


def _columns(metric: MetricDefinition) -> set[str]:
    return {column for scalar in metric.columns() for column in expression_columns(scalar)}
