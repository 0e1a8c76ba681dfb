from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.kernels.keys import edited_place, installed_names, source_digest, variables_at_import, zygote_key
from toolkit.kernels.launches import Launch

LAUNCH = Launch(sys.executable, (), ("-f", "a.json"), {"HOME": "/nowhere", "TZ": "UTC"}, "/")
PRELOAD = ("json",)


def test_what_differs_from_kernel_to_kernel_is_not_in_the_key() -> None:
    other = replace(
        LAUNCH, arguments=("-f", "b.json"), folder="/tmp", environment={**LAUNCH.environment, "TOOLKIT_RUN": "1"}
    )
    assert zygote_key(other, PRELOAD) == zygote_key(LAUNCH, PRELOAD)


@pytest.mark.parametrize(
    "other",
    [
        replace(LAUNCH, python="/other/python"),
        replace(LAUNCH, options=("-O",)),
        replace(LAUNCH, environment={**LAUNCH.environment, "TZ": "Asia/Tokyo"}),
        replace(LAUNCH, environment={**LAUNCH.environment, "OMP_NUM_THREADS": "1"}),
        replace(LAUNCH, environment={**LAUNCH.environment, "PYTHONPATH": "/x"}),
        replace(LAUNCH, environment={"HOME": "/nowhere"}),
    ],
)
def test_what_is_settled_before_the_fork_is_in_the_key(other: Launch) -> None:
    assert zygote_key(other, PRELOAD) != zygote_key(LAUNCH, PRELOAD)


def test_the_modules_are_in_the_key() -> None:
    assert zygote_key(LAUNCH, ("json", "csv")) != zygote_key(LAUNCH, PRELOAD)


@pytest.fixture
def restored() -> Iterator[None]:
    mask, limits = os.umask(0o022), resource.getrlimit(resource.RLIMIT_NOFILE)
    os.umask(mask)
    yield
    os.umask(mask)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_what_a_process_inherits_is_in_the_key(restored: None) -> None:
    os.umask(0o022)
    keys = [zygote_key(LAUNCH, PRELOAD)]
    os.umask(0o077)
    keys.append(zygote_key(LAUNCH, PRELOAD))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    keys.append(zygote_key(LAUNCH, PRELOAD))
    assert len(set(keys)) == 3


def test_settings_of_matplotlib_are_in_the_key(tmp_path: Path) -> None:
    launch = replace(LAUNCH, environment={"HOME": str(tmp_path)})
    before = zygote_key(launch, PRELOAD)
    (tmp_path / ".config" / "matplotlib").mkdir(parents=True)
    (tmp_path / ".config" / "matplotlib" / "matplotlibrc").write_text("lines.linewidth: 9\n", encoding="utf-8")
    assert zygote_key(launch, PRELOAD) != before


def test_only_variables_that_are_read_at_import_and_no_secret_are_passed_on() -> None:
    passed = {"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "MPLCONFIGDIR", "OMP_NUM_THREADS", "PATH", "PYTHONHASHSEED"}
    kept = {"AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "JUPYTER_TOKEN", "MPLBACKEND", "PYTHON_API_TOKEN", "TOOLKIT_RUN"}
    assert set(variables_at_import(dict.fromkeys(passed | kept, "x"))) == passed


def test_what_is_installed_is_told_by_names_and_by_the_time_of_path_files(tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.dist-info").mkdir()
    (tmp_path / "thing").mkdir()
    path_file = tmp_path / "thing.pth"
    path_file.write_text("/somewhere\n", encoding="utf-8")
    expected = [f"{tmp_path}/thing-1.0.dist-info", f"{tmp_path}/thing.pth {path_file.stat().st_mtime_ns}"]
    assert installed_names([str(tmp_path), "", "/not/there"]) == expected


def test_source_is_read_of_our_own_package_and_of_what_lies_outside_the_interpreters_folders(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "alone.py").write_text("", encoding="utf-8")
    folders = [str(tmp_path)]
    assert edited_place("ours", folders, []) == tmp_path / "ours"
    assert edited_place("alone", folders, []) == tmp_path / "alone.py"
    place = edited_place("toolkit", [], [])
    assert place is not None
    assert (place / "kernels" / "zygote.py").is_file()
    assert [edited_place(name, [], []) for name in ("json", "numpy", "sys", "no_such_package")] == [None] * 4


def test_the_digest_of_a_source_is_of_what_it_says(tmp_path: Path) -> None:
    package = tmp_path / "ours"
    package.mkdir()
    module = package / "__init__.py"
    module.write_text("a = 1\n", encoding="utf-8")
    before = source_digest(package)
    (package / "__init__.pyc").write_bytes(b"compiled")
    assert source_digest(package) == before
    status = module.stat()
    module.write_text("a = 2\n", encoding="utf-8")
    os.utime(module, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = source_digest(package)
    assert after != before
    module.write_text("a = 1\n", encoding="utf-8")
    assert source_digest(package) == before
    (package / "more.py").write_text("", encoding="utf-8")
    assert source_digest(package) not in {before, after}
