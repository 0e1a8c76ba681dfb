"""What a zygote imports unless it is told otherwise: the kernel itself and what notebooks of a team like ours import.

Third-party only. A package that is not installed is left out. Nothing here is used before the fork: a connection to a
database, a pool or an event loop must not be shared.
"""

from __future__ import annotations

PRELOAD = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "jedi",
    "pdb",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
    "numpy",
    "pandas",
    "pandas.io.formats.html",
    "pandas.io.formats.string",
    "scipy.stats",
    "ruptures",
    "statsmodels.api",
    "statsmodels.formula.api",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "seaborn",
    "PIL.PngImagePlugin",
    "duckdb",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "ibis",
    "ibis.backends.duckdb.converter",
    "ibis.expr.types.groupby",
    "sqlalchemy",
    "sqlglot",
    "great_tables",
    "pydantic",
    "ruamel.yaml",
)
