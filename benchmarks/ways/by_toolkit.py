"""The toolkit's ways, on the embedded engine and on Spark."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ways.by_hand import RATIO, Way, add_up

WORDS: dict[str, Any] = {
    "name": "benchmark",
    "description": "of the benchmark",
    "owner": "Ada",
    "direction": "none",
    "practical_threshold": 0.01,
    "role": "quality",
}


def open_ibis(folder: Path | None = None) -> Any:
    """The same engine as the toolkit opens it."""
    import ibis

    connection = ibis.duckdb.connect(threads=1, memory_limit="1GiB")
    connection.raw_sql("SET TimeZone = 'UTC'")
    if folder:
        connection.raw_sql(f"SET temp_directory = '{folder / 'spilled'}'")
    return connection


def four_metrics() -> Any:
    from toolkit.metrics.moment_table import Needs

    means = Needs.of("orders", "orders_before") | Needs.of("revenue", "revenue_before")
    return Needs.of("converted") | means | Needs.of(*RATIO)


def moments(splits: Sequence[str] = (), *, spark: bool = False) -> Way:
    from toolkit.metrics.moments import collect_moments

    connection, needs = open_spark() if spark else open_ibis(), four_metrics()
    return lambda path: (
        lambda: collect_moments(connection.read_parquet(str(path)), needs, by=["variant"], splits=splits),
        lambda table: read_moments(table, **({"split": splits[0], "value": "0"} if splits else {})),
    )


def read_moments(table: Any, **segment: str) -> list[float]:
    found = table.moments(["revenue"], {"variant": "b"}, **segment)
    return [found.n, found.mean(), found.variance()]


def cached_moments() -> Way:
    """Moments of 20 segments are read back and the variants compared by each metric, in all and in each segment."""
    from toolkit import stats
    from toolkit.metrics.moment_table import MomentTable
    from toolkit.metrics.moments import collect_moments

    connection, needs = open_ibis(), four_metrics()

    def compare(kept: Path) -> Any:
        table = MomentTable.from_bytes(kept.read_bytes())
        for segment in ({}, *({"split": "country", "value": value} for value in table.values("country"))):
            for measures in (["converted"], ["orders", "orders_before"], ["revenue", "revenue_before"], list(RATIO)):
                a, b = (table.moments(measures, {"variant": variant}, **segment) for variant in "ab")
                stats.welch(a.n, a.mean(), a.variance(), b.n, b.mean(), b.variance())
        return table

    def way(path: Path) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
        kept = path.with_suffix(".moments")
        if not kept.exists():
            rows = connection.read_parquet(str(path))
            kept.write_bytes(collect_moments(rows, needs, by=["variant"], splits=["country"]).to_bytes())
        return lambda: compare(kept), read_moments

    return way


def open_spark() -> Any:
    import ibis
    from pyspark.sql import SparkSession

    options = {"spark.master": "local[1]", "spark.ui.enabled": "false", "spark.driver.memory": "2g"}
    options |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    options |= {"spark.sql.shuffle.partitions": "2", "spark.log.level": "ERROR"}
    options["spark.ui.showConsoleProgress"] = "false"
    return ibis.pyspark.connect(SparkSession.builder.config(map=options).getOrCreate())


def unit_days(days: Sequence[str]) -> Way:
    """A file per day, as the toolkit keeps them."""
    import pyarrow.parquet as pq

    from toolkit.data.cache import Cache
    from toolkit.data.unit_days import DayOfEvents, UnitDays

    table = UnitDays(("clicks", "revenue", "latency_ms"), "sha256:events")

    def way(path: Path) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
        folder = Path(tempfile.mkdtemp(dir=path.parent))
        events, cache = open_ibis(folder).read_parquet(str(path)), Cache(folder)
        rows = pq.read_metadata(path).num_rows // 28
        facts = {day: DayOfEvents(rows, f"sha256:{day}") for day in days}
        return lambda: table.build(events, facts, cache), lambda files: add_up(files.values())

    return way


def auc() -> Way:
    """Exact, of one population of one day."""
    return _ranks(["auc"], lambda found: _value_of_auc(found["auc"]))


def curve_of_mass() -> Way:
    """Mean score and label rate in 20 bins that hold as many requests each, as for the calibration error."""
    return _ranks(["ece"], lambda found: _read_mass(found["ece"]))


def auc_and_curve() -> Way:
    """Both, of one reading and one sort."""
    return _ranks(["auc", "ece"], lambda found: [*_value_of_auc(found["auc"]), *_read_mass(found["ece"])])


def all_scores() -> Way:
    """What a report asks of the scores: AUC, both curves, Brier score and log loss, of one population of one day."""
    connection, metrics = open_ibis(), _rank_metrics(["auc", "ece"])

    def measure(path: Path) -> Any:
        rows = _one_day(connection.read_parquet(str(path)))
        return connection.execute(_losses(rows)), _order(connection, rows, metrics)

    def read(found: Any) -> list[float]:
        bins, ranks = found
        losses = [bins[f"{name}__sum"].sum() / bins[f"{name}__n"].sum() for name in ("brier", "log_loss")]
        return [*_value_of_auc(ranks["auc"]), *losses, *_read_width(bins), *_read_mass(ranks["ece"])]

    return lambda path: (lambda: measure(path), read)


def _rank_metrics(kinds: Sequence[str]) -> dict[str, Any]:
    from toolkit.metrics.ranks import Auc
    from toolkit.metrics.reliability import CalibrationError

    every = {"auc": Auc(kind="auc", **WORDS), "ece": CalibrationError(kind="ece", bins=20, **WORDS)}
    return {kind: every[kind] for kind in kinds}


def _ranks(kinds: Sequence[str], read: Callable[[Any], list[float]]) -> Way:
    connection, metrics = open_ibis(), _rank_metrics(kinds)
    return lambda path: (
        lambda: _order(connection, _one_day(connection.read_parquet(str(path))), metrics),
        read,
    )


def _one_day(rows: Any) -> Any:
    import ibis

    from toolkit.metrics.kinds import DAY, POPULATION

    return rows.mutate(**{POPULATION: ibis.literal("all"), DAY: ibis.literal("2025-03-01")})


def _order(connection: Any, rows: Any, metrics: dict[str, Any]) -> dict[str, Any]:
    """By metric its definition, what came back of the engine for it, and the estimate made of that."""
    from toolkit.metrics.kinds import ALL
    from toolkit.metrics.sorting import Scores

    scores = Scores.read(connection, rows, [ALL])
    days = {key: connection.execute(table) for key, table in scores.measure(metrics, within="population").items()}
    return {key: (metric, days[key], metric.estimate(days[key])) for key, metric in metrics.items()}


def _losses(rows: Any) -> Any:
    """Sums by the twentieth of the score, as `toolkit.metrics.query` asks for them."""
    from toolkit.metrics.needs import addends, sums
    from toolkit.metrics.scored import Brier, LogLoss

    metrics = {"brier": Brier(kind="brier", **WORDS), "log_loss": LogLoss(kind="log_loss", **WORDS)}
    parts = {name: part for key, metric in metrics.items() for name, part in addends(key, metric, rows).items()}
    added = rows.select("score", "label", score_bin=_twentieth(rows), **parts)
    of_metrics = {name: part for key in metrics for name, part in sums(key, added).items()}
    return _sums_of_width(added, **of_metrics)


def _twentieth(rows: Any) -> Any:
    return (rows.score >= 1.0).ifelse(19, (rows.score * 20).floor().cast("int64"))


def _value_of_auc(found: Any) -> list[float]:
    return [found[-1].value]


def _read_mass(found: Any) -> list[float]:
    from toolkit.metrics.ranking import from_lists

    metric, days, _ = found
    bins = from_lists(days, metric.sums)
    return [*(bins["score_sum"] / bins["n"]), *(bins["label_sum"] / bins["n"])]


def curve_of_width() -> Way:
    """Mean score and label rate by the twentieth of the score, by a query: no metric has bins of equal width."""
    connection = open_ibis()

    def measure(path: Path) -> Any:
        rows = connection.read_parquet(str(path))
        rows = rows.select("score", "label", score_bin=_twentieth(rows))
        return connection.execute(rows.group_by("score_bin").aggregate(score=rows.score.mean(), rate=rows.label.mean()))

    return lambda path: (lambda: measure(path), _read_means)


def _read_means(bins: Any) -> list[float]:
    bins = bins.sort_values("score_bin")
    return [*bins["score"], *bins["rate"]]


def _sums_of_width(rows: Any, **also: Any) -> Any:
    sums = {"n": rows.count(), "score_sum": rows.score.sum(), "label_sum": rows.label.sum()}
    return rows.group_by("score_bin").aggregate(**sums, **also)


def _read_width(bins: Any) -> list[float]:
    bins = bins.sort_values("score_bin")
    return [*(bins["score_sum"] / bins["n"]), *(bins["label_sum"] / bins["n"])]
