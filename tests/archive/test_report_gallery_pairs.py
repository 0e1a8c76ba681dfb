"""Pages of two versions beside each other: made once, found from the gallery, removed with their versions."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from laid_reports import Page, headline, lay, number, read

from toolkit.archive import list_reports, verify_all, write_gallery
from toolkit.errors import ArchiveError
from toolkit.workspace import Workspace


def pages(workspace: Workspace) -> list[str]:
    """Everything below reports/compare/."""
    folder = workspace.reports / "compare"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_latest_two_versions_have_a_page_that_leads_to_both(workspace: Workspace) -> None:
    for value in (1.0, 2.0, 3.0):
        lay(workspace, "triage/eta", number("brier", value))
    lay(workspace, "triage/delay")
    write_gallery(workspace)
    assert pages(workspace) == ["triage/eta/v0002-v0003.html"]
    assert "Compare with version 2" in read(workspace).words
    path = workspace.reports / "compare/triage/eta/v0002-v0003.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert "triage/eta@2 and triage/eta@3" in page.words
    linked = [path.parent / unquote(link) for link in page.links if not link.startswith("#")]
    assert [link.resolve() for link in linked] == [
        (workspace.reports / f"triage/eta/v000{version}/report.html").resolve() for version in (2, 3)
    ]
    assert all(link.is_file() for link in linked)


def test_a_page_is_made_once_and_kept_as_long_as_its_versions(workspace: Workspace) -> None:
    for value in (1.0, 2.0):
        lay(workspace, "triage/eta", number("brier", value))
    write_gallery(workspace)
    first = workspace.reports / "compare/triage/eta/v0001-v0002.html"
    first.write_text("as it was made", encoding="utf-8")
    lay(workspace, "triage/eta", number("brier", 3.0))
    write_gallery(workspace)
    assert first.read_text(encoding="utf-8") == "as it was made"
    assert pages(workspace) == ["triage/eta/v0001-v0002.html", "triage/eta/v0002-v0003.html"]
    assert read(workspace).data["pairs"] == {"triage/eta": [[1, 2], [2, 3]]}

    shutil.rmtree(workspace.reports / "triage/eta/v0001")
    write_gallery(workspace)
    assert pages(workspace) == ["triage/eta/v0002-v0003.html"]
    shutil.rmtree(workspace.reports / "triage/eta/v0002")
    write_gallery(workspace)
    assert not (workspace.reports / "compare").exists()


def test_a_version_that_is_gone_from_between_is_left_out(workspace: Workspace) -> None:
    for value in (1.0, 2.0, 3.0):
        lay(workspace, "triage/eta", number("brier", value))
    shutil.rmtree(workspace.reports / "triage/eta/v0002")
    write_gallery(workspace)
    assert pages(workspace) == ["triage/eta/v0001-v0003.html"]
    assert "Compare with version 1" in read(workspace).words


def test_somebodys_own_file_stays(workspace: Workspace) -> None:
    own = workspace.reports / "compare/triage/gone/notes.html"
    own.parent.mkdir(parents=True)
    own.write_text("mine", encoding="utf-8")
    own.with_name("v0001-v0002.html").write_text("", encoding="utf-8")
    write_gallery(workspace)
    assert pages(workspace) == ["triage/gone/notes.html"]


def test_damaged_versions_have_no_page_but_the_command(workspace: Workspace) -> None:
    for text in ("fine", "late"):
        reference = lay(workspace, "triage/eta", headline(text))
    (workspace.reports / "triage/eta" / reference.folder_name / "results.json").unlink()
    write_gallery(workspace)
    assert pages(workspace) == []
    assert "toolkit reports compare triage/eta@1 triage/eta@2" in read(workspace).words


@pytest.mark.parametrize("more", [{"definitions": 3}, {"definitions": [3]}, {"files": [3]}])
def test_a_manifest_that_is_none_stops_no_gallery(workspace: Workspace, more: dict[str, object]) -> None:
    lay(workspace, "triage/eta")
    lay(workspace, "triage/eta", recorded=False, **more)
    assert write_gallery(workspace).reports == 2
    assert pages(workspace) == []
    assert "toolkit reports compare triage/eta@1 triage/eta@2" in read(workspace).words


def test_damage_that_shows_only_in_the_comparison_stops_no_gallery(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        lay(workspace, "triage/eta")

    def fail(*_: object) -> None:
        raise ArchiveError("triage/eta@2: results.json cannot be read")

    monkeypatch.setattr("toolkit.archive.compare.compare_reports", fail)
    assert write_gallery(workspace).reports == 2
    assert "toolkit reports compare triage/eta@1 triage/eta@2" in read(workspace).words


def test_the_pages_are_no_part_of_the_archive(workspace: Workspace) -> None:
    references = [lay(workspace, "triage/eta") for _ in range(2)]
    write_gallery(workspace)
    (workspace.reports / "compare/triage/v0001").mkdir()
    assert list_reports(workspace) == references
    assert list_reports(workspace, "compare") == []
    assert verify_all(workspace) == ()


def test_the_same_versions_give_the_same_page(workspace: Workspace, tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        lay(workspace, "triage/eta", number("brier", value))
    write_gallery(workspace)
    path = workspace.reports / "compare/triage/eta/v0001-v0002.html"
    before = path.read_bytes()
    path.unlink()
    shutil.copytree(workspace.root, tmp_path / "copy")
    for each in (workspace, Workspace(tmp_path / "copy", workspace.settings)):
        write_gallery(each)
        assert (each.reports / path.relative_to(workspace.reports)).read_bytes() == before
