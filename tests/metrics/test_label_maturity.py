"""How long labels take, whether they arrive as they used to, and early ones weighted: against plain recounting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metrics.delayed_labels import CURRENT, REFERENCE, counted, lay, make_delayed

from toolkit.display import Picture
from toolkit.errors import ArgumentError, Skipped
from toolkit.metrics import load_metrics, measure
from toolkit.metrics.early_labels import WEIGHTED, early_labels
from toolkit.metrics.label_arrival import label_arrival
from toolkit.metrics.maturity import DelayCount, count_delays, label_maturity
from toolkit.windows import Window, format_instant

AS_OF = datetime(2013, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def delayed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    predictions, outcomes = make_delayed()
    return (*lay(tmp_path_factory.mktemp("delayed"), predictions, outcomes), predictions, outcomes)


def tallied(counts: tuple[DelayCount, ...]) -> dict[Any, int]:
    return {
        (c.request_day, -1 if c.delay_days is None else c.delay_days, -1.0 if c.label is None else c.label): c.requests
        for c in counts
    }


@pytest.mark.parametrize("as_of", [AS_OF, datetime(2013, 4, 20, 15, 30, tzinfo=UTC)], ids=format_instant)
def test_requests_are_counted_as_pandas_counts_them(delayed: Any, as_of: datetime) -> None:
    _, source, model, predictions, outcomes = delayed
    window = Window.last_days(60, before=as_of)
    found = label_maturity(source, model, as_of=format_instant(as_of), window_days=60)
    until = pd.Timestamp(as_of).normalize()
    assert tallied(found.counts) == counted(predictions, outcomes, window, until)
    assert {
        (until.date() - datetime.fromisoformat(c.request_day).date()).days - 1 - c.watched_days for c in found.counts
    } == {0}


def test_the_maturity_that_it_takes_is_recommended(delayed: Any) -> None:
    _, source, model, predictions, outcomes = delayed
    found = label_maturity(source, model, as_of="2013-06-15", window_days=110)
    answered = predictions[~predictions["error"]].merge(outcomes, on="request_id")
    days = (answered["observed_at"].dt.normalize() - answered["occurred_at"].dt.normalize()).dt.days
    shares = days.value_counts(normalize=True).sort_index().cumsum()
    assert [step.share.value for step in found.curve.steps] == pytest.approx(list(shares))
    assert found.recommended_days == shares.index[shares >= 0.95][0] == 9
    assert found.text == (
        "95 % of the labels of Small model that arrive are there 9 days after the request (95 % interval 9 days to "
        "9 days; 3,879 answered requests of 2013-02-25 … 2013-06-14, labels as known on 2013-06-15T00:00:00Z). "
        "models/small.yml waits 1 day, when 31.5 % of the requests have one: maturity_days: 9 is what it takes. "
        "100 % of the requests have a label in the end."
    )


def test_what_is_shown(delayed: Any) -> None:
    _, source, model, *_ = delayed
    found = label_maturity(source, model, as_of="2013-05-01", window_days=60)
    table = found.to_table()
    assert [row["days after the request"] for row in table] == [0, 1, 2, 3, 5, 7, 9, 10]
    assert [row["which"] for row in table] == ["", "declared", "", "", "", "", "enough", ""]
    rows = {row.statistic: row for row in found.to_rows()}
    assert rows["needed_days"].value == 9.0
    assert rows["declared_days"].value == 1
    assert rows["requests"].value == rows["waiting"].value + sum(
        c.requests for c in found.counts if c.delay_days is not None
    )
    assert rows["labelled_share_1_days"].ci_lower < rows["labelled_share_1_days"].value
    (shown,) = found.to_pictures()
    assert isinstance(shown, Picture)
    assert shown.alt.startswith("Share of the requests of Small model with a label by the days since the request: 0: ")


def test_no_label_at_all(tmp_path: Path) -> None:
    predictions, outcomes = make_delayed(requests=300)
    _, source, model = lay(tmp_path, predictions, outcomes[:1].assign(observed_at=pd.Timestamp("2014-01-01", tz="UTC")))
    found = label_maturity(source, model, as_of="2013-05-01", window_days=60)
    assert found.recommended_days is None
    assert found.text.startswith("No label of Small model has arrived: ")
    assert found.to_pictures() == ()
    assert next(iter(found.to_rows())).reason == "no label has arrived"


def test_no_request_and_no_share(delayed: Any) -> None:
    _, source, model, *_ = delayed
    with pytest.raises(Skipped) as caught:
        label_maturity(source, model, as_of="2013-02-01", window_days=7)
    assert str(caught.value) == "model 'small' answered no request in 2013-01-25 … 2013-01-31"
    with pytest.raises(ArgumentError) as refused:
        label_maturity(source, model, share=1.0)
    assert str(refused.value) == "share == 1.0, must be a number above 0 and below 1"


def test_a_label_before_its_prediction_is_none(tmp_path: Path) -> None:
    predictions, outcomes = make_delayed(requests=400)
    early = outcomes["request_id"] == outcomes["request_id"].iloc[0]
    outcomes = outcomes.assign(observed_at=outcomes["observed_at"].where(~early, pd.Timestamp("2013-03-01", tz="UTC")))
    _, source, model = lay(tmp_path, predictions, outcomes)
    found = label_maturity(source, model, as_of="2013-06-01", window_days=100)
    assert found.curve.waiting == 1


# --- whether labels arrive as they used to ---


def lose(outcomes: pd.DataFrame, share: float, start: str, end: str = "2014-01-01") -> pd.DataFrame:
    """Some of the labels that were observed in a period never arrived."""
    inside = (outcomes["observed_at"] >= pd.Timestamp(start, tz="UTC")) & (
        outcomes["observed_at"] < pd.Timestamp(end, tz="UTC")
    )
    return outcomes[~(inside & (np.random.default_rng(2).random(len(outcomes)) < share))]


@pytest.mark.parametrize(
    ("lost", "verdict", "provisional"),
    [
        ((0.0, "2013-04-01"), "as expected", ""),
        ((0.15, "2013-04-01"), "fewer", "provisional: labels of 98.1 % expected, 84.7 % there"),
        ((0.9, "2013-04-24"), "stopped", "provisional: labels of 100 % expected, "),
    ],
)
def test_labels_that_do_not_arrive_are_seen(tmp_path: Path, lost: Any, verdict: str, provisional: str) -> None:
    predictions, outcomes = make_delayed(requests=6000)
    _, source, model = lay(tmp_path, predictions, lose(outcomes, *lost))
    found = label_arrival(
        source, model, reference=REFERENCE, population=CURRENT, as_of=datetime(2013, 5, 12, tzinfo=UTC)
    )
    assert found.verdict == verdict
    assert found.provisional.startswith(provisional)
    assert bool(found.provisional) == bool(provisional)
    assert (found.stopped_on == "2013-04-24") == (verdict == "stopped")


def test_a_window_whose_labels_are_not_due_yet_is_not_mature_and_nothing_is_missing(delayed: Any) -> None:
    _, source, model, *_ = delayed
    found = label_arrival(source, model, reference=REFERENCE, population=CURRENT, as_of=AS_OF)
    assert found.verdict == "not mature"
    assert found.gap.ci_lower < 0 < found.gap.ci_upper
    there, expected, due = (
        f"{100 * share:.1f} %" for share in (found.labelled_share, found.expected_share, found.mature_share)
    )
    assert found.provisional == (
        f"provisional: labels of {expected} expected, {there} there; {due} of those that will arrive are due"
    )
    assert 0.8 < found.mature_share < 0.95
    in_all, arrived = sum(day.expected for day in found.days), sum(day.arrived for day in found.days)
    assert arrived == pytest.approx(in_all, rel=0.05)
    assert found.text == (
        f"Only {due} of the labels that will arrive are due: {there} of 1,936 answered requests ({CURRENT.text}) have "
        f"one, where 2013-03-01 … 2013-03-31 lets expect {expected} at their age (difference -0.517 pp, 95 % interval "
        "-1.52 to +0.482 pp)."
    )
    rows = {row.statistic: row for row in found.to_rows()}
    assert (rows["verdict"].value, rows["stopped_on"].status) == ("not mature", "absent")
    assert rows["expected_labelled_share"].value == found.expected_share
    assert [row["day"] for row in found.to_table()] == [f"2013-04-{day:02d}" for day in range(1, 31)]
    (shown,) = found.to_pictures()
    assert (
        shown.alt == f"Labels that arrived by day beside those that were due: {arrived:,} of {in_all:,.0f}; not mature"
    )


def test_nothing_is_known_without_a_reference(delayed: Any) -> None:
    _, source, model, *_ = delayed
    nowhere = (
        REFERENCE._replace
        if False
        else type(REFERENCE)("before", "1", Window.of("2013-01-01", "2013-01-02"), served_only=False)
    )
    found = label_arrival(source, model, reference=nowhere, population=CURRENT, as_of=AS_OF)
    assert (found.verdict, found.provisional, found.days) == ("not known", "", ())
    assert found.text == "Whether labels arrive as they used to is not known: no request of the reference was answered."


def test_the_due_labels_of_a_day_are_what_its_requests_used_to_bring(delayed: Any) -> None:
    """By hand, for the first two days of the window."""
    _, source, model, *_ = delayed
    found = label_arrival(source, model, reference=REFERENCE, population=CURRENT, as_of=AS_OF)
    counts = count_delays(source, model, [REFERENCE, CURRENT], as_of=AS_OF)
    before = [c for c in counts if c.population == "reference"]
    shares = [sum(c.requests for c in before if c.delay_days == k) / sum(c.requests for c in before) for k in (0, 1)]
    first, second = (
        sum(c.requests for c in counts if c.population == "current" and c.request_day == day)
        for day in ("2013-04-01", "2013-04-02")
    )
    assert found.days[0].expected == pytest.approx(first * shares[0])
    assert found.days[1].expected == pytest.approx(second * shares[0] + first * shares[1])


# --- early labels ---

WORDS = "description: d, owner: Ada, direction: none, practical_threshold: 0.01, role: quality"
LABEL_METRICS = f"""\
metrics:
  brier: {{name: Brier, {WORDS}, kind: brier}}
  positive: {{name: Positive, {WORDS}, kind: proportion, column: label}}
  log_loss: {{name: Log loss, {WORDS}, kind: log_loss}}
  rmse: {{name: RMSE, {WORDS}, kind: rmse}}
  auc: {{name: AUC, {WORDS}, kind: auc}}
  latency: {{name: Latency, {WORDS}, kind: mean, column: latency_ms}}
"""


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Any:
    predictions, outcomes = make_delayed(requests=20_000)
    predictions = predictions.assign(prediction=predictions["score"].where(~predictions["error"]))
    small, source, model = lay(tmp_path_factory.mktemp("early"), predictions, outcomes)
    (small.workspace.root / "metrics.yml").write_text(LABEL_METRICS)
    metrics = load_metrics(small.workspace)
    counts = count_delays(source, model, [REFERENCE, CURRENT], as_of=AS_OF)
    before, now = ([c for c in counts if c.population == name] for name in ("reference", "current"))
    found = early_labels(now, known_from=before)
    plain = measure(source, model, metrics, [CURRENT], as_of=AS_OF)
    weighted = measure(source, model, found.weighted(metrics), [CURRENT], as_of=AS_OF, segments=["carrier"])
    return found, plain, weighted, predictions.merge(outcomes, on="request_id")


def test_weighted_early_labels_say_what_all_will_say(early: Any) -> None:
    """Of the labels that are there too many are positive; weighted they are as many as in the end."""
    found, plain, weighted, labelled = early
    final = labelled[(labelled["occurred_at"] >= CURRENT.window.start) & labelled["served"]]
    truth = {
        "positive": final["label"].mean(),
        "brier": ((final["label"] - final["score"]) ** 2).mean(),
    }
    for metric, value in truth.items():
        before, after = (cells.estimate(metric, "current") for cells in (plain, weighted))
        assert abs(before.value - value) > 3 * abs(after.value - value), metric
        assert after.value == pytest.approx(value, abs=0.012)
        assert after.method == f"mean, day clusters, {WEIGHTED}"
        assert after.n == before.n - found.left_out


def test_weights_are_those_of_pandas(early: Any) -> None:
    found, _, weighted, labelled = early
    known = labelled[
        (labelled["occurred_at"] >= CURRENT.window.start) & labelled["served"] & (labelled["observed_at"] < AS_OF)
    ]
    weights = {(kind, day): weight for kind, day, weight in found.weights}
    keys = zip(
        known["label"].map({1: "positive", 0: "negative"}), known["occurred_at"].dt.strftime("%Y-%m-%d"), strict=True
    )
    weight = np.array([weights.get(key, 1.0) for key in keys], dtype=float)
    used = ~np.isnan(weight)
    square = (known["label"] - known["score"]).to_numpy() ** 2
    expected = (weight * square)[used].sum() / weight[used].sum()
    assert weighted.estimate("brier", "current").value == pytest.approx(expected, rel=1e-12)
    assert weighted.estimate("rmse", "current").value == pytest.approx(expected**0.5, rel=1e-12)
    assert found.effective_labels == pytest.approx(weight[used].sum() ** 2 / (weight[used] ** 2).sum())
    assert (found.labels, found.left_out) == (len(known), int((~used).sum()))
    assert found.text.startswith(f"{WEIGHTED}: {len(known):,} labels, as good as {found.effective_labels:,.0f}")


def test_metrics_without_labels_or_of_order_are_as_they_were(early: Any) -> None:
    _, plain, weighted, _ = early
    for metric in ("latency", "auc"):
        assert weighted.estimate(metric, "current") == plain.estimate(metric, "current")
    assert weighted.metrics["rmse"].adds_up is False
    assert weighted.metrics["brier"].estimand == plain.metrics["brier"].estimand


def test_segments_are_weighted_too(early: Any) -> None:
    _, _, weighted, _ = early
    parts = [weighted.days("current", segment="carrier", value=value) for value in weighted.values("carrier")]
    whole = weighted.days("current")
    for column in ("brier__sum", "brier__n", "brier__rows"):
        assert sum(part[column].sum() for part in parts) == pytest.approx(whole[column].sum())


def test_labels_that_are_numbers_have_one_curve(tmp_path: Path) -> None:
    counts = [DelayCount("now", "2013-04-01", 3, 0, 2.5, 10), DelayCount("now", "2013-04-04", 0, 0, 7.0, 10)]
    slow = [DelayCount("before", "2013-03-01", 30, delay, 1.5, 50) for delay in (0, 3)]
    found = early_labels(counts, known_from=slow)
    # Of the 110 labels whose requests were watched for three days, 50 came after three.
    ((kind, day, weight),) = found.weights
    assert (kind, day, found.labels) == ("any", "2013-04-04", 20)
    assert weight == pytest.approx(1 / (1 - 50 / 110))


def test_mature_labels_count_once() -> None:
    counts = [DelayCount("now", f"2013-04-0{day}", 30, day % 2, float(day % 2), 5) for day in range(1, 6)]
    found = early_labels(counts)
    assert (found.weights, found.labels, found.effective_labels, found.left_out) == ((), 25, 25.0, 0)


# --- nothing from the future ---

days = st.integers(0, 60 * 24 * 60 - 1)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minute=days,
    later=st.lists(st.tuples(st.integers(0, 299), st.integers(0, 40 * 24 * 60), st.booleans()), max_size=30),
)
def test_a_label_after_as_of_never_changes_a_number(
    tmp_path_factory: pytest.TempPathFactory, minute: int, later: list[tuple[int, int, bool]]
) -> None:
    as_of = datetime(2013, 3, 5, tzinfo=UTC) + timedelta(minutes=minute)
    predictions, outcomes = make_delayed(requests=300)
    known = outcomes[outcomes["observed_at"] <= as_of]
    made = predictions["occurred_at"]
    after = pd.DataFrame(
        {
            "request_id": [predictions["request_id"][place] for place, *_ in later],
            "observed_at": pd.Series(
                [
                    max(pd.Timestamp(as_of) + pd.Timedelta("1us"), made[place]) + pd.Timedelta(minutes=m)
                    for place, m, _ in later
                ],
                dtype=outcomes["observed_at"].dtype,
            ),
            "label": pd.Series([int(label) for *_, label in later], dtype=outcomes["label"].dtype),
        }
    ).drop_duplicates(["request_id", "observed_at"])
    found, frames = [], []
    for name, rows in (("known", known), ("later", pd.concat([known, after], ignore_index=True))):
        small, source, model = lay(tmp_path_factory.mktemp(name), predictions, rows)
        said = format_instant(as_of)
        maturity = label_maturity(source, model, as_of=said, window_days=50)
        arrival = label_arrival(source, model, reference=REFERENCE, population=CURRENT, as_of=as_of)
        early = early_labels(maturity.counts)
        metrics = load_metrics(small.workspace)
        both = metrics | {f"{key}_early": metric for key, metric in early.weighted(metrics).items()}
        frames.append(measure(source, model, both, [REFERENCE, CURRENT], as_of=as_of).frame)
        found.append((maturity.to_rows(), arrival.to_rows(), arrival.days, early))
    assert found[0] == found[1]
    # Engines add in the order in which rows lie: the last place of a sum may differ.
    pd.testing.assert_frame_equal(*frames, rtol=1e-12, atol=1e-12)
