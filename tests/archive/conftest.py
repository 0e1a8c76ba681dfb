"""A tiny workspace with a really published report."""

from __future__ import annotations

from reported import archive, published, told, workspace

__all__ = ["archive", "published", "told", "workspace"]
