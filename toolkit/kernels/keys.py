"""What a zygote and the kernels forked from it must have in common: another key, another zygote."""

from __future__ import annotations

import functools
import importlib.util
import os
import resource
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolkit.digests import digest_bytes, digest_value
from toolkit.kernels.launches import Launch

# The variables that the interpreter, the C library and the preloaded packages read when they are loaded: all that a
# zygote gets to see. `tests/kernels` records what the preloaded packages do read.
_NAMES = {
    "DISPLAY",
    "HOME",
    "IN_SPHINX_RUN",
    "JUPYTER_ALLOW_INSECURE_WRITES",
    "JUPYTER_PLATFORM_DIRS",
    "JUPYTER_USE_PROGRAMDATA",
    "JUPYTER_WIDGETS_ECHO",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "MATPLOTLIBRC",
    "PATH",
    "SM_FORMULA_ENGINE",
    "SOURCE_DATE_EPOCH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "TZDIR",
    "USER",
}
_PREFIXES = (
    *("ARROW_", "BLIS_", "DEBUGPY_", "DEBUG_PYDEVD_", "GEVENT_", "GLIBC_", "GOMP_", "GOTO_", "IPYTHON", "JOBLIB_"),
    *("KMP_", "LC_", "LD_", "LOKY_", "MALLOC_", "MKL_", "MPL", "MSGPACK_", "NPY_", "NUMEXPR_", "NUMPY_", "OMP_"),
    *("OPENBLAS_", "PANDAS_", "PATSY_", "PILLOW_", "PSUTIL_", "PYARROW_", "PYDANTIC_", "PYDEV", "PYPARSING"),
    *("PYTHON", "PYZMQ_", "RUAMEL_", "SCIPY_", "SKLEARN_", "SQLGLOT", "TORNADO_", "TRAITLETS_", "VECLIB_", "WRAPT_"),
    "XDG_",
)
_SUFFIX = "_NUM_THREADS"
_SECRET_WORDS = ("CREDENTIAL", "PASSW", "SECRET", "TOKEN", "_KEY")
_LATER = {"MPLBACKEND"}  # each kernel sets its own


def variables_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that is read when modules are imported; nothing whose name speaks of a secret.

    >>> variables_at_import({"TZ": "UTC", "OMP_NUM_THREADS": "1", "DB_URL": "x", "PYTHONANYWHERE_TOKEN": "x"})
    {'OMP_NUM_THREADS': '1', 'TZ': 'UTC'}
    """
    return {name: environment[name] for name in sorted(environment) if _read_at_import(name)}


def _read_at_import(name: str) -> bool:
    if name in _LATER or any(word in name.upper() for word in _SECRET_WORDS):
        return False
    return name in _NAMES or name.startswith(_PREFIXES) or name.endswith(_SUFFIX)


def zygote_key(launch: Launch, preload: Sequence[str]) -> str:
    """The digest of all that is settled before the fork.

    The interpreter and its options, which distributions are installed, the variables read at import, Matplotlib's
    settings file, what a process inherits without being told (umask, limits, priority, processors), the modules and,
    of `toolkit` and of packages outside the interpreter's own folders, the source.
    """
    variables = variables_at_import(launch.environment)
    folders = (*variables.get("PYTHONPATH", "").split(os.pathsep), *site_folders())
    installed = installed_names(folders)
    sources = {
        package: source_digest(place)
        for package in sorted({name.partition(".")[0] for name in preload})
        if (place := edited_place(package, folders, installed)) is not None
    }
    return digest_value(
        [
            launch.python,
            *launch.options,
            variables,
            installed,
            _settings_files(variables),
            _inherited(),
            *preload,
            sources,
        ]
    )


@functools.cache
def site_folders() -> tuple[str, ...]:
    """Where this interpreter's distributions are installed."""
    return (*site.getsitepackages(), site.getusersitepackages())


def installed_names(folders: Sequence[str]) -> list[str]:
    """What the folders say is installed: names of `*.dist-info` hold the version; `*.pth` files with their time."""
    found = []
    for folder in filter(None, folders):
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        for entry in entries:
            if entry.name.endswith((".dist-info", ".egg-info", ".egg-link")):
                found.append(f"{folder}/{entry.name}")
            elif entry.name.endswith(".pth"):
                found.append(f"{folder}/{entry.name} {entry.stat().st_mtime_ns}")
    return sorted(found)


def edited_place(package: str, folders: Sequence[str], installed: Sequence[str]) -> Path | None:
    """Where a package's source is, if its version does not say what it holds: `toolkit`, and what people edit."""
    place = _find(package, tuple(folders), tuple(installed))
    if place is None or package == __name__.partition(".")[0]:
        return place
    own = [Path(folder) for folder in (*site_folders(), os.path.dirname(os.__file__))]  # noqa: PTH120  # text, as it came
    return None if any(folder in place.parents for folder in own) else place


@functools.lru_cache(maxsize=256)
def _find(package: str, folders: tuple[str, ...], _installed: tuple[str, ...]) -> Path | None:
    """`_installed`: only so that it is looked for again when that has changed."""
    for folder in filter(None, folders):
        for place in (Path(folder, package, "__init__.py"), Path(folder, f"{package}.py")):
            if place.is_file():
                return place.parent if place.stem == "__init__" else place
    spec = None if package == "__main__" else importlib.util.find_spec(package)
    if spec is None or spec.origin is None or not os.path.isabs(spec.origin):  # noqa: PTH117  # text, as it came
        return None  # not there, or built in
    place = Path(spec.origin)
    return place.parent if place.stem == "__init__" else place


def source_digest(place: Path) -> str:
    """The digest of a module's file, or of every file of a package: their paths and bytes."""
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    sources = [path for path in files if path.suffix not in {".pyc", ".pyo"}]
    stamps = tuple((str(path), status.st_ino, status.st_ctime_ns) for path in sources for status in [path.stat()])
    return _digest_of_stamped(stamps)


@functools.lru_cache(maxsize=16)
def _digest_of_stamped(stamps: tuple[tuple[str, int, int], ...]) -> str:
    """Read again only when a file has been touched: its change time cannot be set back."""
    return digest_value([[path, digest_bytes(Path(path).read_bytes())] for path, _, _ in stamps])


def _settings_files(variables: Mapping[str, str]) -> list[list[int] | None]:
    home = variables.get("HOME", "")
    folders = [
        variables.get("MATPLOTLIBRC", ""),
        variables.get("MPLCONFIGDIR", ""),
        os.path.join(variables.get("XDG_CONFIG_HOME", ""), "matplotlib"),  # noqa: PTH118  # text, as it came
        os.path.join(home, ".config", "matplotlib"),  # noqa: PTH118  # text, as it came
    ]
    stamps: list[list[int] | None] = []
    for path in (folders[0], *(os.path.join(folder, "matplotlibrc") for folder in folders)):  # noqa: PTH118  # text, as it came
        try:
            status = os.stat(path)  # noqa: PTH116  # text, as it came
        except (FileNotFoundError, NotADirectoryError):
            stamps.append(None)
        else:
            stamps.append([status.st_ino, status.st_ctime_ns])
    return stamps


def _inherited() -> list[object]:
    """What `os.umask` and the like would say; of the thread that asks, as it would be for a process it starts."""
    mask = next(
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line[:6] == "Umask:"
    )
    kinds = sorted({number for name, number in vars(resource).items() if name.startswith("RLIMIT_")})
    limits = [list(resource.getrlimit(kind)) for kind in kinds]
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    return [mask, limits, priority, sorted(os.sched_getaffinity(0)), os.getuid(), os.getgid(), sys.flags.dev_mode]
