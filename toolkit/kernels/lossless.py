"""A kernel that loses no output: `python -m ipykernel_launcher`, but for one limit. A program, run by its path.

By default ZeroMQ holds a thousand messages for a client that is slower than the kernel, and drops the rest without a
word: a cell that prints ten thousand times loses lines on a busy machine. Here it holds them all; what a cell may put
out is limited by its client (`toolkit.reports.limits`), which ends the kernel.
"""

from __future__ import annotations

import sys
from typing import Any

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # this file's own folder; IPython adds the working directory itself
    from ipykernel.kernelapp import IPKernelApp

    class LosslessApp(IPKernelApp):
        """The kernel's application, with output that waits."""

        def init_iopub(self, context: Any) -> None:
            """Before the socket is made: what is set on the context is its default."""
            context.sndhwm = 0
            super().init_iopub(context)  # type: ignore[no-untyped-call]  # it has no types

    LosslessApp.launch_instance()
