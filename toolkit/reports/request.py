"""What is asked for: one run, as plain values that travel to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.archive.versions import Slot
from toolkit.reports.limits import Limits

if TYPE_CHECKING:
    from toolkit.reports.engine import Start
    from toolkit.workspace import Settings

Kernel = Literal["auto", "warm", "cold"]
"""How a run's kernel is to start: forked from a warm process, from nothing, or as the caller finds best."""


class BatchItem(NamedTuple):
    """One item of a batch, which a run makes: the batch's name, and the item's number from 1."""

    batch: str
    item: int

    def __str__(self) -> str:
        return f"{self.batch} {self.item}"

    def to_dict(self) -> dict[str, str | int]:
        """As manifests and ledger rows have it."""
        return {"batch": self.batch, "item": self.item}


@dataclass(frozen=True)
class RunRequest:
    """What to run; plain values, so that it can be sent to another process.

    Attributes
    ----------
    workspace_root: the workspace's folder.
    template: a template's name.
    parameters: name to JSON value, or to text that is read by the declared type. `secret:NAME` names a secret.
    slot: the slot of a schedule that the run fills; manifest and ledger remember it.
    item: the item of a batch that the run makes; they remember that too.
    kernel: `auto` is cold for one run, as forking pays from the second on.
    limits: what it may cost; where one is None, the workspace's own holds.
    """

    workspace_root: Path
    template: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    slot: Slot | None = None
    item: BatchItem | None = None
    kernel: Kernel = "auto"
    limits: Limits | None = None


def choose_start(asked: Kernel, settings: Settings, *, many: bool = False) -> Start:
    """How to start a kernel: as asked; else as the workspace says; else warm when there are many runs."""
    wanted = asked if asked != "auto" else settings.kernel
    if wanted == "auto":
        return "warm" if many else "cold"
    return wanted


def choose_limits(asked: Limits | None, settings: Settings) -> Limits:
    """The limits of a run: those asked for, and for each that is not the workspace's own."""
    own = Limits(**settings.limits.model_dump())
    return own if asked is None else asked.or_else(own)
