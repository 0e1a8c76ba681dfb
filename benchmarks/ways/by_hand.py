"""What one would write: a query of raw sums, a query of unit-days, scikit-learn on arrays.

A way is given a file and returns what is measured, and what then says what was found.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ways import process

Way = Callable[[Path], tuple[Callable[[], Any], Callable[[Any], Any]]]
Sums = dict[str, Any]

MEASURES = ("converted", "orders", "revenue", "sessions", "orders_before", "revenue_before", "sessions_before")
RATIO = ("orders", "sessions", "orders_before", "sessions_before")
PAIRS = (
    ("orders", "orders_before"), ("revenue", "revenue_before"), ("orders", "sessions"), ("orders", "sessions_before"),
    ("sessions", "orders_before"), ("sessions", "sessions_before"), ("orders_before", "sessions_before"),
)  # fmt: skip  # its lines group what belongs together


def open_engine() -> Any:
    """With the memory that the toolkit's has."""
    return process.open_engine(memory_limit="1GiB")


def group_sums(keys: Sequence[str] = ()) -> Way:
    connection = open_engine()
    return lambda path: (lambda: sum_by_hand(connection, path, keys), read_sums)


def sum_by_hand(connection: Any, path: Path, keys: Sequence[str] = ()) -> list[Sums]:
    """Raw sums by variant (and more keys), one dict per group."""
    sums = [f"sum({m}::DOUBLE) AS s_{m}, sum({m}::DOUBLE * {m}::DOUBLE) AS q_{m}" for m in MEASURES]
    sums += [f"sum({a}::DOUBLE * {b}::DOUBLE) AS p_{a}__{b}" for a, b in PAIRS]
    by = ", ".join(["variant", *keys])
    select = f"SELECT {by}, count(*)::BIGINT AS n, {', '.join(sums)}"
    cursor = connection.execute(f"{select} FROM read_parquet('{path}') GROUP BY ALL ORDER BY {by}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read_sums(groups: list[Sums]) -> list[float]:
    """n, mean and variance of the revenue of variant b (in country 0, if there are countries)."""
    b = next(group for group in groups if group["variant"] == "b")
    mean = b["s_revenue"] / b["n"]
    return [b["n"], mean, (b["q_revenue"] - mean * b["s_revenue"]) / (b["n"] - 1)]


def unit_days(days: Sequence[str]) -> Way:
    """The sums of each unit on each day, in one query, into one file."""

    def way(path: Path) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
        connection, folder = open_engine(), Path(tempfile.mkdtemp(dir=path.parent))
        connection.execute(f"SET temp_directory = '{folder / 'spilled'}'")
        query = f"""
            SELECT unit_id, occurred_at::DATE AS day, count(*) AS events, sum(clicks) AS clicks,
                sum(revenue) AS revenue, sum(latency_ms) AS latency_ms
            FROM read_parquet('{path}')
            WHERE occurred_at >= TIMESTAMPTZ '{days[0]} 00:00:00+00'
                AND occurred_at < TIMESTAMPTZ '{days[-1]} 00:00:00+00' + INTERVAL 1 DAY
            GROUP BY ALL"""
        out = folder / "by-hand.parquet"
        copy = f"COPY ({query}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
        return lambda: connection.execute(copy), lambda _: add_up([out])

    return way


def add_up(files: Iterable[Path]) -> list[float]:
    """Unit-days, events, clicks and revenue of files of unit-days."""
    sums = "count(*)::DOUBLE, sum(events)::DOUBLE, sum(clicks), sum(revenue)"
    return list(open_engine().read_parquet([str(file) for file in files]).aggregate(sums).fetchall()[0])


def sklearn_auc() -> Way:
    from sklearn.metrics import roc_auc_score

    return lambda path: (lambda: [float(roc_auc_score(*_labels_and_scores(path)))], lambda found: found)


def sklearn_curve(strategy: str) -> Way:
    return lambda path: (lambda: _curve(*_labels_and_scores(path), strategy), lambda found: found)


def sklearn_auc_and_curve() -> Way:
    """AUC and the curve of equal mass, of arrays that are read once."""
    from sklearn.metrics import roc_auc_score

    def measure(path: Path) -> list[float]:
        label, score = _labels_and_scores(path)
        return [float(roc_auc_score(label, score)), *_curve(label, score, "quantile")]

    return lambda path: (lambda: measure(path), lambda found: found)


def sklearn_all() -> Way:
    """AUC, Brier score, log loss and both curves, of arrays that are read once."""
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    def measure(path: Path) -> list[float]:
        label, score = _labels_and_scores(path)
        numbers = [float(each(label, score)) for each in (roc_auc_score, brier_score_loss, log_loss)]
        return [*numbers, *_curve(label, score, "uniform"), *_curve(label, score, "quantile")]

    return lambda path: (lambda: measure(path), lambda found: found)


def read_scores() -> Way:
    """Nothing but the two columns, added up: what no way over this file can be cheaper than."""
    connection = open_engine()
    query = "SELECT sum(score), sum(label) FROM read_parquet('{path}')"
    return lambda path: (lambda: connection.execute(query.format(path=path)).fetchall(), lambda _: None)


def _curve(label: Any, score: Any, strategy: str) -> list[float]:
    from sklearn.calibration import calibration_curve

    rates, means = calibration_curve(label, score, n_bins=20, strategy=strategy)
    return [*means.tolist(), *rates.tolist()]


def _labels_and_scores(path: Path) -> tuple[Any, Any]:
    import pyarrow.parquet as pq

    rows = pq.read_table(path, use_threads=False)
    return rows["label"].to_numpy(), rows["score"].to_numpy()
