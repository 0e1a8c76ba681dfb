from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from toolkit.data import open_source
from toolkit.workspace import open_workspace

Run = Callable[..., Any]
EVER = datetime(9999, 1, 1, tzinfo=UTC)
TABLE = '\n[tables.feedback]\npath = "data/feedback/*.jsonl"\n'
NOTHING = "Nothing was added.\n"


def configure(root: Path, table: str = TABLE) -> None:
    file = root / "toolkit.toml"
    file.write_text(file.read_text(encoding="utf-8") + table, encoding="utf-8")


def held(root: Path) -> list[dict[str, Any]]:
    """The reports that the toolkit reads, by id."""
    columns = ["request_id", "unit_id", "rating", "category", "text"]
    frame = open_source(open_workspace(root)).read("feedback", columns, as_of=EVER).execute()
    frame = frame.sort_values("feedback_id").astype("object")
    return frame.where(frame.notna(), None).to_dict("records")


def write_lines(path: Path, *reports: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(report) + "\n" for report in reports), encoding="utf-8")
    return path


def test_a_report_is_added_and_read_with_the_table(call: Run, tiny: Path) -> None:
    configure(tiny)
    done = call("feedback", "add", "--id", "f1", "--at", "2030-01-31T13:00+01:00", "--request", "r1", "--rating", "4",
                "--category", "wrong", "--text", "It said yes.")  # fmt: skip  # its lines group what belongs together
    (file,) = (tiny / "data" / "feedback").iterdir()
    assert done == (0, f"added: 1 report in data/feedback/{file.name}; there already: 0 reports\n", "")
    (report,) = held(tiny)
    assert report == {
        "feedback_id": "f1",
        "occurred_at": datetime(2030, 1, 31, 12, tzinfo=UTC),
        "request_id": "r1",
        "unit_id": None,
        "rating": 4.0,
        "category": "wrong",
        "text": "It said yes.",
    }


def test_without_a_time_and_an_id_it_was_said_now_and_is_named_by_its_content(call: Run, tiny: Path) -> None:
    configure(tiny)
    before = datetime.now(UTC)
    call("feedback", "add", "--unit", "u1", "--rating", "1")
    (report,) = held(tiny)
    assert before <= report["occurred_at"] <= datetime.now(UTC)
    assert report["feedback_id"].startswith("f-")
    assert len(report["feedback_id"]) == 18


def test_a_table_that_is_not_configured_is_laid_and_named(call: Run, tiny: Path) -> None:
    done = call("feedback", "add", "--id", "f1", "--unit", "u1")
    assert done.code == 0
    assert (
        done.err == 'no report reads it until toolkit.toml has\n\n[tables.feedback]\npath = "data/feedback/*.jsonl"\n\n'
    )
    again = call("feedback", "add", "--id", "f1", "--unit", "u1", "--json").document
    assert again == {
        "added": [],
        "present": ["f1"],
        "file": None,
        "to_configure": '[tables.feedback]\npath = "data/feedback/*.jsonl"',
    }
    configure(tiny, "\n" + again["to_configure"] + "\n")
    assert [report["feedback_id"] for report in held(tiny)] == ["f1"]


def test_a_report_is_added_once(call: Run, tiny: Path) -> None:
    configure(tiny)
    file = write_lines(
        tiny / "said.jsonl",
        {"feedback_id": "a", "request_id": "r1", "rating": 5},
        {"feedback_id": "b", "occurred_at": "2030-01-31T12:00:00Z", "unit_id": "u", "text": "näe"},
        {"feedback_id": "b", "occurred_at": "2030-01-31T12:00:00Z", "unit_id": "u", "text": "näe"},
    )
    assert call("feedback", "add", "--from", file, "--json").document["added"] == ["a", "b"]
    more = write_lines(tiny / "more.jsonl", {"feedback_id": "b", "unit_id": "u"}, {"feedback_id": "c", "unit_id": "u"})
    done = call("feedback", "add", "--from", more, "--json").document
    assert (done["added"], done["present"]) == (["c"], ["b"])
    assert [report["feedback_id"] for report in held(tiny)] == ["a", "b", "c"]
    assert call("feedback", "add", "--from", file).out == "added: 0 reports; there already: 2 reports\n"


def test_what_a_user_said_is_not_changed(call: Run, tiny: Path) -> None:
    configure(tiny)
    call("feedback", "add", "--id", "f1", "--unit", "u1", "--rating", "4")
    done = call("feedback", "add", "--id", "f1", "--unit", "u2", "--rating", "3")
    assert done == (
        2,
        "",
        "error: the report: feedback_id 'f1' is there already with another unit_id, rating; what a user said is not "
        "changed, so give it another id. " + NOTHING,
    )
    both = write_lines(tiny / "both.jsonl", {"feedback_id": "x", "unit_id": "u"}, {"feedback_id": "x", "unit_id": "v"})
    assert call("feedback", "add", "--from", both).err == (
        "error: line 2: feedback_id 'x' stands in line 1 too, with other words\n" + NOTHING
    )


def test_many_come_from_standard_input(call: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tiny)
    monkeypatch.setattr("sys.stdin", io.StringIO('\n{"feedback_id": "a", "unit_id": "u"}\n\n'))
    assert call("feedback", "add", "--from", "-", "--json").document["added"] == ["a"]


def test_every_problem_is_named_and_nothing_is_added(call: Run, tiny: Path) -> None:
    configure(tiny)
    file = write_lines(
        tiny / "said.jsonl",
        {"feedback_id": "good", "unit_id": "u"},
        {"ratign": 1, "unit_id": "u"},
        {"rating": "high", "unit_id": "u"},
        {"rating": 1},
        {"unit_id": "u", "occurred_at": "2030-01-31T12:00"},
        {"unit_id": "u", "text": ["a"]},
    )
    done = call("feedback", "add", "--from", file)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "error: line 2: unknown column of feedback 'ratign'; allowed: category, feedback_id, occurred_at, rating, "
        "request_id, text, unit_id. Did you mean 'rating'?",
        "line 3: rating is 'high' (str), must be a number",
        "line 4: unit_id must not be missing where request_id is",
        "line 5: occurred_at == '2030-01-31T12:00' has no time zone; write '2030-01-31T12:00Z' for UTC",
        "line 6: text is a list, must be text, a number, a boolean, or a datetime",
        "Nothing was added.",
    ]
    assert not (tiny / "data").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"unit_id": "u"}\n{oops}\n', "line 2 is no JSON: Expecting property name enclosed in double quotes: line 1 "),
        ("[1]\n", 'line 1 is no object; write {"request_id": …}. Nothing was added.'),
        ("\n", "holds no report; write one JSON object a line"),
    ],
)
def test_a_file_that_is_no_lines_of_json(call: Run, tiny: Path, content: str, message: str) -> None:
    (tiny / "said.jsonl").write_text(content, encoding="utf-8")
    done = call("feedback", "add", "--from", "said.jsonl")
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize("arguments", [[], ["--from", "x", "--unit", "u"]])
def test_one_report_or_a_file(call: Run, tiny: Path, arguments: list[str]) -> None:
    done = call("feedback", "add", *arguments)
    expected = "describe one report by options such as --request and --text, or give --from FILE; not both"
    assert done == (2, "", f"error: {expected}\n")


def test_a_file_that_is_not_there(call: Run, tiny: Path) -> None:
    done = call("feedback", "add", "--from", "nowhere.jsonl")
    assert done == (2, "", "error: --from nowhere.jsonl cannot be read: No such file or directory\n")


def test_personal_data_are_refused(call: Run, tiny: Path) -> None:
    configure(tiny)
    file = write_lines(
        tiny / "said.jsonl",
        {"unit_id": "u", "text": "fine"},
        {"unit_id": "u", "text": "Write to ada@example.org."},
    )
    done = call("feedback", "add", "--from", file)
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        "refused (Blocked): the feedback holds what looks like personal data, and nothing was added:\n"
        "  line 2, text: e-mail address a…@e….org (sha256:6cb3f5)\n"
        "Take them out, or say in privacy.yml why they may stay (kind, value, reason, owner, expires)\n"
    )
    assert not (tiny / "data").exists()


def test_an_exception_of_the_workspace_lets_them_stay_until_it_expires(call: Run, tiny: Path) -> None:
    configure(tiny)
    arguments = ["feedback", "add", "--unit", "u", "--text", "Write to ada@example.org."]
    for expires, code in ((datetime.now(UTC) + timedelta(days=2), 0), (datetime.now(UTC) - timedelta(days=2), 3)):
        (tiny / "privacy.yml").write_text(
            "exceptions:\n  - {kind: email, value: 'sha256:6cb3f5', reason: our own address, owner: Ada, "
            f"expires: {expires:%Y-%m-%d}}}\n",
            encoding="utf-8",
        )
        assert call(*arguments).code == code


@pytest.mark.parametrize(
    ("path", "folder", "suffix"),
    [
        ("data/feedback/*.parquet", "data/feedback", ".parquet"),
        ("data/feedback/**/*.ndjson", "data/feedback", ".ndjson"),
        ("said/by-*.jsonl", "said", ".jsonl"),
        ("data/feedback", "data/feedback", ".jsonl"),
    ],
)
def test_a_new_file_fits_the_path_of_the_table(call: Run, tiny: Path, path: str, folder: str, suffix: str) -> None:
    configure(tiny, f'\n[tables.feedback]\npath = "{path}"\ncolumns = {{ occurred_at = "created", text = "words" }}\n')
    for number in (1, 2):
        done = call("feedback", "add", "--id", f"f{number}", "--unit", "u", "--text", "hm", "--json").document
        assert Path(done["file"]).parent.as_posix() == folder
        assert Path(done["file"]).suffix == suffix
    assert [(report["feedback_id"], report["text"]) for report in held(tiny)] == [("f1", "hm"), ("f2", "hm")]
    assert call("feedback", "add", "--id", "f1", "--unit", "u", "--text", "hm", "--json").document["present"] == ["f1"]


def test_a_folder_of_parquet_gets_parquet(call: Run, tiny: Path) -> None:
    configure(tiny, '\n[tables.feedback]\npath = "data/feedback/*.parquet"\n')
    call("feedback", "add", "--id", "f1", "--unit", "u")
    settings = (tiny / "toolkit.toml").read_text(encoding="utf-8").replace("/*.parquet", "")
    (tiny / "toolkit.toml").write_text(settings, encoding="utf-8")
    file = call("feedback", "add", "--id", "f2", "--unit", "u", "--json").document["file"]
    assert pq.read_table(tiny / file)["feedback_id"].to_pylist() == ["f2"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            'path = "data/feedback.parquet"',
            "[tables.feedback] in toolkit.toml names one file, 'data/feedback.parquet', and feedback is added as a new "
            "file; name a folder or a pattern, such as path = 'data/feedback/*.jsonl'",
        ),
        (
            'path = "data/feedback/*.csv"',
            "[tables.feedback] in toolkit.toml names 'data/feedback/*.csv'; feedback is added as Parquet or JSON lines "
            "(*.parquet, *.jsonl)",
        ),
        (
            'path = "data/feedback/[ab].jsonl"',
            "[tables.feedback] in toolkit.toml names 'data/feedback/[ab].jsonl'; a new file can be named only where "
            "nothing but * is left open",
        ),
        (
            'source = "warehouse"\ntable = "ml.feedback"\n[sources.warehouse]\nurl = "duckdb://w.duckdb"',
            "feedback lies in ml.feedback in source warehouse ([tables.feedback] in toolkit.toml); add it there: it is "
            "only read from here",
        ),
        (
            'path = "data/feedback/*.jsonl"\nexpressions = { rating = "stars / 5" }',
            "[tables.feedback] in toolkit.toml makes rating by an expression, which cannot be turned round; add it at "
            "its origin",
        ),
    ],
)
def test_a_table_that_takes_no_new_file_says_so(call: Run, tiny: Path, table: str, message: str) -> None:
    configure(tiny, f"\n[tables.feedback]\n{table}\n")
    assert call("feedback", "add", "--unit", "u") == (2, "", f"error: {message}\n")


def test_feedback_outside_a_workspace_is_refused(call: Run, here: Path) -> None:
    assert call("feedback", "add", "--unit", "u").code == 2


def test_feedback_without_a_command_lists_them(call: Run, here: Path) -> None:
    done = call("feedback")
    assert done.code == 2
    assert "Add user reports to the workspace's feedback." in done.err
