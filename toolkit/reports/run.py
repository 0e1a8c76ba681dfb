"""What is known of one run before its kernel starts, and how it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toolkit.archive import versions
from toolkit.archive.versions import Reference
from toolkit.errors import Refused
from toolkit.privacy import PrivacyException
from toolkit.reports.engine import Start
from toolkit.reports.limits import Limits
from toolkit.reports.request import RunRequest
from toolkit.reports.stops import Stop
from toolkit.reports.templates import Template
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace, current_actor

if TYPE_CHECKING:
    from toolkit.ledger import Ledger, Position


@dataclass(frozen=True)
class Run:
    """What is known of a run before its kernel starts.

    Attributes
    ----------
    parameters: every value, defaults included; `given` is the part that is injected.
    secrets: parameter to the name of the secret that the kernel reads into it.
    exceptions: the personal data that may be published all the same.
    as_of: the resolved instant; None when the template takes none, or before it is resolved.
    """

    request: RunRequest
    workspace: Workspace
    ledger: Ledger
    template: Template
    parameters: dict[str, Any]
    given: dict[str, Any]
    secrets: dict[str, str]
    exceptions: tuple[PrivacyException, ...]
    as_of: str | None
    series: Reference
    kernel: str
    start: Start
    limits: Limits
    position: Position
    started_at: datetime
    tell: Callable[[str], None]
    stop: Stop

    def record(self, kind: str, detail: dict[str, Any]) -> None:
        """Append a ledger row on this run's series."""
        slot, item = self.request.slot, self.request.item
        payload = {
            "template_digest": self.template.digest,
            "parameters": versions.parameters_text(self.parameters),
            **({"slot": slot.to_dict()} if slot else {}),
            **({"batch": item.to_dict()} if item else {}),
            **detail,
        }
        effective_at = parse_instant(self.as_of) if self.as_of else self.started_at
        self.ledger.append(
            kind=kind, subject=self.series.series, payload=payload, actor=current_actor(), effective_at=effective_at
        )

    def refuse(self, err: Refused, **detail: str) -> None:
        """Record a refusal."""
        self.record(versions.REFUSED, {"type": type(err).__name__, "reason": str(err), **detail})
