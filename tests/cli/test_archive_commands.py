"""`toolkit reports list` with its filters, `prune`, `push` and `pull`, on archives that no kernel made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_archive import SETTINGS, make_archive

Run = Callable[..., Any]


def lay(root: Path, monkeypatch: pytest.MonkeyPatch, settings: str = "", **more: Any) -> Path:
    """A workspace with these settings, that the test stands in."""
    make_archive(root, settings=SETTINGS + settings, **more)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def many(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three subjects of two templates, four versions each."""
    return lay(here / "many", monkeypatch)


def listed(call: Run, *arguments: str) -> list[str]:
    return [row["reference"] for row in call("reports", "list", "--json", *arguments).document["reports"]]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--template", "triage", "--latest"], ["triage/model-000@4"]),
        (["--subject", "model-001", "--limit", "1"], ["retrospective/model-001@4"]),
        (["--since", "2026-01-01T18:00Z"], ["retrospective/model-001@4", "triage/model-000@4"]),
        (["--until", "2026-01-01T09:00Z"], ["retrospective/model-000@1"]),
        (["-p", "as_of=2013-02-01", "-p", "window_days=28", "--template", "triage"], ["triage/model-000@2"]),
        (["--search", "model-001 better"], ["retrospective/model-001@2"]),
    ],
)
def test_reports_list_finds(call: Run, many: Path, arguments: list[str], found: list[str]) -> None:
    assert listed(call, *arguments) == found


def test_reports_list_shows_what_was_found(call: Run, many: Path) -> None:
    done = call("reports", "list", "--template", "triage", "--limit", "2")
    assert [" ".join(line.split()) for line in done.out.splitlines()] == [
        "reference as_of published headline",
        "triage/model-000@3 2013-03-01T00:00:00Z 2026-01-01T15:00:00Z model-000 is worse than the month before",
        "triage/model-000@4 2013-04-01T00:00:00Z 2026-01-01T18:00:00Z model-000 is unclear than the month before",
    ]
    (row,) = call("reports", "list", "--template", "triage", "--latest", "--json").document["reports"]
    assert row == {
        "reference": "triage/model-000@4",
        "title": "Triage",
        "headline": "model-000 is unclear than the month before",
        "as_of": "2013-04-01T00:00:00Z",
        "published": "2026-01-01T18:00:00Z",
        "parameters": {"as_of": "2013-04-01T00:00:00Z", "model": "model-000", "window_days": 28},
        "slot": None,
        "batch": None,
        "folder": str(many / "reports" / "triage" / "model-000" / "v0004"),
        "problem": None,
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "2027-01-01", "--template", "triage"], "no report is found; without --since, 4 would be"),
        (
            ["--search", "nowhere", "-p", "model=model-000"],
            "no report is found; without --search, 8 would be",
        ),
        (
            ["-p", "model=model-000", "-p", "window_days=29"],
            "no report is found; without -p window_days=29, 8 would be",
        ),
        (
            ["--search", "nowhere", "-p", "window_days=29"],
            "no report is found; leaving out any one of the options does not help",
        ),
        (
            ["--template", "triage", "--search", "001"],
            "no report is found; without --template, 4 would be; without --search, 4 would be",
        ),
        (["--template", "debt_review"], "no report is found; without --template, 12 would be"),
    ],
)
def test_an_empty_list_says_which_option_to_leave_out(call: Run, many: Path, arguments: list[str], told: str) -> None:
    assert call("reports", "list", *arguments) == (0, "", f"{told}\n")
    done = call("reports", "list", "--json", *arguments)
    assert (done.document, done.err) == ({"reports": []}, f"{told}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--template", "triag"],
            "unknown template 'triag'; allowed: debt_review, experiment_plan, experiment_readout, holdout_readout, "
            "model_health, retrospective, shadow_readout, triage. Did you mean 'triage'?",
        ),
        (
            ["--subject", "model-01"],
            "unknown subject 'model-01'; allowed: model-000, model-001. Did you mean 'model-001'?",
        ),
        (
            ["--template", "triage", "--subject", "model-001"],
            "unknown subject 'model-001'; allowed: model-000. Did you mean 'model-000'?",
        ),
        (["-p", "modl=x"], "unknown parameter 'modl'; allowed: as_of, model, window_days. Did you mean 'model'?"),
        (
            ["--since", "yesterday"],
            "--since == 'yesterday', must be an ISO date or instant in UTC, such as '2013-05-01' or "
            "'2013-05-01T06:00Z'",
        ),
        (["--limit", "0"], "limit == 0, must be a number of at least 1"),
    ],
)
def test_a_name_with_a_typo_comes_with_the_nearest(call: Run, many: Path, arguments: list[str], told: str) -> None:
    assert call("reports", "list", *arguments) == (2, "", f"error: {told}\n")


KEEP_TWO = "[retention]\nkeep_last = 2\n"


def test_prune_shows_what_would_go_and_what_keeps_the_others(
    call: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay(here / "kept", monkeypatch, KEEP_TWO, subjects=1, templates=["triage"])
    done = call("reports", "prune", "--dry-run")
    assert [" ".join(line.split()) for line in done.out.splitlines()] == [
        "reference because",
        "triage/model-000@1 prune kept by none of keep_last = 2",
        "triage/model-000@2 prune kept by none of keep_last = 2",
        "triage/model-000@3 keep one of the last 2 (keep_last)",
        "triage/model-000@4 keep the latest of its subject",
        "would be pruned: 2 versions, 0 failures; kept: 2 versions",
    ]
    assert (root / "reports" / "triage" / "model-000" / "v0001").is_dir()
    done = call("reports", "prune", "--now", "2026-06-01", "--json")
    assert done.document == {
        "dry_run": False,
        "now": "2026-06-01T00:00:00Z",
        "pruned": [{"reference": f"triage/model-000@{n}", "rule": "kept by none of keep_last = 2"} for n in (1, 2)],
        "kept": [
            {"reference": "triage/model-000@3", "reason": "one of the last 2 (keep_last)"},
            {"reference": "triage/model-000@4", "reason": "the latest of its subject"},
        ],
        "failures": [],
        "unfinished": [],
    }
    assert done.err.splitlines() == ["==> removing triage/model-000@1", "==> removing triage/model-000@2"]
    assert call("reports", "prune").out == "pruned: 0 versions, 0 failures; kept: 2 versions\n"
    assert call("reports", "verify", "--all").out == "verified 2 reports\n"
    shown = call("reports", "show", "triage/model-000@1")
    assert (shown.code, shown.err.split(";")[0]) == (
        2,
        "error: report 'triage/model-000@1' was pruned at 2026-06-01T00:00:00Z (kept by none of keep_last = 2)",
    )


def test_prune_says_that_the_gallery_is_behind(call: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(here / "kept", monkeypatch, KEEP_TWO, subjects=1)
    assert "gallery" not in call("reports", "prune", "--dry-run").err
    call("reports", "gallery")
    told = "the gallery shows them until it is written again: 'toolkit reports gallery'"
    assert call("reports", "prune").err.splitlines()[-1] == told
    assert call("reports", "prune").err == ""


def test_prune_without_retention_exits_2(call: Run, many: Path) -> None:
    done = call("reports", "prune")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        "error: toolkit.toml has no [retention], so every version is kept and nothing is pruned."
    )


def test_push_and_pull(call: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = f'[archive]\nremote = "file://{here / "remote"}"\n'
    lay(here / "ours", monkeypatch, remote)
    done = call("reports", "push", "triage/model-000", "triage/model-000@1")
    assert (done.code, done.out) == (0, "pushed: 2 versions, 0 tombstones; there already: 0 versions\n")
    assert done.err.splitlines() == ["==> pushing triage/model-000@1", "==> pushing triage/model-000@4"]
    assert call("reports", "push", "--all").out == "pushed: 10 versions, 0 tombstones; there already: 2 versions\n"
    lay(here / "theirs", monkeypatch, remote, subjects=0)
    document = call("reports", "pull", "triage/model-000", "--json").document
    assert document == {"moved": ["triage/model-000@4"], "present": [], "tombstones": [], "problems": []}
    assert call("reports", "pull", "--all").out == "pulled: 11 versions, 0 tombstones; there already: 1 version\n"
    assert call("reports", "verify", "--all").out == "verified 12 reports\n"


def test_a_number_that_is_taken_exits_1_and_names_both_digests(
    call: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = f'[archive]\nremote = "file://{here / "remote"}"\n'
    lay(here / "ours", monkeypatch, remote, subjects=1)
    call("reports", "push", "--all")
    lay(here / "theirs", monkeypatch, remote, subjects=2, versions=2, templates=["retrospective"])
    done = call("reports", "push", "retrospective/model-000")
    assert (done.code, done.out) == (1, "pushed: 0 versions, 0 tombstones; there already: 0 versions\n")
    assert "retrospective/model-000@2 was not pushed: file://" in done.err
    assert done.err.count("sha256:") == 2
    document = call("reports", "pull", "--all", "--json").document
    assert len(document["problems"]) == 1


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_what_to_transfer_must_be_said(call: Run, many: Path, verb: str) -> None:
    for arguments in ([], ["triage/model-000", "--all"]):
        assert call("reports", verb, *arguments) == (
            2, "", f"error: name the reports to {verb}, or give --all for every one; not both\n",
        )  # fmt: skip  # its lines group what belongs together
    done = call("reports", verb, "--all")
    assert (done.code, done.err.split(",")[0]) == (2, "error: toolkit.toml has no [archive]")
