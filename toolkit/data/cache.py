"""What was derived from production data and may be derived again: files under the workspace's `cache/`.

A file's name is the digest of all that went into it, the toolkit's own code and the engine included, so it is never out
of date, needs no lock, and may be deleted at any time: that costs work, never a number. It appears under its name only
when it is whole.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toolkit.digests import digest_file, digest_value, document_bytes

FOLDER = "cache"

_LOG = logging.getLogger(__name__)
_ENGINES = ("duckdb", "ibis-framework")

_RACY_NS = 2_000_000_000
"""A file changed this shortly ago may change again within the same tick of its clock, so its state says nothing."""


@dataclass(frozen=True)
class Cache:
    """Content-addressed files of a workspace, by kind."""

    root: Path

    def path(self, kind: str, key: Mapping[str, Any], suffix: str) -> Path:
        """Where the file with `key` lies, whether or not it is there; `key` holds all that its content depends on."""
        digest = digest_value({"made_by": _made_by(), **key}).removeprefix("sha256:")
        return self.root / kind / digest[:2] / f"{digest}{suffix}"

    def publish(self, path: Path, write: Callable[[Path], None]) -> Path:
        """Make the file at `path`: `write` lays it beside its place, then it is moved there. Another may be first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.stem}.{os.getpid()}.{os.urandom(4).hex()}{path.suffix}")
        try:
            write(staged)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        return path

    def recall(self, kind: str, keys: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The JSON values that are there, by the names that `keys` gives them."""
        paths = {name: self.path(kind, key, ".json") for name, key in keys.items()}
        return {name: json.loads(path.read_bytes()) for name, path in paths.items() if path.is_file()}

    def keep(self, kind: str, keys: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> None:
        """Keep JSON values under their keys. Where the folder cannot be written that is logged, and nothing is kept."""
        try:
            for name, key in keys.items():
                self.publish(self.path(kind, key, ".json"), partial(_lay, data=document_bytes(values[name])))
        except OSError as err:
            _LOG.warning("what was derived is not kept, so it will be derived again: %s", err)


def _lay(path: Path, *, data: bytes) -> None:
    path.write_bytes(data)


@cache
def _made_by() -> list[str]:
    """What derives: the toolkit's source, and the versions of what it asks."""
    package = Path(__file__).parents[1]
    source = [[path.relative_to(package).as_posix(), digest_file(path)] for path in sorted(package.rglob("*.py"))]
    return [digest_value(source), *(f"{name} {version(name)}" for name in _ENGINES)]


def file_state(path: Path, *, now_ns: int) -> list[Any] | None:
    """What changes whenever a file is written: size, times and inode; None when it was written just now.

    The time of the inode's last change cannot be set by hand, so neither a copy with kept times nor a rewrite in
    place goes unnoticed.
    """
    state = path.stat()
    if now_ns - max(state.st_mtime_ns, state.st_ctime_ns) < _RACY_NS:
        return None
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
