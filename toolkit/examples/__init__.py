"""Example workspaces: real data and definitions that exercise everything.

`EXAMPLES` are the names that `toolkit init DIR --example NAME` knows; `build_flights` lays `flights` into a folder.
"""

from toolkit.examples.flights import build_flights

__all__ = ["EXAMPLES", "build_flights"]

EXAMPLES = ("flights",)
