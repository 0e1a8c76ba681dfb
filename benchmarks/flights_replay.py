"""Does triage put the harm first? A year of real flights, read as each month's labels come, 30 days late.

The example workspace, with every label known 30 days after the flight and the model's file saying so. For each month
from April to December `toolkit run triage` runs as of the day on which its labels are there, over that month; signals
are followed through the ledger from report to report. Severity is what the toolkit says of each of the model's segments
in each month, harm times confidence; it is held against the realised excess Brier loss, mean (label - score)² less mean
p(1 - p), times the month's requests, less the same of the reference period, which one SQL statement on the files finds
without the toolkit. The ranking that drift alone would give stands beside it: how far the segment's temperature moved.

    python benchmarks/flights_replay.py [WORKSPACE]

WORKSPACE: an example workspace that is there already; it is copied. Prints Markdown. Exits 1 when severity follows the
realised loss with a rank correlation below 0.7, when April's or December's first line is not calibration, or when the
year takes more than 12 lines.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd
from scipy.stats import spearmanr
from ways.late_labels import make_late

import toolkit as tk
from toolkit.signals.groups.harm import HarmScale, measure_harm
from toolkit.signals.lifecycle.record import read_report
from toolkit.signals.signal import Signal
from toolkit.windows import parse_instant

LABELS_LATE_DAYS = 30
MATURE_DAYS = LABELS_LATE_DAYS + 1  # a flight is late within a day of its decision
MONTHS = range(4, 13)
SEGMENTS = ("carrier", "origin", "scheduled_hour")
LEAST_CORRELATION, MOST_LINES = 0.7, 12
CALIBRATION_FIRST = (4, 12)


class Month(NamedTuple):
    """One month's window, and the instant at which its labels are there."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, month: int) -> Month:
        """A month of 2013."""
        end = datetime(2013 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return cls(datetime(2013, month, 1, tzinfo=UTC), end)

    @property
    def as_of(self) -> str:
        """When the last label of the month has come."""
        return f"{self.end + timedelta(days=MATURE_DAYS):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def days(self) -> int:
        """Its length."""
        return (self.end - self.start).days


def run(arguments: list[str], folder: Path) -> dict[str, Any]:
    """One command of the toolkit; the JSON document that it printed."""
    command = [sys.executable, "-m", "toolkit.cli", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def realised(root: Path, month: Month, version: str, reference: tuple[datetime, datetime]) -> pd.DataFrame:
    """Per segment value: the month's excess Brier loss less what the reference period's would be, per week."""

    def excess(start: datetime, end: datetime, *, served: bool) -> pd.DataFrame:
        return (
            duckdb.sql(
                f"""
            WITH labels AS (SELECT request_id, arg_max(label, observed_at) AS label
                            FROM '{root}/data/outcomes/*.parquet' GROUP BY 1),
                 rows AS (SELECT {", ".join(SEGMENTS)}, (label - score) ** 2 - score * (1 - score) AS excess, temp_f
                          FROM '{root}/data/predictions/*.parquet' JOIN labels USING (request_id)
                          WHERE model = 'delay' AND version = '{version}' AND NOT error AND (served OR {not served})
                            AND occurred_at >= TIMESTAMPTZ '{start.isoformat()}'
                            AND occurred_at < TIMESTAMPTZ '{end.isoformat()}'),
                 long AS (UNPIVOT (SELECT {", ".join(f"{s}::VARCHAR AS {s}" for s in SEGMENTS)}, excess, temp_f
                                   FROM rows) ON {", ".join(SEGMENTS)} INTO NAME segment VALUE value)
            SELECT segment || '=' || value AS segment, count(*) AS n, avg(excess) AS excess, avg(temp_f) AS temp_f
            FROM long GROUP BY ALL
            """
            )
            .df()
            .set_index("segment")
        )

    now, then = excess(month.start, month.end, served=True), excess(*reference, served=False)
    both = now.join(then, rsuffix="_then", how="inner")
    per_week = (both["excess"] - both["excess_then"]) * both["n"] * 7 / month.days
    moved = (both["temp_f"] - both["temp_f_then"]).abs() * both["n"]
    return pd.DataFrame({"realised": per_week, "moved": moved})


def severities(root: Path, month: Month) -> tuple[pd.Series, str, tuple[datetime, datetime]]:
    """By segment value what the toolkit says of its harm; the version that it looked at, and its reference period."""
    workspace = tk.open_workspace(root)
    card, source = tk.data.load_model(workspace, "delay"), tk.data.open_source(workspace)
    observed = tk.signals.observe(workspace, source, card, as_of=month.as_of, window_days=month.days)
    losses = tk.signals.segment_losses(observed)
    scale = HarmScale(
        observed.metrics[card.loss].practical_threshold, observed.cells.total("requests", "current") / observed.weeks
    )
    found = {}
    for loss in losses.losses:
        signal = Signal(
            kind="segment",
            metric=losses.metric,
            segment=loss.segment,
            name=loss.segment,
            window=losses.window,
            verdict="worse",
            change=loss.change,
            unit="",
            times_threshold=0.0,
            excess_loss_per_week=loss.per_week,
            no_loss_reason="",
            text="",
        )
        found[loss.segment] = measure_harm(signal, scale).severity
    reference = card.version(observed.version).reference.window
    return pd.Series(found), observed.version, (reference.start, reference.end)


def main() -> int:
    """Print what each month said, and how severity follows the realised loss."""
    with tempfile.TemporaryDirectory() as base:
        given = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(base) / "flights"
        if len(sys.argv) == 1:
            run(["init", str(given), "--example", "flights"], Path(base))
        root = make_late(given, Path(base) / "late", late_days=LABELS_LATE_DAYS, maturity_days=MATURE_DAYS)
        pairs, lines, wrong_first = [], 0, []
        print("| month | first line | level | lines | new ones | realised excess loss per week |")
        print("|---|---|---|---|---|---|")
        for number in MONTHS:
            month = Month.of(number)
            asked = ["-p", f"as_of={month.as_of}", "-p", f"window_days={month.days}"]
            published = run(["run", "triage", *asked], root)
            results = json.loads((root / published["folder"] / "results.json").read_text(encoding="utf-8"))
            reported = read_report("", parse_instant(month.as_of), results)
            assert reported is not None
            groups = sorted(reported.groups, key=lambda group: group.rank)
            severity, version, reference = severities(root, month)
            table = realised(root, month, version, reference).assign(severity=severity, month=number).dropna()
            pairs.append(table)
            new = sum(group.state.startswith("new") for group in groups)
            lines += new
            first = groups[0]
            if number in CALIBRATION_FIRST and not any(key.startswith("calibration") for key in first.signals):
                wrong_first.append(number)
            total = table[table.index.str.startswith("origin=")]["realised"].sum()
            print(
                f"| {month.start:%B} | {first.title} | {first.level} | {len(groups)} | {new} | {total:.1f} |",
                flush=True,
            )
    everything = pd.concat(pairs)
    by_severity = spearmanr(everything["severity"], everything["realised"]).statistic
    by_drift = spearmanr(everything["moved"], everything["realised"]).statistic
    print(f"\n{len(everything)} month × segment pairs; rank correlation with the realised excess loss:")
    print(f"severity {by_severity:.3f}, how far the temperature moved {by_drift:.3f}.")
    print(f"{lines} signal groups began in the year.")
    return int(by_severity < LEAST_CORRELATION or bool(wrong_first) or lines > MOST_LINES)


if __name__ == "__main__":
    sys.exit(main())
