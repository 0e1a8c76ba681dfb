from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from conftest import CURRENT_START, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts
from toolkit.records import to_document
from toolkit.signals import drift, observe
from toolkit.signals.drift.dating import changed_on

APRIL = CURRENT_START
LAST_WEEKS = pd.Timestamp("2013-04-15", tz="UTC")


def look(written, *, window_days=29, as_of="2013-05-01", **options):
    workspace, source = written.workspace, open_source(written.workspace)
    observed = observe(workspace, source, load_model(workspace, "small"), as_of=as_of, window_days=window_days)
    return drift(source, observed, **options)


@pytest.fixture(scope="module")
def quiet(small):
    return look(small)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """From 15 April on temperature is 10 degrees higher, wind missing on half of the rows, and a carrier new; from
    1 April on carrier C has more load.
    """
    predictions, outcomes = make_events(requests=9000)
    late = predictions["occurred_at"] >= LAST_WEEKS
    rng = np.random.default_rng(1)
    predictions["temp_f"] += 10 * late
    predictions["wind"] = rng.gamma(2, 3, len(predictions))
    predictions.loc[late & (rng.random(len(late)) < 0.5), "wind"] = np.nan
    predictions.loc[late & (rng.random(len(late)) < 0.1), "carrier"] = "Z"
    own = (predictions["carrier"] == "C") & (predictions["occurred_at"] >= APRIL)
    predictions["load"] = rng.normal(0, 1, len(predictions)) + 0.6 * own
    return write_workspace(tmp_path_factory.mktemp("planted"), predictions, outcomes)


@pytest.fixture(scope="module")
def found(planted):
    return look(planted)


@pytest.fixture(scope="module")
def last_week(planted):
    return look(planted, window_days=7, references=("fixed", "weekdays", "last_year"))


def by_key(drift_found):
    return {signal.key: signal for signal in drift_found.signals}


def test_nothing_is_signalled_when_nothing_changed(quiet):
    assert quiet.signals == ()
    assert [column.column for column in quiet.against("fixed")] == ["carrier", "score", "temp_f"]
    assert {column.words for column in quiet.columns} == {"no evidence"}


def test_a_reference_is_named_by_the_days_that_have_requests(last_week):
    words = dict(last_week.references)
    assert words["fixed"] == "the reference period (2013-03-01 … 2013-03-31)"
    assert (
        words["weekdays"] == "the same weekdays of the weeks before (2013-04-01 … 2013-04-22)"
    )  # before April, none was served
    assert words["last_year"] == "the same week a year before (2012-04-24 … 2012-04-30)"


def test_a_reference_without_requests_is_said_and_not_compared(quiet):
    assert quiet.absent == {
        "weekdays": "no requests in the same weekdays of the weeks before (2013-02-25 … 2013-03-25)"
    }
    assert quiet.text == (
        "1,433 requests of version 1, 2013-04-01 … 2013-04-29. Against the reference period (2013-03-01 … 2013-03-31), "
        "0 of 3 columns changed. Not compared with the same weekdays of the weeks before: no requests in the same "
        "weekdays of the weeks before (2013-02-25 … 2013-03-25). Evidence is adjusted over 6 tests, and each change "
        "has a practical threshold."
    )


def test_planted_changes_are_found_each_as_what_it_is(found):
    assert set(by_key(found)) == {"drift:temp_f", "missing:wind", "unseen:carrier", "drift:carrier"}
    signals = by_key(found)
    assert {signal.family for signal in signals.values()} == {"inputs"}
    assert (signals["missing:wind"].verdict, signals["drift:temp_f"].verdict) == ("worse", "changed")
    assert signals["unseen:carrier"].columns == ("carrier",)
    assert signals["drift:temp_f"].excess_loss_per_week is None
    assert signals["drift:temp_f"].no_loss_reason == "what changed inputs cost is not measured by comparing inputs"


def test_a_change_is_dated_to_its_day_within_the_window(found):
    for key in ("drift:temp_f", "missing:wind", "unseen:carrier"):
        assert abs((by_key(found)[key].first_day - date(2013, 4, 15)).days) <= 1
        assert by_key(found)[key].last_day == date(2013, 4, 29)


def test_sizes_by_hand(planted, found):
    rows = planted.predictions
    now = rows[(rows["occurred_at"] >= APRIL) & (rows["occurred_at"] < pd.Timestamp("2013-04-30", tz="UTC"))]
    share = now["wind"].isna().mean()
    missing = by_key(found)["missing:wind"]
    assert missing.change.value == pytest.approx(share)
    assert missing.requests_per_week == pytest.approx(now["wind"].isna().sum() / (29 / 7))
    unseen = by_key(found)["unseen:carrier"]
    assert unseen.change.value == pytest.approx((now["carrier"] == "Z").mean())
    assert unseen.p_adjusted is None


def test_recent_weeks_say_whether_it_is_news(last_week):
    """A week of April beside the weeks before: half of them had the change already."""
    assert set(last_week.absent) == {"last_year"}
    assert "the same weekdays of the weeks before" in by_key(last_week)["drift:temp_f"].text
    assert len(last_week.against("weekdays")) == len(last_week.against("fixed")) == 5


def test_the_first_reference_decides(planted):
    by_weeks = look(planted, window_days=7, references=("weekdays",))
    assert by_weeks.deciding == "weekdays"
    assert all(column.against == "weekdays" for column in by_weeks.columns)


def test_the_latest_days_do_not_wait_for_labels(planted):
    assert look(planted, window_days=7, latest=True).window.label == "2013-04-24 … 2013-04-30"


def test_segments_are_one_family_with_everything(planted):
    parts = look(planted, references=("fixed",), segments=("carrier",))
    segments = {column.segment for column in parts.columns}
    assert segments == {"", "carrier=A", "carrier=B", "carrier=C"}
    assert len(parts.columns) == 5 * 4
    p_values = [found.p_value for column in parts.columns for found in column.findings if found.p_value is not None]
    assert f"adjusted over {len(p_values)} tests" in parts.text
    assert len(p_values) > 30


def test_a_segment_is_a_signal_only_where_the_whole_is_none(planted):
    signals = by_key(look(planted, references=("fixed",), segments=("carrier",)))
    assert [key for key in signals if " in " in key] == ["drift:load in carrier=C"]
    assert signals["drift:load in carrier=C"].columns == ("load", "carrier")
    assert "drift:temp_f" in signals


def test_a_changed_type_is_a_schema_signal_and_other_columns_are_still_compared(tmp_path):
    predictions, outcomes = make_events(requests=4000)
    predictions["code"] = np.arange(len(predictions)) % 2
    written = write_workspace(tmp_path, predictions, outcomes)
    folder = tmp_path / "data" / "predictions"
    folder.mkdir()
    (tmp_path / "data" / "predictions.parquet").unlink()
    before = predictions["occurred_at"] < APRIL
    predictions[before].to_parquet(folder / "march.parquet", index=False)
    predictions[~before].astype({"code": str}).to_parquet(folder / "april.parquet", index=False)
    settings = (tmp_path / "toolkit.toml").read_text().replace("predictions.parquet", "predictions/*.parquet")
    (tmp_path / "toolkit.toml").write_text(settings)
    from toolkit.workspace import open_workspace

    changed = look(type(written)(open_workspace(tmp_path), predictions, outcomes), references=("fixed",))
    signal = by_key(changed)["schema:code"]
    assert signal.change is None
    assert signal.text == "code: the type is text, in the reference number"
    assert {column.column for column in changed.columns} == {"carrier", "code", "score", "temp_f"}


@pytest.mark.parametrize(
    ("references", "error", "message"),
    [
        (
            ("fixd",),
            UnknownNameError,
            "unknown reference 'fixd'; allowed: fixed, last_year, weekdays. Did you mean 'fixed'?",
        ),
        ((), ArgumentError, "references == (), must be one or more different names"),
        (
            ("fixed", "fixed"),
            ArgumentError,
            "references == ('fixed', 'fixed'), must be one or more different names",
        ),
    ],
)
def test_a_wrong_reference_is_refused_by_name(small, references, error, message):
    with pytest.raises(error) as caught:
        look(small, references=references)
    assert str(caught.value) == message


def test_results_are_documents_and_the_same_every_time(planted, found):
    first = to_document({"drift": found})
    assert first == to_document({"drift": look(planted)})
    for row in first["rows"]:
        assert (row["value"] is None) == (row["status"] == "absent")
    statistics = {row["statistic"] for row in first["rows"] if row["key"] == "temp_f"}
    assert statistics >= {
        "psi",
        "psi_above_noise",
        "psi_mean_on_noise",
        "psi_critical_on_noise",
        "js_distance",
        "hellinger",
        "ks_distance",
        "wasserstein",
        "cramers_v",
        "missing_share_reference",
        "missing_share_current",
        "drift_verdict",
    }


def test_the_table_has_a_line_per_column_the_remarkable_first(found):
    lines = found.to_table()
    assert [line["column"] for line in lines][-1] == "score"
    wind = next(line for line in lines if line["column"] == "wind")
    assert wind["verdict"] == "missing more often"
    assert wind["missing_reference"] == "0 %"
    carrier = next(line for line in lines if line["column"] == "carrier")
    assert carrier["verdict"] == "values never seen before; drifted"
    assert carrier["never_seen_now"].endswith(" %")


def test_pictures_say_in_words_what_they_show(found):
    distributions, sizes = found.to_pictures()
    assert (distributions.name, sizes.name) == ("distributions", "drift_sizes")
    assert "temp_f drifted" in distributions.alt
    assert sizes.alt.startswith("PSI above noise by column against the reference period: ")
    assert found.to_pictures()[0].png == distributions.png


def counts(edges, share, n=200):
    return ColumnCounts(edges, (round(n * (1 - share)), round(n * share)))


@pytest.mark.parametrize(
    ("shares", "day"),
    [
        ([0.5] * 10 + [0.9] * 10, date(2026, 1, 11)),
        ([0.9] * 20, None),
        ([0.5] * 19 + [0.9], None),
        ([0.9] * 10 + [0.5] * 10, None),
    ],
)
def test_a_date_is_given_where_the_days_before_looked_like_the_reference(shares, day):
    edges = ColumnEdges.of("x", ["a", "b"] * 10)
    days = {date(2026, 1, 1 + place): counts(edges, share) for place, share in enumerate(shares)}
    assert changed_on("drift", counts(edges, 0.5, 2000), counts(edges, 0.9, 2000), days) == day
    assert changed_on("schema", counts(edges, 0.5), counts(edges, 0.9), days) is None
