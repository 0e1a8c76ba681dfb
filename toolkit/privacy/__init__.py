"""Privacy: what a report may not give away.

`Redactor` takes out what is this machine's and what is secret, `scan_outputs` finds patterned personal data in what is
left, `judge` holds that against the exceptions of `privacy.yml`, and a refusal says what to do.
"""

from toolkit.privacy.exceptions import (
    PRIVACY_FILE,
    Judgement,
    PrivacyException,
    count_kinds,
    judge,
    load_exceptions,
    refuse_personal_data,
    refuse_secrets,
)
from toolkit.privacy.masking import Masked, mask_personal_data, smallest_cell, too_small
from toolkit.privacy.redaction import Redacted, Redactor, machine_places
from toolkit.privacy.scan import KINDS, Hit, scan_outputs, scan_text, short_digest

__all__ = [
    "KINDS",
    "PRIVACY_FILE",
    "Hit",
    "Judgement",
    "Masked",
    "PrivacyException",
    "Redacted",
    "Redactor",
    "count_kinds",
    "judge",
    "load_exceptions",
    "machine_places",
    "mask_personal_data",
    "refuse_personal_data",
    "refuse_secrets",
    "scan_outputs",
    "scan_text",
    "short_digest",
    "smallest_cell",
    "too_small",
]
