"""The archive: published reports, each version whole and never rewritten; found, verified, compared, kept for years.

`toolkit.reports` makes them; here they are read. Files are the truth: the index and the gallery are made from them and
can be made again.
"""

from toolkit.archive.compare import compare_reports, previous_report
from toolkit.archive.comparison import Comparison
from toolkit.archive.comparison_page import comparison_html
from toolkit.archive.gallery import Gallery, write_gallery
from toolkit.archive.index import search_reports
from toolkit.archive.indexed import Indexed, KeyResult
from toolkit.archive.verify import verify_all, verify_report
from toolkit.archive.versions import (
    Reference,
    Slot,
    find_report,
    list_reports,
    load_manifest,
    load_results,
    reconcile,
    report_folder,
)

__all__ = [
    "Comparison",
    "Gallery",
    "Indexed",
    "KeyResult",
    "Reference",
    "Slot",
    "compare_reports",
    "comparison_html",
    "find_report",
    "list_reports",
    "load_manifest",
    "load_results",
    "previous_report",
    "reconcile",
    "report_folder",
    "search_reports",
    "verify_all",
    "verify_report",
    "write_gallery",
]
