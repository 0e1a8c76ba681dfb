from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLKIT = ROOT / "toolkit"
NOT_YET = "(not yet)"
STAGES = {"metrics", "signals", "triage", "experiments", "decisions", "debt", "reviews"}


def rooms_on_disk() -> set[str]:
    packages = {path.parent.name for path in TOOLKIT.glob("*/__init__.py")}
    modules = {path.stem for path in TOOLKIT.glob("*.py")} - {"__init__"}
    return packages | modules


def rows_of_the_page() -> list[tuple[str, bool]]:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`( \(not yet\))? \| \S.* \|$", page, flags=re.MULTILINE)
    return [(room, bool(mark)) for room, mark in rows]


def contracts() -> dict[str, dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def layers() -> list[list[str]]:
    contract = contracts()["Imports go down the rooms only"]
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def test_every_room_has_one_line_and_no_line_names_what_is_absent() -> None:
    rows = rows_of_the_page()
    names = [room for room, _ in rows]
    assert len(names) == len(set(names))
    assert {room for room, absent in rows if not absent} == rooms_on_disk()


def test_the_page_lists_the_rooms_in_the_order_of_the_import_contract() -> None:
    rows = [f"({room})" if absent else room for room, absent in rows_of_the_page()]
    assert rows == [room for layer in layers() for room in layer]


def test_the_page_is_one_screen() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 60
    assert max(len(line) for line in page.splitlines()) <= 130


def test_reports_are_kept_from_every_stage_that_is_there() -> None:
    contract = contracts()["Reports import no stage: templates are the only place where stages and reports meet"]
    assert set(contract["forbidden_modules"]) == {f"toolkit.{room}" for room in STAGES & rooms_on_disk()}


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_record_is_numbered_dated_and_says_why(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    number = int(record.name[:4])
    assert text.startswith(f"# {number}. ")
    assert re.search(r"^\d{4}-\d{2}-\d{2}\. (Accepted|Superseded by \d+)\.", text, flags=re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md"])
def test_links_inside_the_repository_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_day_of_a_column_is_read_in_one_place() -> None:
    dear = re.compile(r"\.truncate\(\"|\.date\(\)\.cast\(")
    found = {path.name for path in TOOLKIT.rglob("*.py") if dear.search(path.read_text(encoding="utf-8"))}
    assert found == {"instants.py"}, "ask toolkit.data.instants, which spares the embedded engine its time zones"
