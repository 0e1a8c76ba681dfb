"""A team's columns may have any name: what the toolkit adds to requests is never read for them, nor hides them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.errors import ContractError, DefinitionError
from toolkit.metrics import SCORE_BIN
from toolkit.workspace import open_workspace

METRICS = {"own": "kind: mean, column: latency_ms", "brier": "kind: brier", "auc": "kind: auc"}
NAMES = ["Score_Bin", "population", "Day", "segment_value"]


def with_own(write_wide, name, values):
    return write_wide(lambda p, o: (p.assign(**{name: [values[at % len(values)] for at in range(len(p))]}), o))


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_reads_the_teams_own_column(write_wide, name: str):
    wide = with_own(write_wide, name, [1.0, 2.0])
    rows, usual = wide.rows(), wide.measure(METRICS)
    cells = wide.measure(METRICS | {"own": f"kind: mean, column: {name}", "half": f'kind: mean, column: "{name} / 2"'})
    assert cells.estimate("own", "current").value == pytest.approx(rows[name].mean(), rel=1e-12)
    assert cells.estimate("half", "current").value == pytest.approx(rows[name].mean() / 2, rel=1e-12)
    for key in ("brier", "auc"):
        assert cells.estimate(key, "current") == usual.estimate(key, "current")
    assert cells.values(SCORE_BIN) == usual.values(SCORE_BIN)


@pytest.mark.parametrize("name", NAMES)
def test_the_teams_own_column_is_a_segment(write_wide, name: str):
    wide = with_own(write_wide, name, ["x", "y", "z"])
    cells = wide.measure(METRICS | {"late": "kind: quantile, column: latency_ms, q: 0.9"}, segments=[name])
    usual = wide.measure(METRICS)
    assert cells.values(name) == ["x", "y", "z"]
    x = wide.rows()[lambda rows: rows[name] == "x"]
    assert cells.estimate("own", "current", segment=name, value="x").value == pytest.approx(x["latency_ms"].mean())
    assert cells.estimate("late", "current", segment=name, value="x").n == x["latency_ms"].notna().sum()
    for key in METRICS:
        assert cells.estimate(key, "current") == usual.estimate(key, "current")


def test_a_column_that_case_alone_tells_from_the_label_is_refused_beside_it(write_wide):
    wide = with_own(write_wide, "Label", [7.0])
    assert wide.measure({"own": "kind: mean, column: Label"}).estimate("own", "current").value == 7.0
    with pytest.raises(ContractError) as caught:
        wide.measure({"own": "kind: mean, column: Label", "brier": "kind: brier"})
    assert str(caught.value) == (
        "predictions.Label: it differs from label, the outcome that is read with it, in nothing but case; give it "
        'another name under [tables.predictions.columns] in toolkit.toml, such as own_label = "Label"'
    )


def test_a_column_of_the_toolkits_own_names_is_refused(write_wide):
    wide = with_own(write_wide, "Toolkit__Day", [7.0])
    with pytest.raises(ContractError) as caught:
        wide.measure({"own": "kind: mean, column: Toolkit__Day"})
    assert str(caught.value) == (
        "predictions.Toolkit__Day: columns whose names begin with toolkit__ are the toolkit's own; give it another "
        'name under [tables.predictions.columns] in toolkit.toml, such as own_day = "Toolkit__Day"'
    )


@pytest.mark.parametrize("name", ["label", "Carrier", "Toolkit__day"])
def test_a_named_segment_may_not_hide_what_is_read_with_it(wide, name: str):
    head = f"segments:\n  {name}: {{column: latency_ms, edges: [10]}}\n"
    with pytest.raises(DefinitionError, match=f"metrics.yml: segment '{name}' would hide .* another name"):
        wide.measure(METRICS, head=head, segments=[name, "carrier"])


@pytest.mark.parametrize("name", ["population", "day", "score_bin", "request"])
def test_a_named_segment_may_have_any_other_name(wide, name: str):
    head = f"segments:\n  {name}: {{column: latency_ms, edges: [10]}}\n"
    cells = wide.measure(METRICS, head=head, segments=[name])
    low = wide.rows()["latency_ms"] < 10
    assert cells.total("requests", "current", segment=name, value="below 10") == low.sum()
    for key in METRICS:
        assert cells.estimate(key, "current") == wide.measure(METRICS).estimate(key, "current")


def test_a_column_may_be_renamed_as_the_message_says(write_wide):
    wide = with_own(write_wide, "Label", [7.0])
    settings = wide.workspace.root / "toolkit.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text + '\n[tables.predictions.columns]\nown_label = "Label"\n', encoding="utf-8")
    wide = replace(wide, workspace=open_workspace(wide.workspace.root))
    cells = wide.measure({"own": "kind: mean, column: own_label", "brier": "kind: brier"})
    assert cells.estimate("own", "current").value == 7.0
