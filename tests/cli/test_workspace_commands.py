from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import toolkit.examples
from toolkit.cli.findings import Finding, inspect, inspect_definitions
from toolkit.cli.schemas import KINDS
from toolkit.data import CONTRACTS, load_model
from toolkit.experiments import load as load_plan
from toolkit.metrics import load_metrics, load_objectives
from toolkit.triage import load_ideas, load_teams
from toolkit.workspace import open_workspace
from toolkit.workspace.creation import SKELETON

Run = Callable[..., Any]
WITHOUT_GIT = "git is missing, so the workspace is no repository and reports name no commit of its definitions"
WITH_GIT = "made a git repository; commit the definitions, so that reports can name the commit they used"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if ".git" not in path.parts)


@needs_git
def test_init_makes_a_workspace_and_says_what_is_next(call: Run, here: Path) -> None:
    done = call("init", "w")
    assert done == (0, f"made the workspace {here / 'w'}\nnext: cd into it, then 'toolkit doctor'\n", f"{WITH_GIT}\n")
    laid = {path.relative_to(SKELETON).as_posix() for path in SKELETON.rglob("*")} - {"gitignore"}
    assert {"toolkit.toml", "metrics.yml", "models/model.yml.example", "teams.yml.example"} <= laid
    made = {".gitignore", "data", "notebooks", "templates", ".vscode", ".vscode/settings.json", ".toolkit"}
    schemas = {".toolkit/schemas", *(f".toolkit/schemas/{kind.schema_file}" for kind in KINDS)}
    events = {".toolkit/schemas/events", *(f".toolkit/schemas/events/{table}.schema.json" for table in CONTRACTS)}
    assert set(files(here / "w")) == laid | made | schemas | events
    assert [path.name for path in here.iterdir()] == ["w"]
    ignored = ["data/x", "reports/x", "ledger/x", "cache/x"]
    command = ["git", "-C", str(here / "w"), "check-ignore", *ignored]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ignored


def test_every_file_of_a_new_workspace_is_valid_and_so_is_every_example_once_copied(call: Run, here: Path) -> None:
    call("init", "w")
    root = here / "w"
    for example in root.rglob("*.example"):
        shutil.copy(example, example.with_suffix(""))
    assert "wrong" not in {finding.state for finding in inspect_definitions(open_workspace(root))}
    workspace = open_workspace(root)
    assert set(load_metrics(workspace)) == {"brier", "calibration", "error_rate"}
    assert load_model(workspace, "model").loss == "brier"
    assert load_plan(workspace, "experiment").treatments == ("treatment",)
    assert load_teams(workspace)["my-team"].models == ("model",)
    assert list(load_ideas(workspace)) == ["idea"]
    assert list(load_objectives(workspace)) == ["good-scores"]


def test_init_with_json_is_one_document(call: Run, here: Path, without_git: None) -> None:
    done = call("init", "w", "--json")
    assert done.document == {"workspace": str(here / "w"), "example": None, "repository": WITHOUT_GIT}
    assert done.err == f"{WITHOUT_GIT}\n"


def test_init_fills_an_empty_folder_even_the_current_one(call: Run, here: Path) -> None:
    assert call("init", ".").code == 0
    assert (here / "toolkit.toml").is_file()
    assert Path.cwd().samefile(here)
    assert [path.name for path in here.parent.iterdir()] == ["here"]


@needs_git
def test_init_inside_a_repository_makes_none(call: Run, here: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(here)], check=True)
    done = call("init", "w")
    assert done.err == f"the workspace lies in the git repository {here}, so it was given none of its own\n"
    assert not (here / "w" / ".git").exists()


def test_init_refuses_a_folder_that_is_not_empty(call: Run, here: Path) -> None:
    for name in "fedcba":
        (here / name).touch()
    expected = ". is not empty: it holds a, b, c, d, e, … (6 in all). Choose a new folder, or an empty one"
    assert call("init", ".") == (2, "", f"error: {expected}\n")
    assert len(list(here.iterdir())) == 6


def test_init_refuses_a_workspace_and_a_file(call: Run, here: Path) -> None:
    (here / "w").mkdir()
    (here / "w" / "toolkit.toml").touch()
    expected = "w is a workspace already: it holds toolkit.toml. Choose a new folder, or an empty one"
    assert call("init", "w") == (2, "", f"error: {expected}\n")
    expected = "w/toolkit.toml is a file; choose the name of a new folder, or of an empty one"
    assert call("init", "w/toolkit.toml") == (2, "", f"error: {expected}\n")


def test_init_in_a_place_that_cannot_be_written(call: Run, here: Path) -> None:
    (here / "file").touch()
    done = call("init", "file/w")
    assert done.code == 2
    assert done.err == f"error: file/w cannot be made: Not a directory ({here / 'file'})\n" or (
        done.err == f"error: file/w cannot be made: File exists ({here / 'file'})\n"
    )


def test_an_unknown_example_is_refused_before_anything_is_made(call: Run, here: Path) -> None:
    done = call("init", "w", "--example", "flihgts")
    expected = "unknown example 'flihgts'; allowed: flights. Did you mean 'flights'?"
    assert done == (2, "", f"error: {expected}\n")
    assert list(here.iterdir()) == []


def test_init_with_the_example_tells_its_progress(call: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(root: Path, *, progress: Callable[[str], None]) -> None:
        progress("flights: reading")
        (root / "toolkit.toml").write_text("example", encoding="utf-8")

    monkeypatch.setattr(toolkit.examples, "build_flights", build)
    done = call("init", "w", "--example", "flights")
    assert done.code == 0
    assert done.err.splitlines()[0] == "==> flights: reading"
    assert (here / "w" / "toolkit.toml").read_text(encoding="utf-8") == "example"


@pytest.mark.parametrize(("error", "code"), [(OSError("disk full"), None), (KeyboardInterrupt(), 130)])
def test_an_init_that_fails_or_is_interrupted_leaves_nothing(
    call: Run, here: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int | None
) -> None:
    def build(root: Path, *, progress: Callable[[str], None]) -> NoReturn:
        (root / "toolkit.toml").touch()
        raise error

    monkeypatch.setattr(toolkit.examples, "build_flights", build)
    if code is None:
        with pytest.raises(OSError, match="disk full"):
            call("init", "w", "--example", "flights")
    else:
        assert call("init", "w", "--example", "flights").code == code
    assert list(here.iterdir()) == []


def test_doctor_without_a_workspace(call: Run, here: Path) -> None:
    done = call("doctor", "--json")
    assert (done.code, done.document["passed"]) == (2, False)
    found = done.document["findings"][-1]
    assert (found["name"], found["state"], found["fix"]) == ("workspace", "missing", "toolkit init DIR, then cd DIR")
    assert found["what"].startswith(f"no workspace here: neither {here} nor a folder above it has a toolkit.toml.")


def test_doctor_lists_what_a_new_workspace_lacks_and_how_to_get_it(
    call: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("init", "w")
    monkeypatch.chdir(here / "w")
    done = call("doctor")
    assert done.code == 2
    assert done.err == "something is wrong: see the column fix\n"
    rows = [line for line in done.out.splitlines() if " missing " in line and not line.startswith(("git", "extra"))]
    fix = "put Parquet files there, or correct"
    assert [" ".join(row.split()) for row in rows] == [
        *(
            f"table {name} missing no file matches data/{name}/*.parquet {fix} [tables.{name}] in toolkit.toml"
            for name in ("outcomes", "predictions")
        ),
        "models/ missing no model is defined copy models/model.yml.example to models/<key>.yml and fill it in",
        "teams.yml missing no capacity is stated copy teams.yml.example to teams.yml and fill it in",
    ]
    assert " wrong " not in done.out


@pytest.fixture
def sound(small: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small workspace, in which doctor finds nothing wrong."""
    root = here / "small"
    shutil.copytree(small.workspace.root, root, ignore=shutil.ignore_patterns("reports", "ledger"))
    monkeypatch.chdir(root)
    return root


def problems() -> list[Finding]:
    return [finding for finding in inspect() if finding.needed and finding.state != "ok"]


def test_doctor_of_a_sound_workspace_exits_0(call: Run, sound: Path) -> None:
    done = call("doctor")
    assert (done.code, done.err) == (0, "all is well\n")
    assert problems() == []
    ok = {finding.name for finding in inspect() if finding.state == "ok"}
    files = {"metrics.yml", "models/small.yml", "teams.yml", "toolkit.toml", "reports/", "ledger/", "ledger"}
    assert files | {"table predictions", "table outcomes", "workspace", "python", "toolkit", "kernel"} <= ok


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("toolkit.toml", "schema_version = 2\nname = ''\n[tables]\n", "toolkit.toml:2: name is '': "),
        ("metrics.yml", "metrics: {}\n", "metrics.yml:1: metrics is {}: "),
        ("models/small.yml", "key: other\n", "models/small.yml: key 'name' is missing"),
        ("teams.yml", "", "teams.yml: is empty; it must be a mapping with keys teams"),
        ("objectives.yml", "objectives: {}\n", "objectives.yml:1: objectives is {}: "),
        ("schedule.yml", "scedules: {}\n", "schedule.yml: key 'schedules' is missing\n"),
        ("experiments/e.yml", "key: e\n", "experiments/e.yml: key 'hypothesis' is missing"),
    ],
)
def test_doctor_names_a_definition_that_is_wrong(sound: Path, path: str, text: str, what: str) -> None:
    (sound / path).parent.mkdir(exist_ok=True)
    (sound / path).write_text(text, encoding="utf-8")
    (found,) = problems()
    assert (found.name, found.state, found.fix) == (path, "wrong", "correct the file")
    assert found.what.startswith(what)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("ideas/a.yml", "ideas/a.yml: key 'kind' is missing\n"),
        ("debt/a.yml", "debt/a.yml: key 'title' is missing\n"),
        ("ideas/a.yaml", "ideas/a.yaml: a definition file ends in .yml; rename it"),
        ("models/a.yaml", "models/a.yaml: a definition file ends in .yml; rename it"),
    ],
)
def test_doctor_names_a_folder_of_definitions_that_is_wrong(sound: Path, path: str, what: str) -> None:
    (sound / path).parent.mkdir(exist_ok=True)
    (sound / path).write_text("key: a\n", encoding="utf-8")
    (found,) = problems()
    assert (found.name, found.state) == (f"{path.partition('/')[0]}/", "wrong")
    assert found.what.startswith(what)


@pytest.mark.parametrize(("version", "fix"), [(1, "toolkit upgrade"), (3, "install a newer toolkit")])
def test_doctor_says_how_a_workspace_of_another_version_is_opened(sound: Path, version: int, fix: str) -> None:
    text = (sound / "toolkit.toml").read_text(encoding="utf-8")
    (sound / "toolkit.toml").write_text(text.replace("version = 2", f"version = {version}"), encoding="utf-8")
    (found,) = problems()
    assert (found.name, found.state, found.fix) == ("toolkit.toml", "wrong", fix)


@pytest.mark.parametrize(
    ("old", "new", "what", "fix"),
    [
        (
            '  "1":',
            '  "0":',
            "unknown version of model small '1'; allowed: 0. Predictions from 2013-03-01 to 2013-04-30 have it",
            "add it under versions: in models/small.yml, with the period that it was trained on and its reference "
            "period",
        ),
        (
            'reference: {start: "2013-03-01", end: "2013-04-01"}',
            'reference: {start: "2012-03-01", end: "2012-04-01"}',
            "reference of version 1 is 2012-03-01 … 2012-03-31, when it has no predictions; they are of "
            "2013-03-01 … 2013-04-30",
            "give it a period that has predictions",
        ),
    ],
)
def test_doctor_names_versions_that_no_report_can_look_at(
    call: Run, sound: Path, old: str, new: str, what: str, fix: str
) -> None:
    file = sound / "models" / "small.yml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    (found,) = [finding for finding in inspect() if finding.name == "models/small.yml" and finding.state != "ok"]
    assert found == Finding("models/small.yml", "wrong", what, fix, needed=False)
    done = call("doctor")
    assert (done.code, done.err) == (0, "what is needed is well, and something else is wrong: see the column fix\n")


def test_doctor_names_columns_that_the_contract_needs(sound: Path) -> None:
    import pandas as pd

    file = sound / "data" / "predictions.parquet"
    pd.read_parquet(file).drop(columns=["served", "unit_id"]).to_parquet(file)
    (found,) = problems()
    fix = "add them to the files, or map your own names in [tables.predictions.columns] of toolkit.toml"
    what = "columns that the contract needs are absent: served, unit_id"
    assert found == Finding("table predictions", "wrong", what, fix)


def test_doctor_names_a_file_that_is_not_parquet(sound: Path) -> None:
    (sound / "data" / "outcomes.parquet").write_text("no", encoding="utf-8")
    (found,) = problems()
    assert (found.name, found.state) == ("table outcomes", "wrong")
    assert found.what.startswith("outcomes: the data could not be read: ")


def test_doctor_names_a_table_that_no_contract_knows(sound: Path) -> None:
    with (sound / "toolkit.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[tables.predictons]\npath = "data/predictions.parquet"\n')
    (found,) = problems()
    assert found.name == "table predictons"
    assert found.what.endswith("Did you mean 'predictions'?")
    assert found.fix == "rename or remove [tables.predictons] in toolkit.toml"


def test_doctor_names_a_table_that_everything_needs(tiny: Path) -> None:
    found = {finding.name: finding for finding in problems()}
    fix = "add [tables.predictions] with a path to toolkit.toml"
    assert found["table predictions"] == Finding("table predictions", "missing", "not configured", fix)
    assert found["metrics.yml"].state == "missing"


def test_doctor_names_a_ledger_that_is_not_one(sound: Path) -> None:
    (sound / "ledger").mkdir()
    (sound / "ledger" / "ledger.sqlite").write_text("not a database, and long enough to be looked at", encoding="utf-8")
    (found,) = problems()
    assert (found.name, found.state) == ("ledger", "wrong")


def test_doctor_names_a_folder_that_cannot_be_written(sound: Path) -> None:
    (sound / "reports").write_text("a file in its place", encoding="utf-8")
    (found,) = problems()
    path = sound / "reports"
    assert found == Finding("reports/", "wrong", f"{path} cannot be written", f"chmod u+wx {path}")


def test_doctor_says_that_git_is_missing_and_that_it_is_not_needed(sound: Path, without_git: None) -> None:
    (git,) = [finding for finding in inspect() if finding.name == "git"]
    assert git == Finding("git", "missing", "reports name no commit", "install git", needed=False)
    assert problems() == []
