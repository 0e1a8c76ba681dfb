from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.data import load_model
from toolkit.examples import EXAMPLES
from toolkit.examples.flights import DEFINITIONS, SCHEMAS
from toolkit.experiments.plans import load
from toolkit.metrics import load_metrics
from toolkit.triage.teams import load_teams
from toolkit.workspace import open_workspace

if TYPE_CHECKING:
    from built_flights import Built


def test_the_example_has_a_name() -> None:
    assert EXAMPLES == ("flights",)


def test_every_definition_file_is_laid_as_it_is(built: Built) -> None:
    for path in DEFINITIONS.rglob("*"):
        if path.is_file():
            name = path.relative_to(DEFINITIONS).as_posix().replace("gitignore", ".gitignore")
            assert (built.root / name).read_bytes() == path.read_bytes()
    assert (built.root / ".gitignore").read_text(encoding="utf-8") == "data/\nreports/\nledger/\ncache/\n"
    assert not (built.root / "gitignore").exists()


def test_the_definitions_are_valid_and_agree_with_each_other(built: Built) -> None:
    workspace = open_workspace(built.root)
    assert workspace.settings.name == "flights"
    assert set(workspace.settings.tables) == set(SCHEMAS)
    model = load_model(workspace, "delay")
    plans = [load(workspace, key) for key in workspace.keys("experiments")]
    metrics = load_metrics(workspace)
    teams = load_teams(workspace)
    assert metrics[model.loss].role == "loss"
    kinds = [(plan.key, plan.kind) for plan in plans]
    assert kinds == [("delay-v2", "ab"), ("delay-v2-holdout", "holdout"), ("delay-v2-shadow", "shadow")]
    for plan in plans:
        assert plan.model in teams["arrivals"].models
        assert {variant.version for variant in plan.variants.values()} == set(model.versions)
    columns = {*SCHEMAS["predictions"], "label"}
    assert {scalar for metric in metrics.values() for scalar in metric.columns()} <= columns
    assert set(model.segments) <= columns
    assert {feature.name for feature in model.features} <= columns
    assert list(teams["arrivals"].estimates) == ["calibration"]


def test_the_readme_explains_every_column(built: Built) -> None:
    text = (built.root / "README.md").read_text(encoding="utf-8")
    for name, columns in SCHEMAS.items():
        section = re.split(r"^### ", text.split(f"\n### `{name}`", 1)[1], flags=re.MULTILINE)[0]
        explained = re.findall(r"^\| ([a-z_0-9, ]+) \|", section, flags=re.MULTILINE)
        assert {column for cell in explained for column in cell.split(", ")} - {"column"} == set(columns)


def test_progress_is_told(built: Built) -> None:
    assert built.said[0] == "flights: reading the 336,776 flights of 2013 and the weather"
    assert "flights: fitting version 2 of the delay model" in built.said
    assert "flights: scoring 28,865 flights of 2013-03 with both versions" in built.said
    assert built.said[-2:] == [
        "flights: writing outcomes, exposures, deployments, incidents and business",
        "flights: explaining every twentieth served flight",
    ]


def test_no_feedback_is_made_up(built: Built) -> None:
    assert "feedback" not in open_workspace(built.root).settings.tables
    assert not (built.root / "data" / "feedback").exists()
