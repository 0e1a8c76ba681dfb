from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from own_csv import write_own_csv

from toolkit.cli.findings import inspect_definitions, inspect_tables
from toolkit.data import load_model
from toolkit.metrics import load_metrics
from toolkit.triage import load_teams
from toolkit.workspace import open_workspace

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `predictions.csv` and `labels.csv`."""
    folder = tmp_path_factory.mktemp("own")
    write_own_csv(folder, requests=4_000)
    return folder


@pytest.fixture
def files(own: Path, here: Path) -> Path:
    """The same files in the folder that the test stands in."""
    shutil.copytree(own, here, dirs_exist_ok=True)
    return here


def init(call: Run, *more: str) -> Any:
    return call("init", "churn", "--from", "predictions.csv", "--labels", "labels.csv", *more)


def wrong(root: Path) -> list[str]:
    workspace = open_workspace(root)
    findings = [*inspect_tables(workspace), *inspect_definitions(workspace)]
    return [f"{finding.name}: {finding.what}" for finding in findings if finding.state != "ok"]


def test_own_files_become_a_workspace_whose_definitions_are_complete(call: Run, files: Path) -> None:
    done = init(call, "--timezone", "Europe/Paris")
    assert done.code == 0, done.err
    assert wrong(files / "churn") == []
    workspace = open_workspace(files / "churn")
    assert workspace.settings.name == "churn"
    model = load_model(workspace, "churn")
    assert (model.loss, model.segments, model.label.maturity_days) == ("brier", ("plan", "region"), 5)
    features = ["region", "plan", "tenure_months", "Monthly spend", "comment"]
    assert [feature.name for feature in model.features] == features
    assert {feature.owner for feature in model.features} == {"to be named"}
    assert model.version("4").reference.window.label == "2026-01-25 … 2026-02-14"
    metrics = ["brier", "calibration", "auc", "label_share", "error_rate", "latency", "tenure_months", "monthly_spend"]
    assert list(load_metrics(workspace)) == metrics
    assert load_teams(workspace)["churn"].models == ("churn",)
    assert done.out.splitlines()[-1] == "next: cd churn, then 'toolkit doctor', then 'toolkit run triage'"


def test_what_is_found_and_assumed_is_said_on_the_terminal_and_in_the_files(call: Run, files: Path) -> None:
    out = init(call).out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:3] == [
        "predictions.csv → predictions",
        "contract own column why",
        "request_id Prediction ID its name; 99.9% shared with prediction in labels.csv",
    ]
    settings = (files / "churn" / "toolkit.toml").read_text(encoding="utf-8")
    assumed = [
        line.removeprefix("  - ") for line in out.split("\nproposed ")[0].splitlines() if line.startswith("  - ")
    ]
    assert len(assumed) >= 6
    assert [each for each in assumed if f"#   assumed: {each}\n" not in settings] == []
    assert any(each.startswith("created_at without a time zone: taken as UTC") for each in assumed)
    model = (files / "churn" / "models" / "churn.yml").read_text(encoding="utf-8")
    assert "decision_threshold: 0.5    # assumed\n" in model
    assert "maturity_days: 5    # 90% of the labels that are there had arrived by then\n" in model
    assert "  - models/churn.yml: a score of 0.5 or more is a yes (assumed)" in out.splitlines()


def test_messy_rows_are_counted_and_kept(call: Run, files: Path) -> None:
    document = init(call, "--json").document
    predictions, labels = document["imports"]
    assert predictions["rows"] == 4_000 + 1 - 4
    counted = {each["reason"]: each["rows"] for each in predictions["quarantined"]}
    assert counted == {
        "score is no number": 1,
        "score is infinite": 1,
        "the line has fewer values than the header": 1,
        "the key (request_id × model × version) came before in the file; the first row is kept": 1,
    }
    assert (files / "churn" / predictions["quarantine"]).is_file()
    notes = [each.partition(":")[0] for each in labels["assumptions"][-2:]]
    assert notes == ["labels of requests that are not among the predictions", "labels that are a yes"]
    assert (document["command"], document["waiting"]) == ("toolkit run triage", "")
    assert document["definitions"] == ["metrics.yml", "models/churn.yml", "teams.yml"]


def test_later_files_are_added_and_the_same_ones_are_not(
    call: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(call)
    lines = (files / "predictions.csv").read_text(encoding="utf-8-sig").splitlines()
    (files / "more.csv").write_text(f"{lines[0]}\n{lines[5].replace('P-', 'N-')}\n", encoding="utf-8")
    monkeypatch.chdir(files / "churn")
    again = call("import", "predictions", "../predictions.csv")
    assert again.code == 0
    assert again.out.splitlines()[-1].startswith("predictions.csv was imported already, as data/predictions/")
    more = call("import", "predictions", "../more.csv", "--dates", "day-first", "--json").document
    assert (more["imports"][0]["rows"], more["imports"][0]["constants"]["model"]) == (1, "churn")
    assert wrong(files / "churn") == []


def test_an_import_into_an_empty_workspace_points_the_settings_at_it(
    call: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("init", "w")
    monkeypatch.chdir(files / "w")
    assert call("import", "predictions", "../predictions.csv", "--set", "model=churn").code == 0
    assert call("import", "outcomes", "../labels.csv", "--map", "request_id=prediction").code == 0
    tables = open_workspace(files / "w").settings.tables
    assert {name: table.path for name, table in tables.items()} == {
        "predictions": "data/predictions",
        "outcomes": "data/outcomes",
    }
    left = {line.partition(":")[0] for line in wrong(files / "w")}
    assert left == {"models/", "teams.yml"}


def wide(path: Path, *, days: int, request_id: bool = True) -> None:
    rows = [("id," if request_id else "") + "when,p,actual,shop"]
    for number in range(days * 24):
        day, hour = divmod(number, 24)
        instant = f"2026-{1 + day // 28:02d}-{1 + day % 28:02d} {hour:02d}:00:00"
        cells = [instant, f"{0.1 + number % 8 / 10:.1f}", str(number % 3 % 2), "AB"[number % 2]]
        rows.append(",".join([f"r{number}", *cells] if request_id else cells))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize("request_id", [True, False])
def test_labels_may_stand_in_the_file_of_the_predictions(call: Run, here: Path, request_id: bool) -> None:
    wide(here / "churn scores.csv", days=28, request_id=request_id)
    document = call("init", "w", "--from", "churn scores.csv", "--json").document
    predictions, outcomes = document["imports"]
    assert (predictions["rows"], outcomes["rows"]) == (28 * 24, 28 * 24)
    assert "actual" not in predictions["kept"]
    assert load_model(open_workspace(here / "w"), "churn-scores").label.maturity_days == 0
    assert wrong(here / "w") == []


def test_labels_that_are_none_can_be_waived(call: Run, here: Path) -> None:
    wide(here / "own.csv", days=28)
    document = call("init", "w", "--from", "own.csv", "--map", "label=", "--json").document
    assert [each["table"] for each in document["imports"]] == ["predictions"]
    assert document["imports"][0]["kept"] == {"actual": "number", "shop": "text"}


def test_labels_in_a_later_file_of_predictions_are_left_out_and_said(
    call: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide(here / "own.csv", days=28)
    call("init", "w")
    monkeypatch.chdir(here / "w")
    wide(here / "numbered.csv", days=29, request_id=False)
    assert call("import", "predictions", "../numbered.csv").code == 0
    assert call("import", "outcomes", "../numbered.csv").code == 0
    out = call("import", "predictions", "../own.csv").out
    assert "  - left out, as labels: actual; import them with 'toolkit import outcomes ../own.csv'" in out.splitlines()
    assert call("import", "outcomes", "../own.csv").code == 0
    assert {line.partition(":")[0] for line in wrong(here / "w")} == {"models/", "teams.yml"}


def test_data_that_are_too_short_say_what_is_missing_and_until_when(call: Run, here: Path) -> None:
    wide(here / "own.csv", days=12)
    done = call("init", "w", "--from", "own.csv")
    assert done.code == 0
    assert done.out.splitlines()[-2:] == [
        "no report can be made yet: version 1 of own has 11 whole days with mature labels, and triage needs 14: a week "
        "to compare with and one to look at. That is so when the data reach 2026-01-15: import them with 'toolkit "
        "import', then 'toolkit run triage -p window_days=7'",
        "next: cd w, then 'toolkit doctor'",
    ]


def test_data_of_some_weeks_get_the_window_that_they_allow(call: Run, here: Path) -> None:
    wide(here / "own.csv", days=28)
    done = call("init", "w", "--from", "own.csv")
    assert done.out.splitlines()[-2:] == [
        "the usual 28 days can be looked at when the data reach 2026-02-05",
        "next: cd w, then 'toolkit doctor', then 'toolkit run triage -p window_days=14'",
    ]


def test_without_labels_there_is_a_workspace_and_what_is_missing(call: Run, files: Path) -> None:
    done = call("init", "w", "--from", "predictions.csv")
    assert done.out.splitlines()[-2:] == [
        "triage needs labels, and there are none yet: toolkit import outcomes FILE",
        "next: cd w, then 'toolkit doctor'",
    ]
    assert wrong(files / "w") == ["table outcomes: no file matches data/outcomes/*.parquet"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--from", "predictoins.csv"],
            "predictoins.csv: there is no such file. Did you mean 'predictions.csv'?",
        ),
        (
            ["--from", "predictions.csv", "--timezone", "Europe/Pariss"],
            "unknown time zone 'Europe/Pariss'; allowed: Africa/Abidjan, ",
        ),
        (
            ["--from", "predictions.csv", "--map", "scor=y_proba"],
            "unknown column of the contract (--map) 'scor'; allowed: ",
        ),
        (
            ["--from", "predictions.csv", "--map", "score=y_prob"],
            "unknown column of predictions.csv 'y_prob'; allowed: Monthly spend, Prediction ID, comment, ",
        ),
        (
            ["--from", "predictions.csv", "--map", "score"],
            "--map 'score', must be contract=own, such as --map request_id=id",
        ),
        (
            ["--from", "predictions.csv", "--set", "served=maybe"],
            "unknown value of served 'maybe'; allowed: false, true.",
        ),
        (
            ["--from", "predictions.csv", "--example", "flights"],
            "--example and --from both fill the workspace; give one of them",
        ),
        (
            ["--labels", "labels.csv"],
            "--labels, --map, --set, --timezone, --dates, --positive and --yes are about own files; give --from FILE",
        ),
        (
            ["--from", "predictions.csv", "--labels", "labels.csv", "--map", "outcomes.request_id=churned_at"],
            "labels.csv: none of its ",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    call: Run, files: Path, arguments: list[str], message: str
) -> None:
    before = sorted(files.iterdir())
    done = call("init", "w", *arguments)
    assert done.code in {2, 3}
    announcement = done.err[done.err.index("error: ") :] if "error: " in done.err else done.err
    assert message in announcement
    assert sorted(files.iterdir()) == before


def test_init_from_does_not_touch_a_folder_that_holds_something(call: Run, files: Path) -> None:
    (files / "churn").mkdir()
    (files / "churn" / "mine").touch()
    expected = "churn is not empty: it holds mine. Choose a new folder, or an empty one"
    assert init(call) == (2, "", f"error: {expected}\n")


def test_a_model_whose_name_is_no_file_name_is_refused(call: Run, files: Path) -> None:
    done = init(call, "--set", "model=churn/xgb")
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: the column model holds 'churn/xgb', which cannot be the name of a file; write it with letters, digits, "
        "- and _, or take one name for all with --map model= --set model=NAME"
    )
    assert not (files / "churn").exists()


def at_a_terminal(arguments: list[str], typed: str) -> tuple[int, str]:
    """Run the toolkit in a terminal where somebody types this; its exit code and all that is seen."""
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "toolkit.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    os.write(main, typed.encode())
    seen = b""
    with contextlib.suppress(OSError):  # Linux says so that the other end is closed
        while chunk := os.read(main, 4096):
            seen += chunk
    os.close(main)
    return process.wait(), seen.decode()


def test_on_a_terminal_what_is_not_clear_is_asked_and_the_rest_confirmed(here: Path) -> None:
    wide(here / "own.csv", days=28)
    text = (
        (here / "own.csv").read_text(encoding="utf-8").replace("when,", "created_at,").replace("shop", "predicted_at")
    )
    rows = [line.rpartition(",")[0] + "," + line.split(",")[1] for line in text.splitlines()]
    (here / "own.csv").write_text("\n".join([*text.splitlines()[:1], *rows[1:]]) + "\n", encoding="utf-8")
    code, seen = at_a_terminal(["init", "w", "--from", "own.csv"], "3\n2\ny\n")
    assert code == 0, seen
    assert "own.csv: which column is occurred_at?" in seen
    assert "  2  predicted_at  (its name)" in seen
    assert "'3' is none of them; type a number from 1 to 2" in seen
    assert "Is this right? [Y/n]" in seen
    (record,) = (here / "w" / "data" / "predictions").glob("*/import.json")
    assert json.loads(record.read_text(encoding="utf-8"))["columns"]["occurred_at"] == "predicted_at"


def test_on_a_terminal_a_no_makes_nothing(here: Path) -> None:
    wide(here / "own.csv", days=28)
    code, seen = at_a_terminal(["init", "w", "--from", "own.csv"], "n\n")
    assert code == 2
    assert "error: nothing was imported; say what is otherwise with --map, --set, --timezone and --dates" in seen
    assert sorted(path.name for path in here.iterdir()) == ["own.csv"]
