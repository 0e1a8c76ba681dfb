from __future__ import annotations

import pytest

from toolkit.errors import UnknownNameError
from toolkit.reports import Published, report_folder, verify_all, verify_report
from toolkit.reports.archive import Reference
from toolkit.workspace import Workspace

FILES = ("figures/amount-bars.png", "manifest.json", "report.html", "report.ipynb", "results.json")


def test_an_untouched_report_has_no_problem(published: Published, archive: Workspace) -> None:
    assert verify_report(archive, published.reference) == ()
    assert verify_all(archive) == ()
    held = {path.relative_to(published.folder).as_posix() for path in published.folder.rglob("*") if path.is_file()}
    assert held == set(FILES)


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_in_any_file_is_found_and_named(archive: Workspace, name: str, place: str) -> None:
    path = report_folder(archive, Reference("saves", "oslo", 1)) / name
    data = bytearray(path.read_bytes())
    index = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}[place]
    data[index] ^= 1
    path.write_bytes(data)
    problems = verify_all(archive)
    assert problems == verify_report(archive, "saves/oslo")
    assert problems[0].startswith(f"saves/oslo@1: {name} was changed")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(archive: Workspace, name: str) -> None:
    (report_folder(archive, Reference("saves", "oslo", 1)) / name).unlink()
    assert verify_report(archive, "saves/oslo@1") == (f"saves/oslo@1: {name} is missing",)


def test_an_extra_file_is_named(archive: Workspace) -> None:
    (report_folder(archive, Reference("saves", "oslo", 1)) / "figures" / "more.png").write_bytes(b"")
    assert verify_report(archive, "saves/oslo@1") == ("saves/oslo@1: figures/more.png is not in the manifest",)


def test_a_version_copied_under_another_number_is_found(archive: Workspace) -> None:
    folder = report_folder(archive, Reference("saves", "oslo", 1))
    folder.rename(folder.with_name("v0002"))
    assert verify_all(archive) == (
        "saves/oslo@2: the ledger has no row of its publication; any 'toolkit run' adds what a crash left out",
        "saves/oslo@2: manifest.json speaks of saves/oslo@1",
        "saves/oslo@1: the ledger records it, and its folder is gone",
    )


def test_verifying_an_unknown_report_is_a_usage_error(archive: Workspace) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'saves/oslo@1'"):
        verify_report(archive, "saves/oslo@9")
