"""Reports made again from what their manifests pin: reproduced, drifted, or not reproducible, each with its reason."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from pinned_reports import SETTINGS, append, git, lay_original, needs_git

from toolkit.archive import Reference, list_reports, load_manifest, report_folder, versions
from toolkit.archive.changes import Tolerance
from toolkit.archive.compare import Version, compare_versions
from toolkit.digests import digest_bytes, document_bytes
from toolkit.errors import UnknownNameError
from toolkit.ledger import open_ledger
from toolkit.privacy import Redactor
from toolkit.reports import engine, manifest, reproduce_report
from toolkit.reports.pins import find_later_definitions, read_pins
from toolkit.reports.reproduction import _answer
from toolkit.reports.rerun import Rerun, _read_results
from toolkit.workspace import open_workspace

OTHER = {"python": "3.99.0", "packages_digest": digest_bytes(b"other")}


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("pinned") / "team" / "workspace"
    lay_original(root)
    return root


@pytest.fixture
def workspace(original, tmp_path):
    """A copy of the pinned workspace, free to be changed."""
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
