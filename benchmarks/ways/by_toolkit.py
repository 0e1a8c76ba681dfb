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
    from toolkit.metrics.ranks import Auc

    return _ranks(Auc(kind="auc", **WORDS), lambda estimate, _: [estimate.value])


def curve_of_mass() -> Way:
    """Mean score and label rate in 20 bins that hold as many requests each, as for the calibration error."""
    from toolkit.metrics.ranking import from_lists
    from toolkit.metrics.reliability import CalibrationError

    metric = CalibrationError(kind="ece", bins=20, **WORDS)

    def read(_: Any, days: Any) -> list[float]:
        bins = from_lists(days, metric.sums)
        order = bins["bin"].argsort()
        return [*(bins["score_sum"] / bins["n"])[order], *(bins["label_sum"] / bins["n"])[order]]

    return _ranks(metric, read)


def _ranks(metric: Any, read: Callable[[Any, Any], list[float]]) -> Way:
    import ibis

    connection = open_ibis()

    def measure(path: Path) -> Any:
        rows = connection.read_parquet(str(path))
        rows = rows.mutate(population=ibis.literal("all"), day=ibis.literal("2025-03-01"))
        days = metric.branch(rows, "").execute()
        return metric.estimate(days), days

    return lambda path: (lambda: measure(path), lambda found: read(*found))


def curve_of_width() -> Way:
    """Mean score and label rate by the twentieth of the score."""
    from toolkit.metrics.moment_table import Needs
    from toolkit.metrics.moments import collect_moments

    connection = open_ibis()

    def measure(path: Path) -> Any:
        rows = connection.read_parquet(str(path))
        rows = rows.mutate(score_bin=(rows.score * 20).floor().clip(0, 19).cast("int64"))
        return collect_moments(rows, Needs(("score", "label")), by=["score_bin"])

    def read(table: Any) -> list[float]:
        bins = sorted(table.values("score_bin"), key=int)
        return [table.mean(name, {"score_bin": each}) for name in ("score", "label") for each in bins]

    return lambda path: (lambda: measure(path), read)
