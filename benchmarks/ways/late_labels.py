"""The flights example with labels that come late, and its model's file saying so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd


def make_late(workspace: Path, folder: Path, *, late_days: int, maturity_days: int) -> Path:
    """A copy of the workspace, without what was reported, whose labels are known so many days later."""
    shutil.copytree(workspace, folder, ignore=shutil.ignore_patterns("reports", "ledger", "cache"))
    for path in (folder / "data" / "outcomes").glob("*.parquet"):
        outcomes = pd.read_parquet(path)
        outcomes["observed_at"] += pd.Timedelta(days=late_days)
        outcomes.to_parquet(path, index=False)
    model = folder / "models" / "delay.yml"
    text = model.read_text(encoding="utf-8")
    waits = next(line for line in text.splitlines() if line.strip().startswith("maturity_days:"))
    model.write_text(text.replace(waits, f"  maturity_days: {maturity_days}"), encoding="utf-8")
    return folder
