"""User feedback: what users say more of is found and sized, what they wrote is shown without what is personal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.metrics.feedback_counts import SEPARATORS, count_feedback
from toolkit.privacy import scan_outputs
from toolkit.records import to_document
from toolkit.signals import observe, user_feedback
from toolkit.signals.feedback.examples import mask_rare_words, show_examples
from toolkit.windows import Window
from toolkit.workspace import open_workspace

NOW = pd.Timestamp("2013-04-22", tz="UTC")


def write(root, plant, *, requests=12_000, seed=1, columns=("request_id", "rating", "category", "text")):
    """A workspace with reports on served requests; `plant(reports, now, rng)` fills in what they say."""
    predictions, outcomes = make_events(requests=requests)
    rng = np.random.default_rng(seed)
    predictions["unit_id"] = [f"u{unit}" for unit in rng.integers(0, 900, len(predictions))]
    workspace = write_workspace(root, predictions, outcomes).workspace
    served = predictions[predictions["served"] & (rng.random(len(predictions)) < 0.15)]
    reports = pd.DataFrame(
        {
            "feedback_id": [f"f{row:05d}" for row in range(len(served))],
            "occurred_at": (served["occurred_at"] + pd.Timedelta(minutes=30)).to_numpy(),
            "request_id": served["request_id"].to_numpy(),
            "unit_id": served["unit_id"].to_numpy(),
        }
    )
    reports["occurred_at"] = pd.to_datetime(reports["occurred_at"], utc=True).dt.as_unit("us")
    reports = plant(reports, (reports["occurred_at"] >= NOW).to_numpy(), rng)
    reports[["feedback_id", "occurred_at", *columns]].to_parquet(root / "data/feedback.parquet", index=False)
    settings = (root / "toolkit.toml").read_text()
    (root / "toolkit.toml").write_text(f'{settings}\n[tables.feedback]\npath = "data/feedback.parquet"\n')
    return open_workspace(workspace.root)


def as_before(reports, now, rng):
    """Ratings about 3.5, two categories, the same words all the time."""
    late = rng.random(len(reports)) < 0.7
    minutes = rng.integers(10, 99, len(reports))
    return reports.assign(
        rating=np.clip(np.round(rng.normal(3.5, 1, len(reports))), 1, 5),
        category=np.where(late, "late", "wrong"),
        text=[
            f"My flight was late by {number} minutes" if each else f"The gate was wrong on order {number * 1000}"
            for each, number in zip(late, minutes, strict=True)
        ],
    )


def name_of(number):
    """One of 899 names, each so rare that few users share it."""
    return "Lovelace" + "".join("abcdefghij"[int(digit)] for digit in str(number))


def worse(reports, now, rng):
    """From 22 April on a point less, and twice as many of category wrong, with a new word and personal data."""
    reports = as_before(reports, now, rng)
    reports["rating"] = np.clip(reports["rating"] - 1.0 * now, 1, 5)
    kept = now | (reports["category"] == "late") | (rng.random(len(reports)) < 0.4)
    changed = now & (reports["category"] == "wrong")
    said = [
        f"The refund was wrong, {name_of(number)} at a{number}@example.org or +44 20 7946 0{number}"
        for number in rng.integers(100, 999, len(reports))
    ]
    reports["text"] = np.where(changed, said, reports["text"])
    return reports[kept]


def look(workspace, **options):
    source = open_source(workspace)
    observed = observe(workspace, source, load_model(workspace, "small"), as_of="2013-04-29", window_days=7)
    return user_feedback(source, observed, **{"history_weeks": 3, **options})


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    return look(write(tmp_path_factory.mktemp("steady"), as_before))


@pytest.fixture(scope="module")
def complaining(tmp_path_factory):
    return write(tmp_path_factory.mktemp("complaining"), worse)


def test_what_does_not_change_is_no_signal(steady):
    assert steady.signals == ()
    assert steady.text == (
        f"{steady.reports} user reports in 2013-04-22 … 2013-04-28, compared with 2013-04-01 … 2013-04-21. Neither "
        "volume, nor ratings, nor a category got worse beyond chance and by a practical amount."
    )


def test_ratings_and_categories_that_got_worse_are_signals(complaining):
    found = look(complaining)
    signals = {signal.key: signal for signal in found.signals}
    assert set(signals) >= {"feedback:feedback_rating", "feedback:feedback_reports in category=wrong"}
    rating = signals["feedback:feedback_rating"]
    assert (rating.family, rating.verdict, rating.name) == ("users", "worse", "user rating")
    assert rating.change.ci_lower < -0.85 < rating.change.ci_upper
    assert rating.times_threshold > 3
    assert rating.text.startswith("user rating fell from 3.")
    assert " to 2." in rating.text
    wrong = signals["feedback:feedback_reports in category=wrong"]
    assert wrong.change.ci_lower > 0
    assert wrong.times_threshold == pytest.approx(1.5 / 0.25, rel=0.6)
    assert "feedback:feedback_reports in category=late" not in signals


def test_a_scale_on_which_less_is_better_is_read_that_way(complaining):
    assert "feedback_rating" not in {signal.metric for signal in look(complaining, better="lower").signals}


def test_new_words_come_first_and_names_never(complaining):
    found = look(complaining)
    terms = [term.term for term in found.over_used]
    assert "refund" in terms[:3]
    assert "lovelace" not in str(terms)
    assert "late" not in terms


def test_examples_hold_nothing_personal(complaining):
    found = look(complaining)
    texts = [example.text for example in found.examples if example.category == "wrong"]
    assert len(texts) == 3
    assert set(texts) == {"The refund was wrong, … at <e-mail address> or <phone number>"}
    everything = str(to_document({"feedback": found})) + found.text + str(found.to_table())
    assert "lovelace" not in everything.lower()
    assert scan_outputs({"cells": [], "metadata": {}}, to_document({"feedback": found})) == ()


def test_the_reports_are_those_of_pandas(complaining):
    found = look(complaining)
    reports = pd.read_parquet(complaining.root / "data/feedback.parquet")
    predictions = pd.read_parquet(complaining.root / "data/predictions.parquet")
    reports = reports.merge(predictions[["request_id", "unit_id"]], on="request_id")
    reports = reports[reports["occurred_at"] < pd.Timestamp("2013-04-29", tz="UTC")]
    reports["week"] = (reports["occurred_at"] - pd.Timestamp("2013-04-01", tz="UTC")).dt.days // 7
    for week, (_, rows) in zip(found.weeks, reports.groupby("week"), strict=True):
        means = rows.groupby("unit_id")["rating"].mean()
        assert (week.reports, week.users, week.ratings.users) == (len(rows), len(means), len(means))
        assert week.ratings.mean == pytest.approx(means.mean())
        assert week.ratings.variance == pytest.approx(means.var())
    now = reports[reports["week"] == 3]
    by_category = now.groupby("category")["unit_id"].nunique()
    assert {change.segment: change.users for change in found.changes if change.segment} == {
        f"category={category}": users for category, users in by_category.items()
    }
    first, second = (reports[reports["occurred_at"] < NOW], now)
    means0, means1 = (part.groupby("unit_id")["rating"].mean() for part in (first, second))
    rating = next(change for change in found.changes if change.metric == "feedback_rating")
    assert rating.change.value == pytest.approx(means1.mean() - means0.mean())


def test_terms_count_each_report_once(complaining):
    source = open_source(complaining)
    earlier, current = Window.of("2013-04-01", "2013-04-22"), Window.of("2013-04-22", "2013-04-29")
    as_of = current.end
    counts = count_feedback(source, "small", earlier=earlier, current=current, as_of=as_of, smallest=5)
    reports = pd.read_parquet(complaining.root / "data/feedback.parquet")
    reports = reports[reports["occurred_at"] < pd.Timestamp("2013-04-29", tz="UTC")]
    words = reports["text"].str.lower().str.split(SEPARATORS, regex=True).map(set).explode()
    words = words[words != ""]
    now = reports.loc[words.index, "occurred_at"].to_numpy() >= NOW
    assert counts.term_totals == (int((~now).sum()), int(now.sum()))
    for term in counts.terms:
        mine = (words == term.term).to_numpy()
        assert (term.reports0, term.reports1) == (int((mine & ~now).sum()), int((mine & now).sum()))


def test_small_categories_are_suppressed(tmp_path):
    def plant(reports, now, rng):
        reports = as_before(reports, now, rng)
        reports.loc[reports.index[now][:3], "category"] = "mrs lovelace"
        reports.loc[reports.index[now][:3], "text"] = "he followed mrs lovelace home"
        return reports

    found = look(write(tmp_path, plant))
    assert found.small_categories == 1
    assert found.text.endswith("Categories not shown: 1 (suppressed: fewer than 5 users).")
    everything = str(to_document({"feedback": found})) + found.text + str(found.to_table())
    assert "lovelace" not in everything
    assert {change.segment for change in found.changes} == {"", "category=late", "category=wrong"}


def test_few_users_rate_nothing_that_is_shown(tmp_path):
    def plant(reports, now, rng):
        reports = as_before(reports, now, rng)
        reports.loc[now, "rating"] = np.nan
        reports.loc[reports.index[now][:4], "rating"] = 1.0
        return reports

    found = look(write(tmp_path, plant))
    rating = next(change for change in found.changes if change.metric == "feedback_rating")
    assert (rating.reason, rating.alarming) == ("suppressed: fewer than 5 users", False)
    line = next(line for line in found.to_table() if line["what"] == "user rating")
    assert line["users"] == "suppressed: fewer than 5 users"
    assert line["change"] == "absent: suppressed: fewer than 5 users"
    last = [row for row in found.to_rows() if row.key == "feedback_rating" and row.statistic == "mean"][-1]
    assert (last.value, last.reason) == (None, "suppressed: fewer than 5 users")


def test_a_category_that_users_type_in_is_masked(tmp_path):
    def plant(reports, now, rng):
        return as_before(reports, now, rng).assign(category="ask ada@example.org")

    found = look(write(tmp_path, plant))
    assert {change.segment for change in found.changes} == {"", "category=ask <e-mail address>"}
    assert scan_outputs({"cells": [], "metadata": {}}, to_document({"feedback": found})) == ()


def test_reports_may_name_a_unit_only(tmp_path):
    workspace = write(tmp_path / "units", as_before, columns=("unit_id", "rating", "category", "text"))
    by_unit, by_request = look(workspace), look(write(tmp_path / "requests", as_before))
    assert [week.reports for week in by_unit.weeks] == [week.reports for week in by_request.weeks]
    assert by_unit.others == 0


def test_reports_of_something_else_are_counted_apart(tmp_path):
    def plant(reports, now, rng):
        reports = as_before(reports, now, rng)
        reports.loc[reports.index[:40], "request_id"] = "of-another-model"
        return reports

    found = look(write(tmp_path, plant))
    assert found.others == 40
    assert "40 reports belong to no request or unit of this model." in found.text


def test_what_the_table_lacks_is_left_out(tmp_path):
    found = look(write(tmp_path, as_before, columns=("request_id", "text")))
    rating = next(change for change in found.changes if change.metric == "feedback_rating")
    assert rating.reason == "nobody rated before or in the window"
    assert [change.segment for change in found.changes] == ["", ""]
    assert found.terms
    assert {row.reason for row in found.to_rows() if row.key == "feedback_rating" and row.statistic == "mean"} == {
        "nobody rated"
    }


@pytest.mark.parametrize(
    ("without", "reason"),
    [("now", "nobody rated in the window"), ("before", "nobody rated before the window")],
)
def test_it_says_when_nobody_rated(tmp_path, without, reason):
    def plant(reports, now, rng):
        reports = as_before(reports, now, rng)
        return reports.assign(rating=reports["rating"].where(~now if without == "now" else now))

    found = look(write(tmp_path, plant))
    assert next(change.reason for change in found.changes if change.metric == "feedback_rating") == reason


def test_without_the_table_or_a_report_it_says_so(small, tmp_path):
    assert look(small.workspace).text == "User feedback is absent: the workspace has no table of feedback."
    assert look(small.workspace).plot().alt == "no user reported anything"
    workspace = write(tmp_path, lambda reports, now, rng: as_before(reports, now, rng).assign(request_id="other"))
    found = look(workspace)
    assert found.text == (
        "User feedback is absent: no user report since 2013-04-01 belongs to a request or unit of Small model."
    )
    assert found.others > 0
    assert [row.status for row in found.to_rows()] == ["absent"]


def test_pictures_say_what_they_show(complaining):
    weeks, terms = look(complaining).to_pictures()
    assert weeks.alt.startswith("User feedback by week, 2013-04-01 to 2013-04-28. In the last week ")
    assert "refund, " in terms.alt


def test_what_is_no_scale_is_refused(small):
    with pytest.raises((ArgumentError, UnknownNameError), match="unknown better rating 'high'"):
        look(small.workspace, better="high")


def test_windows_that_are_no_whole_weeks_are_refused(complaining):
    earlier, current = Window.of("2013-04-01", "2013-04-20"), Window.of("2013-04-22", "2013-04-29")
    with pytest.raises(ArgumentError) as caught:
        count_feedback(
            open_source(complaining), "small", earlier=earlier, current=current, as_of=current.end, smallest=5
        )
    assert str(caught.value) == (
        "earlier == 2013-04-01 … 2013-04-19, current == 2013-04-22 … 2013-04-28: both must be whole weeks, the one "
        "right after the other"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ada Lovelace was late, 40 minutes; order 123456", "… was late, 40 minutes; order …"),
        ("WAS it late?", "WAS … late?"),
        ("東京 was late", "東京 was late"),
        ("été late", "… late"),
        ("a <phone number> b", "… <phone number> …"),
    ],
)
def test_words_of_few_are_masked(text, shown):
    assert mask_rare_words(text, {"was", "late", "minutes", "order", "東京"}) == shown


def test_an_example_of_which_nothing_is_left_is_not_shown():
    from toolkit.metrics.feedback_counts import Example

    (example,) = show_examples([Example("", "ada lovelace 123456")], {"late"})
    assert example.text is None
    assert example.reason == "suppressed: none of its words is used by enough users"
