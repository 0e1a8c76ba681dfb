"""Whether the ledger is what was recorded.

Every check works on the stored values and recomputes every hash. Where a change can be pinned to one column, that is
because the hash fits again once this column alone is put back: a proof, not a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.ledger.chain import GENESIS, Position, hash_row, malformed_columns
from toolkit.ledger.sqlite import DamagedLedgerError

if TYPE_CHECKING:
    from toolkit.ledger.store import Ledger

_CONTENTS = "recorded_at, effective_at, actor, assurance, kind, subject or payload"


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes
    ----------
    entries: how many rows were read.
    problems: each breach, naming the sequence and, as far as it can be told, the columns; none if all is well.
    notes: what is worth knowing and is no breach: steps back of the clock.
    """

    entries: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def verify(ledger: Ledger, *, expected: Position | None = None) -> Verification:
    """Check that sequences run 1, 2, 3 …, every row is in the ledger's format, every hash fits and every link holds.

    A chain of hashes cannot see that its **tail was cut off**, or that the whole file was replaced by another good
    chain. For that, give `expected`: a position published earlier outside the ledger (each report's manifest holds
    one). A ledger that is shorter than it, or different at it, is a problem. What was never appended, no check finds.

    Raises `LedgerError` when the file cannot be read for a reason other than damage; damage is a problem.
    """
    check = _Check(expected)
    try:
        with closing(ledger.stored_rows()) as rows:
            row = next(rows, None)
            while row is not None:
                following = next(rows, None)
                check.take(row, following)
                row = following
    except DamagedLedgerError as err:
        check.problems.append(f"after entry {check.last}: {err}")
    check.finish()
    return Verification(check.entries, tuple(check.problems), tuple(check.notes))


class _Check:
    """What is known so far, one row after the other."""

    def __init__(self, expected: Position | None) -> None:
        self.expected = expected
        self.entries = 0
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.last = 0
        self.last_hash: str | None = GENESIS  # None: not known, so that the next link cannot be checked
        self.last_recorded_at = ""
        self.first_missing: int | None = None

    def take(self, row: Mapping[str, Any], following: Mapping[str, Any] | None) -> None:
        """Check one row; the one after it helps to tell which column was changed."""
        self.entries += 1
        sequence = row["sequence"]
        wrong = malformed_columns(row)
        if "sequence" in wrong:
            self.problems.append(f"entry {sequence}: sequence was changed; the numbers are 1, 2, 3 …")
            return
        self._check_gap(sequence)
        if wrong:
            self.problems.append(f"entry {sequence}: {', '.join(wrong)}: not a value that the ledger writes")
            self._advance(sequence, None if "hash" in wrong else row["hash"])
            return
        self._note_clock(row)
        computed = hash_row(row)
        is_linked = self.last_hash in {None, row["previous_hash"]}
        if computed == row["hash"]:
            if not is_linked:
                self.problems.append(
                    f"entry {sequence}: previous_hash is not the hash of entry {self.last}; one of them was rewritten"
                )
        elif following is not None and following["previous_hash"] == computed:
            self.problems.append(f"entry {sequence}: hash was changed; the other columns are as they were written")
        else:
            culprit = self._culprit(row, is_linked=is_linked, is_last=following is None)
            self.problems.append(f"entry {sequence}: {culprit}")
            computed = row["hash"]  # the next entry was chained to what this one was
        self._advance(sequence, computed)

    def finish(self) -> None:
        """Compare the end with the anchor."""
        if self.expected is None:
            return
        if self.expected.sequence > self.last:
            self.problems.append(
                f"the ledger ends at entry {self.last}, and the anchor names entry {self.expected.sequence}: its tail "
                "was cut off, or the file was replaced by an older one"
            )
        if self.expected.sequence == 0 and self.expected.hash != GENESIS:
            self.problems.append(f"the anchor names entry 0 with hash {self.expected.hash}, which no ledger has")

    def _check_gap(self, sequence: int) -> None:
        first, end = self.last + 1, sequence - 1
        if first <= end:
            missing = f"entry {first} is missing" if first == end else f"entries {first} to {end} are missing"
            self.problems.append(missing)
            self.first_missing = self.first_missing or first
            self.last_hash = None

    def _note_clock(self, row: Mapping[str, Any]) -> None:
        recorded_at = row["recorded_at"]
        if recorded_at < self.last_recorded_at:
            self.notes.append(
                f"entry {row['sequence']}: recorded_at {recorded_at} is before that of the entry before it "
                f"({self.last_recorded_at}): the clock was set back"
            )
        self.last_recorded_at = recorded_at

    def _culprit(self, row: Mapping[str, Any], *, is_linked: bool, is_last: bool) -> str:
        if not is_linked and hash_row({**row, "previous_hash": self.last_hash}) == row["hash"]:
            return "previous_hash was changed; the other columns are as they were written"
        for sequence in {self.first_missing, self.last + 1} - {None}:
            if hash_row({**row, "sequence": sequence}) == row["hash"]:
                return f"sequence was changed; it was written as entry {sequence}"
        if self.last_hash != row["previous_hash"]:
            return "the row was changed or moved; its hash does not fit its other columns"
        return f"the hash does not fit: {_CONTENTS}{', or the hash itself,' if is_last else ''} was changed"

    def _advance(self, sequence: int, row_hash: str | None) -> None:
        self.last, self.last_hash = sequence, row_hash
        if self.expected is not None and self.expected.sequence == sequence and row_hash != self.expected.hash:
            self.problems.append(
                f"entry {sequence}: its hash is not the one of the anchor: the ledger was rewritten at or before it"
            )
