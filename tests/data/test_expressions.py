"""What may be written in an expression and what not; what each means on every engine is in tests/engines."""

from __future__ import annotations

import ibis
import pytest

from toolkit.data.contracts import Kind
from toolkit.data.expressions import check_expression, expression_columns, translate, with_columns
from toolkit.errors import ArgumentError

TABLE = ibis.table(
    {
        "latency_s": "float64",
        "stops": "int64",
        "region": "string",
        "error": "boolean",
        "created": "timestamp('UTC')",
        "naive": "timestamp",
        "day": "date",
        "place": "struct<country: string, town: string>",
        "my column": "float64",
    },
    name="t",
)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "'' holds nothing; write one expression, such as 'latency_s * 1000'"),
        ("latency_s; DROP TABLE t", "'latency_s; DROP TABLE t' holds 2 statements; write one expression, such as "),
        ("latency_s +", "'latency_s +' is no SQL expression: "),
        ("latency_s milli seconds", "'latency_s milli seconds' is no SQL expression: Invalid expression"),
        ("'open", '"\'open" is no SQL expression: Error tokenizing'),
        ("SELECT 1", "'SELECT 1': it asks a table; an expression is about the columns of one row"),
        ("(SELECT max(a) FROM t)", "it asks a table"),
        ("EXISTS (SELECT 1)", "it asks a table"),
        ("a IN (SELECT b FROM t)", "it asks a table"),
        ("DROP TABLE t", "'DROP TABLE t': DROP TABLE t may not be written in an expression"),
        ("INSERT INTO t VALUES (1)", "it asks a table"),
        ("COPY t TO 'f'", "it asks a table"),
        ("ATTACH 'f'", "may not be written in an expression"),
        ("sum(a)", "'sum(a)': SUM(a) takes many rows; an expression is about one row"),
        ("a / count(*)", "COUNT(*) takes many rows; an expression is about one row"),
        ("lag(a) OVER (ORDER BY b)", "LAG(a) OVER (ORDER BY b) looks at other rows; an expression is about one row"),
        ("*", "'*': * may not be written in an expression"),
        ("a AS b", "a AS b may not be written in an expression"),
        ("$name", "$name may not be written in an expression"),
        ("[a, b]", "[a, b] may not be written in an expression"),
        ("random()", "RANDOM() is another value in every run; a report must be the same when it is repeated"),
        ("now()", "NOW() is another value in every run"),
        ("created < current_timestamp", "CURRENT_TIMESTAMP is another value in every run"),
        ("getenv('HOME')", "unknown function 'getenv'; allowed: abs, cast, ceil, coalesce, "),
        ("read_text('/etc/passwd')", "unknown function 'read_text'; allowed: "),
        ("pg_sleep(100)", "unknown function 'pg_sleep'"),
        ("flor(a)", "Did you mean 'floor'?"),
        ("trim(LEADING 'x' FROM region)", "LTRIM(region, 'x') may not be written in an expression"),
        ("a COLLATE nocase", "may not be written in an expression"),
    ],
)
def test_what_may_not_be_written_is_refused_before_any_table_is_asked(sql: str, reason: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        check_expression(sql)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (
            "latensy_s * 2",
            "'latensy_s * 2': unknown column 'latensy_s'; allowed: created, day, error, latency_s, my column, naive, "
            "place, region, stops. Did you mean 'latency_s'?",
        ),
        ("place.city", "'place.city': unknown field of place 'city'; allowed: country, town."),
        ("region.x", "'region.x': region is of type string and has no field 'x'"),
        (
            "region * 2",
            "'region * 2': region * 2 does not fit its types or arguments (region is string)",
        ),
        ("region || stops", "region || stops does not fit its types or arguments (region is string, stops is int64)"),
        ("round(latency_s, 2)", "ROUND(latency_s, 2) does not fit its types or arguments (latency_s is float64)"),
        ("latency_s AND error", "latency_s AND error does not fit its types or arguments"),
        (
            "created > 'yesterday'",
            "'yesterday' is compared with a column of type timestamp('UTC') and is no instant, such as "
            "'2030-01-31T12:00:00Z'",
        ),
        (
            "day > '2026-13-01'",
            "'2026-13-01' is compared with a column of type date and is no day, such as '2030-01-31'",
        ),
        (
            "naive > '2026-01-01T00:00:00Z'",
            "'2026-01-01T00:00:00Z' names a time zone, and the column that it is compared with has none",
        ),
        (
            "cast(naive AS timestamptz)",
            "the time has no zone; write which one it is in, such as created AT TIME ZONE 'UTC'",
        ),
        (
            "cast(latency_s AS text)",
            "engines write such numbers differently; make it whole first, with floor(), ceil()",
        ),
        ("cast(created AS text)", "write strftime(TIME, '%Y-%m-%d') for the text of a time"),
        ("cast(stops AS json)", "unknown type 'JSON'; allowed: BIGINT, BOOLEAN, DATE, DOUBLE, FLOAT, INT, SMALLINT, "),
        ("cast(stops AS decimal(10, 2))", "unknown type 'DECIMAL(10, 2)'"),
        ("strftime(created, '%A')", "the format must be a text in quotes with no more than %H, %M, %S, %Y, %d, %m"),
        (
            "extract(century FROM created)",
            "unknown part of a time 'century'; allowed: day, dow, hour, minute, month, year",
        ),
        ("date_trunc('decade', created)", "unknown unit 'DECADE'; allowed: DAY, HOUR, MONTH, QUARTER, WEEK, YEAR."),
        ("created + INTERVAL 1 MONTH", "unknown unit 'MONTH'; allowed: DAY, HOUR, MINUTE, SECOND."),
        ("created + INTERVAL '1.5' HOUR", "must be a whole number of a unit, such as INTERVAL 3 HOUR"),
        ("region LIKE 'a\\_%'", "must compare with a text in quotes without a backslash"),
        ("region LIKE region", "must compare with a text in quotes"),
        ("epoch_ms(stops)", "write to_timestamp(SECONDS), such as to_timestamp(created_ms / 1000)"),
        ("region AT TIME ZONE 'UTC'", "must be a timestamp AT TIME ZONE and a zone in quotes"),
        ("region ->> 1", "[1] may not be written in an expression"),
        ("region ->> region", "must name a key, such as payload->>'score' or payload->>'$.a.b'"),
        ("error + 1", "error + 1 does not fit its types or arguments (error is boolean)"),
        (
            "created - naive",
            "created - naive does not fit its types or arguments (created is timestamp('UTC'), naive is ",
        ),
    ],
)
def test_what_does_not_fit_the_table_is_said(sql: str, reason: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        translate(sql, TABLE)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("sql", "kind", "reason"),
    [
        ("stops + 1", "boolean", "'stops + 1' is of type int64, must be a boolean"),
        ("region", "number", "'region' is of type string, must be a number"),
        ("naive", "instant", "'naive' is of type timestamp, must be an instant"),
        ("error", "text", "'error' is of type boolean, must be a text"),
    ],
)
def test_a_value_of_another_kind_than_asked_for_is_refused(sql: str, kind: Kind, reason: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        translate(sql, TABLE, kind=kind)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("sql", "kind"),
    [("error", "number"), ("error", "boolean"), ("created", "instant"), ("place.town", "text"), ("1", "number")],
)
def test_a_value_of_the_kind_asked_for_is_given(sql: str, kind: Kind) -> None:
    translate(sql, TABLE, kind=kind)


def test_the_columns_that_an_expression_reads_are_known_before_any_table_is() -> None:
    sql = "CASE WHEN place.town = 'X' AND \"my column\" > 1 THEN stops ELSE stops + latency_s END"

    assert expression_columns(sql) == ["place", "my column", "stops", "latency_s"]
    assert expression_columns("'text' || 'text'") == []


def test_all_expressions_see_the_columns_that_there_were() -> None:
    table = ibis.memtable({"a": [1.0], "b": [2.0]})

    swapped = with_columns(table, {"a": "b", "b": "a", "c": "a + b"})

    assert swapped.execute().to_dict("records") == [{"a": 2.0, "b": 1.0, "c": 3.0}]


def test_no_text_of_an_expression_reaches_the_engine() -> None:
    table = ibis.memtable({"a": ["x"]})
    sql = "a = '''; DROP TABLE t; --'"

    assert not table.select(found=translate(sql, table)).execute()["found"].any()
    assert "a''" not in ibis.to_sql(table.select(found=translate("a = 'it''s'", table))).replace("it''s", "")
