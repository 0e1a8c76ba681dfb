"""What imported predictions and labels look like: the facts that definitions are proposed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.data.own_files import open_engine
from toolkit.data.places import parquet_files
from toolkit.data.values import named, quoted
from toolkit.windows import start_of_day
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

MATURE_SHARE = 0.9
"""A label is called mature after so many whole days that this share of the labels had arrived."""

SEGMENT_VALUES = (2, 30)
"""A text column with so many different values, from and to, is looked at as a segment."""


@dataclass(frozen=True)
class VersionPortrait:
    """When a version answered: its first whole UTC day, and the end of its last one."""

    key: str
    first_day: datetime
    end: datetime
    rows: int

    @property
    def days(self) -> int:
        """Whole days."""
        return max(0, (self.end - self.first_day).days)


@dataclass(frozen=True)
class NumberPortrait:
    """A column of numbers: mean and standard deviation."""

    name: str
    mean: float
    sd: float


@dataclass(frozen=True)
class ModelPortrait:
    """A model as its rows show it.

    `threshold`: the score from which on it was decided yes, with `threshold_from` for how that is known; `label_days`:
    whole days after which `MATURE_SHARE` of the labels had arrived, None without labels. Means are missing (None) where
    there is nothing to average.
    """

    key: str
    versions: tuple[VersionPortrait, ...]
    threshold: float | None
    threshold_from: str
    labels: int
    label_days: int | None
    label_mean: float | None
    brier: float | None
    latency_ms: float | None
    segments: tuple[tuple[str, int], ...]
    numbers: tuple[NumberPortrait, ...]


@dataclass(frozen=True)
class Portrait:
    """The models of a workspace, and the end of the last day that is complete in its predictions."""

    models: tuple[ModelPortrait, ...]
    complete_through: datetime


def look_at(workspace: Workspace, extras: Mapping[str, str], *, scratch: Path) -> Portrait:
    """Look at the imported predictions and labels of a workspace; `extras` are own columns with their kinds."""
    with open_engine(scratch) as engine:
        rows = engine.read_parquet(parquet_files(workspace, "predictions"), union_by_name=True)
        files = parquet_files(workspace, "outcomes")
        labels = engine.read_parquet(files, union_by_name=True) if files else None
        ((newest,),) = rows.aggregate("epoch_us(max(occurred_at))").fetchall()
        complete = start_of_day(_instant(newest))
        keys = [str(key) for (key,) in rows.project("model").distinct().order("model").fetchall()]
        models = tuple(_model(key, rows, labels, extras, complete) for key in keys)
    return Portrait(models, complete)


def _model(
    key: str,
    every: DuckDBPyRelation,
    labels: DuckDBPyRelation | None,
    extras: Mapping[str, str],
    complete: datetime,
) -> ModelPortrait:
    rows = every.filter(f"model = {quoted(key)}")
    threshold, threshold_from = _threshold(rows)
    count, days, label_mean, brier = _labelled(rows, labels)
    latency = None
    if "latency_ms" in rows.columns:
        ((latency,),) = rows.aggregate("avg(latency_ms)").fetchall()
    return ModelPortrait(
        key,
        _versions(rows, complete),
        threshold,
        threshold_from,
        count,
        days,
        label_mean,
        brier,
        latency,
        _segments(rows, [name for name, kind in extras.items() if kind == "text"]),
        _numbers(rows, [name for name, kind in extras.items() if kind == "number"]),
    )


def _versions(rows: DuckDBPyRelation, complete: datetime) -> tuple[VersionPortrait, ...]:
    found = rows.aggregate(
        "version, epoch_us(min(occurred_at)) AS first, epoch_us(max(occurred_at)) AS last, count(*) AS n", "version"
    )
    versions = []
    for key, first_us, last_us, count in found.order("first, version").fetchall():
        first, last = _instant(first_us), _instant(last_us)
        # A day is whole when the version answered in its first hour; one that began later begins the day after.
        first_day = start_of_day(first) + timedelta(days=first - start_of_day(first) >= timedelta(hours=1))
        end = min(complete, start_of_day(last) + timedelta(days=1))
        versions.append(VersionPortrait(str(key), first_day, end, int(count)))
    return tuple(versions)


def _threshold(rows: DuckDBPyRelation) -> tuple[float | None, str]:
    if "threshold" in rows.columns:
        ((most,),) = rows.filter("threshold > 0 AND threshold < 1").aggregate("mode(threshold)").fetchall()
        if most is not None:
            return float(most), "what the column threshold mostly holds"
    if "decision" in rows.columns and "score" in rows.columns:
        parts = "max(score) FILTER (NOT decision), min(score) FILTER (decision)"
        ((highest_no, lowest_yes),) = rows.aggregate(parts).fetchall()
        if highest_no is not None and lowest_yes is not None and highest_no < lowest_yes and 0 < lowest_yes < 1:
            return float(lowest_yes), "the lowest score that was decided yes"
    return None, ""


def _labelled(
    rows: DuckDBPyRelation, labels: DuckDBPyRelation | None
) -> tuple[int, int | None, float | None, float | None]:
    """Labels of the model's requests, the days until most are there, their mean, and the Brier score."""
    if labels is None:
        return 0, None, None, None
    latest = labels.aggregate(
        "request_id, min(observed_at) AS observed_at, arg_max(label, observed_at) AS label", "request_id"
    )
    made = rows.project("request_id, occurred_at, " + ("score" if "score" in rows.columns else "NULL::DOUBLE AS score"))
    joined = made.join(latest, "request_id")
    delay_s = f"quantile_disc(epoch(observed_at) - epoch(occurred_at), {MATURE_SHARE})"
    parts = f"count(*), ceil(greatest({delay_s}, 0) / 86400), avg(label), avg((label - score) ** 2)"
    ((count, days, mean, brier),) = joined.aggregate(parts).fetchall()
    return int(count), None if days is None else int(days), mean, brier


def _segments(rows: DuckDBPyRelation, names: list[str]) -> tuple[tuple[str, int], ...]:
    if not names:
        return ()
    (counts,) = rows.aggregate(", ".join(f"count(DISTINCT {named(name)})" for name in names)).fetchall()
    low, high = SEGMENT_VALUES
    return tuple((name, int(count)) for name, count in zip(names, counts, strict=True) if low <= count <= high)


def _numbers(rows: DuckDBPyRelation, names: list[str]) -> tuple[NumberPortrait, ...]:
    if not names:
        return ()
    parts = [part for name in names for part in (f"avg({named(name)})", f"stddev_samp({named(name)})")]
    (found,) = rows.aggregate(", ".join(parts)).fetchall()
    pairs = zip(names, found[::2], found[1::2], strict=True)
    return tuple(NumberPortrait(name, mean, sd) for name, mean, sd in pairs if mean is not None and sd)


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
