"""Ibis' Spark as the toolkit needs it; imported only where Spark is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
from ibis.backends.pyspark import Backend
from ibis.formats.pandas import PandasData
from ibis.formats.pyarrow import PyArrowData
from ibis.util import gen_name
from pyspark.sql.types import TimestampType
from typing_extensions import override


class ArrowBackend(Backend):  # type: ignore[misc] # Ibis ships no types
    """Results come as Arrow tables (Spark's own way to pandas is not made for pandas 3), and instants stay instants.

    Spark has timestamps with and without a zone, and Ibis takes both for times without: TIMESTAMP is an instant.
    """

    @override
    def get_schema(self, table_name: str, *, catalog: str | None = None, database: str | None = None) -> Any:
        schema = super().get_schema(table_name, catalog=catalog, database=database)
        with self._active_catalog_database(catalog, database):
            fields = self._session.table(table_name).schema.fields
        instants = [field.name for field in fields if isinstance(field.dataType, TimestampType)]
        return ibis.schema(dict(schema) | dict.fromkeys(instants, "timestamp('UTC', 6)"))

    @override
    def to_pyarrow(self, expr: Any, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        self._run_pre_execute_hooks(expr)
        table = expr.as_table()
        answer = self.raw_sql(self.compile(table, params=params, limit=limit, **kwargs)).toArrow()
        return expr.__pyarrow_result__(PyArrowData.convert_table(answer, table.schema()))

    @override
    def execute(self, expr: Any, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        table = expr.as_table()
        answer = self.to_pyarrow(table, params=params, limit=limit, **kwargs)
        return expr.__pandas_result__(PandasData.convert_table(answer.to_pandas(), table.schema()))

    def read_parquet_files(self, files: Sequence[str], *, base: str) -> Any:
        """The rows of local Parquet files; `model=delay/` in a path below `base` is a column."""
        view = gen_name("read_parquet")
        reader = self._session.read.option("basePath", f"file://{base}")
        reader.parquet(*(f"file://{file}" for file in files)).createOrReplaceTempView(view)
        return self.table(view)
