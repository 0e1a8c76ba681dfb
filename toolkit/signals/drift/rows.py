"""The rows of one column beside one reference: every measure by its name, with what it is made of."""

from __future__ import annotations

from typing import Any

from toolkit.records import ResultRow, estimate_row, number_row
from toolkit.signals.drift.findings import Finding
from toolkit.signals.drift.judging import ColumnDrift
from toolkit.signals.drift.shifts import Shift
from toolkit.signals.observation import CURRENT, REFERENCE

ADJUSTED = "Benjamini-Hochberg over columns, references and segments; evident and at least the practical threshold"

_SIZES = {
    "missing": "missing_change",
    "unseen": "unseen_change",
    "constant": "not_constant_change",
    "drift": "psi_above_noise",
}


def column_rows(column: ColumnDrift, window: str) -> list[ResultRow]:
    """Of everything all measures; of a segment what was found and how large it is."""
    where: dict[str, Any] = {
        "key": column.column,
        "window": window,
        "segment": column.segment,
        "comparison": f"{CURRENT} - {column.against}",
    }
    rows = []
    if column.missing is not None and not column.segment:
        for name, share in zip((REFERENCE, CURRENT), column.missing, strict=True):
            rows.append(estimate_row(share, statistic=f"missing_share_{name}", unit="share", **where))
    for found in column.findings:
        rows += _finding_rows(found, where)
    if column.shift is not None and not column.segment:
        rows += _shift_rows(column.shift, where)
    return rows


def _finding_rows(found: Finding, where: dict[str, Any]) -> list[ResultRow]:
    rows = []
    if found.size is not None:
        rows.append(estimate_row(found.size, statistic=_SIZES[found.aspect], unit=found.unit, **where))
    rows.append(
        ResultRow(
            statistic=f"{found.aspect}_verdict",
            value=found.verdict,
            p_value=found.p_adjusted,
            method=ADJUSTED if found.p_value is not None else "",
            reason=found.text if found.verdict == "changed" else "",
            **where,
        )
    )
    return rows


def _shift_rows(shift: Shift, where: dict[str, Any]) -> list[ResultRow]:
    psi, test = shift.psi, shift.homogeneity
    null = psi.null
    cells = f"{psi.cells} cells with at least 5 expected, Jeffreys"
    rows = [
        number_row(psi.value, psi.reason, statistic="psi", method=cells, n=psi.n0 + psi.n1, **where),
        number_row(null.mean if null else None, psi.reason, statistic="psi_mean_on_noise", **where),
        number_row(null.critical if null else None, psi.reason, statistic="psi_critical_on_noise", **where),
        number_row(
            test.cramers_v, test.reason, statistic="cramers_v", p_value=test.p_value, method="chi-square", **where
        ),
        number_row(shift.js, "", statistic="js_distance", method="base 2", **where),
        number_row(shift.hellinger, "", statistic="hellinger", **where),
        number_row(shift.design_effect, "", statistic="design_effect", method="Rao & Scott, days as clusters", **where),
        number_row(
            shift.wasserstein,
            shift.no_wasserstein,
            statistic="wasserstein",
            unit="standard deviations of the reference",
            **where,
        ),
    ]
    if shift.ks is not None:
        rows.append(
            ResultRow(
                statistic="ks_distance",
                value=shift.ks.lower,
                ci_lower=shift.ks.lower,
                ci_upper=shift.ks.upper,
                p_value=shift.ks_p,
                method="certain bounds from bins; p-value of the lower one",
                **where,
            )
        )
    return rows
