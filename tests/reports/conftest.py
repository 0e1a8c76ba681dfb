"""Fixtures of this folder; the tests of the archive use them too."""

from __future__ import annotations

from reported import archive, published, told, workspace

__all__ = ["archive", "published", "told", "workspace"]
