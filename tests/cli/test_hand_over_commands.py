"""`toolkit backlog export` and `import`, `toolkit experiment draft`, `toolkit debt draft`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from published_plans import publish_plan, write_estimated
from triage.written_ideas import write_idea

from toolkit.debt import load_items
from toolkit.triage import load_history
from toolkit.workspace import Workspace

Run = Callable[..., Any]


@pytest.fixture
def reviewed(bare: Workspace) -> Workspace:
    """The same with two plans: quick is planned, vague cannot be; large came with the second plan."""
    write_estimated(bare, "quick", 70, 3)
    write_idea(bare, "vague", title="Do something")
    publish_plan(bare, "2013-05-01")
    write_estimated(bare, "large", 60, 5)
    publish_plan(bare, "2013-05-08")
    return bare


def events(workspace: Workspace) -> list[tuple[str, str, str]]:
    return [(each.kind, each.key, each.reason) for each in load_history(workspace, model="small").events]


def ids(document: dict[str, Any]) -> list[str]:
    return [item["id"] for item in document["items"]]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("plan.csv", ("quick,open,,,EUR,,", "quick,done,2.5,,EUR,in time,")),
        ("plan.md", ("[ ] Do quick", "[x] Do quick")),
        ("plan.json", ('"state": "open",\n   "team": "flow",\n   "tier": 1', '"state": "done",\n   "team": "flow"')),
    ],
)
def test_a_plan_goes_out_and_its_words_come_back_once(
    call: Run, reviewed: Workspace, name: str, change: tuple[str, str]
) -> None:
    assert call("backlog", "export", "--out", name).out == f"{name}: 3 items of triage/small@2\n"
    path = reviewed.root / name
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change, 1))
    done = call("backlog", "import", name, "--dry-run")
    assert done.out.splitlines()[-1] == "3 items read; 1 would be recorded, 2 say nothing new"
    assert events(reviewed) == []
    done = call("backlog", "import", name)
    assert (done.code, done.out.splitlines()[-1]) == (0, "3 items read; 1 recorded, 2 say nothing new")
    (event,) = load_history(reviewed, model="small").events
    assert (event.kind, event.key, event.by) == ("item.done", "idea/quick", "Ada")
    assert call("backlog", "import", name).out == "3 items read; 0 recorded, 3 say nothing new\n"
    exported = call("backlog", "export", "--json").document
    assert {item["id"]: item["state"] for item in exported["items"]}["small/idea/quick"] == "done"
    assert len(events(reviewed)) == 1


def test_nothing_is_recorded_of_a_file_with_a_problem(call: Run, reviewed: Workspace) -> None:
    (reviewed.root / "back.csv").write_text("id,state\nsmall/idea/quick,done\nsmall/idea/lrge,done\n")
    done = call("backlog", "import", "back.csv")
    assert (done.code, done.err) == (
        2,
        "error: back.csv:3: unknown id 'small/idea/lrge'; allowed: small/idea/large, small/idea/quick, "
        "small/idea/vague. Did you mean 'small/idea/large'?\nNothing was imported.\n",
    )
    assert events(reviewed) == []


def test_a_plan_is_chosen_by_report_or_day(call: Run, reviewed: Workspace) -> None:
    assert len(ids(call("backlog", "export", "--format", "json").document)) == 3
    first = ids(call("backlog", "export", "--json", "--report", "triage/small@1").document)
    assert first == ids(call("backlog", "export", "--json", "--as-of", "2013-05-07").document)
    assert sorted(first) == ["small/idea/quick", "small/idea/vague"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--json", "--report", "triage/small@9"],
            "unknown report with a plan 'triage/small@9'; allowed: triage/small@1, triage/small@2. "
            "Did you mean 'triage/small@2'?",
        ),
        (["--json", "--as-of", "2013-04-30"], "--as-of 2013-04-30 is before the first plan, as of 2013-05-01"),
        (
            ["--json", "--as-of", "2013-05-01", "--report", "triage/small@1"],
            "--report and --as-of both say which plan; give one of them",
        ),
        (["--json", "--model", "smal"], "unknown model 'smal'; allowed: small. Did you mean 'small'?"),
        (["--format", "cvs"], "unknown format 'cvs'; allowed: csv, json, markdown. Did you mean 'csv'?"),
        (
            [],
            "--format is missing: csv, json or markdown. A name for --out that ends in .csv, .json, .md says it too",
        ),
        (["--out", "no/such.csv"], "--out no/such.csv cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_exported(call: Run, reviewed: Workspace, arguments: list[str], expected: str) -> None:
    done = call("backlog", "export", *arguments)
    assert (done.code, done.err) == (2, f"error: {expected}\n")


def test_without_a_plan_there_is_nothing_to_hand_over(call: Run, bare: Workspace) -> None:
    done = call("backlog", "export", "--format", "csv")
    nothing = "refused (Skipped): no published report has a plan; 'toolkit run triage' makes one\n"
    assert (done.code, done.err) == (3, nothing)
    (bare.root / "back.csv").write_text("id,state\nsmall/idea/quick,done\n")
    assert call("backlog", "import", "back.csv").err == nothing


def test_a_file_that_is_not_there(call: Run, reviewed: Workspace) -> None:
    assert call("backlog", "import", "no.csv").err == "error: no.csv cannot be read: No such file or directory\n"


def test_an_item_becomes_debt_to_edit(call: Run, reviewed: Workspace) -> None:
    done = call("debt", "draft", "idea/quick")
    head, *asked, then = done.out.splitlines()
    assert (head, then) == (
        "debt/quick.yml: drafted from small/idea/quick",
        "next: edit it; the next 'toolkit run triage' has it",
    )
    assert asked[0] == "  to decide: whether idea/quick stays; it is the same work, and the backlog has both"
    assert load_items(reviewed)["quick"].owner == "Ada"
    document = call("debt", "draft", "idea/vague", "--json").document
    assert (document["file"], len(document["to_decide"])) == ("debt/vague.yml", 7)
    done = call("debt", "draft", "idea/quik")
    assert (done.code, done.err) == (
        2,
        "error: unknown item 'idea/quik'; allowed: idea/large, idea/quick, idea/vague. Did you mean 'idea/quick'?\n",
    )


def test_an_experiment_without_metrics_is_not_drafted(call: Run, reviewed: Workspace) -> None:
    done = call("experiment", "draft", "idea/quick")
    assert (done.code, done.err) == (
        2,
        "error: metrics.yml: there is no such file; write it, or take it from 'toolkit init'\n",
    )
    assert not (reviewed.root / "experiments").exists()


def test_the_export_reads_as_the_import_prints(call: Run, reviewed: Workspace) -> None:
    given = {"items": [{"id": "small/idea/large", "state": "started", "reason": "now"}]}
    (reviewed.root / "back.json").write_text(json.dumps(given))
    assert call("backlog", "import", "back.json", "--json").document == {
        "read": 1,
        "recorded": True,
        "changes": [{"id": "small/idea/large", "before": "open", "after": "started", "reason": "now"}],
    }
    assert "`small/idea/large` · started · reason: now\n" in call("backlog", "export", "--format", "markdown").out
