from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.data.column_facts import FileFacts, look_at_file, shared_ids
from toolkit.data.mapping import TableMapping, guess_mapping, label_columns
from toolkit.data.own_files import open_engine, open_file
from toolkit.data.questions import take_first
from toolkit.data.wishes import Wishes
from toolkit.errors import ArgumentError, UnknownNameError

Look = Callable[..., FileFacts]


@pytest.fixture
def facts(tmp_path: Path) -> Look:
    """The facts of a CSV of these columns: name to values, or to one value for all of the ten rows."""

    def look(_name: str = "own.csv", /, **columns: object) -> FileFacts:
        lists = {name: each if isinstance(each, list) else [each] * 10 for name, each in columns.items()}
        rows = [",".join(lists), *(",".join(map(str, row)) for row in zip(*lists.values(), strict=True))]
        (tmp_path / _name).write_text("\n".join(rows) + "\n", encoding="utf-8")
        with open_engine(tmp_path) as engine:
            return look_at_file(open_file(tmp_path / _name), engine)

    return look


IDS = [f"r{number}" for number in range(10)]
TIMES = [f"2026-01-{day:02d} 10:00:00" for day in range(1, 11)]
SCORES = [0.05 + number / 11 for number in range(10)]


def own(mapping: TableMapping) -> dict[str, str]:
    return {column: each.own.name for column, each in mapping.assigned.items()}


@pytest.mark.parametrize(
    ("request_name", "time_name", "score_name", "unit_name"),
    [
        ("request_id", "occurred_at", "score", "unit_id"),
        ("uuid", "timestamp", "y_pred_proba", "user_id"),
        ("Prediction ID", "createdAt", "Probability", "Customer-Number"),
        ("id", "date", "p", "account"),
    ],
)
def test_columns_are_found_by_what_people_call_them(
    facts: Look, request_name: str, time_name: str, score_name: str, unit_name: str
) -> None:
    seen = facts(**{request_name: IDS, time_name: TIMES, score_name: SCORES, unit_name: "u", "amount": 3})
    found = guess_mapping("predictions", seen)
    assert own(found) == {
        "request_id": request_name,
        "occurred_at": time_name,
        "score": score_name,
        "unit_id": unit_name,
    }
    assert {name: column.kind for name, column in found.extras.items()} == {"amount": "number"}


def test_columns_without_a_telling_name_are_found_by_what_they_hold(facts: Look) -> None:
    found = guess_mapping("predictions", facts(ref=IDS, moment=TIMES, q=SCORES, colour="red"))
    assert own(found) == {"request_id": "ref", "occurred_at": "moment", "score": "q"}
    assert found.assigned["occurred_at"].why == "it holds instants"
    assert found.assigned["score"].why == "its numbers lie between 0 and 1"
    assert found.assigned["request_id"].why == "no value is in it twice"


def test_a_word_in_a_name_may_tell_a_score_from_other_shares(facts: Look) -> None:
    found = guess_mapping("predictions", facts(id=IDS, ts=TIMES, rain=SCORES, late_probability=SCORES))
    assert (own(found)["score"], found.assigned["score"].why) == ("late_probability", "a word in its name")
    with pytest.raises(ArgumentError, match=r"^own\.csv: which column is score is not clear: rain \(its numbers lie"):
        guess_mapping("predictions", facts(id=IDS, ts=TIMES, rain=SCORES, wind=SCORES), needed=["score"])


def test_everything_that_nobody_said_is_an_assumption_in_words(facts: Look) -> None:
    found = guess_mapping("predictions", facts(id=IDS, ts=TIMES, score=SCORES), model="churn")
    assert found.constants == {"model": "churn", "version": "1", "served": "true"}
    assert found.derived == {"unit_id": "request", "error": "no score"}
    assert found.assumptions == (
        "no column is the model: all is model 'churn'; name another with --set model=…",
        'no column is the version: all is version "1"; name another with --set version=…',
        "no column says who or what was decided about (unit_id): each request is its own unit",
        "no column says which requests failed (error): one without a score is an error",
        "no column says which predictions were used (served): all were",
        "ts without a time zone: taken as UTC; say otherwise with --timezone, such as --timezone Europe/Paris",
    )


def test_what_is_said_is_no_assumption(facts: Look) -> None:
    seen = facts(id=IDS, ts=TIMES, score=SCORES, live="yes")
    constants = {"model": "m", "version": "2", "error": "false"}
    found = guess_mapping("predictions", seen, wishes=Wishes({"served": "live"}, constants, "Asia/Tokyo"))
    assert found.assumptions == (
        "no column says who or what was decided about (unit_id): each request is its own unit",
    )
    assert found.assigned["served"].why == "as you said"
    assert found.timezone == "Asia/Tokyo"


def test_an_unclear_column_is_refused_with_the_options_to_give(facts: Look) -> None:
    seen = facts(id=IDS, created_at=TIMES, predicted_at=TIMES, score=SCORES)
    with pytest.raises(ArgumentError) as refused:
        guess_mapping("predictions", seen)
    assert str(refused.value) == (
        "own.csv: which column is occurred_at is not clear: created_at (its name), predicted_at (its name). Say it "
        "with --map occurred_at=created_at or --map occurred_at=predicted_at, or take the first with --yes"
    )


def test_an_unclear_column_can_be_taken_and_is_then_said(facts: Look) -> None:
    seen = facts(id=IDS, created_at=TIMES, predicted_at=TIMES, score=SCORES)
    found = guess_mapping("predictions", seen, choose=take_first)
    assert own(found)["occurred_at"] == "created_at"
    assert "occurred_at is created_at; it could be predicted_at: --map occurred_at=COLUMN" in found.assumptions
    said = guess_mapping("predictions", seen, wishes=Wishes({"occurred_at": "predicted_at"}))
    assert own(said)["occurred_at"] == "predicted_at"


def test_a_name_is_not_enough_where_the_values_do_not_fit(facts: Look) -> None:
    seen = facts(id=IDS, ts=TIMES, score=[300 + 50 * number for number in range(10)])
    with pytest.raises(ArgumentError) as refused:
        guess_mapping("predictions", seen, needed=["score"])
    assert str(refused.value) == (
        "own.csv: no column looks like score (a number from 0 to 1); score is none: it must lie between 0 and 1, and "
        "has values from 300 to 750. Name it with --map score=COLUMN; columns that are left: score"
    )
    found = guess_mapping("predictions", seen)
    assert list(found.extras) == ["score_own"]
    assert "score is kept as score_own: the contract means something else" in found.assumptions


def test_a_column_that_is_named_and_does_not_fit_is_refused(facts: Look) -> None:
    seen = facts(id=IDS, ts=TIMES, score=SCORES)
    with pytest.raises(ArgumentError) as refused:
        guess_mapping("predictions", seen, wishes=Wishes({"occurred_at": "score"}))
    assert str(refused.value).startswith("own.csv: score cannot be occurred_at: it holds no instants, but values from ")
    with pytest.raises(UnknownNameError) as unknown:
        guess_mapping("predictions", seen, wishes=Wishes({"score": "scor"}))
    assert str(unknown.value) == "unknown column of own.csv 'scor'; allowed: id, score, ts. Did you mean 'score'?"


def test_options_to_give_are_quoted_for_the_shell(facts: Look) -> None:
    seen = facts(**{"id": IDS, "Created At": TIMES, "predicted_at": TIMES, "score": SCORES})
    with pytest.raises(
        ArgumentError, match="--map occurred_at='Created At' or --map occurred_at=predicted_at, or take"
    ):
        guess_mapping("predictions", seen)


def test_a_guess_can_be_waived(facts: Look) -> None:
    seen = facts(id=IDS, ts=TIMES, score=SCORES, user=IDS)
    found = guess_mapping("predictions", seen, wishes=Wishes({"unit_id": ""}))
    assert found.derived["unit_id"] == "request"
    assert list(found.extras) == ["user"]


@pytest.mark.parametrize(
    ("values", "style", "words"),
    [
        ([1767225600 + 3600 * number for number in range(10)], "s", "seconds since 1970"),
        ([1767225600000 + 3600 * number for number in range(10)], "ms", "milliseconds since 1970"),
        ([f"{day}/01/2026 10:00" for day in range(11, 21)], "day_first", "the day first, such as 31/01/2030 10:00"),
        ([f"01/{day}/2026" for day in range(11, 21)], "month_first", "the month first, such as 01/31/2030 10:00"),
        ([f"{day}.01.2026" for day in range(1, 11)], "day_first", "the day first, such as 31/01/2030 10:00"),
        ([f"202601{day}" for day in range(11, 21)], "compact", "digits of a day, such as 20300131"),
    ],
)
def test_the_writing_of_instants_is_seen_and_said(facts: Look, values: list[object], style: str, words: str) -> None:
    found = guess_mapping("predictions", facts(id=IDS, ts=values, score=SCORES))
    assert found.assigned["occurred_at"].style == style
    assert f"ts is written as {words}" in found.assumptions


def test_a_date_that_could_be_two_is_asked_for(facts: Look) -> None:
    seen = facts(id=IDS, ts=[f"{number}/{number}/2026" for number in range(1, 11)], score=SCORES)
    with pytest.raises(ArgumentError) as refused:
        guess_mapping("predictions", seen)
    assert str(refused.value) == (
        "own.csv: whether day or month comes first in ts (1/1/2026) is not clear: day-first (as in Europe), "
        "month-first (as in the United States). Say it with --dates day-first or --dates month-first, or take the "
        "first with --yes"
    )
    found = guess_mapping("predictions", seen, wishes=Wishes(dates="month-first"))
    assert found.assigned["occurred_at"].style == "month_first"


def test_an_order_of_dates_that_cannot_be_is_refused(facts: Look) -> None:
    seen = facts(id=IDS, ts=[f"{day}/01/2026" for day in range(11, 21)], score=SCORES)
    with pytest.raises(ArgumentError) as refused:
        guess_mapping("predictions", seen, wishes=Wishes(dates="month-first"))
    assert str(refused.value) == ("own.csv: ts is not written month-first, but the day first, such as 31/01/2030 10:00")


def test_dates_that_nothing_needs_are_read_as_the_others_are(facts: Look) -> None:
    both = [f"{number}/{number}/2026" for number in range(1, 11)]
    seen = facts(id=IDS, ts=[f"01/{day}/2026" for day in range(11, 21)], score=SCORES, due=both)
    found = guess_mapping("predictions", seen)
    assert found.styles == {"due": "month_first"}
    told = "due is taken as written with the month first, such as 01/31/2030 10:00; say otherwise with --dates"
    assert told in found.assumptions


@pytest.mark.parametrize(
    ("name", "factor", "said"),
    [
        ("latency_ms", 1.0, None),
        ("latency_s", 1000.0, "latency_s is in s: times 1000 it is latency_ms"),
        ("response_time", 1.0, "response_time is in milliseconds"),
    ],
)
def test_the_unit_of_a_latency_is_read_off_its_name_or_assumed(
    facts: Look, name: str, factor: float, said: str | None
) -> None:
    found = guess_mapping("predictions", facts(id=IDS, ts=TIMES, score=SCORES, **{name: 0.2}))
    assert found.assigned["latency_ms"].factor == factor
    assert [each for each in found.assumptions if "latency" in each or "milli" in each] == ([said] if said else [])


def test_kinds_of_further_columns_are_those_of_their_values(facts: Look) -> None:
    columns = {"zip": "01234", "flag": "yes", "n": 3, "seen": TIMES, "release_name": "1.2.3", "empty": ""}
    found = guess_mapping("predictions", facts(id=IDS, ts=TIMES, score=SCORES, **columns))
    kinds = {name: column.kind for name, column in found.extras.items()}
    assert kinds == {
        "zip": "text",
        "flag": "boolean",
        "n": "number",
        "seen": "instant",
        "release_name": "text",
        "empty": "text",
    }


def test_labels_of_two_words_need_the_one_that_is_a_yes(facts: Look) -> None:
    seen = facts(id=IDS, outcome=["good", "bad"] * 5)
    with pytest.raises(ArgumentError) as refused:
        guess_mapping("outcomes", seen, binary=True)
    assert str(refused.value) == (
        "own.csv: no column looks like label (yes or no); outcome is none: it holds no yes and no, but values such as "
        "'bad'; write yes and no, or 1 and 0, or say which is yes: --positive bad or --positive good. Name it with "
        "--map label=COLUMN; columns that are left: outcome"
    )
    found = guess_mapping("outcomes", seen, binary=True, wishes=Wishes(positive="bad"))
    assert own(found)["label"] == "outcome"


def test_labels_without_a_time_count_as_known_with_their_request(facts: Look) -> None:
    found = guess_mapping("outcomes", facts(id=IDS, label=[0, 1] * 5, comment="x"))
    assert found.derived == {"observed_at": "request"}
    assert found.left_out == ("comment",)
    assert found.assumptions == (
        "no column says when a label was known: each counts as known when its request was made",
        "left out, as outcomes has no such columns: comment",
    )


def test_labels_known_on_a_day_are_known_when_it_ends(facts: Look) -> None:
    days = [time[:10] for time in TIMES]
    found = guess_mapping("outcomes", facts(id=IDS, label=[0, 1] * 5, label_date=days))
    assert found.assumptions[-1] == "label_date holds days without a time of day: taken as when the day ends (UTC)"


def test_labels_in_a_file_of_predictions_are_told_by_their_name(facts: Look) -> None:
    seen = facts(id=IDS, ts=TIMES, score=SCORES, actual=[0, 1] * 5, label_time=TIMES, amount=1)
    assert label_columns(seen) == {"actual", "label_time"}
    assert label_columns(facts(id=IDS, ts=TIMES, score=SCORES, amount=1)) == set()


def test_ids_are_told_by_the_other_file(facts: Look, tmp_path: Path) -> None:
    twice = [f"r{number // 2}" for number in range(10)]  # two versions have answered each request
    predictions = facts("p.csv", id=[f"x{number}" for number in range(10)], case_no=twice, ts=TIMES, score=SCORES)
    labels = facts("l.csv", case_no=[f"r{number}" for number in range(10)], label=[0, 1] * 5)
    with open_engine(tmp_path) as engine:
        (found,) = shared_ids(predictions, labels, engine)
    assert (found.own, found.other, found.share) == ("case_no", "case_no", 1.0)
    mapping = guess_mapping("predictions", predictions, shared={"case_no": "all are there"})
    assert own(mapping)["request_id"] == "case_no"
    assert mapping.assigned["request_id"].why == "its values; all are there"


def test_other_tables_go_by_the_names_of_the_contract(facts: Look) -> None:
    seen = facts(feedback_id=IDS, occurred_at=TIMES, request_id=IDS, rating=3)
    assert set(own(guess_mapping("feedback", seen))) == {"feedback_id", "occurred_at", "request_id", "rating"}
    with pytest.raises(ArgumentError) as refused:
        guess_mapping("feedback", facts(feedback_id=IDS, rating=3))
    assert str(refused.value) == (
        "own.csv: no column looks like occurred_at (an instant). Name it with --map occurred_at=COLUMN; columns that "
        "are left: none are left"
    )
