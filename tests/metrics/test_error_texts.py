"""What failed requests said: fingerprints, the same in the engine as in Python, and their counts against pandas."""

from __future__ import annotations

from datetime import UTC, datetime

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make_events, write_workspace
from toolkit.data import open_source
from toolkit.errors import ContractError
from toolkit.metrics.error_texts import (
    MASKS,
    _fingerprint,
    count_error_texts,
    masked_parts,
    normalise_text,
    shorten_text,
)
from toolkit.windows import Window

SAME = [
    (
        "user <quoted> not found (id <value>), HTTP 404 after <value> s",
        [
            "user 'ada' not found (id 8f2a11c09d), HTTP 404 after 30.5 s",
            "user 'grace h.' not found (id 12345678), HTTP 404 after 300 s",
            "user  'x'\nnot found (id 9d0c11a2f8), HTTP 404 after 1 s",
        ],
    ),
    ("HTTP/<value> 503 at <value>", ["HTTP/1.1 503 at 2030-01-31T12:00:00.25Z", "HTTP/2 503 at 2030-01-31 12:00"]),
    ("status=500, code: 17", ["status=500, code: 17"]),
    ("status=404, code: 17", ["status=404, code: 17"]),
    ("can't open <path>: errno 2", ["can't open /var/lib/a.db: errno 2", "can't open C:\\data\\b.db: errno 2"]),
    ("no answer from <value>", ["no answer from 10.0.0.1:8080", "no answer from 192.168.17.254:80"]),
    ("GET <url> failed", ["GET https://a.example/x?id=1 failed", "GET s3://bucket/key failed"]),
    ("mail to <email> bounced", ["mail to ada@example.org bounced"]),
    (
        "request <value> failed",
        [
            "request 8fa2c1d0-1111-2222-3333-444455556666 failed",
            "request r01234 failed",
            "request aa84d1 failed",
            "request aaaa39 failed",
            "request b4c7e failed",
        ],
    ),
    ("shape [<value>]", ["shape [1, 2, 3]", "shape [-4, 5e-05]", "shape [17]"]),
    ("cannot cast float64 to int32", ["cannot cast float64 to int32"]),
    ("added facade to cafe, base64 of v2", ["added facade to cafe, base64 of v2"]),
    ("KeyError: <quoted>", ['KeyError: "temp_f"', "KeyError: 'humidity'", "KeyError: `carrier`"]),
    ("bad words <quoted>", ["bad words 'a', 'b'", "bad words 'c', 'd', 'e'"]),
]


@pytest.mark.parametrize(("fingerprint", "texts"), SAME)
def test_messages_that_are_one_kind_have_one_fingerprint(fingerprint, texts):
    assert {normalise_text(text) for text in texts} == {fingerprint}


def test_kinds_are_told_apart():
    fingerprints = [fingerprint for fingerprint, _ in SAME]
    assert len(set(fingerprints)) == len(fingerprints)


def test_what_was_masked_is_named():
    assert masked_parts("user <quoted> not found (id <value>), HTTP 404 after <value> s") == {
        "quoted value": 1,
        "number or identifier": 2,
    }
    assert masked_parts("out of memory") == {}


def test_an_example_keeps_its_small_numbers_and_nothing_else():
    text = "user 'ada' (u1234567, a@b.org) timed out after 3000 ms, order 123456 in /home/ada, retry 2"
    assert shorten_text(text) == (
        "user <quoted> (<value>, <email>) timed out after 3000 ms, order <value> in <path>, retry 2"
    )


def test_a_long_message_is_cut_and_keeps_its_fingerprint():
    frame = "at module.function (line 12) "
    assert normalise_text(frame * 60) == normalise_text(frame * 90)
    assert len(normalise_text(frame * 60)) == 300


def by_duckdb(texts):
    table = ibis.memtable({"place": range(len(texts)), "text": texts}, schema={"place": "int64", "text": "string"})
    found = table.select("place", fingerprint=_fingerprint(table.text, "duckdb")).order_by("place")
    return ibis.duckdb.connect().execute(found)["fingerprint"].tolist()


def test_the_engine_makes_the_same_of_every_kind():
    texts = [text for _, several in SAME for text in several]
    assert by_duckdb(texts) == [normalise_text(text) for text in texts]


PIECES = st.sampled_from(
    ["user", "'ada'", '"', "'", "`", "/tmp/x", "C:\\x", "404", "status", "code", ":", "=", "-", "0x1f", "deadbeef12",
     "r01234", "a@b.org", "https://x.org/y", "1.5", "1e-05", "2030-01-31", "12:00:00Z", ",", "(", ")", "[", "¤",
     "<value>", " ", "\n", "é", "東京", "float64", "http/1.1"]
)  # fmt: skip  # its lines group what belongs together


@settings(max_examples=40)
@given(st.lists(st.lists(PIECES, min_size=1, max_size=8), min_size=1, max_size=20))
def test_the_engine_makes_the_same_of_anything(lines):
    texts = [joint.join(line) for line in lines for joint in ("", " ")]
    assert by_duckdb(texts) == [normalise_text(text) for text in texts]


@given(st.lists(PIECES, min_size=1, max_size=8).map(" ".join))
def test_a_fingerprint_is_its_own(text):
    """Masking twice changes nothing but numbers that were kept: a marker is never shown."""
    assert "¤" not in normalise_text(text)


def test_patterns_use_only_what_all_engines_know():
    for mask in MASKS:
        assert "(?" not in mask.pattern
        assert not {"\\d", "\\s", "\\w", "\\b"} & {mask.pattern[at : at + 2] for at in range(len(mask.pattern))}


START, MIDDLE, END = (pd.Timestamp(day, tz="UTC") for day in ("2013-04-01", "2013-04-22", "2013-04-29"))
AS_OF = datetime(2013, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """Served requests of which one in twenty fails, with four kinds of message, and some without any."""
    predictions, outcomes = make_events(requests=6000)
    rng = np.random.default_rng(3)
    kinds = rng.integers(0, 5, len(predictions))
    numbers = rng.integers(1, 10**6, len(predictions))
    texts = np.select(
        [kinds == 0, kinds == 1, kinds == 2, kinds == 3],
        [
            [f"timeout after {number} ms" for number in numbers],
            [f"user 'u{number}' not found: HTTP 404" for number in numbers],
            "out of memory",
            " ",
        ],
        default=None,
    )
    predictions["unit_id"] = [f"u{unit}" for unit in rng.integers(0, 60, len(predictions))]
    predictions["error_text"] = np.where(predictions["error"] | (numbers < 1000), texts, None)
    return write_workspace(tmp_path_factory.mktemp("failing"), predictions, outcomes)


def count(workspace, **options):
    earlier, current = Window.of("2013-04-01", "2013-04-22"), Window.of("2013-04-22", "2013-04-29")
    source = open_source(workspace)
    return count_error_texts(source, "small", earlier=earlier, current=current, as_of=AS_OF, **options)


def test_counts_are_those_of_pandas(failing):
    found = count(failing.workspace)
    rows = failing.predictions
    rows = rows[rows["served"] & (rows["occurred_at"] >= START) & (rows["occurred_at"] < END)]
    said = rows[rows["error"] & rows["error_text"].fillna("").str.strip().ne("")].copy()
    said["fingerprint"] = said["error_text"].map(normalise_text)
    said["day"] = said["occurred_at"].dt.date
    now = said[said["occurred_at"] >= MIDDLE]
    assert found.ever == said["fingerprint"].nunique() == 3
    assert found.fingerprints == now["fingerprint"].nunique() == 3
    assert [text.requests for text in found.texts] == sorted((text.requests for text in found.texts), reverse=True)
    for text in found.texts:
        mine, all_mine = (part[part["fingerprint"] == text.fingerprint] for part in (now, said))
        assert (text.requests, text.users, text.texts) == (
            len(mine), mine["unit_id"].nunique(), mine["error_text"].nunique(),
        )  # fmt: skip  # its lines group what belongs together
        assert text.example in set(mine["error_text"])
        assert text.request_id in set(mine["request_id"])
        assert {day.day: day.requests for day in text.days} == all_mine.groupby("day").size().to_dict()
        assert text.days[0].first_at == all_mine["occurred_at"].min()
        assert text.days[-1].last_at == all_mine["occurred_at"].max()
    assert sum(day.requests for day in found.days) == len(rows)
    assert sum(day.failed for day in found.days) == rows["error"].sum()
    assert sum(day.unsaid for day in found.days) == rows["error"].sum() - len(said)


def test_only_the_most_frequent_come_back_and_the_others_are_counted(failing):
    found = count(failing.workspace, most=1)
    assert len(found.texts) == 1
    assert (found.fingerprints, found.ever) == (3, 3)
    assert found.texts == count(failing.workspace).texts[:1]


def test_a_quiet_window_has_no_messages(failing):
    source = open_source(failing.workspace)
    earlier, current = Window.of("2013-01-01", "2013-01-08"), Window.of("2013-01-08", "2013-01-15")
    found = count_error_texts(source, "small", earlier=earlier, current=current, as_of=AS_OF)
    assert (found.texts, found.fingerprints, found.days) == ((), 0, ())


def test_predictions_without_the_column_say_so(small):
    with pytest.raises(ContractError, match="unknown column 'error_text'"):
        count(small.workspace)
