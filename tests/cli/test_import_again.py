"""What was said of the columns of a file once holds for the next file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

Run = Callable[..., Any]
HEADER = "call,at,p,customer,took,offered"


def write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


def requests(prefix: str, *, score: float = 1.0) -> list[list[object]]:
    return [
        [f"{prefix}{n}", f"2026-01-{1 + n % 28:02d} 12:00:00", score * (n % 9) / 10, f"c{n % 50}", 10 + n % 7, "yes"]
        for n in range(280)
    ]


def labels(prefix: str, words: Sequence[object]) -> list[list[object]]:
    return [[f"{prefix}{n}", words[n % 7 == 0], f"2026-02-{1 + n % 28:02d}"] for n in range(280)]


@pytest.fixture
def workspace(call: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose files were read as the command line said."""
    write(here / "first.csv", HEADER, requests("r"))
    write(here / "labels.csv", "call,state,known_on", labels("r", ["active", "left"]))
    said = ["--map", "unit_id=customer", "--map", "latency_ms=took", "--map", "decision=offered", "--set", "version=7"]
    said += ["--timezone", "Europe/Berlin", "--map", "observed_at=known_on", "--positive", "left"]
    done = call("init", "w", "--from", "first.csv", "--labels", "labels.csv", *said, "--yes")
    assert done.code == 0, done.err
    monkeypatch.chdir(here / "w")
    return here


def rows(workspace: Path, table: str, what: str) -> list[tuple[Any, ...]]:
    found = duckdb.connect().execute("SET TimeZone = 'UTC'")
    return found.execute(f"SELECT {what} FROM '{workspace}/w/data/{table}/*/*.parquet'").fetchall()


def test_columns_constants_and_time_zone_are_those_of_the_file_before(call: Run, workspace: Path) -> None:
    write(workspace / "next.csv", HEADER, requests("n"))
    done = call("import", "predictions", "../next.csv", "--json")
    assert done.code == 0, done.err
    (found,) = done.document["imports"]
    assert found["columns"]["unit_id"] == {"own": "customer", "why": "as imported before"}
    assert found["constants"]["version"] == "7"
    told = "at without a time zone: in Europe/Berlin, as imported before; say otherwise with --timezone, such as "
    assert f"{told}--timezone Europe/Paris" in found["assumptions"]
    what = (
        "count(*), count(DISTINCT unit_id), count(latency_ms), count(decision), min(version), min(occurred_at::VARCHAR)"
    )
    assert rows(workspace, "predictions", what) == [(560, 50, 560, 560, "7", "2026-01-01 11:00:00+00")]


def test_what_is_said_comes_before_what_was(call: Run, workspace: Path) -> None:
    write(workspace / "next.csv", HEADER, requests("n"))
    said = ["--map", "unit_id=", "--map", "decision=", "--map", "served=offered", "--set", "version=8"]
    found = call("import", "predictions", "../next.csv", *said, "--timezone", "UTC", "--json").document["imports"][0]
    assert (found["derived"]["unit_id"], found["columns"]["served"]["own"]) == ("request", "offered")
    assert found["constants"]["version"] == "8"
    assert rows(workspace, "predictions", "max(occurred_at::VARCHAR)") == [("2026-01-28 12:00:00+00",)]


def test_a_column_that_is_new_is_guessed_and_one_that_was_kept_is_not(call: Run, workspace: Path) -> None:
    renamed = HEADER.replace("offered", "release")
    write(workspace / "next.csv", f"{renamed},segment", [[*row[:-1], "v9", "a"] for row in requests("n")])
    found = call("import", "predictions", "../next.csv", "--json").document["imports"][0]
    assert found["columns"]["version"] == {"own": "release", "why": "its name may mean it"}
    assert found["kept"] == {"segment": "text"}


def test_a_file_without_the_score_is_refused_unless_that_is_said(call: Run, workspace: Path) -> None:
    without = [[*row[:2], *row[3:]] for row in requests("n")]
    write(workspace / "next.csv", HEADER.replace("p,", ""), without)
    refused = call("import", "predictions", "../next.csv")
    assert refused.code == 2
    assert (
        "it was p in what was imported before. Name it with --map score=COLUMN, or --map score= if there is none"
        in (refused.err)
    )
    assert rows(workspace, "predictions", "count(*)") == [(280,)]
    assert call("import", "predictions", "../next.csv", "--map", "score=").code == 0


def test_a_score_that_no_longer_is_one_is_refused(call: Run, workspace: Path) -> None:
    write(workspace / "next.csv", HEADER, requests("n", score=100.0))
    refused = call("import", "predictions", "../next.csv")
    assert refused.code == 2
    assert "p, which was score in what was imported before, cannot be score: it must lie between 0 and 1" in refused.err


def test_the_word_that_is_a_yes_is_remembered_and_said(call: Run, workspace: Path) -> None:
    write(workspace / "next.csv", HEADER, requests("n"))
    assert call("import", "predictions", "../next.csv").code == 0
    write(workspace / "more.csv", "call,state,known_on", labels("n", ["active", "left"]))
    done = call("import", "outcomes", "../more.csv")
    assert done.code == 0, done.err
    assert "labels that are a yes: 40 of 280 (14.3%)" in done.out.splitlines()
    assert rows(workspace, "outcomes", "count(*), sum(label)") == [(560, 80)]


@pytest.mark.parametrize(
    ("words", "positive", "message"),
    [
        (["active", "left"], "gone", "it holds 'active' and 'left', and the yes is said to be 'gone'"),
        ([0, 1], "ja", "it holds '0' and '1', and the yes is said to be 'ja'"),
        (["active", "left"], None, "or say which is yes: --positive active or --positive left"),
    ],
)
def test_a_yes_that_no_label_says_is_refused(
    call: Run, here: Path, words: list[object], positive: str | None, message: str
) -> None:
    write(here / "first.csv", HEADER, requests("r"))
    write(here / "labels.csv", "call,label,known_on", labels("r", words))
    said = ["--positive", positive] if positive else []
    refused = call("init", "w", "--from", "first.csv", "--labels", "labels.csv", *said, "--yes")
    assert refused.code == 2
    assert message in refused.err
    assert not (here / "w").exists()


def test_a_yes_that_none_of_several_words_is_is_refused(call: Run, here: Path) -> None:
    write(here / "first.csv", HEADER, requests("r"))
    several = [[name, ["active", "left", "asleep"][n % 3], day] for n, (name, _, day) in enumerate(labels("r", [0, 1]))]
    write(here / "labels.csv", "call,label,known_on", several)
    refused = call("init", "w", "--from", "first.csv", "--labels", "labels.csv", "--positive", "gone", "--yes")
    assert "none of its 280 labels is 'gone', which is said to be the yes; label holds values such as" in refused.err
    assert not (here / "w").exists()


def test_a_label_that_is_neither_is_left_out_where_labels_are_yes_and_no(call: Run, here: Path) -> None:
    write(here / "first.csv", HEADER, requests("r"))
    given = labels("r", [0, 1])
    given[5][1] = 2
    write(here / "labels.csv", "call,label,known_on", given)
    document = call("init", "w", "--from", "first.csv", "--labels", "labels.csv", "--yes", "--json").document
    reasons = {each["reason"]: each["rows"] for each in document["imports"][1]["quarantined"]}
    assert reasons == {"label is not from 0 to 1": 1}


def test_a_column_is_mapped_or_set_but_not_both(call: Run, here: Path) -> None:
    write(here / "first.csv", HEADER, requests("r"))
    refused = call("init", "w", "--from", "first.csv", "--map", "unit_id=customer", "--set", "unit_id=3", "--yes")
    assert refused.err.strip() == "error: --map unit_id and --set unit_id are both given; a column has one or the other"


def test_requests_of_one_file_that_have_no_label_yet_are_no_wrong_rows(call: Run, here: Path) -> None:
    """Most of them may wait: of a model in use the last weeks do."""
    known = {name: (label, day) for name, label, day in labels("r", [0, 1])[:80]}
    both = [[*row, *known.get(row[0], ("", ""))] for row in requests("r")]
    write(here / "both.csv", f"{HEADER},label,observed_on", both)
    document = call("init", "w", "--from", "both.csv", "--yes", "--json").document
    outcomes = document["imports"][1]
    assert outcomes["columns"]["observed_at"]["own"] == "observed_on"
    assert (outcomes["rows"], outcomes["quarantined"]) == (80, [])
    assert outcomes["assumptions"][-2:] == [
        "requests without a label yet: 200",
        "labels that are a yes: 12 of 80 (15.0%)",
    ]


@pytest.mark.parametrize("written", [lambda n: f"{n}.0", str])
def test_ids_that_another_program_wrote_otherwise_are_told(
    call: Run, here: Path, written: Callable[[int], str]
) -> None:
    """A data frame with a missing value makes 7.0 of 7, and a spreadsheet 7 of 0007."""
    numbered = [[f"{n:04d}", *row[1:]] for n, row in enumerate(requests("r"))]
    write(here / "first.csv", HEADER, numbered)
    write(
        here / "labels.csv", "call,label,known_on", [[written(n), *row[1:]] for n, row in enumerate(labels("", [0, 1]))]
    )
    refused = call("init", "w", "--from", "first.csv", "--labels", "labels.csv", "--yes")
    assert (
        "predictions such as '0000'; without zeros in front and .0 behind 280 are the same: write both files alike"
        in (refused.err)
    )
