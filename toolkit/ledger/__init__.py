"""The ledger: the append-only, hash-chained record of what was published, refused, decided and done.

One row per entry, numbered 1, 2, 3 … without gaps; each carries the hash of the one before, so that a change of any
column of any row is found (`toolkit.ledger.chain` has the rule). Kinds are dotted lower-case words, an open list; in
use now: `report.published`, `report.refused`, `report.failed`, `report.pruned`, `experiment.planned`,
`experiment.looked`, `experiment.read`, `signal.seen`, `signal.recovered`, `signal.read`, `signal.acknowledged`,
`signal.muted`, `plan.read`, `item.started`, `item.done`, `item.dropped`, `item.reopened`, `item.overridden`,
`item.override_ended`, `alert.sent`, `alert.failed`.

>>> import tempfile
>>> from pathlib import Path
>>> from toolkit.windows import parse_instant
>>> from toolkit.workspace import Actor
>>> with (
...     tempfile.TemporaryDirectory() as folder,
...     open_ledger(Path(folder) / "ledger.sqlite") as ledger,
... ):
...     entry = ledger.append(
...         kind="report.published",
...         subject="triage/eta@1",
...         payload={"manifest": "sha256:0f"},
...         actor=Actor("ana", "asserted"),
...         effective_at=parse_instant("2013-05-01"),
...     )
...     found = verify(ledger)
>>> entry.sequence, entry.data, found.entries, found.problems
(1, {'manifest': 'sha256:0f'}, 1, ())
"""

from toolkit.ledger.chain import GENESIS, Entry, Position
from toolkit.ledger.store import Ledger, open_ledger
from toolkit.ledger.verification import Verification, verify

__all__ = ["GENESIS", "Entry", "Ledger", "Position", "Verification", "open_ledger", "verify"]
