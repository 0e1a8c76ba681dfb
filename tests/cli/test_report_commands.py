from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli.run import read_parameters
from toolkit.errors import ParameterError

Run = Callable[..., Any]


def test_run_prints_reference_and_page_last_and_progress_on_stderr(call: Run, tiny: Path) -> None:
    done = call("run", "greets", "-p", "city=rome")
    page = tiny / "reports" / "greets" / "rome" / "v0001" / "report.html"
    assert (done.code, done.out) == (0, f"greets/rome@1\n{page}\n")
    assert page.is_file()
    told = done.err.splitlines()
    assert told[0] == "==> checking the parameters of greets"
    assert told[-1] == "==> published greets/rome@1"
    assert all(line.startswith("==> ") for line in told)


def test_run_with_json_is_one_document(call: Run, tiny: Path) -> None:
    document = call("run", "greets", "--parameter", "levels=5", "--json").document
    folder = tiny / "reports" / "greets" / "oslo" / "v0001"
    assert document["reference"] == "greets/oslo@1"
    assert (document["folder"], document["page"]) == (str(folder), str(folder / "report.html"))
    assert document["manifest"]["parameters"] == {"city": "oslo", "levels": 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["greet"], "unknown template 'greet'; allowed: "),
        (["greets", "-p", "ctiy=rome"], "unknown parameter 'ctiy'; allowed: city, levels. Did you mean 'city'?\n"),
        (["greets", "-p", "levels=many"], "levels == 'many', must be "),
        (["greets", "-p", "city"], "-p 'city', must be key=value, such as -p experiment=delay-v2\n"),
        (["greets", "-p", "=rome"], "-p '=rome', must be key=value, such as -p experiment=delay-v2\n"),
        (["greets", "-p", "city=a", "-p", "city=b"], "parameter 'city' is given twice: 'a' and 'b'\n"),
    ],
)
def test_run_with_a_typo_exits_2_and_runs_nothing(call: Run, tiny: Path, arguments: list[str], message: str) -> None:
    done = call("run", *arguments)
    assert (done.code, done.out) == (2, "")
    assert f"error: {message}" in done.err
    assert "starting the kernel" not in done.err
    assert call("reports", "list", "--json").document == {"reports": []}


def test_an_unknown_template_comes_with_the_nearest(call: Run, tiny: Path) -> None:
    assert call("run", "greet").err.endswith("Did you mean 'greets'?\n")


def test_a_run_that_fails_exits_1_and_says_where_its_notebook_is(call: Run, tiny: Path) -> None:
    done = call("run", "fails", "--json")
    assert done.code == 1
    error = done.document["error"]
    assert (error["type"], error["exit_code"]) == ("RunError", 1)
    assert error["message"].startswith("fails failed in code cell ")
    assert "ZeroDivisionError: division by zero. The half-run notebook is reports/failed/fails/all/" in error["message"]
    assert f"error: {error['message']}\n" in done.err
    assert call("ledger", "log", "--json").document["entries"][0]["kind"] == "report.failed"


def test_a_run_that_is_refused_exits_3_with_the_reason(call: Run, tiny: Path) -> None:
    done = call("run", "waits")
    assert (done.code, done.out) == (3, "")
    assert done.err.endswith("refused (NotReady): ready on 2013-05-01\n")
    entry = call("ledger", "log", "--json").document["entries"][0]
    assert entry["kind"] == "report.refused"
    assert "ready on 2013-05-01" in json.dumps(entry["payload"])


@pytest.mark.parametrize("value", ["", "a=b", " spaced ", '{"a": 1}'])
def test_a_parameter_is_split_at_its_first_equals_sign(value: str) -> None:
    assert read_parameters([f"key={value}"]) == {"key": value}


def test_a_parameter_without_a_key_is_refused() -> None:
    with pytest.raises(ParameterError, match="must be key=value"):
        read_parameters(["=x"])


def test_reports_list(call: Run, published: Path) -> None:
    listed = call("reports", "list", "--json").document["reports"]
    assert [row["reference"] for row in listed] == ["greets/oslo@1", "greets/oslo@2"]
    assert listed[1]["folder"] == str(published / "reports" / "greets" / "oslo" / "v0002")
    assert [(row["as_of"], row["problem"]) for row in listed] == [(None, None)] * 2
    lines = call("reports", "list").out.splitlines()
    assert lines[0].split() == ["reference", "as_of", "published", "headline"]
    assert [line.split()[0] for line in lines[1:]] == ["greets/oslo@1", "greets/oslo@2"]


def test_reports_list_of_an_empty_archive_says_what_to_do(call: Run, tiny: Path) -> None:
    message = "nothing is published yet; run a template: 'toolkit templates', 'toolkit run NAME'\n"
    assert call("reports", "list") == (0, "", message)


def test_one_damaged_manifest_does_not_hide_the_other_reports(call: Run, published: Path) -> None:
    (published / "reports" / "greets" / "oslo" / "v0001" / "manifest.json").write_text("{", encoding="utf-8")
    listed = call("reports", "list", "--json").document["reports"]
    assert listed[0]["problem"].startswith("greets/oslo@1: manifest.json cannot be read")
    assert listed[1]["problem"] is None
    assert call("reports", "list").out.splitlines()[0].split()[-1] == "problem"
    assert call("ledger", "verify").code == 0


def test_reports_show_the_latest_and_a_number(call: Run, published: Path) -> None:
    document = call("reports", "show", "greets/oslo", "--json").document
    assert (document["reference"], document["manifest"]["parameters"]["levels"]) == ("greets/oslo@2", 4)
    assert "results" not in document
    document = call("reports", "show", "greets/oslo@1", "--rows", "--json").document
    assert (document["manifest"]["parameters"]["levels"], document["results"]["rows"]) == (3, [])
    shown = call("reports", "show", "greets/oslo@1").out
    assert shown.startswith("reference: greets/oslo@1\n")
    assert "\nparameters:\n  city: oslo\n  levels: 3\n" in shown


def test_reports_show_rows(call: Run, published: Path) -> None:
    row = {
        "record": "effects",
        "key": "brier",
        "segment": "",
        "comparison": "treatment - control",
        "statistic": "difference",
        "value": -0.0123,
        "ci_lower": -0.02,
        "ci_upper": -0.004,
        "unit": "",
        "reason": "",
    }
    absent = row | {"value": None, "ci_lower": None, "ci_upper": None, "reason": "no labels"}
    path = published / "reports" / "greets" / "oslo" / "v0002" / "results.json"
    path.write_text(json.dumps({"schema_version": 1, "rows": [row, absent]}), encoding="utf-8")
    table = call("reports", "show", "greets/oslo", "--rows").out.splitlines()[-3:]
    assert [" ".join(line.split()) for line in table] == [
        "record key segment comparison statistic value interval",
        "effects brier treatment - control difference -0.0123 -0.02 to -0.004",
        "effects brier treatment - control difference absent (no labels)",
    ]


def test_a_reference_with_a_typo_comes_with_the_nearest(call: Run, published: Path) -> None:
    done = call("reports", "show", "greets/olso")
    expected = "unknown report 'greets/olso'; allowed: greets/oslo. Did you mean 'greets/oslo'?"
    assert (done.code, done.err) == (2, f"error: {expected}\n")


def test_reports_verify(call: Run, published: Path) -> None:
    assert call("reports", "verify", "--all") == (0, "verified 2 reports\n", "")
    assert call("reports", "verify", "greets/oslo") == (0, "verified 1 report\n", "")
    document = call("reports", "verify", "greets/oslo@1", "greets/oslo@2", "greets/oslo@1", "--json").document
    assert document == {"verified": ["greets/oslo@1", "greets/oslo@2"], "problems": []}


@pytest.mark.parametrize("arguments", [[], ["greets/oslo", "--all"]])
def test_reports_verify_wants_references_or_all(call: Run, published: Path, arguments: list[str]) -> None:
    message = "error: name the reports to verify, or give --all for every one; not both\n"
    assert call("reports", "verify", *arguments) == (2, "", message)


@pytest.mark.parametrize("name", ["report.html", "report.ipynb", "results.json", "manifest.json"])
def test_one_flipped_byte_exits_4_naming_the_file(call: Run, published: Path, name: str) -> None:
    file = published / "reports" / "greets" / "oslo" / "v0001" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    done = call("reports", "verify", "--all")
    assert (done.code, done.out) == (4, "")
    lines = done.err.splitlines()
    assert lines[0] == "verification failed:"
    assert lines[1].startswith(f"greets/oslo@1: {name} ")
    done = call("reports", "verify", "--all", "--json")
    assert (done.code, done.document["problems"]) == (4, lines[1:])


def test_ledger_log_is_the_newest_first_and_can_be_narrowed(call: Run, published: Path) -> None:
    entries = call("ledger", "log", "--json").document["entries"]
    assert [(entry["sequence"], entry["subject"]) for entry in entries] == [(2, "greets/oslo@2"), (1, "greets/oslo@1")]
    narrowed = call("ledger", "log", "--subject", "greets/oslo@1", "--kind", "report.published", "--json")
    assert [entry["sequence"] for entry in narrowed.document["entries"]] == [1]
    assert len(call("ledger", "log", "--limit", "1", "--json").document["entries"]) == 1
    lines = call("ledger", "log").out.splitlines()
    assert lines[0].split() == ["sequence", "recorded_at", "actor", "kind", "subject"]
    assert lines[1].split()[-2:] == ["report.published", "greets/oslo@2"]
    assert call("ledger", "log", "--kind", "report.refused") == (0, "", "no such entries\n")


def test_ledger_of_a_new_workspace(call: Run, tiny: Path) -> None:
    assert call("ledger", "log") == (0, "", "the ledger is empty\n")
    assert call("ledger", "verify") == (0, "verified 0 entries\n", "")


def test_ledger_verify(call: Run, published: Path) -> None:
    assert call("ledger", "verify") == (0, "verified 2 entries\n", "")
    assert call("ledger", "verify", "--json").document == {"entries": 2, "problems": [], "notes": []}


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE {table} SET subject = 'greets/oslo@9' WHERE sequence = 2", "entry 2"),
        ("DELETE FROM {table}", "entry 1"),
    ],
)
def test_a_ledger_that_was_changed_or_cut_off_exits_4(call: Run, published: Path, statement: str, named: str) -> None:
    with sqlite3.connect(published / "ledger" / "ledger.sqlite") as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        (table,) = [name for name in names if "entries" in name]
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(statement.format(table=table))
    connection.close()
    done = call("ledger", "verify")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("verification failed:\n")
    assert named in done.err
    assert call("ledger", "verify", "--json").document["problems"] == done.err.splitlines()[1:]
