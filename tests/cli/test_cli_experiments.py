"""Looks are counted by commands, each once, whatever becomes of a run; and `toolkit experiment` finds every result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dask_cluster import cluster
from experiment_trial import make_trial
from looks_of import SEQUENTIAL

from toolkit import acts, reports
from toolkit.archive.versions import load_manifest, load_results
from toolkit.cli import main
from toolkit.data import open_source
from toolkit.errors import RunError
from toolkit.experiments import Looks, load, load_looks, measure
from toolkit.experiments.record import Report, record_report
from toolkit.ledger import open_ledger
from toolkit.reports import RunRequest
from toolkit.reports.outcomes import attempt
from toolkit.workspace import current_actor, open_workspace

Run = Callable[..., Any]

CELLS = (
    'experiment: str = ""  # key in experiments/\nas_of: str = ""  # ISO instant',
    "import toolkit as tk\nws = tk.open_workspace()\nplan = tk.experiments.load(ws, experiment)",
    "units = tk.experiments.measure(plan, tk.data.open_source(ws), as_of=as_of)\n"
    "looks = tk.experiments.load_looks(ws, plan, units)\n"
    "readout = tk.experiments.analyze(plan, units, looks)\n"
    "verdict = tk.experiments.judge(plan, tk.experiments.check(plan, units), readout)",
    "tk.reports.save(plan=plan, readout=readout, looks=looks, verdict=verdict)",
)
PLAN_ALONE = (
    'experiment: str = ""  # key in experiments/\nas_of: str = ""  # ISO instant',
    "import toolkit as tk\nplan = tk.experiments.load(tk.open_workspace(), experiment)",
    "tk.reports.save(plan=plan)",
)
SCHEDULE = """\
schedules:
  weekly:
    template: reads
    owner: Ada
    cron: "0 0 * * *"
    zone: UTC
    catch_up: latest
    start: "2024-03-11"
    end: "2024-03-12"
    parameters: {experiment: eta-v2, as_of: "{slot}"}
"""
FIRST, SECOND, LAST = "2024-03-06T00:00:00Z", "2024-03-11T00:00:00Z", "2024-03-16T00:00:00Z"
UNPLANNED = "2024-03-08T00:00:00Z"
READ = ("run", "reads", "--kernel", "warm", "-p", "experiment=eta-v2", "-p")


def _notebook(subject: str, cells: tuple[str, ...]) -> str:
    import nbformat

    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"c{number}"
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["toolkit"] = {"subject": subject, "reads": ["predictions", "outcomes", "exposures"]}
    text: str = nbformat.writes(notebook)
    return text


@pytest.fixture(scope="session")
def _trial_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("experiments") / "trial"
    trial = make_trial()
    make_trial().planned({"rule:": f"{SEQUENTIAL}rule:"}).write(root)
    (root / "experiments" / "eta-later.yml").write_text(
        trial.plan.replace("eta-v2", "eta-later").replace("2024-03-", "2025-03-")
    )
    (root / "templates").mkdir()
    for name, cells in {"reads": CELLS, "plans": PLAN_ALONE}.items():
        (root / "templates" / f"{name}.ipynb").write_text(_notebook("{experiment}", cells), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def _read_once(_trial_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read by the command line: at its first planned look, there again, at one that nobody planned, at the second."""
    root = tmp_path_factory.mktemp("experiments") / "read"
    shutil.copytree(_trial_once, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TOOLKIT_WORKSPACE", raising=False)
        patch.chdir(root)
        for as_of in (FIRST, FIRST, UNPLANNED, SECOND):
            assert main([*READ, f"as_of={as_of}"]) == 0
    return root


def _stand_in(root: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = here / "trial"
    shutil.copytree(root, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def trial(_trial_once: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with an experiment of three planned looks, none of them taken, that the test stands in."""
    return _stand_in(_trial_once, here, monkeypatch)


@pytest.fixture
def read(_read_once: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, read four times, at three instants."""
    return _stand_in(_read_once, here, monkeypatch)


def _rows(root: Path, kind: str) -> list[dict[str, Any]]:
    with open_ledger(root / "ledger" / "ledger.sqlite", create=False) as ledger:
        return [entry.data for entry in ledger.entries(kind=f"experiment.{kind}", subject="eta-v2")]


def _looks(root: Path) -> list[tuple[str, str, str]]:
    return [(row["as_of"], row["kind"], row["report"]) for row in _rows(root, "looked")]


def _facts(root: Path, reference: str) -> dict[str, Any]:
    held = load_results(open_workspace(root), reference)
    return {row["statistic"]: row["value"] for row in held["rows"] if row["record"] == "looks"}


LOOKS = [
    (FIRST, "planned", "reads/eta-v2@1"),
    (UNPLANNED, "unscheduled", "reads/eta-v2@3"),
    (SECOND, "planned", "reads/eta-v2@4"),
]
READINGS = [f"reads/eta-v2@{number}" for number in (1, 2, 3, 4)]


def test_each_look_is_a_row_and_a_report_that_is_run_twice_is_one_look(read: Path) -> None:
    assert _looks(read) == LOOKS
    assert [row["report"] for row in _rows(read, "read")] == READINGS


def test_a_report_that_is_run_twice_says_the_same(read: Path) -> None:
    folder = read / "reports" / "reads" / "eta-v2"
    assert (folder / "v0001" / "results.json").read_bytes() == (folder / "v0002" / "results.json").read_bytes()


def test_a_row_says_what_was_found(read: Path) -> None:
    look = _rows(read, "looked")[0]
    assert (look["planned_for"], look["final"], look["window_end"]) == (FIRST, False, "2024-03-15T00:00:00Z")
    assert look["fraction"] == repr(look["units"] / 1000)
    assert '"kind":"group_sequential"' in look["plan_document"]
    found = _rows(read, "read")[0]
    assert found["decision"] == look["decision"] == "extend"
    assert found["effects"][0]["metric"] == "brier"
    assert found["reasons"][-1] == "treatment - control: it has its next planned look on 2024-03-11."


def test_a_look_knows_of_the_ones_before(read: Path) -> None:
    facts = _facts(read, "reads/eta-v2@4")
    assert (facts["look_number"], facts["earlier_looks"], facts["look_kind"]) == (3, 2, "planned")
    assert (_facts(read, "reads/eta-v2@1")["earlier_looks"], _facts(read, "reads/eta-v2@2")["earlier_looks"]) == (0, 0)


def test_what_a_process_that_died_left_out_is_added_by_the_next_command(read: Path) -> None:
    """As if every process had been killed between publishing and recording."""
    shutil.rmtree(read / "ledger")
    acts.settle(open_workspace(read))
    assert _looks(read) == LOOKS
    acts.settle(open_workspace(read))
    assert [row["report"] for row in _rows(read, "read")] == READINGS


def test_many_who_record_at_once_add_one_row(read: Path) -> None:
    shutil.rmtree(read / "ledger")
    workspace = open_workspace(read)
    found = [Report(each, load_manifest(workspace, each), load_results(workspace, each)) for each in READINGS]

    def record(number: int) -> None:
        with open_ledger(workspace.ledger) as ledger:
            record_report(ledger, found[number % 2], current_actor())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(record, range(16)))
    assert [row[0] for row in _looks(read)] == [FIRST]
    assert sorted(row["report"] for row in _rows(read, "read")) == READINGS[:2]


def test_a_report_that_cannot_be_read_hinders_no_other(read: Path) -> None:
    shutil.rmtree(read / "ledger")
    (read / "reports" / "reads" / "eta-v2" / "v0003" / "results.json").write_text("{")
    acts.settle(open_workspace(read))
    assert [row[0] for row in _looks(read)] == [FIRST, SECOND]


def test_a_plan_that_was_edited_since_its_first_look_is_told(read: Path) -> None:
    file = read / "experiments" / "eta-v2.yml"
    file.write_text(file.read_text() + "# a comment\n")
    assert _read_looks(read).plan_edited == ""
    file.write_text(file.read_text().replace("margin: 2}", "margin: 6}"))
    assert _read_looks(read).plan_edited == (
        "The plan was edited since reads/eta-v2@1: guardrails.latency.margin: 2.0 → 6.0."
    )


def _read_looks(root: Path) -> Looks:
    workspace = open_workspace(root)
    plan = load(workspace, "eta-v2")
    return load_looks(workspace, plan, measure(plan, open_source(workspace), as_of=LAST))


def test_looks_that_a_run_may_not_see_do_not_count(read: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_ledger(read / "ledger" / "ledger.sqlite", create=False) as ledger:
        first = ledger.entries(kind="experiment.looked")[0].sequence
    monkeypatch.setenv("TOOLKIT_LEDGER_SEQUENCE", str(first))
    assert [look.report for look in _read_looks(read).looks] == ["reads/eta-v2@1"]


@pytest.mark.slow
def test_a_reproduction_counts_nothing_and_comes_out_the_same(call: Run, read: Path) -> None:
    done = call("reports", "reproduce", "reads/eta-v2@1", "--json")  # made again beside later looks
    assert (done.code, done.document["answer"]) == (0, "reproduced"), done.document
    assert _looks(read) == LOOKS
    assert len(_rows(read, "read")) == 4


ONE = LOOKS[:1]


@pytest.mark.slow
def test_a_run_that_is_tried_again_is_one_look(trial: Path) -> None:
    tries = []

    def flaky(request: RunRequest, **options: Any) -> reports.Published:
        tries.append(request)
        if len(tries) == 1:
            raise RunError("the kernel did not start", transient=True)
        return acts.run_report(request, **options)

    request = RunRequest(trial, "reads", {"experiment": "eta-v2", "as_of": FIRST})
    outcome = attempt(request, run=flaky, pause=lambda _: None)
    assert (outcome.state, outcome.tries) == ("published", 2)
    assert _looks(trial) == ONE


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["cold", "warm"])
def test_a_batch_counts_each_look_and_going_on_with_it_none(call: Run, trial: Path, kernel: str) -> None:
    options = ("run", "reads", "-p", "experiment=eta-v2", "--each", f"as_of={FIRST},{SECOND}", "--kernel", kernel)
    done = call(*options, "--json")
    assert done.code == 0
    assert [row[:2] for row in _looks(trial)] == [(FIRST, "planned"), (SECOND, "planned")]
    assert _facts(trial, "reads/eta-v2@2")["earlier_looks"] == 1
    again = call("run", "--resume", done.document["batch"], "--json")
    assert {item["state"] for item in again.document["items"]} == {"done"}
    assert len(_looks(trial)) == len(_rows(trial, "read")) == 2


@pytest.mark.slow
def test_what_is_due_counts_once(call: Run, trial: Path) -> None:
    (trial / "schedule.yml").write_text(SCHEDULE)
    done = call("due", "--now", "2024-03-11T06:00:00Z", "--json")
    assert done.code == 0, done
    assert [slot["state"] for slot in done.document["slots"]] == ["published"]
    assert call("due", "--now", "2024-03-11T07:00:00Z", "--json").document["slots"] == []
    assert _looks(trial) == [(SECOND, "planned", "reads/eta-v2@1")]


@pytest.mark.slow
def test_looks_on_a_cluster_are_counted_once(call: Run, trial: Path, tmp_path: Path) -> None:
    with cluster(tmp_path) as found:
        options = ("run", "reads", "-p", "experiment=eta-v2", "--dask", found.address)
        done = call(*options, "--each", f"as_of={FIRST},{SECOND}", "--json")
        assert done.code == 0, done
        assert sorted(row[0] for row in _looks(trial)) == [FIRST, SECOND]
        assert call(*options, "--each", f"as_of={FIRST},{SECOND}", "--json").code == 0
    assert sorted(row[0] for row in _looks(trial)) == [FIRST, SECOND]
    assert len(_rows(trial, "read")) == 4


@pytest.mark.slow
def test_the_form_counts_a_look_too(trial: Path) -> None:
    from toolkit.widgets import form

    fields = form("reads", open_workspace(trial))
    fields.fields["experiment"].value = "eta-v2"
    fields.fields["as_of"].value = FIRST
    assert fields.run() is not None, fields.message.value
    assert _looks(trial) == ONE


@pytest.mark.slow
def test_a_plan_that_was_published_first_tells_of_an_edit(call: Run, trial: Path) -> None:
    assert call("run", "plans", "-p", "experiment=eta-v2", "-p", f"as_of={FIRST}").code == 0
    assert [row["report"] for row in _rows(trial, "planned")] == ["plans/eta-v2@1"]
    file = trial / "experiments" / "eta-v2.yml"
    file.write_text(file.read_text().replace("margin: 2}", "margin: 6}") + "# and a comment\n")
    assert call(*READ, f"as_of={SECOND}").code == 0
    held = load_results(open_workspace(trial), "reads/eta-v2@1")
    told = "The plan was edited since plans/eta-v2@1: guardrails.latency.margin: 2.0 → 6.0."
    assert [row["value"] for row in held["rows"] if row["statistic"] in {"plan_edited", "note"}] == [told, told]


def test_experiment_list_finds_every_plan_with_its_state(call: Run, read: Path) -> None:
    (read / "experiments" / "eta-broken.yml").write_text("key: eta-broken\n")
    document = call("experiment", "list", "--json").document
    assert document["as_of"] == "2024-03-20T00:00:00Z"
    states = {each["experiment"]: each["state"] for each in document["experiments"]}
    assert states == {"eta-broken": "invalid", "eta-later": "planned", "eta-v2": "ready"}
    found = document["experiments"][2]
    assert (found["decision"], found["read_as_of"], found["report"]) == (
        "extend",
        SECOND,
        "reads/eta-v2@4",
    )
    assert [(look["as_of"], look["kind"], look["report"]) for look in found["looks"]] == LOOKS
    effect = found["effects"][0]
    assert (effect["metric"], effect["comparison"]) == ("brier", "treatment - control")
    assert effect["ci_lower"] < effect["value"] < effect["ci_upper"]
    lines = call("experiment", "list").out.splitlines()
    assert lines[0].split() == ["experiment", "state", "window", "decision", "effect", "looks", "report", "problem"]
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["eta-broken", "invalid"],
        ["eta-later", "planned"],
        ["eta-v2", "ready"],
    ]


@pytest.mark.parametrize(("as_of", "state"), [("2024-02-01", "planned"), ("2024-03-10", "running")])
def test_a_state_is_that_of_the_instant(call: Run, read: Path, as_of: str, state: str) -> None:
    document = call("experiment", "show", "eta-v2", "--as-of", as_of, "--json").document
    assert document["experiment"]["state"] == state
    assert len(document["experiment"]["looks"]) == 2 * (as_of > FIRST)


@pytest.mark.slow
def test_an_experiment_that_was_read_after_its_end_is_read(call: Run, read: Path) -> None:
    assert call(*READ, f"as_of={LAST}").code == 0
    document = call("experiment", "show", "eta-v2", "--json").document["experiment"]
    assert (document["state"], document["decision"]) == ("read", "ship")
    assert [look["kind"] for look in document["looks"]] == ["planned", "unscheduled", "planned", "planned"]


def test_experiment_show_prints_plan_looks_and_findings(call: Run, read: Path) -> None:
    shown = call("experiment", "show", "eta-v2", "--as-of", "2024-03-07").out
    assert shown.startswith(
        "experiment: eta-v2\nstate: running: its window has begun, and its last labels are not in\n"
        "Version 2 loses less. "
    )
    assert "\ndecision: extend, as of 2024-03-06T00:00:00Z\nreport: reads/eta-v2@2\n" in shown
    assert "treatment - control: it has its next planned look on 2024-03-11." in shown
    assert call("experiment", "show", "eta-later").out.startswith("experiment: eta-later\nstate: planned: ")


def test_a_typo_gets_the_nearest_key(call: Run, trial: Path) -> None:
    done = call("experiment", "show", "eta-v3")
    assert (done.code, done.out) == (2, "")
    assert done.err == ("error: unknown experiment 'eta-v3'; allowed: eta-later, eta-v2. Did you mean 'eta-v2'?\n")


def test_a_workspace_without_experiments_or_data_says_so(call: Run, tiny: Path) -> None:
    done = call("experiment", "list")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("there is no experiment: experiments/ holds no plan\n")
    assert done.err.startswith("as known now, because the data do not say how far they go: ")
    assert json.loads(call("experiment", "list", "--json").out)["experiments"] == []
