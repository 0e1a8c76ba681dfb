from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toolkit.data import load_model
from toolkit.data.models import ModelDefinition
from toolkit.data.portrait import ModelPortrait, NumberPortrait, Portrait, VersionPortrait, look_at
from toolkit.errors import ArgumentError
from toolkit.metrics import load_metrics
from toolkit.triage import load_teams
from toolkit.triage.proposals import Proposal, propose
from toolkit.workspace import Workspace, open_workspace

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = 'schema_version = 2\nname = "own"\n[tables.predictions]\npath = "data/predictions"\n'
SETTINGS += '[tables.outcomes]\npath = "data/outcomes"\n'


def version(key: str = "1", *, first: int = 0, days: int = 90, rows: int = 1000) -> VersionPortrait:
    return VersionPortrait(key, START + timedelta(days=first), START + timedelta(days=first + days), rows)


def model(
    *versions: VersionPortrait, key: str = "churn", labels: int = 500, label_days: int | None = 3, **more: object
) -> ModelPortrait:
    facts: dict[str, object] = {
        "threshold": None,
        "threshold_from": "",
        "label_mean": 0.25,
        "brier": 0.16,
        "latency_ms": None,
        "segments": (),
        "numbers": (),
    }
    return ModelPortrait(
        key=key, versions=versions or (version(),), labels=labels, label_days=label_days, **(facts | more)
    )


def proposal(*models: ModelPortrait, extras: dict[str, str] | None = None) -> Proposal:
    end = max(version.end for model in models for version in model.versions)
    return propose(Portrait(models, end), extras or {}, team="t", sources="own.csv", label="churned")


def laid(found: Proposal, root: Path) -> Workspace:
    (root / "models").mkdir()
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    for path, text in found.files.items():
        (root / path).write_text(text, encoding="utf-8")
    return open_workspace(root)


def references(found: Proposal) -> list[tuple[str, str]]:
    return re.findall(r'reference: \{start: "([\d-]+)", end: "([\d-]+)"\}', found.files["models/churn.yml"])


@pytest.mark.parametrize(
    ("days", "end", "command", "waiting"),
    [
        (90, "2026-01-29", "toolkit run triage", ""),
        (59, "2026-01-15", "toolkit run triage", ""),
        (
            45,
            "2026-01-15",
            "toolkit run triage -p window_days=28",
            "",
        ),
        (
            33,
            "2026-01-08",
            "toolkit run triage -p window_days=21",
            "the usual 28 days can be looked at when the data reach 2026-02-08",
        ),
        (
            23,
            "2026-01-08",
            "toolkit run triage -p window_days=7",
            "the usual 28 days can be looked at when the data reach 2026-02-08",
        ),
        (
            16,
            "2026-01-08",
            None,
            "no report can be made yet: version 1 of churn has 13 whole days with mature labels, and triage needs 14: "
            "a week to compare with and one to look at. That is so when the data reach 2026-01-18: import them with "
            "'toolkit import', then 'toolkit run triage -p window_days=7'",
        ),
    ],
)
def test_the_reference_is_the_first_third_in_whole_weeks_and_the_window_what_is_left(
    days: int, end: str, command: str | None, waiting: str
) -> None:
    found = proposal(model(version(days=days)))
    assert references(found) == [("2026-01-01", end)]
    expected = "toolkit run triage" if command and command.endswith("=28") else command
    assert (found.command, found.waiting) == (expected, waiting)


def test_each_version_has_its_own_reference_and_the_latest_decides_what_can_be_run() -> None:
    found = proposal(model(version("a", days=60), version("b", first=60, days=30)))
    assert references(found) == [("2026-01-01", "2026-01-15"), ("2026-03-02", "2026-03-09")]
    assert found.command == "toolkit run triage -p window_days=14"


def test_without_labels_nothing_can_be_run() -> None:
    found = proposal(model(labels=0, label_days=None, label_mean=None, brier=None))
    assert (found.command, found.waiting) == (
        None,
        "triage needs labels, and there are none yet: toolkit import outcomes FILE",
    )
    assert "maturity_days: 7    # assumed: there are no labels yet\n" in found.files["models/churn.yml"]


def test_one_of_several_models_is_named_in_the_command() -> None:
    found = proposal(model(key="small"), model(version(rows=5000), key="large"))
    assert found.command == "toolkit run triage -p model=large"
    assert {"models/small.yml", "models/large.yml"} <= set(found.files)


def test_what_is_proposed_can_be_read_whatever_columns_are_called(tmp_path: Path) -> None:
    odd = {
        "no": "text",
        "a: b": "number",
        "Größe #1": "number",
        "label": "number",
        'say "x"': "boolean",
        "at": "instant",
    }
    numbers = tuple(NumberPortrait(name, 1.0, 2.0) for name, kind in odd.items() if kind == "number")
    numbers += tuple(NumberPortrait(f"n{number}", 0.0, 1.0) for number in range(9))
    extras = odd | {f"n{number}": "number" for number in range(9)}
    many = tuple((f"s{number}", 2 + number) for number in range(9))
    portrait = model(version("1.0"), version("no"), numbers=numbers, segments=(("no", 3), *many), latency_ms=12.3)
    found = proposal(portrait, extras=extras | {name: "text" for name, _ in many})
    workspace = laid(found, tmp_path)
    read: ModelDefinition = load_model(workspace, "churn")
    assert set(read.versions) == {"1.0", "no"}
    assert [feature.name for feature in read.features][:5] == ["no", "a: b", "Größe #1", "label", 'say "x"']
    assert read.segments == ("s0", "no", "s1", "s2", "s3", "s4")
    metrics = load_metrics(workspace)
    assert metrics["latency"].practical_threshold == 1.2
    assert len(metrics) == 6 + 8
    assert load_teams(workspace)["t"].models == ("churn",)
    assert "metrics.yml: 8 of 12 inputs are watched, and not n5, n6, n7, n8" in found.assumptions


def test_the_keys_of_proposed_inputs_are_short_and_each_ones_own(tmp_path: Path) -> None:
    long = "seconds_since_the_customer_was_last_seen_by"
    names = ["num__age", "num_age", "Num Age", f"{long}_mail", f"{long}_phone", "Brier", "___", "größe__é"]
    found = proposal(model(numbers=tuple(NumberPortrait(name, 5.0, 8.0) for name in names)))
    metrics = load_metrics(laid(found, tmp_path))
    keys = {metric.name: key for key, metric in metrics.items() if metric.name in names}
    assert keys == {
        "num__age": "num_age",
        "num_age": "num_age_input",
        "Num Age": "num_age_input_2",
        f"{long}_mail": "seconds_since_the_customer_was_last_seen",
        f"{long}_phone": "seconds_since_the_customer_was_las_input",
        "Brier": "brier_input",
        "___": "input",
        "größe__é": "größe_é",
    }


def test_thresholds_are_in_proportion_to_the_data(tmp_path: Path) -> None:
    workspace = laid(proposal(model(label_mean=0.02, brier=0.0186, numbers=(NumberPortrait("x", 5, 8.0),))), tmp_path)
    found = {key: metric.practical_threshold for key, metric in load_metrics(workspace).items()}
    assert found == {
        "brier": 0.00093,
        "calibration": 0.002,
        "auc": 0.02,
        "label_share": 0.002,
        "error_rate": 0.01,
        "x": 2.0,
    }


def test_a_model_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(ArgumentError, match="^the column model holds 'a/b', which cannot be the name of a file; write"):
        proposal(model(key="a/b"))


@pytest.fixture
def own(tmp_path: Path) -> tuple[Workspace, pd.DataFrame, pd.DataFrame]:
    """Imported rows whose facts pandas computes too."""
    rng = np.random.default_rng(5)
    count = 5000
    at = pd.Timestamp("2026-01-01 09:30", tz="UTC") + pd.to_timedelta(
        np.sort(rng.integers(0, 86400 * 50, count)), unit="s"
    )
    score = rng.random(count).round(3)
    predictions = pd.DataFrame(
        {
            "request_id": [f"r{number}" for number in range(count)],
            "model": "m",
            "version": np.where(np.arange(count) < 3000, "1", "2"),
            "occurred_at": at.astype("datetime64[us, UTC]"),
            "score": score,
            "decision": score >= 0.3,
            "latency_ms": rng.gamma(4, 3, count),
            "city": rng.choice(["a", "b", "c"], count),
            "free": [f"t{number}" for number in range(count)],
            "amount": rng.normal(10, 3, count),
        }
    )
    kept = predictions[rng.random(count) < 0.8]
    outcomes = pd.DataFrame(
        {
            "request_id": kept["request_id"],
            "observed_at": (kept["occurred_at"] + pd.to_timedelta(rng.gamma(2, 86400, len(kept)), unit="s")).astype(
                "datetime64[us, UTC]"
            ),
            "label": (rng.random(len(kept)) < kept["score"]).astype(float),
        }
    )
    for name, table in (("predictions", predictions), ("outcomes", outcomes)):
        (tmp_path / "data" / name).mkdir(parents=True)
        table.to_parquet(tmp_path / "data" / name / "all.parquet", index=False)
    (tmp_path / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    return open_workspace(tmp_path), predictions, outcomes


def test_a_portrait_says_what_pandas_says(own: tuple[Workspace, pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    workspace, predictions, outcomes = own
    extras = {"city": "text", "free": "text", "amount": "number"}
    portrait = look_at(workspace, extras, scratch=tmp_path)
    assert portrait.complete_through == predictions["occurred_at"].max().floor("D").to_pydatetime()
    (seen,) = portrait.models
    joined = predictions.merge(outcomes, on="request_id")
    delay = (joined["observed_at"] - joined["occurred_at"]).dt.total_seconds() / 86400
    assert seen.labels == len(outcomes)
    assert seen.label_days == int(np.ceil(delay.quantile(0.9, interpolation="higher")))
    assert seen.label_mean == pytest.approx(outcomes["label"].mean(), rel=1e-12)
    assert seen.brier == pytest.approx(((joined["label"] - joined["score"]) ** 2).mean(), rel=1e-12)
    assert seen.latency_ms == pytest.approx(predictions["latency_ms"].mean(), rel=1e-12)
    assert (seen.threshold, seen.threshold_from) == (0.3, "the lowest score that was decided yes")
    assert seen.segments == (("city", 3),)
    assert [(number.name, round(number.sd, 6)) for number in seen.numbers] == [
        ("amount", round(float(predictions["amount"].std()), 6))
    ]
    first, second = seen.versions
    assert (first.key, first.first_day, first.rows) == ("1", START + timedelta(days=1), 3000)
    assert second.end == portrait.complete_through
