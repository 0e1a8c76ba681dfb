"""The files that one process writes events to: by table and day, finished when they are large or old.

Nothing here raises: every event is settled, as written or with the reason why it was not.
"""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from toolkit.checks import unknown_name_message
from toolkit.data.contracts import CONTRACTS, Column
from toolkit.data.event_files import EventFile, Format, left_behind
from toolkit.data.event_lines import LineEncoder
from toolkit.errors import ContractError

WRITTEN = "written"
DELIVERIES = "deliveries"
"""The table in which a writer gives account."""

Outcome = tuple[str, str]
"""A table ("" for one that there is not), and what became of its events: written, or why they were dropped."""

_MOST_OPEN = 16
"""Files, one by table and day: events of many days at once are the exception."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


class EventStore:
    """One process's files in a folder; for one thread.

    Attributes
    ----------
    writer_id: the process, with something random; in the names of its files.
    unfinished: events in files that could not get their names yet. recovered: events that dead processes left behind.
    examples: for each reason the last problem in words.
    """

    def __init__(
        self, folder: Path, *, form: Format, features: Mapping[str, Column], max_bytes: int, max_age_s: float
    ) -> None:
        self.writer_id = f"{os.getpid()}-{os.urandom(6).hex()}"
        self.unfinished = self.recovered = 0
        self.examples: dict[str, str] = {}
        self._folder, self._form, self._features = folder, form, features
        self._max_bytes, self._max_age_s = max_bytes, max_age_s
        self._encoders: dict[str, LineEncoder] = {}
        self._files: dict[tuple[str, str], tuple[EventFile, float]] = {}
        self._lost: Counter[Outcome] = Counter()
        self._made = 0

    def put(self, events: Sequence[tuple[str, Mapping[str, object]]]) -> Counter[Outcome]:
        """Write events of any tables, and say what became of each of them, and of earlier ones that were lost since."""
        settled: Counter[Outcome] = Counter()
        try:
            lines: dict[tuple[str, str], list[bytes]] = {}
            for table, event in events:
                try:
                    day, line = self._encoder(table).encode(event)
                except Exception as err:  # noqa: BLE001 - a value's own methods may raise anything
                    settled[self._drop(table, err)] += 1
                else:
                    lines.setdefault((table, day), []).append(line)
            for (table, day), some in lines.items():
                settled.update(self._append(table, day, some))
        except Exception as err:  # noqa: BLE001 - such as MemoryError: the thread goes on, and what is left is counted
            self.examples["unexpected"] = in_words(err)
        if rest := len(events) - settled.total():
            settled["", "unexpected"] += rest
        settled.update(self._take_lost())
        return settled

    def finish(self, *, older_than_s: float = 0.0) -> Counter[Outcome]:
        """Finish the files that are at least so old, so that they can be read; what became of events that were lost."""
        now = time.monotonic()
        for key, (_, made_at) in list(self._files.items()):
            if now - made_at >= older_than_s:
                self._finish(*key)
        return self._take_lost()

    def recover(self) -> None:
        """Finish what dead processes have left behind, and what this one could not finish before."""
        try:
            for file in left_behind(self._folder):
                ours = file.path.name.startswith(f".{self.writer_id}-")
                table = file.path.parents[1].name
                if table not in CONTRACTS:
                    file.abandon()
                elif self._close(table, file):
                    self.recovered += 0 if ours else file.lines
                    self.unfinished -= file.lines if ours else 0
        except Exception as err:  # noqa: BLE001 - it is tried again
            self.examples["unfinished"] = in_words(err)

    def account(self, events: Mapping[Outcome, int]) -> bool:
        """Write down what became of events, as rows of `deliveries` in a file of their own; whether it could be."""
        now = datetime.now(UTC)
        try:
            encoded = [
                self._encoder(DELIVERIES).encode(
                    {
                        "writer_id": self.writer_id,
                        "reported_at": now,
                        "table": table,
                        "outcome": outcome,
                        "events": count,
                    }
                )
                for (table, outcome), count in sorted(events.items())
            ]
            file = self._create(DELIVERIES, encoded[0][0])
            error = file.append(b"".join(line for _, line in encoded))
            if error is None and self._close(DELIVERIES, file):
                return True
            if error is not None:
                file.abandon()
            file.path.unlink(missing_ok=True)  # half an account is none: the next one holds it all
        except Exception as err:  # noqa: BLE001 - it is tried again
            self.examples["unfinished"] = in_words(err)
        return False

    def forget(self) -> None:
        """Close the files of another process, whose copy this one is after a fork, without touching what they hold."""
        for file, _ in self._files.values():
            with suppress(OSError):
                file.abandon()
        self._files.clear()

    def _encoder(self, table: str) -> LineEncoder:
        if table not in self._encoders:
            if table not in CONTRACTS:
                raise ContractError(unknown_name_message(str(table), CONTRACTS, noun="table"))
            contract = CONTRACTS[table]
            self._encoders[table] = LineEncoder(contract, self._features if contract.open else {})
        return self._encoders[table]

    def _drop(self, table: str, err: Exception) -> Outcome:
        reason = "invalid" if isinstance(err, ContractError) else "unserialisable"
        self.examples[reason] = in_words(err)
        return (table if table in CONTRACTS else "", reason)

    def _append(self, table: str, day: str, lines: Sequence[bytes]) -> Mapping[Outcome, int]:
        try:
            file = self._file(table, day)
            before = file.lines
            error = file.append(b"".join(lines))
        except OSError as err:
            return {(table, self._blame(err)): len(lines)}
        written = file.lines - before
        if file.torn:
            self._files.pop((table, day))
            self.unfinished += file.lines
            file.abandon()
        elif file.size_bytes >= self._max_bytes:
            self._finish(table, day)
        return {(table, WRITTEN): written, **({(table, self._blame(error)): len(lines) - written} if error else {})}

    def _file(self, table: str, day: str) -> EventFile:
        if (table, day) in self._files:
            file, _ = self._files[table, day]
            file.look()
            if file.gone:
                del self._files[table, day]
                self._lose(table, file)
                file.abandon()
        if (table, day) not in self._files:
            if len(self._files) >= _MOST_OPEN:
                self._finish(*next(iter(self._files)))
            self._files[table, day] = (self._create(table, day), time.monotonic())
        return self._files[table, day][0]

    def _create(self, table: str, day: str) -> EventFile:
        self._made += 1
        return EventFile.create(self._folder / table / f"day={day}", f"{self.writer_id}-{self._made}")

    def _finish(self, table: str, day: str) -> None:
        file, _ = self._files.pop((table, day))
        if self._close(table, file):
            return
        if file.gone:
            self._lose(table, file)
        else:
            self.unfinished += file.lines

    def _lose(self, table: str, file: EventFile) -> None:
        """Its events were settled as written, and are not."""
        self._lost.update({(table, WRITTEN): -file.lines, (table, "unwritable"): file.lines})
        self.examples["unwritable"] = f"{file.path} was taken away before it was finished"

    def _take_lost(self) -> Counter[Outcome]:
        lost, self._lost = self._lost, Counter()
        return lost

    def _close(self, table: str, file: EventFile) -> bool:
        try:
            columns, contract = self._encoder(table).columns, CONTRACTS[table]
            features = {name: column for name, column in columns.items() if name not in contract.columns}
            file.finish(self._form, features)
        except Exception as err:  # noqa: BLE001 - its hidden file stays, and is tried again
            self.examples["unfinished"] = in_words(err)
            return False
        return True

    def _blame(self, err: OSError) -> str:
        reason = (
            "no_space" if err.errno in _NO_SPACE else "not_permitted" if err.errno in _NOT_ALLOWED else "unwritable"
        )
        self.examples[reason] = in_words(err)
        return reason


def in_words(err: BaseException) -> str:
    """A problem as an example: short, whatever the exception is."""
    try:
        text = str(err)
    except Exception:  # noqa: BLE001 - a caller's exception whose text cannot be had
        text = ""
    shown = text if isinstance(err, ContractError) else f"{type(err).__name__}: {text}"
    return shown[:500]
