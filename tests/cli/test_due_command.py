from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from schedule_trial import MONTHS, cheap_run, make_workspace

import toolkit.schedule
from toolkit.errors import NotReady, RunError
from toolkit.reports import Published, RunRequest
from toolkit.schedule import run_due
from toolkit.windows import parse_instant

Run = Callable[..., Any]
JUNE = ("--now", "2013-06-10")


@pytest.fixture
def trial(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a schedule that the test stands in; what is due is run without a kernel."""
    root = make_workspace(here / "trial").root
    monkeypatch.chdir(root)
    monkeypatch.setattr(toolkit.schedule, "run_due", partial(run_due, run=troubled_run))
    return root


def troubled_run(request: RunRequest, *, progress: Callable[[str], None]) -> Published:
    """One month waits, one fails, the others are published."""
    if request.parameters["period"] == "2013-07":
        raise NotReady("July is not complete", ready_on=parse_instant("2013-08-05"))
    if request.parameters["period"] == "2013-08":
        raise RunError("review failed in code cell 2 of 2")
    return cheap_run(request, progress=progress)


def test_due_runs_what_is_owed_and_nothing_twice(call: Run, trial: Path) -> None:
    done = call("due", *JUNE)
    assert done.code == 0
    assert done.out.splitlines() == [
        "schedule  slot                  state      report",
        "monthly   2013-05-03T10:00:00Z  published  review/2013-04@1",
        "monthly   2013-06-03T10:00:00Z  published  review/2013-05@1",
    ]
    assert done.err.splitlines()[0] == "==> monthly 2013-05-03T10:00:00Z (1 of 2): starting the kernel"
    assert call("due", *JUNE) == (0, "", "nothing is due; next: monthly 2013-07-03T10:00:00Z\n")


def test_a_dry_run_lists_and_writes_nothing(call: Run, trial: Path) -> None:
    done = call("due", *JUNE, "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "schedule  slot                  state",
        "monthly   2013-05-03T10:00:00Z  owed",
        "monthly   2013-06-03T10:00:00Z  owed",
    ]
    assert sorted(path.name for path in trial.iterdir()) == ["schedule.yml", "templates", "toolkit.toml"]


def test_json_is_one_document_with_each_slot(call: Run, trial: Path) -> None:
    asked = call("due", "--now", "2013-05-10", "--dry-run", "--json").document
    slot = {
        "schedule": "monthly",
        "slot": "2013-05-03T10:00:00Z",
        "template": "review",
        "parameters": {"period": "2013-04", "as_of": "2013-05-03T10:00:00Z"},
        "state": "owed",
        "reference": None,
        "reason": None,
        "ready_on": None,
    }
    following = {"schedule": "monthly", "at": "2013-06-03T10:00:00Z"}
    assert asked == {"now": "2013-05-10T00:00:00Z", "dry_run": True, "slots": [slot], "alerts": [], "next": following}
    done = call("due", "--now", "2013-05-10", "--json").document
    published = slot | {"state": "published", "reference": "review/2013-04@1"}
    assert done == {
        "now": "2013-05-10T00:00:00Z",
        "dry_run": False,
        "slots": [published],
        "alerts": [],
        "next": following,
    }
    assert call("due", "--now", "2030-01-01", "--json").document["next"] is None


def test_what_waits_is_no_failure_and_what_failed_is(call: Run, trial: Path) -> None:
    done = call("due", "--now", "2013-08-10")
    assert done.code == 0
    waiting = "monthly   2013-08-03T10:00:00Z  waiting                      July is not complete"
    assert done.out.splitlines()[-1] == waiting
    document = call("due", "--now", "2013-08-10", "--json").document
    assert [slot["ready_on"] for slot in document["slots"]] == ["2013-08-05T00:00:00Z"]
    failed = call("due", "--now", "2013-09-10")
    assert failed.code == 1
    assert failed.out.splitlines() == [
        "schedule  slot                  state    reason",
        "monthly   2013-08-03T10:00:00Z  waiting  July is not complete",
        "monthly   2013-09-03T10:00:00Z  failed   review failed in code cell 2 of 2",
    ]
    assert call("due", "--now", "2014-03-01").code == 1  # one of several
    assert len(list(trial.glob("reports/review/*/v*"))) == len(MONTHS) - 2


def test_a_range_is_filled_whatever_the_start_says(call: Run, trial: Path) -> None:
    done = call("due", *JUNE, "--from", "2013-03-01", "--to", "2013-05-10", "--json").document
    assert [slot["reference"] for slot in done["slots"]] == [f"review/2013-{month}@1" for month in ("02", "03", "04")]
    assert [slot["slot"][:7] for slot in call("due", *JUNE, "--json").document["slots"]] == ["2013-06"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--now", "noon"],
         "--now == 'noon', must be an ISO date or instant in UTC, such as '2013-05-01' or '2013-05-01T06:00Z'"),
        (["--now", "2013-06-10T06:00"],
         "--now == '2013-06-10T06:00' has no time zone; write '2013-06-10T06:00Z' for UTC"),
        (["--from", "2013-03-01"], "a range needs both --from and --to"),
        ([*JUNE, "--from", "2013-05-01", "--to", "2013-05-01"],
         "empty window: start 2013-05-01T00:00:00Z is not before end 2013-05-01T00:00:00Z"),
        ([*JUNE, "--from", "2013-05-01", "--to", "2013-09-01"],
         "the slots up to 2013-09-01T00:00:00Z are not all due: it is 2013-06-10T00:00:00Z; end the range there or "
         "before"),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_wrong_usage_exits_2_and_runs_nothing(call: Run, trial: Path, arguments: list[str], message: str) -> None:
    assert call("due", *arguments) == (2, "", f"error: {message}\n")
    assert not (trial / "reports").exists()


def test_a_wrong_schedule_exits_2_and_runs_nothing(call: Run, trial: Path) -> None:
    text = (trial / "schedule.yml").read_text()
    (trial / "schedule.yml").write_text(text.replace("catch_up: all", "catch_up: al"))
    message = "schedule.yml:7: schedules.monthly.catch_up is 'al'; allowed: none, latest, all. Did you mean 'all'?"
    assert call("due", *JUNE) == (2, "", f"error: {message}\n")
    assert json.loads(call("due", *JUNE, "--json").out)["error"]["path"] == str(trial / "schedule.yml")
    assert not (trial / "reports").exists()


def test_without_a_schedule_nothing_is_due(call: Run, tiny: Path) -> None:
    assert call("due", *JUNE) == (0, "", "nothing is due: there is no schedule in schedule.yml\n")
    assert call("due", *JUNE, "--json").document["slots"] == []


def test_without_now_it_is_the_clock(call: Run, trial: Path) -> None:
    document = call("due", "--dry-run", "--json").document
    assert document["now"] > "2026"
    assert len(document["slots"]) == len(MONTHS)  # the schedule has ended
