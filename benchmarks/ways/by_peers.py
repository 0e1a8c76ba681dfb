"""The peers, each in an environment of its own: their statistics on the hand-written sums, or their own scan."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ways.by_hand import MEASURES, Sums, Way, open_engine, read_sums, sum_by_hand


def gbstats() -> Way:
    from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
    from gbstats.models import statistics as gb

    connection = open_engine()

    def one(row: Sums, measure: str) -> Any:
        return gb.SampleMeanStatistic(n=row["n"], sum=row[f"s_{measure}"], sum_squares=row[f"q_{measure}"])

    def adjusted(rows: list[Sums], measure: str) -> list[Any]:
        before = f"{measure}_before"
        sides = [
            gb.RegressionAdjustedStatistic(
                n=row["n"],
                post_statistic=one(row, measure),
                pre_statistic=one(row, before),
                post_pre_sum_of_products=row[f"p_{measure}__{before}"],
                theta=0,
            )
            for row in rows
        ]
        theta = gb.compute_theta(*sides)
        return [dataclasses.replace(side, theta=theta) for side in sides]

    def ratio(row: Sums) -> Any:
        parts = {"m_statistic": one(row, "orders"), "d_statistic": one(row, "sessions")}
        return gb.RatioStatistic(n=row["n"], m_d_sum_of_products=row["p_orders__sessions"], **parts)

    def compare(path: Path) -> Any:
        rows = sum_by_hand(connection, path)
        converted = [gb.ProportionStatistic(n=row["n"], sum=row["s_converted"]) for row in rows]
        means = [adjusted(rows, measure) for measure in ("orders", "revenue")]
        for a, b in (converted, *means, [ratio(row) for row in rows]):
            TwoSidedTTest(a, b, FrequentistConfig(difference_type="absolute")).compute_result()
        return rows

    return lambda path: (lambda: compare(path), read_sums)


def spotify() -> Way:
    import pandas as pd
    import spotify_confidence

    connection = open_engine()
    columns: dict[str, Any] = {
        "numerator_column": "num", "numerator_sum_squares_column": "squares", "denominator_column": "n",
        "categorical_group_columns": "variant", "metric_column": "metric", "treatment_column": "variant",
        "interval_size": 0.95,
    }  # fmt: skip  # its lines group what belongs together
    adjusted = {
        "feature_column": "before", "feature_sum_squares_column": "before_squares", "feature_cross_sum_column": "cross",
    }  # fmt: skip  # its lines group what belongs together

    def compare(path: Path) -> Any:
        rows = sum_by_hand(connection, path)

        def line(row: Sums, measure: str) -> Sums:
            own = {"num": row[f"s_{measure}"], "squares": row[f"q_{measure}"]}
            return {"variant": row["variant"], "metric": measure, "n": row["n"], **own}

        def with_before(row: Sums, measure: str) -> Sums:
            before = f"{measure}_before"
            more = {"before": row[f"s_{before}"], "before_squares": row[f"q_{before}"]}
            return line(row, measure) | more | {"cross": row[f"p_{measure}__{before}"]}

        plain = pd.DataFrame([line(row, "converted") for row in rows])
        means = pd.DataFrame([with_before(row, measure) for measure in ("orders", "revenue") for row in rows])
        for test in (
            spotify_confidence.ZTest(plain, **columns),
            spotify_confidence.ZTestLinreg(means, **columns, **adjusted),
        ):
            test.difference(level_1="a", level_2="b", groupby="metric", absolute=True)
        return rows

    return lambda path: (lambda: compare(path), read_sums)


def tea_tasting(*, segments: int = 0, pandas: bool = False) -> Way:
    import ibis
    import tea_tasting as tt

    experiment = tt.Experiment(
        converted=tt.Mean("converted"),
        orders=tt.Mean("orders", "orders_before"),
        revenue=tt.Mean("revenue", "revenue_before"),
        ratio=tt.RatioOfMeans("orders", "sessions", "orders_before", "sessions_before"),
    )
    connection = None if pandas else ibis.duckdb.connect(threads=1)

    def compare(path: Path) -> Any:
        if connection is None:
            from pandas import read_parquet

            return experiment.analyze(read_parquet(path, columns=["variant", *MEASURES]), control="a")
        rows = connection.read_parquet(str(path))
        if segments:
            return [experiment.analyze(rows.filter(rows.country == each), control="a") for each in range(segments)]
        return experiment.analyze(rows, control="a")

    return lambda path: (lambda: compare(path), lambda _: None)
