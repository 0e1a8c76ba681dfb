"""Are estimates without labels honest? Months of the flights example, read at their end, with labels 30 days late.

At the end of each month from April to December the labels of its requests are hidden: every label of the example is
moved 30 days back in time. The toolkit says what it has to say, or abstains; then the labels are looked up. Beside it
stands the usual way, calibrated scores of the reference period with three standard errors (CBPE), on the same requests.
Then a few hundred labels of each month, drawn at random, give prediction-powered intervals, 200 times a month.

    python benchmarks/label_free.py [FLIGHTS_WORKSPACE]

Prints Markdown. Exits 1 when a published number covers in fewer than 90 % of its months, when more than 40 % of the
months have none, or when 300 labels a month give intervals that cover less than 93 % or are wider than 0.10.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from ways.late_labels import make_late

from toolkit import data, signals
from toolkit.data import ModelDefinition, Source
from toolkit.errors import NotReady, Skipped
from toolkit.examples import build_flights
from toolkit.metrics import Population
from toolkit.metrics.score_cells import ScoreCells, collect_score_cells
from toolkit.signals.label_free.powered import powered_estimate
from toolkit.signals.label_free.scores import (
    SCORES,
    Curve,
    calibrate,
    chance_errors,
    expected_performance,
    realised_performance,
)
from toolkit.stats import ScorePerformance
from toolkit.windows import Window, parse_instant
from toolkit.workspace import open_workspace

LATE_DAYS = 30
MONTH_ENDS = tuple(pd.date_range("2013-05-01", "2014-01-01", freq="MS").strftime("%Y-%m-%d"))
COVERAGE, ABSTAINING = 0.9, 0.4
LABELS = (100, 300, 1000)
DRAWS = 200
POWERED = (300, 0.93, 0.10)
"""Labels a month, and the coverage and width that they must give."""

CBPE_ERRORS = 3


@dataclass(frozen=True)
class Month:
    """One month's end: what was said, what the usual way says, and what the labels say.

    published: by metric the interval that was published. cells: with all labels.
    """

    end: str
    said: str
    version: str
    published: dict[str, tuple[float, float]]
    usual: dict[str, tuple[float, float]]
    truth: ScorePerformance
    cells: ScoreCells
    curve: Curve | None


def look_up(source: Source, model: ModelDefinition, version: str, window: Window, *, served: bool) -> ScoreCells:
    """The cells of a window with all their labels."""
    later = parse_instant("2014-06-01")
    population = Population("all", version, window, served_only=served)
    return collect_score_cells(source, model, [population], as_of=later)["all"]


def usual_way(
    source: Source, model: ModelDefinition, version: str, cells: ScoreCells
) -> dict[str, tuple[float, float]]:
    """CBPE: scores calibrated on the reference period, plus and minus three standard errors of the metric."""
    curve = calibrate(look_up(source, model, version, model.version(version).reference.window, served=False))
    assert curve is not None
    expected, chance = expected_performance(cells, curve), chance_errors(cells, curve)
    found = {}
    for key in ("accuracy", "brier", "label_share"):
        value, reach = getattr(expected, key), CBPE_ERRORS * getattr(chance, key)
        found[key] = (value - reach, value + reach)
    positives = float(expected.label_share or 0.0) * cells.requests
    # Hanley & McNeil (1982): the error of an AUC.
    area = float(expected.auc or 0.5)
    negatives, q1, q2 = cells.requests - positives, area / (2 - area), 2 * area**2 / (1 + area)
    square = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    reach = CBPE_ERRORS * (square / positives / negatives) ** 0.5
    return found | {"auc": (area - reach, area + reach)}


def months(root: Path) -> Iterator[Month]:
    """What was said at each month's end."""
    workspace = open_workspace(root)
    source, model = data.open_source(workspace), data.load_model(workspace, "delay")
    for end in MONTH_ENDS:
        try:
            observed = signals.observe(workspace, source, model, as_of=end, window_days=28)
            found = signals.estimate_performance(source, observed)
        except (NotReady, Skipped) as err:
            version, window = "1", Window.last_days(LATE_DAYS, before=parse_instant(end))
            cells = look_up(source, model, version, window, served=True)
            usual = usual_way(source, model, version, cells)
            yield Month(end, f"nothing: {err}", version, {}, usual, realised_performance(cells), cells, None)
            continue
        cells = look_up(source, model, found.version, found.window, served=True)
        published = {
            each.quantity.key: (each.published.ci_lower, each.published.ci_upper)
            for each in found.estimates
            if each.published.ci_lower is not None and each.published.ci_upper is not None
        }
        ends = found.window.start - timedelta(days=LATE_DAYS)
        before = look_up(source, model, found.version, Window(ends, found.window.start), served=False)
        yield Month(
            end,
            found.text,
            found.version,
            published,
            usual_way(source, model, found.version, cells),
            realised_performance(cells),
            cells,
            calibrate(before),
        )


def draw_labels(cells: ScoreCells, labels: int, rng: np.random.Generator) -> ScoreCells:
    """The cells with the labels of so many requests, drawn at random from those that have one."""
    known = cells.labelled.astype(np.int64)
    positive = cells.label_sum.astype(np.int64)
    drawn = rng.multivariate_hypergeometric(np.concatenate([positive, known - positive]), labels)
    ones, zeros = drawn[: positive.size], drawn[positive.size :]
    score = cells.labelled_score_sum / np.maximum(known, 1)
    return cells._replace(
        n=cells.labelled,
        score_sum=cells.labelled_score_sum,
        score_square_sum=cells.labelled_square_sum,
        labelled=(ones + zeros).astype(float),
        label_sum=ones.astype(float),
        labelled_score_sum=score * (ones + zeros),
        labelled_square_sum=score**2 * (ones + zeros),
        score_label_sum=score * ones,
        loss_square_sum=(1 - score) ** 4 * ones + score**4 * zeros,
    )


class Powered(NamedTuple):
    """Intervals from so many labels a month."""

    labels: int
    covered: float
    mean_width: float


def powered(every: list[Month]) -> list[Powered]:
    """Coverage and width of the accuracy by labels, over all months that have a calibration."""
    rows = []
    for labels in LABELS:
        rng = np.random.default_rng(labels)
        covered, widths = [], []
        for month in every:
            if month.curve is None:
                continue
            for _ in range(DRAWS):
                cells = draw_labels(month.cells, labels, rng)
                found = powered_estimate(SCORES, SCORES.quantities[0], cells, month.curve, refused="")
                assert found.ci_lower is not None
                assert found.ci_upper is not None
                covered.append(found.ci_lower <= float(month.truth.accuracy or 0) <= found.ci_upper)
                widths.append(found.ci_upper - found.ci_lower)
        rows.append(Powered(labels, float(np.mean(covered)), float(np.mean(widths))))
    return rows


def report(root: Path) -> bool:
    """Print what was found; whether it holds what it must."""
    with tempfile.TemporaryDirectory() as folder:
        late = make_late(root, Path(folder) / "late", late_days=LATE_DAYS, maturity_days=LATE_DAYS)
        every = list(months(late))
        labels = powered(every)
    print("# Labels 30 days late: what is said of a month at its end\n")
    print("| read on | version | accuracy: labels | published | CBPE ±3 SE |\n|---|---|---|---|---|")
    for month in every:
        truth = float(month.truth.accuracy or 0)
        low_high = month.published.get("accuracy")
        said = "abstains" if low_high is None else f"{low_high[0]:.3f} to {low_high[1]:.3f}{_mark(low_high, truth)}"
        usual = month.usual["accuracy"]
        print(
            f"| {month.end} | {month.version} | {truth:.3f} | {said} | "
            f"{usual[0]:.3f} to {usual[1]:.3f}{_mark(usual, truth)} |"
        )
    print("\n| number | months published | covered | mean width | CBPE ±3 SE covers |\n|---|---|---|---|---|")
    holds = True
    for metric in SCORES.quantities:
        published = [month for month in every if metric.key in month.published]
        inside = [_in(month.published[metric.key], getattr(month.truth, metric.key)) for month in published]
        ends = [month.published[metric.key] for month in published]
        width = float(np.mean([high - low for low, high in ends] or [np.nan]))
        usual = [
            _in(month.usual[metric.key], getattr(month.truth, metric.key))
            for month in every
            if metric.key in month.usual
        ]
        by_usual = f"{sum(usual)} of {len(usual)}" if usual else "not given"
        print(f"| {metric.name} | {len(published)} of {len(every)} | {sum(inside)} | {width:.3f} | {by_usual} |")
        holds &= bool(inside) and float(np.mean(inside)) >= COVERAGE
    silent = sum(not month.published for month in every) / len(every)
    print(f"\nAbstains altogether in {silent:.0%} of the months. What it says on the last two dates:\n")
    for month in every[-2:]:
        print(f"> {month.said}\n")
    print(f"# Random labels: {DRAWS} draws a month\n\n| labels a month | covered | mean width |\n|---|---|---|")
    for row in labels:
        print(f"| {row.labels} | {row.covered:.3f} | {row.mean_width:.3f} |")
    needed = next(row for row in labels if row.labels == POWERED[0])
    enough = needed.covered >= POWERED[1] and needed.mean_width <= POWERED[2]
    return holds and silent <= ABSTAINING and enough


def _in(interval: tuple[float, float], truth: float | None) -> bool:
    return truth is not None and interval[0] <= truth <= interval[1]


def _mark(interval: tuple[float, float], truth: float) -> str:
    return "" if _in(interval, truth) else " ✗"


def main() -> int:
    """Run on the workspace given, or on one built for the purpose."""
    if len(sys.argv) > 1:
        return 0 if report(Path(sys.argv[1])) else 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "flights"
        root.mkdir()
        build_flights(root, progress=lambda line: print(line, file=sys.stderr))
        return 0 if report(root) else 1


if __name__ == "__main__":
    sys.exit(main())
