from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from toolkit.display import Picture
from toolkit.errors import ArgumentError, TemplateError
from toolkit.records import ResultRow, Shown
from toolkit.reports import save


@dataclass(frozen=True)
class Amount(Shown):
    value: Any
    names: tuple[str, ...] = ("bars",)

    def to_rows(self) -> Sequence[ResultRow]:
        return (ResultRow(key="oslo", statistic="level", value=self.value),)

    def to_pictures(self) -> Sequence[Picture]:
        return [Picture(name, "bars", b"png") for name in self.names]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOOLKIT_RUN", str(tmp_path))
    return tmp_path


def test_outside_a_run_nothing_is_written_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOOLKIT_RUN", raising=False)
    monkeypatch.chdir(tmp_path)
    saved = save(amount=Amount(1), other=Amount(2))
    assert str(saved) == "Not saved, this is not a report's run. It would hold 2 rows of amount, other; 2 figures."
    assert not saved.written
    assert list(tmp_path.iterdir()) == []


def test_in_a_run_rows_figures_and_provenance_are_written(run: Path) -> None:
    saved = save(amount=Amount(0.5))
    assert saved._repr_html_() == "<p>Saved: 1 rows of amount; 1 figure.</p>"
    document = json.loads((run / "results.json").read_bytes())
    assert document["schema_version"] == 1
    assert [(row["record"], row["key"], row["value"]) for row in document["rows"]] == [("amount", "oslo", 0.5)]
    assert (run / "figures" / "amount-bars.png").read_bytes() == b"png"
    assert json.loads((run / "provenance.json").read_bytes()).keys() == {
        "definitions",
        "sources",
        "quarantined",
        "repositories",
    }


def test_without_pictures_there_is_no_folder_of_figures(run: Path) -> None:
    save(amount=Amount(1, ()))
    assert {path.name for path in run.iterdir()} == {"provenance.json", "results.json"}


def test_saving_twice_is_an_error(run: Path) -> None:
    save(amount=Amount(1))
    before = (run / "results.json").read_bytes()
    with pytest.raises(TemplateError) as caught:
        save(amount=Amount(2))
    assert str(caught.value) == "tk.reports.save was called twice; hand all records over in the last cell, once"
    assert (run / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            Amount(float("nan")),
            (
                "record 'amount', oslo level: value == nan (float) has no JSON form; "
                "an absent number is None with a reason"
            ),
        ),
        (
            Amount(b"x"),
            (
                "record 'amount', oslo level: value == b'x' (bytes) has no JSON form; "
                "an absent number is None with a reason"
            ),
        ),
        (Amount(1, ("a/b",)), "picture name == 'a/b', must be letters, digits, '_' and '-'"),
        (Amount(1, ("a", "a")), "record 'amount' has two pictures named 'a'"),
        (
            {"rows": 1},
            "amount is a dict; reports.save takes results of the toolkit (anything with to_rows and to_pictures)",
        ),
    ],
)
def test_what_cannot_be_saved_is_refused_and_nothing_is_written(run: Path, record: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        save(amount=record)
    assert str(caught.value) == message
    assert list(run.iterdir()) == []
