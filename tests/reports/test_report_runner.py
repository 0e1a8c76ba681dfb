"""The runner end to end. Each kernel costs seconds, so a run is shared by the tests that look at it."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest

from toolkit.archive import list_reports, load_manifest, load_results, verify_all
from toolkit.archive import versions as report_archive
from toolkit.errors import DefinitionError, NotReady, ParameterError, RunError, TemplateError
from toolkit.ledger import open_ledger
from toolkit.reports import Published, RunRequest, find_template, run_report, runner
from toolkit.reports.engine import CellFailure, Execution, choose_kernel, first_line, kernel_environment
from toolkit.workspace import Workspace, open_workspace


def entries(workspace: Workspace, kind: str) -> list[Any]:
    with open_ledger(workspace.ledger) as ledger:
        return list(ledger.entries(kind=kind))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Executing costs nothing and succeeds; what would have been injected is noted."""
    injected: list[dict[str, Any]] = []

    def execute(template: Any, parameters: Any, **_: Any) -> Execution:
        injected.append(dict(parameters))
        notebook: Any = nbformat.reads(template.path.read_text(encoding="utf-8"), as_version=4)
        return Execution(notebook)

    monkeypatch.setattr("toolkit.reports.engine.execute", execute)
    return injected


# --- a published report ---------------------------------------------------------------------------------------------


def test_a_report_is_published_with_its_rows(published: Published) -> None:
    workspace = open_workspace(published.folder.parents[3])
    assert str(published.reference) == "saves/oslo@1"
    row = load_results(workspace, published.reference)["rows"][0]
    assert (row["record"], row["key"], row["value"]) == ("amount", "oslo", 7)
    assert row["reason"] == "2013-05-01T00:00:00Z"  # the resolved as_of reached the kernel
    assert list((workspace.reports / ".staging").iterdir()) == []


def test_the_manifest_says_what_the_report_was_made_of(published: Published) -> None:
    manifest = dict(published.manifest)
    assert manifest == json.loads((published.folder / "manifest.json").read_bytes())
    assert manifest.keys() == {
        "schema_version", "reference", "template", "subject", "parameters", "as_of", "slot", "batch", "windows",
        "trends", "toolkit", "workspace", "definitions", "sources", "quarantined", "repositories", "environment",
        "kernel", "ledger", "started_at", "finished_at", "actor", "privacy", "files",
    }  # fmt: skip  # its lines group what belongs together
    assert manifest["template"]["name"] == "saves"
    assert manifest["parameters"] == {"city": "oslo", "as_of": "2013-05-01T00:00:00Z", "levels": [3, 4]}
    assert manifest["as_of"] == "2013-05-01T00:00:00Z"
    assert manifest["windows"] == ["2013-04-01 … 2013-04-30"]
    assert [each["path"] for each in manifest["definitions"]] == ["toolkit.toml"]
    assert manifest["repositories"] == []
    assert manifest["ledger"]["sequence"] == 0
    assert manifest["privacy"] == {"outcome": "passed", "redacted_places": 0, "found": {}, "excused": []}
    assert manifest["kernel"] == {"name": "python3", "interpreter": "runner", "start": "cold"}
    assert manifest["actor"] == {"name": None, "assurance": "operating_system_user"}  # the ledger knows who
    assert manifest["started_at"] < manifest["finished_at"]
    assert {each["path"] for each in manifest["files"]} == {
        "figures/amount-bars.png", "report.html", "report.ipynb", "results.json",
    }  # fmt: skip  # its lines group what belongs together


def test_the_ledger_is_told(published: Published) -> None:
    workspace = open_workspace(published.folder.parents[3])
    (entry,) = entries(workspace, "report.published")
    assert entry.subject == "saves/oslo@1"
    assert entry.effective_at == datetime(2013, 5, 1, tzinfo=UTC)
    assert entry.data["supersedes"] is None
    assert json.loads(entry.data["parameters"])["levels"] == [3, 4]
    assert "recovered" not in entry.data


def test_progress_is_told_step_by_step(published: Published, told: list[str]) -> None:
    assert told[:3] == [
        "checking the parameters of saves",
        "finding the last day complete in the data",
        "starting the kernel",
    ]
    assert "cell 3 of 6: import toolkit as tk" in told
    assert told[-1] == "published saves/oslo@1"


def test_no_path_of_this_machine_is_in_the_artifact(published: Published) -> None:
    root = str(published.folder.parents[3])
    leaks = [name for name, data in tree(published.folder).items() if root.encode() in data]
    assert leaks == []
    notebook = json.loads((published.folder / "report.ipynb").read_bytes())
    assert notebook["metadata"]["papermill"]["input_path"] == "templates/saves.ipynb"
    assert "output_path" not in notebook["metadata"]["papermill"]


# --- a plain papermill notebook, in a process of its own: what reaches the user's terminal ---------------------------


def test_a_plain_notebook_runs_unchanged_from_any_folder(workspace: Workspace, tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from toolkit.reports import RunRequest, run_report\n"
        f"published = run_report(RunRequest(Path({str(workspace.root)!r}), 'plain', {{'alpha': '0.01'}}))\n"
        "print(published.reference, os.getcwd(), 'TOOLKIT_RUN' in os.environ)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"plain/default@1 {tmp_path} False\n"  # no chdir, no variable left behind
    assert done.stderr == ""  # no debugger hint, no kernel noise
    assert load_results(workspace, "plain/default") == {"schema_version": 1, "rows": []}
    assert load_manifest(workspace, "plain/default")["as_of"] is None
    executed = (workspace.reports / "plain/default/v0001/report.ipynb").read_text(encoding="utf-8")
    assert "0.01 <script>alert(1)</script> tiny" in executed  # the kernel ran in the workspace
    assert verify_all(workspace) == ()


# --- failures -------------------------------------------------------------------------------------------------------


def test_a_failure_keeps_its_notebook_and_touches_nothing_else(archive: Workspace) -> None:
    before = tree(archive.reports / "saves")
    with pytest.raises(RunError) as caught:
        run_report(RunRequest(archive.root, "fails"))
    (kept,) = (archive.reports / "failed" / "fails" / "default").iterdir()
    shown = kept.relative_to(archive.root).as_posix()
    assert str(caught.value) == (
        "fails failed in code cell 3 of 4 (quotient = 1 / divisor): ZeroDivisionError: division by zero. "
        f"The half-run notebook is {shown}/report.ipynb"
    )
    notebook = json.loads((kept / "report.ipynb").read_bytes())
    assert notebook["cells"][2]["outputs"][0]["text"] == ["so far so good\n"]
    assert notebook["cells"][4]["outputs"] == []
    page = (kept / "report.html").read_text(encoding="utf-8")
    assert page.count('<details class="code" open>') == 1
    assert "ZeroDivisionError: division by zero</p>" in page
    failure = json.loads((kept / "failure.json").read_bytes())
    assert (failure["cell_index"], failure["error"], failure["message"], failure["page"]) == (
        3,
        "ZeroDivisionError",
        "division by zero",
        "report.html",
    )
    assert failure["cell_source"] == "# the cause\nquotient = 1 / divisor"
    assert tree(archive.reports / "saves") == before
    assert [str(each) for each in list_reports(archive)] == ["saves/oslo@1"]
    (entry,) = entries(archive, "report.failed")
    assert (entry.subject, entry.data["reason"], entry.data["kept"]) == (
        "fails/default",
        "ZeroDivisionError: division by zero",
        shown,
    )


def test_a_dead_kernel_is_a_failure_that_names_the_cell_and_keeps_its_last_words(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        RunError,
        match=r"^dies failed in code cell 1 of 1 \(import os\): KernelDied: the kernel ended itself with exit code 7",
    ):
        run_report(RunRequest(workspace.root, "dies"))
    (kept,) = (workspace.reports / "failed" / "dies" / "default").iterdir()
    assert "last words" in (kept / "kernel.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_two_failures_at_one_instant_are_both_kept(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook: Any = nbformat.read(workspace.templates / "fails.ipynb", as_version=4)
    failed = Execution(notebook, failure=CellFailure(None, "RuntimeError", "no kernel"))
    monkeypatch.setattr("toolkit.reports.engine.execute", lambda *_, **__: failed)
    monkeypatch.setattr("toolkit.archive.versions.stamp", lambda _: "20130501T000000.000000Z")
    for _ in range(2):
        with pytest.raises(RunError, match=r"^fails failed before its first cell: RuntimeError: no kernel"):
            run_report(RunRequest(workspace.root, "fails"))
    kept = sorted(path.name for path in (workspace.reports / "failed/fails/default").iterdir())
    assert kept == ["20130501T000000.000000Z", "20130501T000000.000000Z-2"]


def test_a_page_that_does_not_render_hides_no_failure(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook: Any = nbformat.read(workspace.templates / "fails.ipynb", as_version=4)
    failed = Execution(notebook, failure=CellFailure(3, "ValueError", "the cause"))
    monkeypatch.setattr("toolkit.reports.engine.execute", lambda *_, **__: failed)

    def break_down(*_: object, **__: object) -> str:
        raise KeyError("template")

    monkeypatch.setattr("toolkit.reports.render.render_html", break_down)
    with pytest.raises(RunError, match="ValueError: the cause"):
        run_report(RunRequest(workspace.root, "fails"))
    (kept,) = (workspace.reports / "failed/fails/default").iterdir()
    assert json.loads((kept / "failure.json").read_bytes())["page"] == "not rendered: KeyError: 'template'"


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_refusal_in_the_kernel_is_raised_as_such_and_recorded(workspace: Workspace) -> None:
    with pytest.raises(NotReady) as caught:
        run_report(RunRequest(workspace.root, "refuses"))
    reason = "eta needs labels up to 2013-05-08; it is ready on 2013-05-08"
    assert str(caught.value) == reason
    (entry,) = entries(workspace, "report.refused")
    assert (entry.subject, entry.data["type"], entry.data["reason"]) == ("refuses/eta", "NotReady", reason)
    assert entry.effective_at == datetime(2013, 5, 1, tzinfo=UTC)
    assert list_reports(workspace) == []
    assert [path.name for path in workspace.reports.iterdir()] == [".staging"]


def test_a_usage_error_in_the_kernel_keeps_its_class_and_leaves_no_row(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook: Any = nbformat.read(workspace.templates / "refuses.ipynb", as_version=4)
    stopped = Execution(notebook, failure=CellFailure(1, "DefinitionError", "metrics.yml:3: unknown key 'nme'"))
    monkeypatch.setattr("toolkit.reports.engine.execute", lambda *_, **__: stopped)
    with pytest.raises(DefinitionError, match=r"^metrics.yml:3: unknown key 'nme'$"):
        run_report(RunRequest(workspace.root, "refuses"))
    assert entries(workspace, "report.refused") == entries(workspace, "report.failed") == []


def test_data_that_are_not_ready_are_a_recorded_refusal(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Workspace) -> datetime:
        raise NotReady("predictions hold no complete day yet")

    monkeypatch.setattr(runner, "find_as_of", refuse)
    with pytest.raises(NotReady, match=r"^predictions hold no complete day yet$"):
        run_report(RunRequest(workspace.root, "saves", {"city": "oslo"}))
    (entry,) = entries(workspace, "report.refused")
    assert (entry.subject, entry.data["type"]) == ("saves/oslo", "NotReady")


# --- before any kernel ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "parameters", "error", "message"),
    [
        (
            "saves",
            {"ctiy": "oslo"},
            ParameterError,
            (
                "unknown parameter 'ctiy'; allowed: as_of, city, levels. Did you mean 'city'?\n"
                "parameter 'city' is missing: str (key of the city)"
            ),
        ),
        (
            "saves",
            {"city": "oslo", "as_of": "yesterday"},
            ParameterError,
            "as_of == 'yesterday', must be an ISO date or instant in UTC, such as '2013-05-01' or '2013-05-01T06:00Z'",
        ),
        (
            "saves",
            {"city": ""},
            ParameterError,
            "city == ''; it names the subject of the report, so it cannot be empty",
        ),
        (
            "other_language",
            {},
            TemplateError,
            (
                "templates/other_language.ipynb: needs the kernel 'ir_not_here', which is not installed; "
                "installed: python3"
            ),
        ),
    ],
)
def test_a_wrong_request_stops_before_any_kernel_and_leaves_no_trace(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    template: str,
    parameters: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr("toolkit.reports.engine.execute", lambda *_, **__: pytest.fail("a kernel was started"))
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager.find_kernel_specs", lambda _: {"python3": ""})
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        run_report(RunRequest(workspace.root, template, parameters))
    assert not workspace.reports.exists()
    assert not workspace.ledger.exists()


def test_only_what_was_given_is_injected_and_instants_are_made_canonical(
    workspace: Workspace, no_kernel: list[dict[str, Any]]
) -> None:
    run_report(RunRequest(workspace.root, "saves", {"city": "oslo", "as_of": "2013-05-01"}))
    run_report(RunRequest(workspace.root, "plain"))
    assert no_kernel == [{"city": "oslo", "as_of": "2013-05-01T00:00:00Z"}, {}]


def test_two_runs_at_once_publish_two_versions(workspace: Workspace, no_kernel: list[dict[str, Any]]) -> None:
    with ThreadPoolExecutor(2) as pool:
        requests = [RunRequest(workspace.root, "plain")] * 2
        references = sorted(str(done.reference) for done in pool.map(run_report, requests))
    assert references == ["plain/default@1", "plain/default@2"]
    assert verify_all(workspace) == ()


def test_the_next_run_records_what_a_crash_left_out(
    workspace: Workspace, no_kernel: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(report_archive, "record_publication", crash)
        with pytest.raises(KeyboardInterrupt):
            run_report(RunRequest(workspace.root, "plain"))
    assert entries(workspace, "report.published") == []
    run_report(RunRequest(workspace.root, "plain"))
    rows = entries(workspace, "report.published")
    assert [(row.subject, row.data.get("recovered"), row.data["supersedes"]) for row in rows] == [
        ("plain/default@1", True, None),
        ("plain/default@2", None, "plain/default@1"),
    ]
    assert verify_all(workspace) == ()


def test_a_request_travels_to_another_process() -> None:
    request = RunRequest(Path("w"), "plain", {"alpha": 0.01})
    assert pickle.loads(pickle.dumps(request)) == request


# --- the kernel -----------------------------------------------------------------------------------------------------


def test_python_notebooks_fall_back_to_this_interpreter(workspace: Workspace, tmp_path: Path) -> None:
    assert choose_kernel(find_template(workspace, "plain")) == "python3"
    notebook = json.loads((workspace.templates / "plain.ipynb").read_bytes())
    for spec in ({"name": "somebodys-env", "language": "python"}, {}):
        notebook["metadata"] = {"kernelspec": spec}
        (workspace.templates / "moved.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        assert choose_kernel(find_template(workspace, "moved")) == "python3"


def test_the_kernel_environment_makes_runs_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    environment = kernel_environment(Path("/w"), Path("/w/run"), 7)
    assert environment["TOOLKIT_WORKSPACE"] == "/w"
    assert environment["TOOLKIT_RUN"] == "/w/run"
    assert environment["TOOLKIT_LEDGER_SEQUENCE"] == "7"
    assert environment["PYTHONHASHSEED"] == "0"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "8"


def test_the_first_line_that_says_something_names_a_cell() -> None:
    assert first_line("\n# note\n  answer = 42\n") == "answer = 42"
    assert first_line("# only a note") == "# only a note"
    assert first_line("") == ""
    assert first_line("x" * 80) == "x" * 59 + "…"
