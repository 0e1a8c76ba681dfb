"""The contracts as Arrow and JSON Schemas: they say what the toolkit itself demands of a row."""

from __future__ import annotations

import pyarrow as pa
import pytest
from jsonschema import Draft7Validator

from toolkit.data import CONTRACTS, arrow_schema, json_schema
from toolkit.errors import ArgumentError, UnknownNameError


@pytest.mark.parametrize("table", CONTRACTS)
def test_every_table_has_both_schemas_and_every_column_says_what_it_is(table: str) -> None:
    arrow, document = arrow_schema(table), json_schema(table)
    contract = CONTRACTS[table]
    Draft7Validator.check_schema(document)
    assert arrow.names == list(document["properties"]) == list(contract.columns)
    assert all(arrow.field(name).metadata[b"description"] for name in arrow.names)
    assert all(each["description"] for each in document["properties"].values())
    required = {name for name, column in contract.columns.items() if column.required or name in contract.key}
    assert set(document["required"]) == required
    assert {field.name for field in arrow if not field.nullable} == required
    assert arrow.metadata == {
        b"table": table.encode(),
        b"grain": contract.grain.encode(),
        b"key": ", ".join(contract.key).encode(),
    }


def test_kinds_bounds_and_units_of_predictions() -> None:
    arrow = arrow_schema("predictions", features={"distance_km": "number", "carrier": "text", "since": "instant"})
    assert arrow.field("occurred_at").type == arrow.field("since").type == pa.timestamp("us", tz="UTC")
    assert arrow.field("error").type == pa.bool_()
    assert (arrow.field("distance_km").type, arrow.field("carrier").type) == (pa.float64(), pa.string())
    properties = json_schema("predictions")["properties"]
    assert properties["score"] == {
        "type": ["number", "null"],
        "minimum": 0.0,
        "maximum": 1.0,
        "description": "the probability that the model gave to a yes; missing where there is none",
    }
    assert properties["latency_ms"]["description"] == "how long the answer took, in ms"
    assert properties["occurred_at"]["format"] == "date-time"
    assert properties["occurred_at"]["description"] == "when the model answered; in UTC"


@pytest.mark.parametrize(
    ("table", "event", "valid"),
    [
        ("feedback", {"request_id": "r"}, True),
        ("feedback", {"unit_id": "u"}, True),
        ("feedback", {"unit_id": None, "request_id": "r", "rating": None}, True),
        ("feedback", {}, False),
        ("feedback", {"unit_id": None}, False),
        ("feedback", {"unit_id": "u", "ratign": 1}, False),
    ],
)
def test_feedback_names_a_request_or_a_unit(table: str, event: dict[str, object], valid: bool) -> None:
    always = {"feedback_id": "f", "occurred_at": "2030-01-31T12:00:00Z"}
    assert Draft7Validator(json_schema(table)).is_valid(always | event) is valid


def test_declared_features_are_the_only_further_columns() -> None:
    assert json_schema("predictions")["additionalProperties"] == {"type": ["string", "number", "boolean", "null"]}
    declared = json_schema("predictions", features={"hour": "number"})
    assert declared["additionalProperties"] is False
    assert declared["properties"]["hour"] == {"type": ["number", "null"]}


@pytest.mark.parametrize(
    ("table", "features", "message"),
    [
        ("outcomes", {"x": "number"}, "features == x: outcomes takes no columns but those of its contract"),
        ("predictions", {"Score": "number"}, "features: 'Score' is a column of the contract of predictions"),
        (
            "predictions",
            {"x": "nubmer"},
            "unknown kind of the feature 'x' 'nubmer'; allowed: boolean, instant, number, text. Did you mean 'number'?",
        ),
    ],
)
def test_features_that_cannot_be_are_refused(table: str, features: dict[str, str], message: str) -> None:
    for make in (arrow_schema, json_schema):
        with pytest.raises(ArgumentError) as caught:
            make(table, features=features)
        assert str(caught.value) == message


def test_an_unknown_table_comes_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown table 'outcoms'; .* Did you mean 'outcomes'?"):
        json_schema("outcoms")
