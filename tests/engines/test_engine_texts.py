"""Messages of failed requests and words of users, counted by each engine: the same numbers as pandas has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from engine_events import MODEL

from toolkit.metrics.error_texts import count_error_texts, normalise_text
from toolkit.metrics.feature_days import collect_feature_days
from toolkit.metrics.feedback_counts import SEPARATORS, count_feedback
from toolkit.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine

AS_OF = datetime(2026, 4, 6, tzinfo=UTC)
EARLIER, CURRENT = Window.of("2026-03-23", "2026-03-30"), Window.of("2026-03-30", "2026-04-06")
NOW = pd.Timestamp("2026-03-30", tz="UTC")

ERROR = "error or coalesce(stops, 0) >= 2"
ERROR_TEXT = """\
case when stops = 2 then concat('user ''', region, '\u00b4s'' not found (id ', request_id, '), HTTP 404')
when stops = 3 then concat('GET https://', unit_id, '.example/x?id=', request_id,
' in /srv/', unit_id, '/a.py: code 17')
when stops = 4 then concat('timeout\tafter ', cast(round(latency_s * 1000000) as varchar),
' ms, été 東京') else ' ' end"""
TEXT = (
    "concat('The FLIGHT (', request_id, ') is late; été 東京 - ', case when label = 1 then 'refund' else 'thanks' end)"
)
CATEGORY = "case when label = 1 then 'late' when request_id < 'r0300' then 'wrong' end"


def with_words(engine: Engine) -> Engine:
    """The engine, with a workspace that says why requests failed, and whose labels are reports of users."""
    tables = dict(engine.workspace.settings.tables)
    predictions, outcomes = tables["predictions"], tables["outcomes"]
    said = {**predictions.expressions, "error": ERROR, "error_text": ERROR_TEXT}
    tables["predictions"] = predictions.model_copy(update={"expressions": said})
    reports = {
        "feedback_id": "concat(request_id, '-', cast(label as varchar))",
        "rating": "label + 1",
        "category": CATEGORY,
        "text": TEXT,
    }
    tables["feedback"] = outcomes.model_copy(update={"columns": {"occurred_at": "observed_at"}, "expressions": reports})
    changed = engine.workspace.settings.model_copy(update={"tables": tables})
    return replace(engine, workspace=replace(engine.workspace, settings=changed))


def predictions_of(tables: tuple[pa.Table, pa.Table]) -> pd.DataFrame:
    rows = tables[0].to_pandas()
    rows["failed"] = rows["error"] | (rows["stops"].fillna(0) >= 2)
    return rows[rows["served"]]


def messages_of(rows: pd.DataFrame) -> Any:
    region = rows["region"].fillna("")
    second = "user '" + region + "\u00b4s' not found (id " + rows["request_id"] + "), HTTP 404"
    unit = rows["unit_id"]
    third = "GET https://" + unit + ".example/x?id=" + rows["request_id"] + " in /srv/" + unit + "/a.py: code 17"
    fourth = "timeout\tafter " + (rows["latency_s"] * 1e6).round().astype(int).astype(str) + " ms, été 東京"
    return second.where(rows["stops"] == 2, third.where(rows["stops"] == 3, fourth.where(rows["stops"] == 4)))


def test_every_engine_finds_the_same_messages(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    found = count_error_texts(with_words(engine).source(), MODEL.key, earlier=EARLIER, current=CURRENT, as_of=AS_OF)
    rows = predictions_of(event_tables)
    said = rows.assign(text=messages_of(rows))[rows["failed"]].dropna(subset="text")
    said["fingerprint"] = said["text"].map(normalise_text)
    assert set(said["fingerprint"]) >= {"GET <url> in <path>: code 17", "timeout after <value> ms, été 東京"}
    now = said[said["created"] >= NOW]
    assert {text.fingerprint: (text.requests, text.users, text.texts) for text in found.texts} == {
        fingerprint: (len(mine), mine["unit_id"].nunique(), mine["text"].nunique())
        for fingerprint, mine in now.groupby("fingerprint")
    }
    for text in found.texts:
        mine = said[said["fingerprint"] == text.fingerprint]
        assert {str(day.day): day.requests for day in text.days} == (
            mine.groupby(mine["created"].dt.strftime("%Y-%m-%d")).size().to_dict()
        )
        assert text.days[0].first_at == mine["created"].min()
        assert normalise_text(text.example) == text.fingerprint
    assert sum(day.failed for day in found.days) == rows["failed"].sum()
    assert sum(day.unsaid for day in found.days) == rows["failed"].sum() - len(said)


def test_every_engine_counts_the_same_words(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    counts = count_feedback(
        with_words(engine).source(), MODEL.key, earlier=EARLIER, current=CURRENT, as_of=AS_OF, smallest=3
    )
    rows = predictions_of(event_tables)
    reports = event_tables[1].to_pandas().merge(rows[["request_id", "unit_id"]], on="request_id")
    assert counts.others == len(event_tables[1]) - len(reports)
    reports["now"] = reports["observed_at"] >= NOW
    reports["rating"] = reports["label"] + 1
    for week, (_, mine) in zip(counts.weeks, reports.groupby("now"), strict=True):
        means = mine.groupby("unit_id")["rating"].mean()
        assert (week.reports, week.users) == (len(mine), len(means))
        assert week.ratings.mean == pytest.approx(means.mean(), rel=1e-12)
        assert week.ratings.variance == pytest.approx(means.var(), rel=1e-9)
    assert counts.users1 == reports.loc[reports["now"], "unit_id"].nunique()

    wrong = (reports["label"] == 0) & (reports["request_id"] < "r0300")
    for each in counts.categories:
        mine = reports[reports["label"] == 1] if each.category == "late" else reports[wrong]
        pairs = mine.groupby("now")["unit_id"].nunique()
        assert (each.user_weeks0, each.user_weeks1) == (pairs.get(False, 0), pairs.get(True, 0))
    assert {each.category for each in counts.categories} == {"late", "wrong"}

    texts = "the flight (" + reports["request_id"] + ") is late; été 東京 - "
    texts += reports["label"].map({1: "refund", 0: "thanks"})
    words = texts.str.split(SEPARATORS, regex=True).map(set).explode()
    words = words[words != ""]
    now = reports.loc[words.index, "now"].to_numpy()
    assert counts.term_totals == ((~now).sum(), now.sum())
    expected = {term: (int((~now[words == term]).sum()), int(now[words == term].sum())) for term in set(words)}
    assert {term.term: (term.reports0, term.reports1) for term in counts.terms} == expected
    assert {term.term for term in counts.terms} == {
        "the", "flight", "r", "is", "late", "été", "東京", "refund", "thanks",
    }  # fmt: skip  # its lines group what belongs together
    assert {example.category for example in counts.examples} <= {"late", "wrong", ""}
    assert len(counts.examples) <= 9


def test_every_engine_sees_what_stands_still(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    window = Window.of("2026-03-28", "2026-04-01")
    features = ["score", "region", "stops", "error", "model"]
    found = collect_feature_days(engine.source(), MODEL.key, features, window=window, as_of=AS_OF)
    rows = event_tables[0].to_pandas()
    rows = rows[rows["served"]]
    assert found.versions == rows["version"].value_counts().to_dict()
    by_day = rows.groupby(rows["created"].dt.date)
    for feature in features:
        assert [(day.day, day.present) for day in found.days[feature]] == list(by_day[feature].count().items())
        assert {day.state for day in found.days[feature]} == {
            ("constant", "delay") if feature == "model" else ("alive", "")
        }
    assert found.standstill("model") == ("constant", window.start.date(), 3, 0)
    assert found.standstill("score") is None
