"""The CSV files of somebody who has never heard of the toolkit: own names, own clock, a messy line here and there."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

ZONE = ZoneInfo("Europe/Paris")
HEADER = ["Prediction ID", "created_at", "customer_id", "y_proba", "model_version", "region", "plan"]
HEADER += ["tenure_months", "Monthly spend", "latency_s", "comment"]


def write_own_csv(
    folder: Path, *, requests: int = 12_000, days: int = 112, seed: int = 7, messy: bool = True
) -> tuple[Path, Path]:
    """`predictions.csv` and `labels.csv` of a churn model, `days` days from 1 January 2026 on, Paris time.

    In the last quarter the region south churns more than its scores say. Messy lines: a value that is no number, an
    infinite one, a line cut short, a request sent twice, a label without a request.
    """
    rng = np.random.default_rng(seed)
    start = datetime(2026, 1, 1, tzinfo=ZONE)
    minutes = np.sort(rng.integers(0, days * 24 * 60, requests))
    score = np.round(rng.beta(2, 6, requests), 4)
    region = rng.choice(["north", "south", "east", "west"], requests, p=[0.3, 0.35, 0.2, 0.15])
    late = minutes > days * 24 * 60 * 0.75
    chance = np.clip(score + 0.25 * (late & (region == "south")), 0, 1)
    churned = rng.random(requests) < chance
    delay_h = rng.gamma(3.0, 20.0, requests)
    spend = np.round(rng.gamma(4, 15, requests), 2)
    rows, labels = [], []
    for number in range(requests):
        at = start + timedelta(minutes=int(minutes[number]))
        shown = at.astimezone(ZONE).strftime("%d/%m/%Y %H:%M")
        key = f"P-{number:06d}"
        rows.append(
            [
                key,
                shown,
                f"C{rng.integers(0, 4000):05d}",
                f"{score[number]:.4f}" if rng.random() > 0.01 else "",
                "3" if number < requests // 5 else "4",
                region[number],
                rng.choice(["free", "basic", "pro"]),
                int(rng.integers(0, 90)),
                f"{spend[number]:.2f}",
                f"{rng.gamma(4, 0.01):.4f}",
                'said "later",\nand hung up' if number % 997 == 0 else "",
            ]
        )
        known = at + timedelta(hours=float(delay_h[number]))
        if known < start + timedelta(days=days):
            labels.append([key, known.strftime("%Y-%m-%dT%H:%M:%S%z"), "yes" if churned[number] else "no"])
    if messy:
        rows[100][3], rows[200][3], rows[300] = "n.v.", "inf", rows[300][:4]
        rows.append(rows[400])
        labels.append(["P-999999", "2026-02-01T00:00:00+0100", "no"])
    _write(folder / "predictions.csv", HEADER, rows)
    _write(folder / "labels.csv", ["prediction", "churned_at", "churned"], labels)
    return folder / "predictions.csv", folder / "labels.csv"


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
