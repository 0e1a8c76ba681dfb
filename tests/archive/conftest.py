"""A tiny workspace with a really published report; versions under rules of retention; a server that speaks S3."""

from __future__ import annotations

from kept_versions import five
from remote_archives import bucket, server
from reported import archive, published, told, workspace

__all__ = ["archive", "bucket", "five", "published", "server", "told", "workspace"]
