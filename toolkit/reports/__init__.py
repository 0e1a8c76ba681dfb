"""Reports: templates in, immutable versions out.

`run_report` executes a template and publishes what it saved as the next version; `save` is what the template calls.
Importing this room is cheap: every report's kernel does it.
"""

from toolkit.reports.archive import (
    Reference,
    Slot,
    find_report,
    list_reports,
    load_manifest,
    load_results,
    reconcile,
    report_folder,
)
from toolkit.reports.compare import compare_reports, previous_report
from toolkit.reports.comparison import Comparison
from toolkit.reports.comparison_page import comparison_html
from toolkit.reports.gallery import Gallery, write_gallery
from toolkit.reports.index import search_reports
from toolkit.reports.indexed import Indexed, KeyResult
from toolkit.reports.lint import lint_template
from toolkit.reports.parameters import check_parameters, resolve_parameters
from toolkit.reports.reproduction import Reproduction, reproduce_report
from toolkit.reports.request import BatchItem, RunRequest
from toolkit.reports.runner import Published, run_report
from toolkit.reports.save import Saved, save
from toolkit.reports.templates import Parameter, Template, find_template, list_templates
from toolkit.reports.verify import verify_all, verify_report

__all__ = [
    "BatchItem",
    "Comparison",
    "Gallery",
    "Indexed",
    "KeyResult",
    "Parameter",
    "Published",
    "Reference",
    "Reproduction",
    "RunRequest",
    "Saved",
    "Slot",
    "Template",
    "check_parameters",
    "compare_reports",
    "comparison_html",
    "find_report",
    "find_template",
    "lint_template",
    "list_reports",
    "list_templates",
    "load_manifest",
    "load_results",
    "previous_report",
    "reconcile",
    "report_folder",
    "reproduce_report",
    "resolve_parameters",
    "run_report",
    "save",
    "search_reports",
    "verify_all",
    "verify_report",
    "write_gallery",
]
