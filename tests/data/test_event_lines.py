"""An event as a line: what is written, and what is refused with which words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data import CONTRACTS, Column, json_schema
from toolkit.data.event_lines import MOST_FEATURES, LineEncoder
from toolkit.errors import ContractError

AT = datetime(2030, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
PREDICTION = {
    "request_id": "r1",
    "model": "eta",
    "version": "2",
    "occurred_at": AT,
    "unit_id": "u1",
    "score": 0.25,
    "error": False,
    "served": True,
}


class Carrier(StrEnum):
    """A text that is an enumeration's."""

    AA = "AA"


def encode(table: str = "predictions", **changes: object) -> tuple[str, dict[str, object]]:
    day, line = LineEncoder(CONTRACTS[table]).encode(PREDICTION | changes if table == "predictions" else changes)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    return day, json.loads(line)


def test_an_event_is_a_line_with_its_values_in_utc() -> None:
    oslo = timezone(timedelta(hours=2))
    day, row = encode(occurred_at=datetime(2030, 2, 1, 1, 30, tzinfo=oslo), hour=7, late=True, carrier='A"\n\\é')
    assert day == "2030-01-31"
    expected = {"occurred_at": "2030-01-31T23:30:00Z", "hour": 7, "late": True, "carrier": 'A"\n\\é'}
    assert row == {**PREDICTION, **expected}


def test_what_is_missing_is_left_out() -> None:
    _, row = encode(cost=None, hour=float("nan"), received_at=pd.NaT, carrier=np.nan, score=None)
    assert row == {k: v for k, v in PREDICTION.items() if k != "score"} | {"occurred_at": "2030-01-31T12:00:00.250000Z"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (Carrier.AA, "AA"),
        (10**15, 10**15),
        (-0.0, -0.0),
        (5e-324, 5e-324),
    ],
    ids=repr,
)
def test_numpy_and_enumerations_are_the_values_they_stand_for(value: object, written: object) -> None:
    assert encode(feature=value)[1]["feature"] == written


def test_an_instant_of_pandas_is_written_to_the_microsecond() -> None:
    instant = pd.Timestamp("2030-01-31T12:00:00.123456789", tz="Europe/Oslo")
    assert encode(occurred_at=instant)[1]["occurred_at"] == "2030-01-31T11:00:00.123456Z"


def test_a_boolean_may_stand_for_a_number_of_the_contract() -> None:
    _, row = encode("outcomes", request_id="r", observed_at=AT, label=np.bool_(True))
    assert row["label"] == 1
    assert row["label"] is not True


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unit_id": None, "served": float("nan")}, "unit_id, served must not be missing"),
        ({"score": 2}, "score is 2, must be at most 1"),
        ({"score": -0.5}, "score is -0.5, must be at least 0"),
        ({"score": "high"}, "score is 'high' (str), must be a number"),
        ({"version": 2}, "version is 2 (int), must be text"),
        ({"error": 0}, "error is 0 (int), must be a boolean"),
        ({"score": float("nan")}, "score must not be NaN unless error is true (None says that there is none)"),
        ({"latency_ms": float("inf")}, "latency_ms is inf, must be finite, and in 64 bits if it is whole"),
        ({"feature": 2**63}, "feature is 9223372036854775808, must be finite, and in 64 bits if it is whole"),
        (
            {"occurred_at": datetime(2030, 1, 31)},  # noqa: DTZ001 - that is the mistake
            "occurred_at has no time zone; give it one, such as datetime.now(UTC)",
        ),
        (
            {"occurred_at": 1_900_000_000.0},
            "occurred_at is 1900000000.0 (float), must be an instant (a datetime with a time zone)",
        ),
        ({"since": AT}, "since is an instant; declare it: features={'since': 'instant'}"),
        ({"Score": 0.5}, "column 'Score' is there in another spelling, and engines take the two for one"),
        ({"note": "x" * (1 << 20)}, "the event has 1,048,734 bytes; at most 1,048,576 are written"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_an_event_that_breaks_the_contract_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ContractError) as caught:
        encode(**changes)
    assert str(caught.value) == f"predictions: {problem}"


def test_a_score_may_be_nan_where_the_request_failed() -> None:
    assert "score" not in encode(score=float("nan"), error=True)[1]


@pytest.mark.parametrize(
    ("table", "event", "problem"),
    [
        (
            "feedback",
            {"feedback_id": "f", "occurred_at": AT},
            "feedback: unit_id must not be missing where request_id is",
        ),
        (
            "incidents",
            {
                "incident_id": "i", "model": "m", "severity": "s", "opened_at": AT,
                "resolved_at": AT - timedelta(microseconds=1),
            },
            "incidents: resolved_at must not be before opened_at",
        ),
        (
            "exposures",
            {"experiment": "e", "unit_id": "u", "varaint": "a", "exposed_at": AT},
            (
                "exposures: unknown column 'varaint'; allowed: experiment, exposed_at, unit_id, variant. "
                "Did you mean 'variant'?"
            ),
        ),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_rules_between_columns(table: str, event: dict[str, object], problem: str) -> None:
    with pytest.raises(ContractError) as caught:
        encode(table, **event)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    "value", [object(), [1], {"a": 1}, np.zeros(3), b"x", complex(1)], ids=lambda v: type(v).__name__
)
def test_a_value_of_no_kind_is_a_type_error(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(feature=value)


def test_half_a_character_cannot_be_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode(carrier="\ud800")


def test_a_feature_stays_of_the_kind_that_it_was_first() -> None:
    encoder = LineEncoder(CONTRACTS["predictions"], {"hour": Column("number")})
    encoder.encode(PREDICTION | {"carrier": None})
    encoder.encode(PREDICTION | {"carrier": "AA", "hour": 7})
    for change, problem in (
        ({"carrier": 3}, "carrier is 3 (int), must be text"),
        ({"hour": "seven"}, "hour is 'seven' (str), must be a number"),
    ):
        with pytest.raises(ContractError, match=problem.replace("(", r"\(").replace(")", r"\)")):
            encoder.encode(PREDICTION | change)
    assert encoder.columns["carrier"].kind == "text"


def test_ids_that_are_taken_for_names_do_not_fill_the_memory() -> None:
    encoder = LineEncoder(CONTRACTS["predictions"])
    for number in range(MOST_FEATURES):
        encoder.encode(PREDICTION | {f"f{number}": 1.0})
    with pytest.raises(ContractError, match="is one more than 1,000 beside those of the contract"):
        encoder.encode(PREDICTION | {"another": 1.0})


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_EVENTS = st.fixed_dictionaries(
    {"request_id": _TEXT, "model": _TEXT, "version": _TEXT, "unit_id": _TEXT}
    | {"occurred_at": st.datetimes(timezones=st.just(UTC)), "error": st.booleans(), "served": st.booleans()},
    optional={
        "score": st.floats(0, 1),
        "threshold": st.floats(allow_nan=False, allow_infinity=False),
        "cost": st.integers(-(2**62), 2**62),
        "x": st.none() | st.floats(allow_nan=True, allow_infinity=False),
    },
)


@given(_EVENTS)
def test_what_is_written_is_what_was_given_and_valid_by_the_schema(event: dict[str, object]) -> None:
    day, line = LineEncoder(CONTRACTS["predictions"]).encode(event)
    row = json.loads(line)
    jsonschema.Draft7Validator(json_schema("predictions")).validate(row)
    assert day == f"{event['occurred_at']:%Y-%m-%d}".rjust(10, "0")
    given = {k: v for k, v in event.items() if v is not None and v == v}  # noqa: PLR0124 - NaN is left out
    given["occurred_at"] = row["occurred_at"]
    assert datetime.fromisoformat(row["occurred_at"]) == event["occurred_at"]
    assert row == given
