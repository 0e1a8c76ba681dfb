"""Forms for people in JupyterLab: a template's own parameters as fields, the same checks, the same words.

`form("experiment_readout")` reads the template's parameters cell and makes a field for each; a parameter that names a
definition (`experiment`, `model`) becomes a choice of the workspace's keys. What is typed is checked as on the command
line. "Run as report" runs the template with a progress bar and shows the published report.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

import ipywidgets as w

from toolkit.acts import run_report, settle
from toolkit.errors import ToolkitError
from toolkit.reports import Parameter, Published, RunRequest, check_parameters, find_template
from toolkit.workspace import Workspace, open_workspace

_CELL = re.compile(r"cell (\d+) of (\d+)")
_LABEL_WIDTH = "130px"
_REPORT_HEIGHT = "720px"


def form(template: str, workspace: Workspace | None = None) -> TemplateForm:
    """A form for a template of the workspace (by default the one around the notebook).

    Raises `UnknownNameError` with the nearest template, `WorkspaceError`.
    """
    return TemplateForm(template, workspace or open_workspace())


class TemplateForm(w.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Fields, messages, a run button, progress, and the published report.

    Attributes
    ----------
    fields: parameter name to its widget.
    published: what the last run published, or None.
    """

    def __init__(self, template: str, workspace: Workspace) -> None:
        self.workspace = workspace
        self.template = find_template(workspace, template)
        self.published: Published | None = None
        self.fields = {parameter.name: _field(parameter, workspace) for parameter in self.template.parameters}
        self.message = w.HTML()
        self.button = w.Button(description="Run as report", button_style="primary", icon="play")
        self.bar = w.IntProgress(min=0, max=1, layout=w.Layout(width="50%", visibility="hidden"))
        self.step = w.HTML()
        self.report = w.HTML()
        lines = [
            w.HBox([self.fields[parameter.name], w.HTML(f"<small>{escape(parameter.help)}</small>")])
            for parameter in self.template.parameters
        ]
        heading = w.HTML(f"<b>{escape(self.template.title)}</b><br>{escape(self.template.summary.replace('`', ''))}")
        super().__init__([heading, *lines, self.message, w.HBox([self.button, self.bar]), self.step, self.report])
        for field in self.fields.values():
            field.observe(self._on_change, names="value")
        self.button.on_click(self._on_click)
        self.check()

    @property
    def parameters(self) -> dict[str, object]:
        """What the fields hold now; a field left as the template has it is left out."""
        defaults = {parameter.name: _shown(parameter.default) for parameter in self.template.parameters}
        return {name: field.value for name, field in self.fields.items() if field.value != defaults[name]}

    def check(self) -> bool:
        """Check the fields as the command line would, and say what is wrong; whether the form can run."""
        try:
            check_parameters(self.workspace, self.template, self.parameters)
        except ToolkitError as err:
            self._say(err.announcement)
            self.button.disabled = True
            return False
        self._say("")
        self.button.disabled = False
        return True

    def run(self) -> Published | None:
        """Run the template with the fields' values; None, with the reason shown, when nothing was published."""
        if not self.check():
            return None
        self.button.disabled = True
        self.bar.layout.visibility = "visible"
        self.bar.value, self.bar.bar_style, self.report.value = 0, "", ""
        request = RunRequest(self.workspace.root, self.template.name, self.parameters)
        try:
            settle(self.workspace)
            self.published = run_report(request, progress=self._on_progress)
        except ToolkitError as err:
            self.published = None
            self.bar.bar_style = "danger"
            self._say(err.announcement)
        else:
            self.bar.value, self.bar.bar_style = self.bar.max, "success"
            self.report.value = _page(self.published)
        finally:
            self.button.disabled = False
        return self.published

    def _on_change(self, _: Any) -> None:
        self.check()

    def _on_click(self, _: Any) -> None:
        self.run()

    def _on_progress(self, text: str) -> None:
        self.step.value = f"<small>{escape(text)}</small>"
        if found := _CELL.search(text):
            self.bar.max = int(found[2])
            self.bar.value = int(found[1]) - 1

    def _say(self, text: str) -> None:
        self.message.value = f"<pre style='color:#ae2012;white-space:pre-wrap'>{escape(text)}</pre>" if text else ""


def _field(parameter: Parameter, workspace: Workspace) -> Any:
    shared = {
        "description": parameter.name,
        "tooltip": parameter.help,
        "style": {"description_width": _LABEL_WIDTH},
        "layout": w.Layout(width="380px"),
    }
    keys = workspace.keys(f"{parameter.name}s")
    if parameter.type == "str" and keys:
        options = dict.fromkeys(["", _shown(parameter.default), *keys])
        return w.Dropdown(options=list(options), value=_shown(parameter.default), **shared)
    if parameter.type == "bool":
        return w.Checkbox(value=bool(parameter.default), **shared)
    # Numbers are typed as text, so that what is wrong is said in words rather than silently replaced.
    return w.Text(value=_shown(parameter.default), continuous_update=False, **shared)


def _shown(default: object) -> Any:
    if default is None:
        return ""
    return default if isinstance(default, str | bool) else json.dumps(default)


def _page(published: Published) -> str:
    page = escape(published.page.read_text(encoding="utf-8"))
    return (
        f"<p>Published <b>{escape(str(published.reference))}</b></p>"
        f'<iframe sandbox="" srcdoc="{page}" title="{escape(str(published.reference))}" '
        f'style="width:100%;height:{_REPORT_HEIGHT};border:1px solid #e3e8ee"></iframe>'
    )
