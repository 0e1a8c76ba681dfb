"""What does it cost to measure a model's requests? From files never seen to what is kept, against a query by hand.

Predictions of 45 days and their labels, a file per day, with score, error and country. Measured are Brier score, log
loss, error rate and mean latency, by day, of everything, by country and by twentieth of the score. The hand-written
query joins the latest label and groups by the same three sets of keys; it checks nothing. The toolkit's first look also
fingerprints every row, holds all of them against their contract, and counts which label arrived when; after it, each
question is one statement, and a day more one day. One engine thread; CPU seconds of one process, one after the other.

    python benchmarks/requests_scale.py [REQUESTS]

REQUESTS are 10 million unless given. Prints Markdown. Exits 1 when a promise is missed: the statement at most 1.5 times
the CPU of the hand-written query, the first look with it at most 4 times, from what is kept at most 150 ms, one more
day at most a tenth of everything; all sums the same to 1e-9.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from ways.made_units import EVENTS_SQL, make_events
from ways.process import highest_mib, open_engine

REQUESTS = 10_000_000
MOST_CPU, MOST_FIRST, MOST_KEPT_MS, MOST_DAY = 1.5, 4.0, 150, 0.1
AS_OF = datetime(2025, 5, 1, tzinfo=UTC)
METRICS = """\
metrics:
  brier: &metric
    name: m
    description: d
    owner: Ada
    kind: brier
    direction: decrease
    practical_threshold: 0.01
    role: quality
  log_loss: {<<: *metric, kind: log_loss}
  failed: {<<: *metric, kind: error_rate}
  revenue: {<<: *metric, kind: mean, column: revenue}
"""
SUMS = ("requests", "brier__sum", "log_loss__sum", "failed__sum", "revenue__sum", "revenue__n")
BY_HAND = """
WITH labels AS (
    SELECT request_id, arg_max(label::DOUBLE, observed_at) AS label FROM '{root}/data/outcomes/*.parquet'
    WHERE observed_at < TIMESTAMPTZ '2025-05-01 00:00:00+00' GROUP BY request_id
), rows AS (
    SELECT occurred_at::DATE AS day, country, least(floor(score * 20), 19)::TINYINT AS score_bin, error, revenue,
        (label - score) * (label - score) AS square, -ln(label * score + (1 - label) * (1 - score)) AS nats
    FROM '{root}/data/predictions/*.parquet' LEFT JOIN labels USING (request_id)
    WHERE occurred_at < TIMESTAMPTZ '2025-04-01 00:00:00+00' AND model = 'shop'
)
SELECT CASE WHEN GROUPING(country) = 0 THEN 'country' WHEN GROUPING(score_bin) = 0 THEN '{score_bin}' ELSE '' END
        AS segment,
    coalesce(country, score_bin::VARCHAR, '') AS segment_value, day::VARCHAR AS day, count(*) AS requests,
    sum(square) AS brier__sum, sum(nats) AS log_loss__sum, sum(error::INTEGER) AS failed__sum,
    sum(revenue) AS revenue__sum, count(revenue) AS revenue__n
FROM rows GROUP BY GROUPING SETS ((day), (day, country), (day, score_bin)) ORDER BY ALL
"""


def ask(root: Path, *, last: str) -> Any:
    """The cells, as a report of a fresh process asks for them."""
    from toolkit.data import load_model, open_source
    from toolkit.metrics import Population, load_metrics, measure
    from toolkit.windows import Window
    from toolkit.workspace import open_workspace

    workspace = open_workspace(root)
    every = Population("all", None, Window.of("2025-02-15", last), served_only=False)
    model, metrics = load_model(workspace, "shop"), load_metrics(workspace)
    return measure(open_source(workspace), model, metrics, [every], as_of=AS_OF, segments=["country"]).frame


def forget_cells(root: Path) -> None:
    """What was measured, but not what is known of the files."""
    shutil.rmtree(root / "cache" / "cells")


def timed(act: Callable[[], Any]) -> tuple[float, float, Any]:
    cpu, start = time.process_time(), time.perf_counter()
    found = act()
    return time.process_time() - cpu, time.perf_counter() - start, found


def agree(found: Any, expected: Any) -> bool:
    keys = ["segment", "segment_value", "day"]
    ours, theirs = (frame.sort_values(keys, ignore_index=True) for frame in (found, expected))
    same = ours[keys].astype(str).equals(theirs[keys].astype(str))
    return same and bool(np.allclose(ours[list(SUMS)].astype(float), theirs[list(SUMS)].astype(float), rtol=1e-9))


def keep(promise: bool, text: str, missed: list[str]) -> None:
    print(f"- {'kept' if promise else 'missed'}: {text}")
    if not promise:
        missed.append(text)


def compare(root: Path, missed: list[str]) -> None:
    from toolkit.metrics.query import SCORE_BIN

    engine = open_engine()
    query = BY_HAND.format(root=root, score_bin=SCORE_BIN)
    ask(root, last="2025-02-16")  # imports, and nothing that a longer window would not read again
    hand_s, hand_wall_s, expected = min(
        (timed(lambda: engine.execute(query).df()) for _ in range(3)), key=lambda x: x[0]
    )
    shutil.rmtree(root / "cache")
    first = timed(lambda: ask(root, last="2025-04-01"))
    forget_cells(root)
    again = timed(lambda: ask(root, last="2025-04-01"))
    kept = min((timed(lambda: ask(root, last="2025-04-01")) for _ in range(3)), key=lambda x: x[1])
    forget_cells(root)
    ask(root, last="2025-03-31")
    day = timed(lambda: ask(root, last="2025-04-01"))
    print("| what | CPU s | wall s | CPU to the query by hand |\n|---|---|---|---|")
    print(f"| query by hand | {hand_s:.2f} | {hand_wall_s:.2f} | |")
    for what, (cpu_s, wall_s, _) in (
        ("first look and statement", first),
        ("statement alone, files known", again),
        ("one more day", day),
        ("from what is kept", kept),
    ):
        print(f"| {what} | {cpu_s:.2f} | {wall_s:.2f} | {cpu_s / hand_s:.2f} |")
    print(f"\nThe process had at most {highest_mib():,.0f} MiB.\n")
    keep(agree(first[2], expected), "all sums are those of the query by hand, to 1e-9", missed)
    keep(agree(day[2], expected), "so are those of one more day beside what is kept", missed)
    keep(again[0] <= MOST_CPU * hand_s, f"the statement takes {again[0] / hand_s:.2f} times the query by hand", missed)
    keep(first[0] <= MOST_FIRST * hand_s, f"the first look with it takes {first[0] / hand_s:.2f} times", missed)
    keep(kept[1] * 1e3 <= MOST_KEPT_MS, f"from what is kept it takes {kept[1] * 1e3:.0f} ms", missed)
    keep(day[0] <= MOST_DAY * first[0], f"one more day takes {day[0] / first[0]:.3f} of everything", missed)


def main() -> int:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    missed: list[str] = []
    print(f"# {requests:,} requests of 45 days\n")
    with tempfile.TemporaryDirectory() as base:
        root = Path(base)
        make_events(requests, root, events=EVENTS_SQL.replace("0.5 AS score", "u6 * u6 AS score"))
        (root / "metrics.yml").write_text(METRICS)
        compare(root, missed)
    print(f"\n{'Missed: ' + '; '.join(missed) if missed else 'Every promise kept.'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
