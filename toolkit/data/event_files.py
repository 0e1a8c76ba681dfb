"""Files of events that appear whole: each grows under a hidden name, and gets its own when its last byte is on disk.

Of several processes that write to one folder each has files of its own. A lock says whose process still lives: what a
dead one has left is finished by the next, up to its last complete line. The standard library only, until a Parquet file
is made.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from toolkit.data.contracts import CONTRACTS, Column, Kind

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["jsonl", "parquet"]

PART = ".jsonl.part"
"""The end of an incomplete file's name; the name begins with a dot, so that no reader's pattern takes it."""

_BLOCK_BYTES = 1 << 20
_ATTEMPTS = 5


class EventFile:
    """A file that grows by lines of JSON and is finished once.

    Parameters
    ----------
    path: of the hidden file, `<folder>/.<name>.jsonl.part`.
    descriptor: the open file; its lock is held as long as it is open.
    lines, size_bytes: what the file holds, all of it complete lines, if not `torn`.
    inherited: another process has written them.

    Attributes
    ----------
    torn: it ends in the middle of a line. gone: it was taken away before it was finished, with all that it held.
    """

    def __init__(self, path: Path, descriptor: int, *, lines: int = 0, size_bytes: int = 0) -> None:
        self.path = path
        self.descriptor = descriptor
        self.lines = lines
        self.size_bytes = size_bytes
        self.inherited = lines > 0
        self.torn = False
        self.gone = False

    @classmethod
    def create(cls, folder: Path, name: str) -> EventFile:
        """A new file in `folder`, which is made as needed. Raises `OSError`.

        Between its creation and its lock another writer may take it for left behind; then there is another name.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            path = folder / f".{name}{'b' * attempt}{PART}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            if _lock(descriptor, path) != "taken":
                return cls(path, descriptor)
            os.close(descriptor)
        raise OSError(f"{folder} lets no file be kept: {_ATTEMPTS} of them were taken away before they were written")

    def append(self, content: bytes) -> OSError | None:
        """Write complete lines; on an error those that fitted stay, the torn one is taken away, and it is returned."""
        written, error = 0, None
        view = memoryview(content)
        try:
            while written < len(content):
                written += os.write(self.descriptor, view[written:])
        except OSError as err:
            error = err
            written = content.rfind(b"\n", 0, written) + 1
        self.lines += content.count(b"\n", 0, written)
        self.size_bytes += written
        if error is not None:
            try:
                os.ftruncate(self.descriptor, self.size_bytes)
                os.lseek(self.descriptor, self.size_bytes, os.SEEK_SET)
            except OSError:
                self.torn = True
        return error

    def look(self) -> None:
        """See whether it still lies where it was made: what is written to a removed file nobody can find."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self.gone = True
        except OSError:  # what cannot be seen now may be there
            pass

    def finish(self, form: Format, features: Mapping[str, Column]) -> None:
        """Give the file its own name, once it is on disk; as Parquet, it is made into that first. An empty one goes.

        Whatever goes wrong, the hidden file stays for a later writer. Raises `OSError`, or what pyarrow raises.
        """
        final = self.path.with_name(self.path.name.removeprefix(".").removesuffix(PART) + f".{form}")
        try:
            if not self.lines:
                self.path.unlink()
                return
            os.fsync(self.descriptor)
            if form == "jsonl":
                self.path.rename(final)
            else:
                write_parquet(self.path, final, features, look=self.inherited)
                self.path.unlink(missing_ok=True)
            _sync_folder(final.parent)
        except Exception:
            self.look()  # while it is locked: afterwards another writer may finish it
            raise
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        os.close(self.descriptor)


def left_behind(root: Path) -> Iterator[EventFile]:
    """The files that dead processes left in the folders of `root`, each cut to its complete lines and ours from now on.

    One that holds no complete line is removed; one that cannot be opened (another user's) is left. Raises `OSError`.
    """
    for path in sorted(root.glob(f"*/day=*/.*{PART}")):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:  # such as: another writer was quicker
            continue
        if _lock(descriptor, path) != "ours":
            os.close(descriptor)
            continue
        lines, size_bytes = _complete_lines(descriptor)
        if lines:
            os.ftruncate(descriptor, size_bytes)
            yield EventFile(path, descriptor, lines=lines, size_bytes=size_bytes)
        else:
            path.unlink()
            os.close(descriptor)


def _complete_lines(descriptor: int) -> tuple[int, int]:
    """How many lines of the file are complete, and their bytes. A block that never reached the disk is full of NUL."""
    lines, size_bytes, position = 0, 0, 0
    while block := os.pread(descriptor, _BLOCK_BYTES, position):
        nul = block.find(b"\0")
        good = block if nul < 0 else block[:nul]
        lines += good.count(b"\n")
        size_bytes = position + good.rfind(b"\n") + 1 if b"\n" in good else size_bytes
        if nul >= 0:
            break
        position += len(block)
    return lines, size_bytes


def write_parquet(lines: Path, final: Path, features: Mapping[str, Column], *, look: bool) -> None:
    """Make a file of lines into one of Parquet: the columns of the contract and the further ones.

    Parameters
    ----------
    look: the lines may hold columns that are not known, and their values say what they are.
    """
    import pyarrow as pa
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    from toolkit.data.schemas import arrow_schema

    table = final.parents[1].name
    known = {name: column.kind for name, column in features.items()}
    unknown = _kinds_met(lines, [*CONTRACTS[table].columns, *known]) if look else {}
    schema = arrow_schema(table, features=known | unknown)
    nullable = pa.schema([field.with_nullable(True) for field in schema])  # what pyarrow's reader takes
    rows: pa.Table = pj.read_json(
        lines,
        read_options=pj.ReadOptions(use_threads=False, block_size=4 * _BLOCK_BYTES),
        parse_options=pj.ParseOptions(explicit_schema=nullable, unexpected_field_behavior="error"),
    )
    hidden = final.with_name(f".{final.name}.part")
    pq.write_table(rows.select(schema.names).cast(schema), hidden)
    descriptor = os.open(hidden, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    hidden.rename(final)


def _kinds_met(lines: Path, known: list[str]) -> dict[str, Kind]:
    """The kinds of the columns of a file that are not known."""
    kinds: dict[str, Kind] = {}
    seen = set(known)
    with lines.open("rb") as stream:
        for line in stream:
            for name, value in json.loads(line).items():
                if name not in seen:
                    seen.add(name)
                    kinds[name] = (
                        "text" if isinstance(value, str) else "boolean" if isinstance(value, bool) else "number"
                    )
    return kinds


def _lock(descriptor: int, path: Path) -> Literal["ours", "taken", "no locks"]:
    """Take the file for this process, unless another holds it or has taken it away.

    Where there are no such locks a file can be written, and none is ever taken for left behind.
    """
    if sys.platform == "win32":
        return "no locks"
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "taken"
    except OSError:
        return "no locks"
    try:
        held = os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        held = False
    return "ours" if held else "taken"


def _sync_folder(folder: Path) -> None:
    """So that the name survives a power cut; where folders cannot be opened, the system does it."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
