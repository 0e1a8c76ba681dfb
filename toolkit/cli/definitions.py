"""`toolkit templates`, `toolkit metrics` and `toolkit models`: what there is, and one in full."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_facts, print_table

if TYPE_CHECKING:
    from toolkit.reports import Template
    from toolkit.workspace import Workspace

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="One template in full.", show_default=False)]
MetricKey = Annotated[str | None, typer.Argument(metavar="KEY", help="One metric in full.", show_default=False)]
ModelKey = Annotated[str | None, typer.Argument(metavar="KEY", help="One model in full.", show_default=False)]


def templates(name: Name = None, *, as_json: AsJson = False) -> None:
    """List the templates, or describe one.

    The shipped ones, and those in the workspace's templates/.
    """
    from toolkit.reports import find_template, lint_template, list_templates

    workspace = _workspace_if_any()
    if name is not None:
        template = find_template(workspace, name)
        document = _describe_template(template) | {"advice": lint_template(template)}
        if as_json:
            print_document({"template": document})
        else:
            parameters = document.pop("parameters")
            print_facts(document)
            print_table(
                ["parameter", "type", "default", "help"],
                [
                    [
                        each["name"],
                        each["type"],
                        "required" if each["required"] else repr(each["default"]),
                        each["help"],
                    ]
                    for each in parameters
                ],
            )
        return
    found = list_templates(workspace)
    if as_json:
        print_document({"templates": [_describe_template(template) for template in found]})
    else:
        print_table(
            ["template", "origin", "parameters", "title"],
            [
                [each.name, each.origin, ", ".join(parameter.name for parameter in each.parameters), each.title]
                for each in found
            ],
        )


def metrics(
    key: MetricKey = None,
    *,
    kinds: Annotated[bool, typer.Option("--kinds", help="List the kinds of metric that there are.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the metrics as a page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the metrics of metrics.yml, or show one.

    With --kinds, the kinds that a metric may be of, with their parameters; those in [ ] may be left out. With --html,
    one page of all of them: what each means, where it is used, and its latest published value.
    """
    from toolkit.checks import check_in
    from toolkit.metrics import load_metrics
    from toolkit.workspace import open_workspace

    if kinds:
        _show_kinds(key, as_json=as_json)
        return
    if html is not None:
        _write_glossary(open_workspace(), html)
        return
    defined = {
        name: metric.model_dump(mode="json") | {"measures": metric.measures}
        for name, metric in load_metrics(open_workspace()).items()
    }
    if key is not None:
        check_in(key, defined, noun="metric")
    columns = ("name", "kind", "direction", "role", "owner", "measures")
    _show(defined, key, noun="metric", columns=columns, as_json=as_json)


def _write_glossary(workspace: Workspace, path: Path) -> None:
    from toolkit.archive.index import search_reports
    from toolkit.cli.comparisons import write_page
    from toolkit.cli.glossary_page import glossary_html
    from toolkit.cli.glossary_uses import experiment_uses, latest_values, page_links
    from toolkit.metrics.glossary import glossary

    reports = search_reports(workspace, latest=True)
    entries = glossary(workspace, uses=experiment_uses(workspace), latest=latest_values(reports))
    write_page(path, glossary_html(workspace.settings.name, entries, links=page_links(workspace, reports, path)))


def _show_kinds(kind: str | None, *, as_json: bool) -> None:
    from toolkit.checks import check_in
    from toolkit.metrics.catalogue import catalogue

    entries = {entry.kind: entry for entry in catalogue(_workspace_if_any())}
    if kind is not None:
        check_in(kind, entries, noun="kind")
        entries = {kind: entries[kind]}
    if as_json:
        print_document({"kinds": [entry._asdict() for entry in entries.values()]})
    elif kind is not None:
        print_facts({"kind": kind, "is": entries[kind].text, "parameters": entries[kind].parameters})
    else:
        rows = [[name, entry.form, entry.text] for name, entry in entries.items()]
        print_table(["kind", "parameters", "what it is"], rows)


def models(key: ModelKey = None, *, as_json: AsJson = False) -> None:
    """List the models of models/, or show one."""
    from toolkit.data import load_model
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    keys = workspace.keys("models") if key is None else [key]
    defined = {each: load_model(workspace, each).model_dump(mode="json") for each in keys}
    _show(defined, key, noun="model", columns=("name", "owner", "loss", "versions"), as_json=as_json)


def _show(
    defined: dict[str, dict[str, Any]], key: str | None, *, noun: str, columns: tuple[str, ...], as_json: bool
) -> None:
    if key is not None:
        if as_json:
            print_document({noun: {"key": key} | defined[key]})
        else:
            print_facts({"key": key} | defined[key])
    elif as_json:
        print_document({f"{noun}s": [{"key": each} | definition for each, definition in defined.items()]})
    else:
        rows = [[each, *(_cell(definition[column]) for column in columns)] for each, definition in defined.items()]
        print_table([noun, *columns], rows)


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, dict | list) else str(value)


def _describe_template(template: Template) -> dict[str, Any]:
    from dataclasses import asdict

    document = asdict(template) | {"path": str(template.path)}
    return document | {"parameters": [asdict(parameter) for parameter in template.parameters]}


def _workspace_if_any() -> Workspace | None:
    """Shipped templates can be looked at anywhere; a workspace that is there must be in order."""
    from toolkit.errors import WorkspaceError
    from toolkit.workspace import open_workspace

    try:
        return open_workspace()
    except WorkspaceError:
        return None
