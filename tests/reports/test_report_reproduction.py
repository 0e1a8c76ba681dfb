"""Reports made again from what their manifests pin: reproduced, drifted, or not reproducible, each with its reason."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from toolkit.archive import Reference, list_reports, load_manifest, report_folder, versions
from toolkit.archive.changes import Tolerance
from toolkit.archive.compare import Version, compare_versions
from toolkit.digests import digest_bytes, document_bytes
from toolkit.errors import UnknownNameError
from toolkit.ledger import open_ledger
from toolkit.privacy import Redactor
from toolkit.reports import RunRequest, engine, manifest, reproduce_report, run_report
from toolkit.reports.pins import PinError, Pins, find_in_history, find_later_definitions, lay_workspace, read_pins
from toolkit.reports.reproduction import _answer
from toolkit.reports.rerun import Rerun, _choose_kernel, _read_results, _restore_template
from toolkit.reports.templates import read_template
from toolkit.workspace import git_environment, open_workspace
from toolkit.workspace.environment import Actor

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

ADA = Actor("ada", "asserted")
SETTINGS = """\
schema_version = 2
name = "pinned"

[tables.predictions]
path = "../outside/*.parquet"
"""
SUMMING = """\
from toolkit.digests import digest_file
from toolkit.display import notice
from toolkit.records import ResultRow, Shown
from toolkit.workspace import JOURNAL, Definition, Read, ledger_sequence


class Scale(Definition):
    scale: int


class Sum(Shown):
    def to_rows(self):
        total = factor * sum(numbers) * sum(each.scale for each in scales.values())
        return (
            ResultRow(key="all", statistic="total", value=total),
            ResultRow(key="ledger", statistic="entries", value=ledger_sequence()),
        )

    def to_pictures(self):
        return (notice("a sum"),)
"""
READING = """\
path = ws.root / ".." / "outside" / "values.txt"
numbers = [float(number) for number in path.read_text().split()]
JOURNAL.note_read(Read("values", ("value",), None, None, as_of, len(numbers), digest_file(path), "test/1"))
scales = ws.load_folder("scales", Scale, noun="scale")
"""
TEMPLATES = {
    "sums": [
        'factor: int = 2  # times\nas_of: str = ""  # ISO instant, UTC',
        "import toolkit as tk\n\nws = tk.open_workspace()",
        SUMMING,
        READING,
        "tk.reports.save(sum=Sum())",
    ],
    "dices": [
        "sides: int = 6  # of a dice",
        "import secrets\nimport toolkit as tk\nfrom toolkit.records import ResultRow, Shown",
        "class Dice(Shown):\n    def to_rows(self):\n        number = secrets.randbelow(10**12)\n"
        '        return (ResultRow(key="dice", statistic="number", value=number),)',
        "tk.reports.save(dice=Dice())",
    ],
    "silent": ["word: str = 'a'  # any", "len(word)"],
}
OTHER = {"python": "3.99.0", "packages_digest": digest_bytes(b"other")}


def make_notebook(cells):
    tags = [{"tags": ["parameters"]}, *({} for _ in cells[1:])]
    fresh = {"execution_count": None, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": kernel | {"toolkit": {"subject": "all", "reads": []}},
        "cells": [
            {"id": f"c{number}", "cell_type": "code", "metadata": tag, "source": cell} | fresh
            for number, (cell, tag) in enumerate(zip(cells, tags, strict=True))
        ],
    }


def git(root, *arguments):
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=git_environment()).stdout.strip()


def append(ledger, subject):
    moment = datetime(2013, 5, 1, tzinfo=UTC)
    ledger.append(kind="test.noted", subject=subject, payload={}, actor=ADA, effective_at=moment, recorded_at=moment)


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """A workspace in git, beside a folder that its settings name, with one report of each template."""
    root = tmp_path_factory.mktemp("pinned") / "team" / "workspace"
    (root / "templates").mkdir(parents=True)
    (root / "scales").mkdir()
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "values.txt").write_text("1 2 3")
    (root / "toolkit.toml").write_text(SETTINGS)
    (root / "scales" / "one.yml").write_text("scale: 3\n")
    (root / ".gitignore").write_text("reports/\nledger/\n")
    for name, cells in TEMPLATES.items():
        (root / "templates" / f"{name}.ipynb").write_text(json.dumps(make_notebook(cells)))
    if shutil.which("git"):
        git(root, "init", "--quiet")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", "as it was")
    workspace = open_workspace(root)
    with open_ledger(workspace.ledger) as ledger:
        for subject in ("first", "second"):
            append(ledger, subject)
    run_report(RunRequest(root, "sums", {"as_of": "2013-05-01T00:00:00Z"}))
    run_report(RunRequest(root, "dices"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINNED_WORD", "a secret word")
        run_report(RunRequest(root, "silent", {"word": "secret:PINNED_WORD"}))
    return root


@pytest.fixture
def workspace(original, tmp_path):
    """A copy of it, free to be changed."""
    shutil.copytree(original.parent, tmp_path / "team", symlinks=True)
    return open_workspace(tmp_path / "team" / "workspace")


def state_of(workspace):
    """Every file of the workspace but the ledger's own, with its digest."""
    files = (
        path for path in workspace.root.rglob("*") if path.is_file() and workspace.ledger.parent not in path.parents
    )
    return {path.relative_to(workspace.root): digest_bytes(path.read_bytes()) for path in files}


def refusal(workspace, reference="sums/all@1"):
    reproduction = reproduce_report(workspace, reference)
    assert (reproduction.answer, reproduction.comparison) == ("not reproducible", None)
    return reproduction.why


def test_the_same_inputs_reproduce_the_same_bytes_and_leave_nothing(workspace, monkeypatch):
    before, reports = state_of(workspace), list_reports(workspace)
    with open_ledger(workspace.ledger, create=False) as ledger:
        position = ledger.position()
    monkeypatch.setattr(manifest, "describe_environment", lambda: OTHER)
    told = []
    reproduction = reproduce_report(workspace, "sums/all", progress=told.append)
    assert (reproduction.reference, reproduction.answer, reproduction.why) == (
        Reference("sums", "all", 1),
        "reproduced",
        (),
    )
    assert [note.partition(":")[0] for note in reproduction.notes] == [
        "environment, implementation",
        "environment, packages digest",
        "environment, platform",
        "environment, python",
    ]
    assert reproduction.restored == ()
    assert told[:3] == [
        "checking that sums/all@1 is what was published",
        "finding what the manifest pins",
        "starting the kernel",
    ]
    assert state_of(workspace) == before
    assert list_reports(workspace) == reports
    with open_ledger(workspace.ledger, create=False) as ledger:
        assert ledger.position() == position
    assert list((workspace.reports / ".staging").iterdir()) == []
    document = json.loads(document_bytes(reproduction.to_dict()))
    assert (document["schema_version"], document["reference"], document["answer"]) == (1, "sums/all@1", "reproduced")
    assert document["comparison"]["counts"]["same"] == 2


@needs_git
def test_what_is_kept_of_the_data_does_not_answer_for_them(workspace, monkeypatch):
    (workspace.root / "cache").mkdir(exist_ok=True)
    (workspace.root / "cache" / "kept.json").write_text("{}")
    seen = []
    execute = engine.execute

    def note(*arguments, workspace_root, **options):
        seen.append(sorted(entry.name for entry in workspace_root.iterdir()))
        return execute(*arguments, workspace_root=workspace_root, **options)

    monkeypatch.setattr(engine, "execute", note)
    assert reproduce_report(workspace, "sums/all").answer == "reproduced"
    assert "toolkit.toml" in seen[0]
    assert "cache" not in seen[0]


def test_what_has_changed_since_is_restored_from_git(workspace):
    (workspace.root / "scales" / "one.yml").write_text("scale: 4\n")
    (workspace.root / "scales" / "two.yml").write_text("scale: 5\n")
    (workspace.root / "templates" / "sums.ipynb").write_text("{}")
    before = state_of(workspace)
    reproduction = reproduce_report(workspace, "sums/all@1")
    commit = git(workspace.root, "rev-parse", "HEAD")[:12]
    assert (reproduction.answer, reproduction.why) == ("reproduced", ())
    assert reproduction.restored == (
        f"template sums, from git commit {commit}",
        f"scales/one.yml, from git commit {commit}",
        "the workspace without scales/two.yml, which is newer",
    )
    assert state_of(workspace) == before


@needs_git
def test_a_definition_that_came_later_is_not_read(workspace):
    (workspace.root / "scales" / "two.yml").write_text("scale: 5\n")
    reproduction = reproduce_report(workspace, "sums/all@1")
    assert (reproduction.answer, reproduction.restored) == (
        "reproduced",
        ("the workspace without scales/two.yml, which is newer",),
    )


def test_other_data_drift_and_say_which(workspace):
    values = workspace.root.parent / "outside" / "values.txt"
    old = digest_bytes(values.read_bytes())[:19]
    values.write_text("1 2 3 4")
    reproduction = reproduce_report(workspace, "sums/all@1")
    new = digest_bytes(values.read_bytes())[:19]
    assert reproduction.answer == "drifted"
    assert reproduction.why == (
        "the rows: 1 moved, 1 same",
        f"data, values: rows 3; fingerprint {old}… → rows 4; fingerprint {new}…",
    )
    (moved,) = reproduction.comparison.changed
    assert (moved.before["value"], moved.after["value"]) == (36.0, 60.0)
    assert reproduction.comparison.after.name == "the re-run"


def test_a_notebook_that_no_longer_runs_says_where_and_why(workspace):
    (workspace.root.parent / "outside" / "values.txt").unlink()
    (why,) = refusal(workspace)
    assert why == (
        'sums no longer runs: it stops in code cell 5 of 6 (path = ws.root / ".." / "outside" / "values.txt"): '
        "FileNotFoundError: [Errno 2] No such file or directory: './../outside/values.txt'"
    )


def test_a_notebook_that_gives_other_numbers_each_time_has_drifted_without_a_cause(workspace):
    reproduction = reproduce_report(workspace, "dices/all")
    assert reproduction.answer == "drifted"
    assert reproduction.why == (
        "the rows: 1 moved",
        "no recorded input differs: the notebook does not give the same twice, or reads what no manifest records",
    )


def test_a_notebook_that_saves_nothing_is_reproduced_as_far_as_it_runs(workspace, monkeypatch):
    monkeypatch.setenv("PINNED_WORD", "a secret word")
    reproduction = reproduce_report(workspace, "silent/all")
    assert (reproduction.answer, reproduction.notes) == (
        "reproduced",
        ("the notebook saves no results, so all that was made again is that it runs",),
    )


def test_a_secret_that_cannot_be_read_any_more(workspace, monkeypatch):
    monkeypatch.delenv("PINNED_WORD", raising=False)
    (why,) = refusal(workspace, "silent/all")
    assert why.startswith(
        "parameter 'word': secret 'PINNED_WORD' is not there: no environment variable PINNED_WORD is set"
    )


def test_what_a_rerun_says_names_no_place_of_this_machine_and_no_secret(tmp_path):
    row = {"record": "r", "key": str(tmp_path / "data"), "statistic": "word", "value": "hunter22"}
    (tmp_path / "results.json").write_bytes(document_bytes({"schema_version": 1, "rows": [row]}))
    redactor = Redactor([(".", tmp_path)], {"WORD": "hunter22"})
    (told,) = json.loads(_read_results(tmp_path, b"", redactor))["rows"]
    assert (told["key"], told["value"]) == ("./data", "secret:WORD")
    published = (tmp_path / "results.json").read_bytes()
    assert _read_results(tmp_path, published, redactor) == published


def test_without_git_what_has_changed_cannot_be_had(workspace):
    shutil.rmtree(workspace.root / ".git", ignore_errors=True)
    digest = load_manifest(workspace, "sums/all@1")["template"]["digest"]
    one = digest_bytes(b"scale: 3\n")
    (workspace.root / "scales" / "one.yml").write_text("scale: 4\n")
    assert refusal(workspace) == (
        f"the definition scales/one.yml has changed, and the version that was used ({one[:19]}…) is not in the "
        "workspace's git history",
    )
    (workspace.root / "scales" / "one.yml").unlink()
    (workspace.root / "toolkit.toml").write_text(SETTINGS + "\n")
    settings = digest_bytes(SETTINGS.encode())
    assert refusal(workspace) == (
        f"the definition scales/one.yml is gone, and the version that was used ({one[:19]}…) is not in the "
        "workspace's git history",
        f"the definition toolkit.toml has changed, and the version that was used ({settings[:19]}…) is not in the "
        "workspace's git history",
    )
    (workspace.root / "templates" / "sums.ipynb").write_text("{}")
    assert refusal(workspace) == (
        f"the template sums has changed, and the notebook that ran ({digest[:19]}…) is neither here nor in the git "
        "history of templates/sums.ipynb",
    )


def test_a_version_that_was_changed_is_not_run(workspace):
    results = report_folder(workspace, Reference("sums", "all", 1)) / "results.json"
    results.write_bytes(results.read_bytes().replace(b"36.0", b"37.0"))
    assert refusal(workspace) == ("sums/all@1: results.json was changed",)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ([], "the ledger ends at entry 1, and the report read it up to entry 2"),
        (
            ["other", "others"],
            "entry 2 of the ledger is not the one that the report read; 'toolkit ledger verify' says more",
        ),
    ],
)
def test_another_ledger_than_the_one_that_was_read(workspace, before, why):
    shutil.rmtree(workspace.ledger.parent)
    with open_ledger(workspace.ledger) as ledger:
        for subject in before:
            append(ledger, subject)
        versions.record_publication(workspace, ledger, Reference("sums", "all", 1))
    assert refusal(workspace) == (why,)


def test_a_report_that_is_not_there(workspace):
    with pytest.raises(UnknownNameError) as err:
        reproduce_report(workspace, "sum/all")
    assert str(err.value) == (
        "unknown report 'sum/all'; allowed: dices/all, silent/all, sums/all. Did you mean 'sums/all'?"
    )


def test_a_manifest_that_pins_too_little():
    with pytest.raises(PinError) as err:
        read_pins({"schema_version": 0, "template": {"name": "sums", "origin": "workspace", "digest": "sha256:"}})
    assert err.value.reasons == ("its manifest, of schema 0, does not pin all that a run needs: 'parameters'",)


def test_a_template_that_this_toolkit_does_not_run(tmp_path):
    pins = Pins("sums", "workspace", "sha256:", {}, {}, 0, "sha256:", None, None)
    with pytest.raises(PinError) as refused:
        _restore_template(tmp_path, pins, b"{}")
    assert refused.value.reasons == (
        "this toolkit does not take the template any more: templates/sums.ipynb: not a notebook of format 4 (no list "
        "of cells); open it in JupyterLab and save it again",
    )
    with pytest.raises(PinError) as missing:
        _choose_kernel(read_template(Path(__file__).parent / "notebooks" / "other_language.ipynb"))
    assert missing.value.reasons[0].startswith("templates/other_language.ipynb: needs the kernel ")


def test_other_bytes_are_drift_even_when_no_row_moved():
    versions = [Version(str(value), {}, {"rows": [{"key": "a", "value": value}]}) for value in (1.0, 1 + 1e-12)]
    rerun = Rerun(versions[1], same=False, restored=())
    reproduction = _answer(Reference("sums", "all", 1), rerun, compare_versions(*versions, Tolerance()))
    assert (reproduction.answer, reproduction.why[0]) == (
        "drifted",
        "results.json has other bytes, and no row differs by more than the tolerance",
    )


def test_without_a_known_commit_no_definition_is_taken_for_a_later_one(workspace):
    pins = read_pins(load_manifest(workspace, "sums/all@1"))
    (workspace.root / "scales" / "two.yml").write_text("scale: 5\n")
    assert find_later_definitions(workspace, replace(pins, commit=None)) == set()
    assert find_later_definitions(workspace, replace(pins, commit="0" * 40)) == set()


@needs_git
def test_history_is_searched_when_the_commit_is_not_known(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch=first")
    (tmp_path / "below").mkdir()
    path, found = tmp_path / "below" / "a.yml", {}
    for text in ("one", "two", "three"):
        path.write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", text)
        found[text] = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "switch", "--quiet", "--create", "second", found["one"])
    blob = git(tmp_path, "rev-parse", f"{found['two']}:below/a.yml")[:12]
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"two"), None) == (b"two", f"git blob {blob}")
    commit = found["three"]
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"three"), commit) == (
        b"three",
        f"git commit {commit[:12]}",
    )
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"four"), commit) is None
    assert find_in_history(tmp_path / "below", "a.yml", digest_bytes(b"two"), "0" * 40) == (b"two", f"git blob {blob}")
    assert find_in_history(tmp_path / "gone", "a.yml", digest_bytes(b"two"), None) is None


def test_a_laid_workspace_reads_like_the_real_one_but_for_what_is_pinned(tmp_path):
    root = tmp_path / "a" / "b" / "real"
    for name, text in {
        "toolkit.toml": SETTINGS.replace("../outside", "../../far/outside"),
        "metrics.yml": "new",
        "models/one.yml": "new",
        "models/two.yml": "two",
        "models/later.yml": "later",
        "data/deep/values.txt": "1",
        "../../far/outside/values.txt": "2",
        "../beside.txt": "3",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    files = {"metrics.yml": b"old", "models/one.yml": b"old", "ideas/gone.yml": b"gone"}
    laid = lay_workspace(open_workspace(root), tmp_path / "staging", files, {"models/later.yml"})

    def read(name):
        return (laid / name).read_text()

    assert open_workspace(laid).keys("models") == ["one", "two"]
    assert [read(name) for name in files] == ["old", "old", "gone"]
    assert (read("models/two.yml"), read("data/deep/values.txt")) == ("two", "1")
    assert (read("../../far/outside/values.txt"), read("../beside.txt")) == ("2", "3")
    assert laid.resolve() == laid
    assert (root / "metrics.yml").read_text() == "new"
    assert not Path(root / "ideas").exists()


@pytest.mark.parametrize("pinned", [{}, {"toolkit.toml": SETTINGS.encode()}])
def test_a_workspace_reaches_as_far_as_its_pinned_settings(tmp_path, pinned):
    root = tmp_path / "a" / "real"
    root.mkdir(parents=True)
    (root / "toolkit.toml").write_text(SETTINGS.replace("../outside", "data"))
    (root.parent / "beside.txt").write_text("3")
    laid = lay_workspace(open_workspace(root), tmp_path / "staging", {"metrics.yml": b"old", **pinned}, set())
    assert (laid / "metrics.yml").read_text() == "old"
    assert (laid / ".." / "beside.txt").exists() == bool(pinned)
