"""Making a published report again from what its manifest pins, and saying what came of it. Nothing is published.

The answer is one of three: *reproduced* (the same `results.json` to the byte), *drifted* (it ran, and something came
out otherwise: what differs in its inputs and rows) or *not reproducible* (what it was made of cannot be had, or it
no longer runs: why).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from toolkit.archive import versions
from toolkit.archive.changes import Tolerance
from toolkit.archive.compare import Version, compare_versions
from toolkit.archive.comparison import Comparison
from toolkit.archive.verify import verify_report
from toolkit.archive.versions import RESULTS, Reference, find_report, load_manifest, load_results, report_folder
from toolkit.archive.wording import ARROW, counts_text, input_sides, part_name
from toolkit.archive.writing import explained
from toolkit.reports.pins import PinError, Pins, read_pins
from toolkit.reports.rerun import Rerun, run_pinned
from toolkit.workspace import Workspace

SCHEMA_VERSION = 1
"""Of a reproduction's JSON document; a change of a key's name or meaning raises it."""

Answer = Literal["reproduced", "drifted", "not reproducible"]

_INPUTS = ("definitions", "data", "repositories")
_MAKING = ("toolkit", "environment", "kernel")


@dataclass(frozen=True)
class Reproduction:
    """What came of making a report again.

    Attributes
    ----------
    why: of one that drifted, what came out otherwise and which inputs differ; of one that is not reproducible, why.
    notes: what else one should know, without consequence for the results.
    restored: pinned files that are no longer as they were, and where they were found.
    comparison: the report beside its re-run; None when it did not run.
    """

    reference: Reference
    answer: Answer
    why: tuple[str, ...]
    notes: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """The reproduction as JSON types."""
        return {
            "schema_version": SCHEMA_VERSION,
            "reference": str(self.reference),
            "answer": self.answer,
            "why": list(self.why),
            "notes": list(self.notes),
            "restored": list(self.restored),
            "comparison": self.comparison and self.comparison.to_dict(),
        }


def reproduce_report(
    workspace: Workspace, reference: str | Reference, *, progress: Callable[[str], None] | None = None
) -> Reproduction:
    """Run a published report again from what its manifest pins, and say what came of it.

    It publishes and records nothing: the run lies in a staging folder that is removed.

    Parameters
    ----------
    progress: called with one line at each step and before each code cell.

    Raises `UnknownNameError` with the nearest reference, and `ArchiveError` when there is no room for the run.
    """
    tell = progress or _stay_silent
    found = find_report(workspace, reference)
    tell(f"checking that {found} is what was published")
    if problems := verify_report(workspace, found):
        return Reproduction(found, "not reproducible", problems)
    published = Version(str(found), load_manifest(workspace, found), load_results(workspace, found))
    results = (report_folder(workspace, found) / RESULTS).read_bytes()
    try:
        pins = read_pins(published.manifest)
        _check_ledger(workspace, pins)
        with explained(workspace.reports), versions.open_staging(workspace) as staging:
            rerun = run_pinned(workspace, pins, published.manifest, results, staging=staging, tell=tell)
    except PinError as err:
        return Reproduction(found, "not reproducible", err.reasons)
    return _answer(found, rerun, compare_versions(published, rerun.version, Tolerance()))


def _answer(reference: Reference, rerun: Rerun, comparison: Comparison) -> Reproduction:
    """Reproduced when the bytes are the same; else what came out otherwise, and what that may come from."""
    inputs, making = (tuple(_differences(comparison, names)) for names in (_INPUTS, _MAKING))
    figures = tuple(f"{figure.path} is {figure.state}" for figure in comparison.figures if figure.state != "same")
    if rerun.same:
        silent = ("the notebook saves no results, so all that was made again is that it runs",)
        notes = (*(() if comparison.rows else silent), *inputs, *making, *figures)
        return Reproduction(reference, "reproduced", (), notes, rerun.restored, comparison)
    came_out = f"the rows: {counts_text(comparison)}"
    if not comparison.changed:
        came_out = "results.json has other bytes, and no row differs by more than the tolerance"
    causes = (*inputs, *making) or (
        "no recorded input differs: the notebook does not give the same twice, or reads what no manifest records",
    )
    return Reproduction(reference, "drifted", (came_out, *causes), figures, rerun.restored, comparison)


def _differences(comparison: Comparison, names: tuple[str, ...]) -> Iterator[str]:
    """Where the re-run was made of something else, one line each."""
    for part in comparison.parts:
        for difference in part.differences if part.name in names else ():
            before, after = input_sides(difference)
            yield f"{part_name(part)}, {difference.name.replace('_', ' ')}: {before} {ARROW} {after}"


def _check_ledger(workspace: Workspace, pins: Pins) -> None:
    """Raise `PinError` unless the ledger still has, unchanged, the last entry that the report read."""
    from toolkit.ledger import open_ledger

    if pins.sequence == 0:
        return
    with open_ledger(workspace.ledger, create=False) as ledger:
        reached = ledger.position().sequence
        entries = ledger.entries(after=pins.sequence - 1, limit=1)
    if reached < pins.sequence or not entries:
        raise PinError(f"the ledger ends at entry {reached}, and the report read it up to entry {pins.sequence}")
    if (entries[0].sequence, entries[0].hash) != (pins.sequence, pins.hash):
        raise PinError(
            f"entry {pins.sequence} of the ledger is not the one that the report read; "
            "'toolkit ledger verify' says more"
        )


def _stay_silent(_: str) -> None:
    """Nobody asked for progress."""
