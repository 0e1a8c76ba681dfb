"""Examples without what a scan finds in them, and how small a group may be."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import DefinitionError
from toolkit.privacy import Masked, load_exceptions, mask_personal_data, scan_text, smallest_cell, too_small
from toolkit.workspace import open_workspace


@pytest.mark.parametrize(
    ("text", "masked", "found"),
    [
        ("It was late.", "It was late.", 0),
        ("Ask ada@example.org or grace@example.org.", "Ask <e-mail address> or <e-mail address>.", 2),
        ("Call +44 20 7946 0958 from 192.168.7.31", "Call <phone number> from <IP address>", 2),
        ("Für 東京: paid by DE89 3704 0044 0532 0130 00", "Für 東京: paid by <IBAN>", 1),
        # Only a reading of these finds them, so it is the reading that is shown.
        ("mail j<b>@</b>x.org", "mail <e-mail address>", 1),
        ("ada＠example.org", "<e-mail address>", 1),
    ],
)
def test_what_is_found_is_replaced_by_its_kind(text: str, masked: str, found: int) -> None:
    assert mask_personal_data(text) == Masked(masked, found)


@given(st.lists(st.sampled_from(["ada@example.org", "+44 20 7946 0958", "late", "<b>", "1", "＠", "&#64;", "."])))
def test_what_may_be_shown_is_clean(words: list[str]) -> None:
    masked = mask_personal_data(" ".join(words))
    assert scan_text(masked.text) == ()
    assert bool(masked.reason) == (masked.text == "" and bool(words))


def test_how_small_a_group_may_be(small, tmp_path) -> None:
    assert smallest_cell(small.workspace) == 5
    root = shutil.copytree(small.workspace.root, tmp_path / "own")
    (root / "privacy.yml").write_text("smallest_cell: 10\n")
    workspace = open_workspace(root)
    assert smallest_cell(workspace) == 10
    assert load_exceptions(workspace) == ()
    (root / "privacy.yml").write_text("smallest_cell: 0\n")
    with pytest.raises(DefinitionError, match="smallest_cell"):
        smallest_cell(open_workspace(root))


def test_a_small_group_says_why_it_is_not_shown() -> None:
    assert too_small(4, 5) == "suppressed: fewer than 5 users"
    assert too_small(5, 5) == ""
