"""Warm kernels: forked from a process that has already imported what notebooks import.

Jupyter finds them under the name `WARM_PROVISIONER`. Importing this room is cheap and works everywhere; where kernels
cannot be forked they start cold, and `why_cold` says why.
"""

from __future__ import annotations

import sys
from pathlib import Path

from toolkit.kernels.launches import KERNEL_VARIABLE, why_cold
from toolkit.kernels.preload import PRELOAD

__all__ = ["KERNEL_VARIABLE", "LOSSLESS", "PRELOAD", "WARM_PROVISIONER", "close_zygotes", "why_cold"]

WARM_PROVISIONER = "toolkit-warm"
"""The name by which Jupyter finds the provisioner."""

LOSSLESS = str(Path(__file__).with_name("lossless.py"))
"""The program that starts a cold kernel which loses no output; forked ones lose none either."""


def close_zygotes() -> None:
    """End the zygotes of this process and the kernels forked from them; otherwise they end with it."""
    zygotes = sys.modules.get("toolkit.kernels.zygotes")
    if zygotes is not None:
        zygotes.close_zygotes()
