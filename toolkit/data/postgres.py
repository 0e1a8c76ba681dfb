"""Ibis' PostgreSQL as the toolkit needs it; imported only where PostgreSQL is used."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlparse

import ibis.expr.datatypes as dt
import sqlglot.expressions as sge
from ibis.backends.postgres import Backend
from ibis.backends.postgres.converter import PostgresPandasData
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from typing_extensions import override


class ExactCompiler(PostgresCompiler):  # type: ignore[misc] # Ibis ships no types
    """Sums that do not depend on the order of the rows, and casts that PostgreSQL has not."""

    __slots__ = ()

    @override
    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """PostgreSQL casts a boolean to a 32-bit number and to no other."""
        if op.arg.dtype.is_boolean() and to.is_numeric():
            arg = self.cast(arg, dt.int32)
        return super().visit_Cast(op, arg=arg, to=to)

    @override
    def visit_Sum(self, op: Any, *, arg: Any, where: Any) -> Any:
        if not op.arg.dtype.is_floating():
            return super().visit_Sum(op, arg=arg, where=where)
        return self.cast(self.agg.sum(self._exact(arg), where=where), op.dtype)

    @override
    def visit_Mean(self, op: Any, *, arg: Any, where: Any) -> Any:
        if not op.arg.dtype.is_floating():
            return super().visit_Mean(op, arg=arg, where=where)
        return self.cast(self.agg.avg(self._exact(arg), where=where), op.dtype)

    @override
    def visit_WindowFunction(self, op: Any, *, func: Any, **parts: Any) -> Any:
        if not isinstance(func, sge.Cast):
            return super().visit_WindowFunction(op, func=func, **parts)
        return self.cast(super().visit_WindowFunction(op, func=func.this, **parts), op.dtype)

    def _exact(self, number: Any) -> Any:
        """The very decimal that a float is written as: their sum is exact, whichever plan the server chose today."""
        return self.cast(self.cast(number, dt.string), dt.decimal)


class ExactBackend(Backend):  # type: ignore[misc] # Ibis ships no types
    """Whole numbers and decimals keep all their digits.

    PostgreSQL sums 64-bit numbers as decimals, and Ibis has pandas make floats of all of them on their way.
    """

    compiler = ExactCompiler()

    def open(self, url: str, options: Mapping[str, Any]) -> ExactBackend:
        """A connection to what a URL names; it ends with the last reference to it."""
        opened: ExactBackend = self._from_url(urlparse(url), **options)
        weakref.finalize(opened, opened.con.close)
        return opened

    @override
    def execute(self, expr: Any, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        import pandas as pd

        self._run_pre_execute_hooks(expr)
        table = expr.as_table()
        sql = self.compile(table, params=params, limit=limit, **kwargs)
        with self.con.cursor() as cursor, self.con.transaction():
            rows = cursor.execute(sql).fetchall()
        schema = table.schema()
        frame = pd.DataFrame.from_records(rows, columns=list(schema.names))
        return expr.__pandas_result__(PostgresPandasData.convert_table(frame, schema))
