"""The label-free estimate as a figure: expected beside realised in earlier windows, and the present interval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE
from toolkit.windows import Window

if TYPE_CHECKING:
    from toolkit.signals.label_free.result import EstimatedQuantity, LabelFree


def draw_performance(figure: Any, result: LabelFree, chosen: Sequence[EstimatedQuantity]) -> None:
    """One row of axes per number, over one axis of time."""
    rows = figure.subplots(len(chosen), 1, sharex=True, squeeze=False)
    for (axes,), each in zip(rows, chosen, strict=True):
        _draw_one(axes, result, each)
    rows[0][0].set_title(f"What {result.basis.words.answers} let expect, and what labels said")
    figure.legend(*rows[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.autofmt_xdate()


def _draw_one(axes: Any, result: LabelFree, each: EstimatedQuantity) -> None:
    key, trials = each.quantity.key, result.trials
    days = [_middle(trial.window) for trial in trials]
    if each.reference.value is not None:
        axes.axhline(each.reference.value, color=PALETTE[5], linewidth=1, linestyle="--", label="reference")
    for values, marker, colour, name in (
        ([getattr(trial.expected, key) for trial in trials], "o", PALETTE[5], "expected"),
        ([getattr(trial.realised, key) for trial in trials], "o", PALETTE[0], "labels"),
    ):
        known = [(day, value) for day, value in zip(days, values, strict=True) if value is not None]
        fill = "white" if name == "expected" else colour
        at, heights = [day for day, _ in known], [value for _, value in known]
        axes.plot(at, heights, marker, color=colour, markerfacecolor=fill, markersize=5, label=name)
    now, published = _middle(result.window), each.published
    if published.value is None:
        axes.text(now, 0.5, "no estimate", transform=axes.get_xaxis_transform(), ha="center", color=PALETTE[3])
    else:
        low, high = (published.value if end is None else end for end in (published.ci_lower, published.ci_upper))
        axes.errorbar(
            [now],
            [published.value],
            yerr=[[published.value - low], [high - published.value]],
            fmt="D",
            color=PALETTE[1],
            markersize=5,
            capsize=3,
            label="now, 95 %",
        )
    axes.set_ylabel(each.quantity.name)


def _middle(window: Window) -> date:
    return (window.start + (window.end - window.start) / 2).date()
