"""Writing events from a model service: nothing here makes the service wait or fail, and whatever is lost is counted.

    from toolkit.data.writer import EventWriter

    events = EventWriter("/var/lib/feedback")
    events.predictions(request_id="r1", model="eta", version="2", occurred_at=datetime.now(UTC), unit_id="u1",
                       score=0.31, decision=False, threshold=0.5, latency_ms=4.2, error=False, served=True)

A call puts the event into a queue of limited length and returns; a thread of its own checks it and writes it to
`<folder>/<table>/day=2030-01-31/`. Files appear whole (see `event_files`). This module and those that it imports need
nothing but the standard library; Parquet needs pyarrow, when the first file is made.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Self
from weakref import WeakSet

from toolkit.checks import check_at_least, check_in
from toolkit.data.contracts import CONTRACTS, Kind
from toolkit.data.event_files import Format
from toolkit.data.event_store import WRITTEN, EventStore, Outcome, in_words
from toolkit.data.schemas import feature_columns
from toolkit.errors import ArgumentError, MissingExtraError

_FEWEST, _MOST = 64, 1024
"""Events that are written before the caller's threads get the interpreter again; the more wait, the more."""

_ENOUGH = 1024
"""Events that are worth waking the thread for before its time."""

_IDLE_S = 0.2
"""The longest that an event waits before it is looked at."""


@dataclass(frozen=True)
class Counts:
    """What became of the events that one process offered: `written + dropped + waiting == offered`.

    Attributes
    ----------
    written: events that are in a file.
    by_reason: dropped events. `queue_full`: they came faster than they could be written. `invalid`: they break their
        contract; `unserialisable`: they hold a value of no kind. `no_space`, `not_permitted`, `unwritable`: the disk
        did not take them, or lost them: their file was taken away before it was finished. `closed`, `not_in_time`:
        offered after the end, or still waiting when its deadline passed. `unexpected`: a defect, or no memory.
    waiting: events in the queue.
    unfinished: those of `written` whose file could not get its name; a later writer tries again.
    recovered: events that dead processes left behind and this one finished.
    examples: for each reason the last problem in words. It may name values of the event: it is for this process only.
    """

    offered: int
    written: int
    by_reason: Mapping[str, int]
    waiting: int
    unfinished: int
    recovered: int
    examples: Mapping[str, str]

    @property
    def dropped(self) -> int:
        """Events that were lost, whatever the reason."""
        return sum(self.by_reason.values())


class EventWriter:
    """Writes events of the contracts' tables to files, in the background.

    Parameters
    ----------
    folder: each table gets a folder in it, and in that each UTC day of the events' own time (`day=2030-01-31`).
    form: `jsonl`, lines of JSON; or `parquet`.
    features: further columns of predictions, by kind; without, the first value of each says which kind it is.
    max_bytes, max_age_s: a file is finished, and can be read, when it is so large or so old.
    queue_events: events that may wait; what comes on top is dropped and counted.
    exit_s: how long the end of the process may wait for what is in the queue.

    Events are mappings or keywords, column by column. Instants are `datetime` with a time zone; one without is invalid,
    and so is a number of seconds. What is None or NaN is missing. NumPy scalars are taken.

    Processes and threads may share a folder, and a writer may be made before a fork: each process has its own thread
    and files. Raises `ArgumentError`, `MissingExtraError`; but no call raises afterwards.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        form: Format = "jsonl",
        features: Mapping[str, Kind] | None = None,
        max_bytes: int = 32 << 20,
        max_age_s: float = 300.0,
        queue_events: int = 65_536,
        exit_s: float = 5.0,
    ) -> None:
        check_in(form, ("jsonl", "parquet"), noun="form", error=ArgumentError)
        check_at_least("max_bytes", max_bytes, 1)
        check_at_least("max_age_s", max_age_s, 0)
        check_at_least("queue_events", queue_events, 1)
        check_at_least("exit_s", exit_s, 0)
        if form == "parquet" and find_spec("pyarrow") is None:
            raise MissingExtraError("form == 'parquet' needs pyarrow: pip install pyarrow, or write form='jsonl'")
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - no look at the disk, which may be away
        self._form: Format = form
        self._features = feature_columns(CONTRACTS["predictions"], features or {})
        self._max_bytes, self._max_age_s = max_bytes, max_age_s
        self._queue_events, self._exit_s = queue_events, exit_s
        self._wake_at = min(_ENOUGH, -(-queue_events // 4))
        self._closing = False
        self._begin()
        _WRITERS.add(self)

    def _begin(self) -> None:
        """Everything that belongs to one process."""
        self._queue: deque[tuple[str, Mapping[str, object]]] = deque()
        self._wake: SimpleQueue[threading.Event | None] = SimpleQueue()  # its put() may even interrupt itself
        self._woken = False
        self._refused: dict[Outcome, _Tally] = {}
        self._problems: dict[str, str] = {}
        self._lock = threading.RLock()  # of what follows; never taken by a call that offers an event
        self._settled: Counter[Outcome] = Counter()
        self._reported: Counter[Outcome] = Counter()
        self._in_flight = 0
        self._given_up = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._store = EventStore(
            self.folder,
            form=self._form,
            features=self._features,
            max_bytes=self._max_bytes,
            max_age_s=self._max_age_s,
        )

    # --- what a service calls ---

    def predictions(self, **event: object) -> bool:
        """Offer one prediction; see `write`."""
        return self._offer("predictions", event)

    def outcomes(self, **event: object) -> bool:
        """Offer one label; see `write`."""
        return self._offer("outcomes", event)

    def exposures(self, **event: object) -> bool:
        """Offer one exposure to a variant; see `write`."""
        return self._offer("exposures", event)

    def write(self, table: str, event: Mapping[str, object]) -> bool:
        """Offer one event of a table of the contracts.

        Returns at once and never raises: whether it was taken into the queue. It may still be dropped when it is
        written; `counts` says so.
        """
        try:
            held = dict(event)  # the caller may go on changing its own
            name = table if type(table) is str else str(table)
        except Exception as err:  # noqa: BLE001 - whatever a mapping of the caller's raises, this call does not
            return self._refuse("", "unserialisable", err)
        return self._offer(name, held)

    def _offer(self, table: str, event: Mapping[str, object]) -> bool:
        try:
            if self._closing:
                return self._refuse(table, "closed")
            if len(self._queue) >= self._queue_events:
                return self._refuse(table, "queue_full")
            self._queue.append((table, event))
        except Exception as err:  # noqa: BLE001 - MemoryError: the caller goes on
            return self._refuse(table, "unexpected", err)
        try:
            if self._thread is None:
                self._start()
            elif not self._woken and len(self._queue) >= self._wake_at:
                self._woken = True
                self._wake.put(None)
        except Exception as err:  # noqa: BLE001 - no thread can be started now; the next event tries again
            self._problems["unexpected"] = in_words(err)
            if "interpreter shutdown" in str(err):  # as Python 3.12 and later say: none will ever be
                self._closing = self._given_up = True
                return False
        return True

    def _refuse(self, table: str, reason: str, err: Exception | None = None) -> bool:
        key = (table if table in CONTRACTS else "", reason)
        tally = self._refused.get(key) or self._refused.setdefault(key, _Tally())
        tally.add()
        if err is not None:
            self._problems[reason] = in_words(err)
        return False

    @property
    def counts(self) -> Counts:
        """What became of the events that this process has offered so far."""
        with self._lock:
            self._sweep()
            outcomes = self._outcomes()
            waiting = len(self._queue) + self._in_flight
            reasons: Counter[str] = Counter()
            for (_, outcome), events in outcomes.items():
                reasons[outcome] += events
            return Counts(
                offered=outcomes.total() + waiting,
                written=reasons.pop(WRITTEN, 0),
                by_reason=MappingProxyType(dict(sorted(reasons.items()))),
                waiting=waiting,
                unfinished=self._store.unfinished,
                recovered=self._store.recovered,
                examples=MappingProxyType({**self._problems, **self._store.examples}),
            )

    def _outcomes(self) -> Counter[Outcome]:
        outcomes = Counter(self._settled)
        for key, tally in list(self._refused.items()):
            outcomes[key] += tally.value()
        return outcomes

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything offered so far can be read, at most so long; whether it was done.

        The one call that waits: for tests and for the end of a batch, not for a service.
        """
        if self._thread is None or not self._thread.is_alive():
            return not self._queue
        done = threading.Event()
        self._wake.put(done)
        return done.wait(timeout_s)

    def close(self, timeout_s: float | None = None) -> Counts:
        """Take no more events, write what waits, finish the files; at most `exit_s`, or what is given here.

        It may be called again. The end of the process does it too.
        """
        self._closing = True
        thread = self._thread
        if thread is not None and thread.is_alive() and not self._given_up:
            self._wake.put(None)
            thread.join(self._exit_s if timeout_s is None else timeout_s)
        with self._lock:
            self._given_up = self._given_up or thread is None or thread.is_alive()
            self._sweep()
        return self.counts

    def _sweep(self) -> None:
        """Once there is nobody to write them, count the events that still wait."""
        thread = self._thread
        if not self._closing or not (self._given_up or (thread is not None and not thread.is_alive())):
            return
        if self._in_flight:
            self._settled["", "not_in_time"] += self._in_flight
            self._in_flight = 0
        while self._queue:
            table, _ = self._queue.popleft()
            self._settled[table if table in CONTRACTS else "", "not_in_time"] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the thread ---

    def _start(self) -> None:
        """Start the thread of this process, once, at its first event."""
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="toolkit-events", daemon=True)
                thread.start()
                self._thread = thread
                _close_with_child(self)
        finally:
            self._starting.release()

    def _run(self) -> None:
        self._store.recover()
        account_due = time.monotonic() + self._max_age_s
        while True:
            flushes = self._await()
            closing = self._closing
            try:
                account_due = self._work(account_due, now=closing or bool(flushes))
            except Exception as err:  # noqa: BLE001 - no memory: the thread goes on, and what it held is counted
                self._give_up_in_flight(err)
                time.sleep(_IDLE_S)
            for done in flushes:
                done.set()
            if closing and (self._given_up or not self._queue):
                return

    def _work(self, account_due: float, *, now: bool) -> float:
        """Write what waits, finish what is old (`now`: everything), give account; when the next account is due."""
        self._woken = False
        self._drain()
        lost = self._store.finish(older_than_s=0.0 if now else self._max_age_s)
        with self._lock:
            self._settled.update(lost)
        if not now and time.monotonic() < account_due:
            return account_due
        if self._store.unfinished:
            self._store.recover()
        self._account()
        return time.monotonic() + self._max_age_s

    def _give_up_in_flight(self, err: Exception) -> None:
        self._problems["unexpected"] = in_words(err)
        with self._lock:
            if self._in_flight:
                self._settled["", "unexpected"] += self._in_flight
                self._in_flight = 0

    def _await(self) -> list[threading.Event]:
        """Wait until something is to be done; those who wait for that."""
        tokens = []
        try:
            if not self._closing:
                tokens.append(self._wake.get(timeout=_IDLE_S))
            while True:
                tokens.append(self._wake.get_nowait())
        except Empty:
            return [token for token in tokens if token is not None]

    def _drain(self) -> None:
        """Write what was in the queue when it began, and let the caller's threads on in between."""
        left = len(self._queue)
        while left > 0:
            with self._lock:
                if self._given_up:
                    return
                size = min(left, max(_FEWEST, min(_MOST, len(self._queue) // 16)))
                events = [self._queue.popleft() for _ in range(size)]
                self._in_flight = size
            settled = self._store.put(events)
            with self._lock:
                if not self._given_up:  # else they were counted as not in time
                    self._settled.update(settled)
                    self._in_flight = 0
            left -= size
            time.sleep(0)

    def _account(self) -> None:
        """Write down what became of events since the last time."""
        with self._lock:
            outcomes = self._outcomes()
        since = outcomes - self._reported  # only what is more: of what was lost since, less is said the next time
        if since and self._store.account(since):
            self._reported += since

    def _forget_parent(self) -> None:
        """In the child of a fork: what the queue and the files hold is the parent's."""
        self._store.forget()
        self._begin()


class _Tally:
    """A count that any thread may raise without a lock: `next` of a C counter is one step of the interpreter."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._reads = 0

    def add(self) -> None:
        """One more."""
        next(self._count)

    def value(self) -> int:
        """How many; reading takes one step too, which is taken off. For one reader at a time."""
        raised = next(self._count) - self._reads
        self._reads += 1
        return raised


_WRITERS: WeakSet[EventWriter] = WeakSet()


def _forget_parents() -> None:
    for writer in list(_WRITERS):
        writer._forget_parent()  # noqa: SLF001 - the hook of the class above


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)


@atexit.register
def _close_all() -> None:
    """At the end of the process. Registered with the module, so that what is registered later may still write."""
    for writer in list(_WRITERS):
        writer.close()


def _close_with_child(writer: EventWriter) -> None:
    """A child of multiprocessing ends without `atexit`."""
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util.Finalize(None, writer.close, exitpriority=0)
