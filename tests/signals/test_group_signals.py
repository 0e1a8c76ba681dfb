"""Signal groups from real stages on a workspace whose truth is planted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from conftest import METRICS, MODEL, SmallWorkspace, make_events, write_workspace
from toolkit import signals as room
from toolkit.data import load_model, open_source
from toolkit.signals import SignalGroups, calibration, group_signals, metric_changes, observe, segment_losses
from toolkit.signals.groups.looked import KINDS_OF_STAGE, Looked
from toolkit.signals.observation import Observation
from toolkit.signals.signal import Kind, Signal
from toolkit.workspace import Workspace, open_workspace

PRICE = "loss_value: {currency: EUR, low: 1, likely: 2, high: 4}\n"


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> SmallWorkspace:
    """Calibration lost, and 20 degrees of harmless heat."""
    root = tmp_path_factory.mktemp("drifted")
    made = write_workspace(root, *make_events(gap=0.1, heat=20.0))
    (root / "models" / "small.yml").write_text(MODEL + PRICE)
    return made


def look(workspace: Workspace) -> Observation:
    source, model = open_source(workspace), load_model(workspace, "small")
    return observe(workspace, source, model, as_of="2013-05-01", window_days=28)


def group(workspace: Workspace, *stages: Any) -> SignalGroups:
    observed = look(workspace)
    found = stages or (metric_changes(observed), calibration(observed), segment_losses(observed))
    return group_signals(workspace, open_source(workspace), observed, *found)


def test_lost_calibration_is_the_first_line_with_people_and_money(drifted: SmallWorkspace) -> None:
    found = group(drifted.workspace)
    first = found.groups[0]
    assert first.key == "calibration"
    assert first.level == "high"
    rows = drifted.predictions
    served = rows[rows["served"] & (rows["occurred_at"] >= "2013-04-02") & (rows["occurred_at"] < "2013-04-30")]
    assert first.harm.requests_per_week == pytest.approx(len(served) / 4)
    assert first.harm.units_per_week == pytest.approx(len(served) / 4)  # each request has a unit of its own
    value = first.harm.value_per_week
    assert value is not None
    assert value.currency == "EUR"
    loss = first.harm.excess_loss_per_week
    assert loss is not None
    assert value.likely == pytest.approx(2 * (loss.value or 0))
    assert found.looked_at == {"calibration", "metric_change", "segment"}


def test_a_model_without_a_price_says_what_is_missing(small: SmallWorkspace) -> None:
    found = group(small.workspace)
    assert found.groups == ()
    assert found.to_table() == []


def test_the_same_data_give_the_same_rows(drifted: SmallWorkspace) -> None:
    assert group(drifted.workspace).to_rows() == group(drifted.workspace).to_rows()


@dataclass(frozen=True)
class Refusing:
    """A stage that refuses."""

    signals: tuple[Signal, ...] = ()
    reason: str = "no label has arrived"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"performance"})


def test_a_stage_that_refused_has_not_looked(drifted: SmallWorkspace) -> None:
    observed = look(drifted.workspace)
    found = group(drifted.workspace, metric_changes(observed), Refusing())
    assert found.looked_at == {"metric_change"}
    assert found.refused == ("refusing (no label has arrived)",)
    assert found.text.endswith("Not looked at: refusing (no label has arrived).")


def test_without_labels_and_metrics_that_can_be_compared_nothing_is_said_to_be_well(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    made = write_workspace(tmp_path, predictions, outcomes[:0])
    (tmp_path / "metrics.yml").write_text("\n".join(METRICS.splitlines()[:5]))
    observed = look(open_workspace(made.workspace.root))
    found = group(made.workspace, metric_changes(observed), calibration(observed))
    assert found.headline == "Nothing could be judged: that there is no signal says nothing."
    assert found.refused == (
        "metric changes (no metric could be compared: one side is absent: no request has a value, "
        "one side is absent: no positives and no negatives among 0 rows)",
        "calibration (no request has a value)",
    )


def test_a_metric_that_is_absent_was_not_judged(tmp_path: Path) -> None:
    made = write_workspace(tmp_path, *make_events())
    metrics = (tmp_path / "metrics.yml").read_text()
    nobody = "  nobody: {name: N, description: d, owner: Ada, kind: mean, column: temp_f, filter: temp_f > 900, "
    (tmp_path / "metrics.yml").write_text(metrics + nobody + "direction: none, practical_threshold: 1, role: input}\n")
    observed = look(open_workspace(made.workspace.root))
    looked = Looked.at(observed, [metric_changes(observed)])
    assert looked.unjudged == {"metric_change:nobody"}


def test_every_stage_of_the_room_says_what_it_looks_for() -> None:
    stages = {
        name
        for name in room.__all__
        if isinstance(each := getattr(room, name), type) and hasattr(each, "signals") and hasattr(each, "to_rows")
    }
    unsaid = {name for name in stages - {"SignalGroups"} if not hasattr(getattr(room, name), "kinds")}
    assert unsaid <= set(KINDS_OF_STAGE)
