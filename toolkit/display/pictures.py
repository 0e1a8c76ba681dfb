"""Figures as values: PNG bytes with a name and words for those who cannot see them.

A picture is drawn once, under the toolkit's theme, without pyplot's global state; the same data give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PALETTE = ("#1b4965", "#ca6702", "#0a9396", "#ae2012", "#6c757d", "#94a1b2")
"""Six colours that stay apart in print and for colour-blind readers; the first is the subject, the last two recede."""

_DOTS_PER_INCH = 144
_THEME: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#94a1b2",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.size": 9,
    "grid.color": "#e3e8ee",
    "legend.frameon": False,
    "text.parse_math": False,  # names come from data, and "$" in one is no mathematics
}


@dataclass(frozen=True)
class Picture:
    """A figure: a file name without ending, what it shows in words, and its PNG bytes."""

    name: str
    alt: str
    png: bytes

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, bytes | str], dict[str, dict[str, str]]]:
        return {"image/png": self.png, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def picture(
    draw: Callable[[Any], None], *, name: str, alt: str, width_inches: float = 7.0, height_inches: float = 3.4
) -> Picture:
    """Draw on a new figure under the theme and keep the bytes; a user's own matplotlib settings do not reach it.

    Parameters
    ----------
    draw: takes the matplotlib figure and draws on it.
    alt: the figure in words.
    """
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {**mpl.rcParamsDefault, **_THEME, "axes.prop_cycle": cycler(color=PALETTE)}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return Picture(name, alt, stream.getvalue())


def notice(text: str) -> Picture:
    """A picture that says in words why there is none."""

    def draw(figure: Any) -> None:
        figure.text(0.01, 0.5, text, va="center", color=PALETTE[4])

    return picture(draw, name="notice", alt=text, height_inches=0.5)
