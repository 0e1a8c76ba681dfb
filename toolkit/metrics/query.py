"""One merged query for all metrics: by population, day and segment, only sums come back.

`measure` builds a single SQL statement. Its base holds the requests of each population (say `reference` and
`current`) with one value per request and metric; each segmentation adds one grouped branch. AUC adds its placement
sums: for each request of one class, the share of the other class in the same population and segment that it is ranked
above or below (DeLong, DeLong & Clarke-Pearson 1988), summed by day, so that AUC and its standard error are exact and
still need nothing but sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from toolkit.checks import check_in
from toolkit.data import LABEL, ModelDefinition, Source, labelled_predictions
from toolkit.errors import ArgumentError
from toolkit.metrics.cells import Cells
from toolkit.metrics.definitions import MetricDefinition
from toolkit.metrics.needs import SCORED_KINDS, certain_and_wrong, columns_needed, row_value
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

ALL = ""
"""The segment that holds every request."""

SCORE_BIN = "score_bin"
"""A segment that every scored model has: the score's twentieth, 0 to 19."""

SCORE_BINS = 20


@dataclass(frozen=True)
class Population:
    """Some requests of a model in a window: one version's or (None) every one's, all that it scored or only served."""

    name: str
    version: str | None
    window: Window
    served_only: bool

    @property
    def text(self) -> str:
        """The population in words."""
        version = "every version" if self.version is None else f"version {self.version}"
        return f"{'served' if self.served_only else 'scored'} requests of {version}, {self.window.label}"


def measure(
    source: Source,
    model: ModelDefinition,
    metrics: Mapping[str, MetricDefinition],
    populations: Sequence[Population],
    *,
    as_of: datetime,
    segments: Sequence[str] = (),
    auc_within: Literal["population", "day"] = "population",
) -> Cells:
    """Measure `metrics` for each population, by day and by the values of each segment column.

    Parameters
    ----------
    segments: segment columns; every one is a segmentation of its own.
    auc_within: whose scores are ranked against each other: those of a segment's whole population, or of each day.

    Returns `Cells`: one row per population × day × segment × segment value. Raises `ContractError`.
    """
    import ibis

    if len({population.name for population in populations}) != len(populations):
        raise ArgumentError("populations must have different names")
    for segment in segments:
        check_in(segment, source.columns("predictions"), noun="segment")
    scored = any(metric.kind in SCORED_KINDS for metric in metrics.values())
    columns = [*columns_needed(metrics.values()), *segments, "error", "served"]
    base = ibis.union(*(_requests(source, model, columns, population, as_of) for population in populations))
    if scored:
        base = base.mutate(
            **{SCORE_BIN: (base.score * SCORE_BINS).floor().clip(0, SCORE_BINS - 1).cast("int64").cast("string")}
        )
    splits = [ALL, *segments, *([SCORE_BIN] if scored else [])]
    sums = ibis.union(*(_sums(base, metrics, split, scored=scored) for split in splits))
    if any(metric.kind == "auc" for metric in metrics.values()):
        ranked = base.filter(base.score.notnull() & base[LABEL].notnull())
        ranks = [_placements(ranked, split, within=auc_within) for split in splits if split != SCORE_BIN]
        keys = ["population", "day", "segment", "segment_value"]
        sums = sums.left_join(ibis.union(*ranks), keys, rname="{name}_right").drop(*(f"{key}_right" for key in keys))
    reading = "predictions and outcomes" if LABEL in columns else "predictions"
    frame = source.execute(sums, reading=reading)
    return Cells.of(frame, metrics=dict(metrics), populations=tuple(populations), segments=tuple(segments))


def _requests(
    source: Source, model: ModelDefinition, columns: Sequence[str], population: Population, as_of: datetime
) -> ir.Table:
    import ibis

    rows = labelled_predictions(source, columns, model=model.key, window=population.window, as_of=as_of)
    if population.version is not None:
        rows = rows.filter(rows.version == population.version)
    if population.served_only:
        rows = rows.filter(rows.served)
    day = rows.occurred_at.truncate("D").strftime("%Y-%m-%d")
    return rows.select(*dict.fromkeys(columns), population=ibis.literal(population.name), day=day)


def _split(base: ir.Table, split: str) -> dict[str, object]:
    import ibis

    value = ibis.literal(ALL) if split == ALL else base[split].cast("string").fill_null("missing")
    return {"population": base.population, "day": base.day, "segment": ibis.literal(split), "segment_value": value}


def _sums(base: ir.Table, metrics: Mapping[str, MetricDefinition], split: str, *, scored: bool) -> ir.Table:
    values = {key: row_value(metric, base) for key, metric in metrics.items() if metric.kind != "auc"}
    sums = {"requests": base.count()}
    if scored:
        # One set of requests for all parts of the loss, so that they add up exactly.
        both = base.score.notnull() & base[LABEL].notnull()
        score, label = base.score, base[LABEL]
        expected = score * (1.0 - score)
        sums |= {
            "labelled": both.sum(),
            "answered": (~base.error).sum(),
            "label_sum": both.ifelse(label, 0.0).sum(),
            "score_sum": both.ifelse(score, 0.0).sum(),
            "expected_brier_sum": both.ifelse(expected, 0.0).sum(),
            "brier_sum": both.ifelse((label - score) * (label - score), 0.0).sum(),
            "certain_and_wrong": both.ifelse(certain_and_wrong(base), 0).sum(),
        }
    for key, value in values.items():
        sums |= {f"{key}__n": value.count(), f"{key}__sum": value.sum().fill_null(0.0)}
    return base.group_by(**_split(base, split)).aggregate(**sums)


def _placements(ranked: ir.Table, split: str, *, within: str) -> ir.Table:
    """Placement sums by day: for each class, the share of the other class ranked on its wrong or right side.

    Counts are kept doubled (ties count a half), so that they are whole numbers until the last division.
    """
    import ibis

    keys = _split(ranked, split)
    positive = (ranked[LABEL] == 1.0).cast("int64")
    by_score = ranked.group_by(**keys, score=ranked.score).aggregate(
        positives=positive.sum(), negatives=(1 - positive).sum()
    )
    scope = ["population", "segment", "segment_value", *(["day"] if within == "day" else [])]
    ladder = by_score.group_by(*scope, "score").aggregate(
        here_positives=by_score.positives.sum(), here_negatives=by_score.negatives.sum()
    )
    below = ibis.cumulative_window(group_by=scope, order_by="score")
    every = ibis.window(group_by=scope)
    ladder = ladder.select(
        *scope,
        "score",
        twice_negatives_below=2 * ladder.here_negatives.sum().over(below) - ladder.here_negatives,
        twice_positives_above=2 * (ladder.here_positives.sum().over(every) - ladder.here_positives.sum().over(below))
        + ladder.here_positives,
        all_positives=ladder.here_positives.sum().over(every),
        all_negatives=ladder.here_negatives.sum().over(every),
    )
    placed = by_score.join(ladder, [*scope, "score"])
    by_day = placed.group_by("population", "day", "segment", "segment_value").aggregate(
        auc_positives=placed.positives.sum().cast("float64"),
        auc_negatives=placed.negatives.sum().cast("float64"),
        twice_positives=(placed.positives * placed.twice_negatives_below).sum().cast("float64"),
        twice_negatives=(placed.negatives * placed.twice_positives_above).sum().cast("float64"),
        scope_positives=placed.all_positives.max().cast("float64"),
        scope_negatives=placed.all_negatives.max().cast("float64"),
    )
    return by_day.select(
        "population",
        "day",
        "segment",
        "segment_value",
        "auc_positives",
        "auc_negatives",
        placement_positives=by_day.twice_positives / 2.0 / by_day.scope_negatives.nullif(0.0),
        placement_negatives=by_day.twice_negatives / 2.0 / by_day.scope_positives.nullif(0.0),
    )
