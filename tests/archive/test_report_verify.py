from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from synthetic_archive import make_archive

from toolkit.archive import report_folder, verify_all, verify_report
from toolkit.archive.versions import Reference
from toolkit.errors import UnknownNameError
from toolkit.reports import Published
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


@pytest.mark.parametrize("flips", [150, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_flipped_byte_is_missed(published: Published, archive: Workspace, flips: int) -> None:
    """Random bytes of random files, each flipped in place and put back: a real report's, its manifest's too."""
    moments = random.Random(4)
    folder = report_folder(archive, published.reference)
    missed = []
    for _ in range(flips):
        name = moments.choice(FILES)
        index = moments.randrange((folder / name).stat().st_size)
        mask = moments.randrange(1, 256)
        descriptor = os.open(folder / name, os.O_RDWR)
        try:
            (byte,) = os.pread(descriptor, 1, index)
            os.pwrite(descriptor, bytes([byte ^ mask]), index)
            problems = verify_report(archive, published.reference)
            os.pwrite(descriptor, bytes([byte]), index)
        finally:
            os.close(descriptor)
        if not any(problem.startswith(f"{published.reference}: {name} was changed") for problem in problems):
            missed.append((name, index, mask, problems))
    assert missed == []
    assert verify_report(archive, published.reference) == ()


def test_a_version_is_verified_without_the_others(tmp_path: Path) -> None:
    """Neither the rest of the archive nor the ledger's rows on it are read: what is wrong there is not noticed."""
    workspace = make_archive(tmp_path / "many", subjects=4, versions=5)
    shutil.rmtree(workspace.reports / "retrospective")
    (workspace.reports / "triage" / "model-000" / "v0001" / "report.html").unlink()
    assert verify_report(workspace, "triage/model-000@2") == ()
    problems = verify_all(workspace)
    assert len(problems) == 11
    assert problems[0] == "triage/model-000@1: report.html is missing"
    assert problems[1] == "retrospective/model-000@1: the ledger records it, and its folder is gone"


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
