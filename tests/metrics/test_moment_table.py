"""Moments as they are kept: what is asked for, the bytes that hold it, and what was not collected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from metrics.stored_units import NEEDS, stored

from toolkit.data.cache import Cache
from toolkit.errors import ArgumentError, UnknownNameError, VerificationError
from toolkit.metrics.moment_table import MomentTable, Needs, moments_digest
from toolkit.metrics.moments import collect_moments, kept_moments


def test_bytes_keep_every_digit(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    table = collect_moments(stored(connection, units, tmp_path), NEEDS, by=["variant", "day"], splits=["country"])
    again = MomentTable.from_bytes(table.to_bytes())
    assert (again.needs, again.by, again.splits) == (table.needs, table.by, table.splits)
    pd.testing.assert_frame_equal(again.frame, table.frame, check_exact=True)
    assert again.to_bytes() == table.to_bytes()


def test_ten_runs_give_identical_bytes(units: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "units.parquet"
    units.to_parquet(path, index=False)
    runs = set()
    for _ in range(10):
        rows = ibis.duckdb.connect(threads=1).read_parquet(path)
        runs.add(collect_moments(rows, NEEDS, by=["variant"], splits=["country", "size"]).to_bytes())
    assert len(runs) == 1


def test_kept_moments_are_collected_once(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    rows = stored(connection, units, tmp_path)
    cache, calls = Cache(tmp_path / "cache"), []

    def collect() -> MomentTable:
        calls.append(1)
        return collect_moments(rows, NEEDS, by=["variant"])

    key = {"definition": moments_digest(NEEDS, by=["variant"], rows="sha256:units"), "fingerprint": "sha256:data"}
    first, second = (kept_moments(cache, key, collect) for _ in range(2))
    assert len(calls) == 1
    assert first.to_bytes() == second.to_bytes()
    kept_moments(cache, key | {"fingerprint": "sha256:other data"}, collect)
    assert len(calls) == 2


def test_needs_unite_like_sets() -> None:
    some, others = Needs.of("b", "a"), Needs.of("c")
    assert some | others == others | some == some | others | some
    assert Needs.of("a", "b") == Needs.of("b", "a") == Needs(pairs=(("b", "a"), ("a", "a"), ("b", "b")))
    assert (some | others).paired == ("a", "b")
    assert Needs() | some == some
    assert Needs(("x",)).pairs == ()


def test_the_digest_is_of_everything_that_moments_depend_on() -> None:
    digests = {
        moments_digest(needs, by=by, splits=splits, rows=rows)
        for needs in (Needs.of("a"), Needs(("a",)), Needs.of("a", "b"))
        for by, splits in (((), ()), (("v",), ()), ((), ("v",)))
        for rows in ("sha256:1", "sha256:2")
    }
    assert len(digests) == 18
    assert moments_digest(Needs.of("b", "a"), rows="r") == moments_digest(Needs.of("a", "b"), rows="r")


def test_what_was_not_collected_is_said(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    table = collect_moments(stored(connection, units, tmp_path), NEEDS, by=["variant"])
    cases: list[tuple[Any, type[Exception], str]] = [
        (
            lambda: table.moments(["orders", "revenue"]),
            ArgumentError,
            "the covariance of 'orders' and 'revenue' was not collected; ask for it with Needs.of('orders', 'revenue')",
        ),
        (
            lambda: table.moments(["orders"], {"varian": "a"}),
            UnknownNameError,
            "unknown group 'varian'; allowed: variant. Did you mean 'variant'?",
        ),
        (
            lambda: table.moments(["orders"], split="country", value="DK"),
            UnknownNameError,
            "unknown segmentation 'country'; allowed: none are defined.",
        ),
        (
            lambda: table.values("country"),
            UnknownNameError,
            "unknown group or segmentation 'country'; allowed: variant.",
        ),
        (
            lambda: table.moments(["clicks"]),
            UnknownNameError,
            "unknown measure 'clicks'; allowed: converted, orders, orders_before, revenue, revenue_before, sessions, "
            "sessions_before.",
        ),
        (MomentTable.joined, ArgumentError, "no moments to join; give at least one table"),
        (
            lambda: MomentTable.joined(table, MomentTable(Needs(), (), (), table.frame)),
            ArgumentError,
            "moments of different needs, groups or segmentations cannot be joined",
        ),
        (
            lambda: MomentTable.from_bytes(b"PAR1 and nothing"),
            VerificationError,
            "these bytes are no moments that the toolkit stored",
        ),
    ]
    for act, error, message in cases:
        with pytest.raises(error) as caught:
            act()
        assert caught.value.args[0] == message


def test_moments_of_another_format_are_refused(
    units: pd.DataFrame, connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = collect_moments(stored(connection, units, tmp_path), Needs.of("orders"))
    monkeypatch.setattr("toolkit.metrics.moment_table.FORMAT", 0)
    data = table.to_bytes()
    monkeypatch.undo()
    with pytest.raises(VerificationError) as caught:
        MomentTable.from_bytes(data)
    assert str(caught.value) == "moments were stored in format 0, this toolkit reads 1"
