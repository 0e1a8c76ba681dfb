"""Reports: templates in, immutable versions out; what was published lies in `toolkit.archive`.

`run_report` executes a template and publishes what it saved as the next version; `save` is what the template calls.
Importing this room is cheap: every report's kernel does it.
"""

from toolkit.reports.lint import lint_template
from toolkit.reports.parameters import check_parameters, resolve_parameters
from toolkit.reports.reproduction import Reproduction, reproduce_report
from toolkit.reports.request import BatchItem, RunRequest
from toolkit.reports.runner import Published, run_report
from toolkit.reports.save import Saved, save
from toolkit.reports.templates import Parameter, Template, find_template, list_templates

__all__ = [
    "BatchItem",
    "Parameter",
    "Published",
    "Reproduction",
    "RunRequest",
    "Saved",
    "Template",
    "check_parameters",
    "find_template",
    "lint_template",
    "list_templates",
    "reproduce_report",
    "resolve_parameters",
    "run_report",
    "save",
]
