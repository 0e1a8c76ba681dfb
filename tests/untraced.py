"""Coverage follows each line of each library too, to throw it away: a third of what such a run takes.

Where a library works long by itself, nothing of ours runs inside, and the tracer is taken off for as long.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    import pytest

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def without_tracer(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """The function, during which nothing is traced. It must call nothing of the toolkit."""

    @wraps(function)
    def call(*arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
        tracer = sys.gettrace()
        if tracer is None:
            return function(*arguments, **named)
        sys.settrace(None)
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(tracer)

    return call


def leave_ibis_untraced(patch: pytest.MonkeyPatch) -> None:
    """Take the tracer off where Ibis makes SQL of an expression, and where it makes the expression's nodes."""
    from ibis.backends.duckdb import Backend
    from ibis.backends.sql import SQLBackend
    from ibis.common.bases import AbstractMeta

    patch.setattr(SQLBackend, "compile", without_tracer(SQLBackend.compile))
    for name in ("execute", "to_pyarrow", "to_parquet", "_to_duckdb_relation", "get_schema", "read_parquet"):
        patch.setattr(Backend, name, without_tracer(getattr(Backend, name)))
    patch.setattr(AbstractMeta, "__call__", without_tracer(AbstractMeta.__call__))
