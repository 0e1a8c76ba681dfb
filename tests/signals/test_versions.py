from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from metrics.version_events import TWO, beside

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.records import to_document
from toolkit.signals import Versions, compare_versions, observe


def compare(root: Path, events: Any) -> Versions:
    small = write_workspace(root, *events)
    (root / "models" / "small.yml").write_text(TWO)
    source = open_source(small.workspace)
    observed = observe(
        small.workspace, source, load_model(small.workspace, "small"), as_of="2013-05-01", window_days=29
    )
    return compare_versions(source, observed)


def test_a_better_version_is_found_on_the_same_requests(tmp_path: Path) -> None:
    found = compare(tmp_path, beside(better=0.2))
    (pair,) = found.pairs
    assert pair.version == "2"
    assert pair.loss.ci_upper < 0
    assert pair.p_adjusted < 0.001
    assert pair.right_share.value > 0
    assert 0.8 < pair.agreed.value < 1
    assert "its Brier loss is evidently lower: -0." in found.text
    assert found.signals == ()


def test_a_version_that_is_as_good_is_not_called_better(tmp_path: Path) -> None:
    (pair,) = (found := compare(tmp_path, beside())).pairs
    assert pair.p_adjusted > 0.05
    assert "not evidently" in found.text


def test_without_another_version_it_says_so(tmp_path: Path) -> None:
    found = compare(tmp_path, make_events())
    assert found.text == "No other version scored requests of 2013-04-01 … 2013-04-29 that version 1 served."
    assert found.plot().alt == "no other version scored labelled requests of the window"
    assert list(found.to_rows()) == []


def test_without_labels_agreement_is_all_that_is_known(tmp_path: Path) -> None:
    predictions, outcomes = beside()
    found = compare(tmp_path, (predictions, outcomes.head(0)))
    assert found.text.endswith("of the decisions; which is better is not known: there is no labelled pair.")
    assert found.plot().png.startswith(b"\x89PNG")


def test_it_is_a_document(tmp_path: Path) -> None:
    found = compare(tmp_path, beside(better=0.1))
    rows = to_document({"versions": found})["rows"]
    assert {row["statistic"] for row in rows} == {"pairs", "brier", "right_decisions", "score", "agreed_share"}
    assert {row["comparison"] for row in rows} == {"2 - 1"}
    assert found.to_table()[0]["same_requests"] == pytest.approx(rows[0]["value"])
