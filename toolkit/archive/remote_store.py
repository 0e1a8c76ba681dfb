"""A store of bytes under keys, somewhere else: any file system that fsspec knows and that creates without overwriting.

Nothing in it is ever changed: an object has its content's digest as its key, and what says which version a number has
is created once or not at all. Credentials come from the environment, never from `toolkit.toml`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from toolkit.archive.versions import sync
from toolkit.checks import unknown_name_message
from toolkit.digests import digest_bytes, document_bytes
from toolkit.errors import ArchiveError, DefinitionError, MissingExtraError, ToolkitError
from toolkit.workspace import SETTINGS_FILE, Problem, Workspace
from toolkit.workspace.documents import read_toml

_MARKER = "toolkit-archive.json"
_AT_A_TIME = 200  # keys asked for in one go; the file system fetches them side by side


@dataclass(frozen=True)
class Store:
    """An open store: `url` as messages name it, the fsspec file system, and the path that keys are below."""

    url: str
    files: Any
    root: str

    def path(self, key: str) -> str:
        """Where a key lies in the file system."""
        return f"{self.root}/{key}" if self.root else key

    def create(self, key: str, data: bytes) -> bool:
        """Store `data` under a key that is free, whole or not at all; False when the key is taken."""
        path = self.path(key)
        try:
            if _is_local(self.files):
                _create_file(Path(path), data)
            else:
                self.files.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True

    def put_object(self, data: bytes) -> None:
        """Store an object under its digest."""
        self.create(object_key(digest_bytes(data)), data)

    def get_object(self, digest: str) -> bytes:
        """The object with this digest. Raises `ArchiveError` when it is not there, or is another."""
        try:
            data: bytes = self.files.cat_file(self.path(object_key(digest)))
        except FileNotFoundError:
            raise ArchiveError(f"{self.url} lacks the object {digest}") from None
        if digest_bytes(data) != digest:
            raise ArchiveError(f"{self.url} has another object under {digest}: its digest is {digest_bytes(data)}")
        return data

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What the keys hold; a key that is free is left out."""
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), _AT_A_TIME):
            paths = {self.path(key): key for key in keys[start : start + _AT_A_TIME]}
            for path, held in self.files.cat(list(paths), on_error="return").items():
                if isinstance(held, bytes):
                    found[paths[path]] = held
                elif not isinstance(held, FileNotFoundError):
                    raise held
        return found

    def list_keys(self, prefix: str) -> list[str]:
        """Every key below a prefix, such as `reports`."""
        skip = len(self.path(""))
        return [path[skip:] for path in self.files.find(self.path(prefix))]


def object_key(digest: str) -> str:
    """Where an object lies.

    >>> object_key("sha256:e3b0c442")
    'objects/e3/b0c442'
    """
    text = digest.removeprefix("sha256:")
    return f"objects/{text[:2]}/{text[2:]}"


@contextmanager
def open_store(workspace: Workspace) -> Iterator[Store]:
    """The remote archive that `toolkit.toml` names.

    Raises `DefinitionError` when it names none, or one of an unknown kind, `MissingExtraError` when its library is not
    installed, and `ArchiveError`, also in the block, for what the store answers.
    """
    settings = workspace.settings.archive
    if settings is None:
        raise DefinitionError(
            f"{SETTINGS_FILE} has no [archive], so there is no remote archive; say there where it lies, such as "
            'remote = "s3://bucket/prefix"',
            path=workspace.root / SETTINGS_FILE,
        )
    protocol = settings.remote.split("://", 1)[0]
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import available_protocols
    except ImportError:
        raise _missing(settings.remote) from None
    if protocol not in available_protocols():
        problem = Problem(["archive", "remote"], unknown_name_message(protocol, available_protocols(), noun="protocol"))
        raise read_toml(workspace.root / SETTINGS_FILE).error([problem])
    with _explained(settings.remote):
        try:
            files, root = url_to_fs(
                settings.remote, use_listings_cache=False, skip_instance_cache=True, **settings.options
            )
        except ImportError:
            raise _missing(settings.remote) from None
        yield Store(settings.remote, files, root.rstrip("/"))


def check_exclusive(store: Store) -> None:
    """Raise `ArchiveError` unless the store refuses to create what is there.

    Some S3-compatible servers take no notice of the condition and overwrite; fsspec's own default asks first and writes
    then, and two writers may ask at once.
    """
    marker = document_bytes({"schema_version": 1, "what": "a report archive of the Improvement Toolkit"})
    if not _is_exclusive(store.files) or (store.create(_MARKER, marker) and store.create(_MARKER, marker)):
        raise ArchiveError(
            f"{store.url} cannot create a file without overwriting one that is there, so two archives could overwrite "
            "each other's reports; nothing was pushed. Use a store with conditional writes, such as S3, or a folder "
            "(file://)"
        )


def _is_exclusive(files: Any) -> bool:
    """Whether the file system's library has a way of its own to create; the server may still not know it."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    if _is_local(files):
        return True
    if isinstance(files, AsyncFileSystem):
        return getattr(type(files), "_pipe_file", None) is not AsyncFileSystem._pipe_file  # noqa: SLF001 - the hook it is
    return type(files).pipe_file is not AbstractFileSystem.pipe_file


def _is_local(files: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(files, LocalFileSystem)


def _create_file(path: Path, data: bytes) -> None:
    """A file that has its whole content as soon as it has its name; raises `FileExistsError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}.{token_hex(4)}~")
    try:
        staged.write_bytes(data)
        sync(staged)
        os.link(staged, path)
    finally:
        staged.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what a store's library raises into an `ArchiveError`; each has a tree of errors of its own."""
    try:
        yield
    except ToolkitError:
        raise
    except Exception as err:
        told = str(err) or type(err).__name__
        raise ArchiveError(
            f"the remote archive {url} failed ({type(err).__name__}: {told}); what was transferred before stays. See "
            "that it is there and that the environment has its credentials, then run the command again"
        ) from err


def _missing(url: str) -> MissingExtraError:
    return MissingExtraError(
        f"the remote archive {url} needs a library that is not installed; for S3 and for folders that is the extra "
        "'s3': pip install 'improvement-toolkit[s3]'"
    )
