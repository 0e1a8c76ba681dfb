"""Runs in a mount namespace of its own (`unshare --mount`), where disks may be full or read-only; prints JSON.

python disk_scenario.py full|read-only WORKSPACE
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from toolkit.cli import main

PAGE_BYTES = 4096


def call(*arguments: str) -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    said = [line for line in err.getvalue().splitlines() if not line.startswith("==> ")]
    told = [line for line in err.getvalue().splitlines() if line.startswith("==> ")]
    return {"code": code, "out": out.getvalue(), "said": "\n".join(said), "told": told, "tree": tree()}


def tree() -> list[str]:
    """Everything in the archive; its index is no part of it."""
    paths = (path for path in Path("reports").rglob("*") if not path.name.startswith((".index.", "filler")))
    return sorted(path.as_posix() for path in paths)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def read_only() -> dict[str, Any]:
    mount("--bind", "reports", "reports")
    mount("-o", "remount,bind,ro", "reports")
    before = tree()
    return {"before": before, "run": call("run", "looks"), "gallery": call("reports", "gallery")}


def full() -> dict[str, Any]:
    """The archive on a disk of 1 MiB: full when the notebook saves, full when the page is written, free again."""
    shutil.copytree("reports", "earlier")
    mount("-t", "tmpfs", "-o", "size=1m", "disk", "reports")
    shutil.copytree("earlier", "reports", dirs_exist_ok=True)
    shutil.rmtree("earlier")
    seen: dict[str, Any] = {"before": tree()}
    fill(0)
    seen["in the kernel"] = call("run", "looks")
    seen["gallery"] = call("reports", "gallery")
    fill(6)
    seen["at the page"] = call("run", "looks")
    Path("reports/filler").unlink()
    seen["verify"] = call("reports", "verify", "--all")
    seen["ledger"] = call("ledger", "log", "--json")
    seen["again"] = call("run", "looks")
    seen["verify again"] = call("reports", "verify", "--all")
    seen["ledger again"] = call("ledger", "log", "--json")
    return seen


def fill(pages: int) -> None:
    """Fill the disk up to `pages` of its pages."""
    filler = Path("reports/filler")
    filler.unlink(missing_ok=True)
    free = os.statvfs("reports").f_bfree * os.statvfs("reports").f_bsize
    with filler.open("wb") as stream:
        stream.write(b"\0" * (free - pages * PAGE_BYTES))


if __name__ == "__main__":
    os.chdir(sys.argv[2])
    sys.stdout.write(json.dumps({"full": full, "read-only": read_only}[sys.argv[1]]()))
